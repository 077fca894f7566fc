//! Finding others by another way than mDNS: the source that the settings name, opened, run, and
//! opened again later if that fails (contract `naming.md` 1, Weakness).

use std::{rc::Rc, sync::Arc, time::Duration};

use outrider_lookup::{
    Cause, NotFound, Table,
    resolvers::{
        OpenError,
        dns::Dns,
        fixed::Fixed,
        nameformat,
        sqlite::{Host, Sqlite},
    },
};
use outrider_telemetry::log::scope;
use tokio::{
    sync::watch,
    task::{JoinHandle, spawn_local},
    time::{Instant, sleep_until},
};

use super::registry::bracketed;
use crate::{
    plan::{Resolver, ResolverName, Source},
    shared::Shared,
};

/// Being found through a source that has registrations.
pub(crate) struct Registrar {
    /// The database, once it is open.
    database: watch::Receiver<Option<Rc<Sqlite>>>,
    keeping: Option<JoinHandle<()>>,
}

/// Finds others from now on.
pub(crate) fn start(shared: &Arc<Shared>) -> Registrar {
    let (opened, database) = watch::channel(None);
    match &shared.plan.resolver {
        Resolver::Mdns => {}
        Resolver::Absent { name, why, known } => tell_absent(name, why, *known),
        Resolver::Source { .. } => {
            spawn_local(run(Arc::clone(shared), opened));
        }
    }
    Registrar {
        database,
        keeping: None,
    }
}

impl Registrar {
    /// Lets us be found, where there are registrations.
    pub(crate) fn register(&mut self, shared: &Shared, internal_port: u16) {
        let host = Host {
            app_id: shared.plan.app_id.to_string(),
            address: address(
                &shared.plan.listen.internal_host,
                &shared.host_address,
                internal_port,
            ),
        };
        let mut database = self.database.clone();
        self.keeping = Some(spawn_local(async move {
            let opened = database.wait_for(Option::is_some).await;
            let opened = opened.ok().and_then(|it| it.as_ref().map(Rc::clone));
            // The sender is gone where there is nothing to register with.
            if let Some(database) = opened {
                database.keep_registered(&host).await;
            }
        }));
    }

    /// Takes that back.
    pub(crate) async fn withdraw(self) {
        let Some(keeping) = self.keeping else { return };
        keeping.abort();
        // Only then nothing is written any more.
        let _ = keeping.await;
        let database = self.database.borrow().as_ref().map(Rc::clone);
        if let Some(database) = database {
            database.withdraw().await;
        }
    }
}

fn tell_absent(name: &ResolverName, why: &str, known: Option<&[&str]>) {
    tell(if known.is_some() { CREATE } else { INIT }, name, why);
    if let Some(known) = known {
        tracing::warn!(
            target: scope::RUNTIME,
            "calls to other apps will fail: this version has the name resolvers {}", known.join(", ")
        );
    }
}

const CREATE: &str = "CREATE_COMPONENT_FAILURE";
const INIT: &str = "INIT_COMPONENT_FAILURE";

fn tell(failure: &str, name: &ResolverName, why: &str) {
    let ResolverName { name, version } = name;
    tracing::error!(
        target: scope::RUNTIME,
        "[{failure}]: initialization error occurred for nr ({name}/{version}): {why}"
    );
}

/// Opens the source, as often as it takes, and runs it.
async fn run(shared: Arc<Shared>, opened: watch::Sender<Option<Rc<Sqlite>>>) {
    let Resolver::Source { name, source } = &shared.plan.resolver else {
        return;
    };
    let table = &shared.table;
    let mut pause = FIRST_PAUSE;
    let mut told: Option<OpenError> = None;
    let open = loop {
        match open(source, table).await {
            Ok(open) => break open,
            Err(error) => {
                if told.as_ref() != Some(&error) {
                    tell(INIT, name, &error.to_string());
                }
                refuse_for(pause, table, &error).await;
                told = Some(error);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    };
    tracing::info!(target: scope::RUNTIME, "Initialized name resolution to {}", name.name);
    match open {
        Open::Nameformat(format) => nameformat::run(format, table).await,
        Open::Static(fixed) => fixed.run(table).await,
        Open::Dns(dns) => dns.run(table).await,
        Open::Sqlite(database) => {
            let database = Rc::new(database);
            opened.send_replace(Some(Rc::clone(&database)));
            database.resolve(table).await;
        }
    }
}

/// A source ready to run.
enum Open<'a> {
    Nameformat(&'a str),
    Sqlite(Sqlite),
    Static(Fixed),
    Dns(Box<Dns>),
}

async fn open<'a>(source: &'a Source, table: &Table) -> Result<Open<'a>, OpenError> {
    Ok(match source {
        Source::Nameformat(format) => Open::Nameformat(format),
        Source::Sqlite(config) => {
            if config.dsn.in_memory {
                tracing::warn!(
                    target: scope::RUNTIME,
                    "the name resolver's database is in memory: no other app can be found through it"
                );
            }
            Open::Sqlite(Sqlite::open(config).await?)
        }
        Source::Static(list) => Open::Static(Fixed::open(list, table)?),
        Source::Dns(config) => Open::Dns(Box::new(Dns::open(config)?)),
    })
}

/// Until the next try, calls hear why they can't be carried.
async fn refuse_for(pause: Duration, table: &Table, error: &OpenError) {
    let until = Instant::now() + pause;
    let mut asked = table.asked();
    loop {
        tokio::select! {
            () = sleep_until(until) => return,
            Some(query) = asked.next() => {
                let why = NotFound {
                    text: format!("name resolver not initialized: {error}").into(),
                    cause: Cause::Source,
                };
                table.refuse(&query, why, Duration::ZERO);
            }
        }
    }
}

/// What others reach us by (contract `naming.md` 2).
fn address(internal_host: &str, host_address: &str, port: u16) -> String {
    let host = match internal_host {
        "127.0.0.1" | "localhost" | "[::1]" => internal_host,
        "::1" => "[::1]",
        _ => host_address,
    };
    format!("{}:{port}", bracketed(host))
}

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_internal_port_on_loopback_is_registered_as_such() {
        for (internal, host, expected) in [
            ("", "10.0.0.1", "10.0.0.1:7"),
            ("0.0.0.0", "fd00::1", "[fd00::1]:7"),
            ("127.0.0.1", "10.0.0.1", "127.0.0.1:7"),
            ("localhost", "10.0.0.1", "localhost:7"),
            ("[::1]", "10.0.0.1", "[::1]:7"),
            ("10.9.9.9", "node.lan", "node.lan:7"),
        ] {
            assert_eq!(address(internal, host, 7), expected, "{internal} {host}");
        }
    }
}
