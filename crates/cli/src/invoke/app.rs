//! The called app, as its own sidecar on this machine knows it, and whether it is called by gRPC.

use std::io;

use super::options::{Options, Way};
use crate::{
    grpc,
    http::{self, Address},
    sidecars::{self, Answer, Sidecar},
};

/// What is known of the app; nothing if it has no sidecar here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct App {
    /// Empty if its sidecar does not tell.
    pub(super) protocol: String,
    pub(super) address: Option<Address>,
}

impl App {
    pub(super) fn speaks_grpc(&self) -> bool {
        self.protocol == "grpc" || self.is_secured()
    }

    pub(super) fn is_secured(&self) -> bool {
        self.protocol == "grpcs"
    }
}

/// The app, if it is to be called by its own methods; nothing if the call goes the way of HTTP.
///
/// Sidecars are asked only if the answer matters.
pub(super) fn by_grpc(
    options: &Options,
    all: &[Sidecar],
    token: Option<&str>,
) -> io::Result<Option<App>> {
    let app = || http::block_on(find(&options.app_id, all, token));
    match options.way {
        Way::Http => Ok(None),
        Way::Grpc(_) => app().map(Some),
        Way::Open if options.method.as_deref().is_none_or(grpc::is_full_method) => {
            Ok(Some(app()?).filter(App::speaks_grpc))
        }
        Way::Open => Ok(None),
    }
}

async fn find(app_id: &str, all: &[Sidecar], token: Option<&str>) -> App {
    let named = all.iter().filter(|it| is_of(it, app_id));
    let mut named: Vec<Sidecar> = named.cloned().collect();
    // What one's own sidecar says is to be believed.
    named.sort_by_key(|it| !it.is_own);
    sidecars::ask(&mut named, token).await;
    let told = named.iter().find(|it| matches!(it.answer, Answer::Told(_)));
    told.or(named.first()).map(known).unwrap_or_default()
}

/// Whether the id means the app of that sidecar; it may name the namespace too.
fn is_of(sidecar: &Sidecar, app_id: &str) -> bool {
    sidecar.app_id == app_id
        || app_id.split_once('.').is_some_and(|(id, namespace)| {
            sidecar.app_id == id && sidecar.namespace.as_deref() == Some(namespace)
        })
}

fn known(sidecar: &Sidecar) -> App {
    let told = sidecar
        .metadata()
        .map(|it| it.app.clone())
        .unwrap_or_default();
    let port = Some(told.port).filter(|it| *it != 0).or(sidecar.app_port);
    let address = port.map(|port| match &*told.channel_address {
        "" => Address::local(port),
        host => Address::Port {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
        },
    });
    App {
        protocol: told.protocol,
        address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sidecars::{AppConnection, Metadata};

    #[test]
    fn an_id_may_name_its_namespace() {
        let sidecar = Sidecar {
            app_id: "shop".into(),
            namespace: Some("prod".into()),
            ..Sidecar::default()
        };
        for (id, is) in [
            ("shop", true),
            ("shop.prod", true),
            ("shop.x", false),
            ("x", false),
        ] {
            assert_eq!(is_of(&sidecar, id), is, "{id}");
        }
    }

    #[test]
    fn the_sidecar_knows_best_where_its_app_is() {
        let mut sidecar = Sidecar {
            app_port: Some(5),
            ..Sidecar::default()
        };
        assert_eq!(known(&sidecar).address, Some(Address::local(5)));
        assert!(!known(&sidecar).speaks_grpc());
        sidecar.answer = Answer::Told(Box::new(Metadata {
            app: AppConnection {
                port: 7,
                protocol: "grpcs".into(),
                channel_address: "[::1]".into(),
            },
            ..Metadata::default()
        }));
        let app = known(&sidecar);
        assert_eq!(app.address.as_ref().unwrap().to_string(), "[::1]:7");
        assert!(app.speaks_grpc() && app.is_secured());
        assert_eq!(known(&Sidecar::default()), App::default());
    }
}
