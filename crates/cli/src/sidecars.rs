//! The sidecars on this machine, whoever started them: those of the same-host registry, and
//! processes called `daprd` (contract, cli 7), merged by process id.
//!
//! Finding asks no sidecar anything, so a hung one is found like the others. What only they know
//! is asked of all at once and for a short time.

mod command_line;
mod metadata;

use std::collections::HashMap;

use outrider_lookup::{Registry, registry::Entry};

use crate::{http::Address, output::printable, procfs};
use command_line::CommandLine;
#[cfg(test)]
pub(crate) use metadata::AppConnection;
pub(crate) use metadata::{Answer, LIMIT, Metadata, ask};

/// A sidecar that runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sidecar {
    pub(crate) app_id: String,
    /// None if only the sidecar knows.
    pub(crate) namespace: Option<String>,
    pub(crate) http_port: Option<u16>,
    /// The HTTP API listens here instead of on a port.
    pub(crate) http_socket: Option<String>,
    /// The host of the HTTP API, if it does not listen on the loopback address.
    pub(crate) http_host: Option<String>,
    pub(crate) grpc_port: Option<u16>,
    pub(crate) app_port: Option<u16>,
    pub(crate) metrics_port: Option<u16>,
    pub(crate) metrics_enabled: bool,
    pub(crate) max_body_size: i64,
    pub(crate) read_buffer_size: i64,
    /// Where other sidecars reach it.
    pub(crate) address: Option<String>,
    pub(crate) pid: u32,
    /// None where there is no telling.
    pub(crate) parent: Option<u32>,
    pub(crate) started_unix_ms: u64,
    pub(crate) version: Option<String>,
    /// It runs as the user who asks, who alone may be trusted with a token.
    pub(crate) is_own: bool,
    pub(crate) answer: Answer,
}

/// What was found, and what stood in the way of finding more.
#[derive(Debug)]
pub(crate) struct Found {
    /// By app id, then age.
    pub(crate) sidecars: Vec<Sidecar>,
    /// The registry could not be read.
    pub(crate) problem: Option<String>,
}

/// Finds all of them.
pub(crate) fn find() -> Found {
    let (entries, problem) = match Registry::new().list() {
        Ok(entries) => (entries, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    let processes = procfs::find(command_line::is_sidecar);
    let user = rustix::process::geteuid().as_raw();
    let sidecars = merge(entries, processes, user);
    Found { sidecars, problem }
}

/// A line on each that was asked and did not tell about itself, with the reason.
pub(crate) fn silent(sidecars: &[Sidecar]) -> String {
    let line = |it: &Sidecar| {
        let why = match &it.answer {
            Answer::Refused if it.is_own => "it asks for a token: set DAPR_API_TOKEN",
            Answer::Refused => "it asks for a token, and another user runs it",
            Answer::Unknown(why) => why,
            Answer::Told(_) | Answer::NotAsked => return None,
        };
        let (id, pid) = (printable(&it.app_id), it.pid);
        Some(format!("{id} (pid {pid}): {}\n", printable(why)))
    };
    sidecars.iter().filter_map(line).collect()
}

/// One sidecar for each process. The registry knows better what it knows.
fn merge(entries: Vec<Entry>, processes: Vec<procfs::Facts>, user: u32) -> Vec<Sidecar> {
    let mut by_pid: HashMap<u32, Sidecar> = HashMap::new();
    for process in processes {
        let line = CommandLine::of(&process.arguments);
        if let Some(sidecar) = line.sidecar(&process, user) {
            by_pid.insert(process.pid, sidecar);
        }
    }
    for entry in entries {
        by_pid.entry(entry.pid).or_default().tell(entry);
    }
    let mut sidecars: Vec<Sidecar> = by_pid.into_values().collect();
    sidecars.sort_by(|a, b| {
        let key = |it: &Sidecar| (it.app_id.clone(), it.started_unix_ms, it.pid);
        key(a).cmp(&key(b))
    });
    sidecars
}

impl Sidecar {
    /// Takes over what the registry has.
    fn tell(&mut self, entry: Entry) {
        if self.pid == 0 {
            // Its process cannot be seen from here: another pid namespace, or no `/proc`.
            *self = CommandLine::of(&[]).defaults();
        }
        self.app_id = entry.app_id;
        self.namespace = Some(entry.namespace);
        self.http_port = entry.http_port;
        self.http_socket = entry.http_socket;
        self.grpc_port = entry.grpc_port;
        self.app_port = entry.app_port;
        self.metrics_port = entry.metrics_port;
        self.address = Some(entry.address);
        self.pid = entry.pid;
        self.started_unix_ms = entry.started_unix_ms;
        self.version = Some(entry.version).filter(|it| !it.is_empty());
        self.is_own = true;
    }

    /// Where its HTTP API is, if it has one.
    pub(crate) fn http(&self) -> Option<Address> {
        if let Some(path) = &self.http_socket {
            return Some(Address::Socket(path.into()));
        }
        Some(self.at(self.http_port?))
    }

    /// Where its gRPC API is, if it has one.
    pub(crate) fn grpc(&self) -> Option<Address> {
        if let Some(path) = &self.http_socket {
            // Both APIs have their sockets in one folder (contract, grpc-api 1).
            let folder = path.strip_suffix("-http.socket")?;
            return Some(Address::Socket(format!("{folder}-grpc.socket").into()));
        }
        Some(self.at(self.grpc_port?))
    }

    fn at(&self, port: u16) -> Address {
        match &self.http_host {
            Some(host) => Address::Port {
                host: host.clone(),
                port,
            },
            None => Address::local(port),
        }
    }

    /// What it told about itself.
    pub(crate) fn metadata(&self) -> Option<&Metadata> {
        match &self.answer {
            Answer::Told(metadata) => Some(metadata),
            _ => None,
        }
    }

    /// The process that started it together with the app: as it was told, or its parent, if that
    /// is a `run` of either tool.
    pub(crate) fn cli_pid(&self) -> Option<u32> {
        self.metadata().and_then(|it| it.cli_pid).or_else(|| {
            let parent = procfs::facts(self.parent?)?;
            command_line::is_run(&parent.arguments).then_some(parent.pid)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, line: &str) -> procfs::Facts {
        procfs::Facts {
            pid,
            name: "daprd".to_owned(),
            arguments: line.split(' ').map(str::to_owned).collect(),
            parent: 1,
            user: 7,
            started_unix_ms: 5,
        }
    }

    fn entry(pid: u32, app_id: &str) -> Entry {
        Entry {
            app_id: app_id.into(),
            pid,
            address: "127.0.0.1:9".into(),
            http_port: Some(3501),
            version: "1.18.3".into(),
            ..Entry::default()
        }
    }

    #[test]
    fn one_that_both_know_is_one() {
        let processes = vec![
            process(8, "daprd --app-id b --enable-metrics=false"),
            process(9, "daprd --app-id a"),
        ];
        let sidecars = merge(vec![entry(8, "b")], processes, 7);
        let ids: Vec<_> = sidecars.iter().map(|it| (&*it.app_id, it.pid)).collect();
        assert_eq!(ids, [("a", 9), ("b", 8)]);
        assert_eq!(sidecars[0].http_port, Some(3500));
        assert!(sidecars[0].is_own);
        assert_eq!(sidecars[1].http_port, Some(3501));
        assert_eq!(sidecars[1].parent, Some(1));
        assert!(!sidecars[1].metrics_enabled);
    }

    #[test]
    fn those_of_others_are_found_but_not_trusted() {
        let sidecars = merge(Vec::new(), vec![process(8, "daprd --app-id b")], 0);
        assert!(!sidecars[0].is_own);
    }

    #[test]
    fn an_entry_without_a_visible_process_counts() {
        let sidecars = merge(vec![entry(8, "b")], Vec::new(), 7);
        assert_eq!(sidecars[0].pid, 8);
        assert!(sidecars[0].metrics_enabled && sidecars[0].is_own);
        assert_eq!(sidecars[0].http(), Some(Address::local(3501)));
    }

    #[test]
    fn both_apis_are_found_on_ports_and_sockets() {
        let mut sidecar = Sidecar {
            grpc_port: Some(5),
            ..Sidecar::default()
        };
        assert_eq!(
            (sidecar.http(), sidecar.grpc()),
            (None, Some(Address::local(5)))
        );
        sidecar.http_socket = Some("/run/dapr-a-http.socket".into());
        let socket = Address::Socket("/run/dapr-a-grpc.socket".into());
        assert_eq!(sidecar.grpc(), Some(socket));
    }
}
