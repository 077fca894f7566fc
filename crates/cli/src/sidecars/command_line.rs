//! What a sidecar's command line says. Read with leniency: it may be of a version that has flags
//! we don't know, and the sidecar itself has accepted it.

use std::path::Path;

use super::Sidecar;
use crate::procfs::Facts;

/// The arguments behind the program's name.
pub(super) struct CommandLine<'a> {
    arguments: &'a [String],
}

/// Whether it is a sidecar: called `daprd`, as the dapr CLI tells them, or `outrider sidecar`.
pub(super) fn is_sidecar(name: &str, arguments: &[String]) -> bool {
    let is_daprd = |name: &str| matches!(&*name.to_ascii_lowercase(), "daprd" | "daprd.exe");
    let Some((program, rest)) = arguments.split_first() else {
        return false;
    };
    let is_ours =
        file_name(program) == "outrider" && rest.first().is_some_and(|it| it == "sidecar");
    is_daprd(name) || is_daprd(file_name(program)) || is_ours
}

/// Whether it is `dapr run` or `outrider run`.
pub(super) fn is_run(arguments: &[String]) -> bool {
    let Some((program, rest)) = arguments.split_first() else {
        return false;
    };
    let is_cli = matches!(file_name(program), "dapr" | "outrider");
    is_cli && rest.iter().any(|it| it == "run")
}

fn file_name(program: &str) -> &str {
    let name = Path::new(program).file_name();
    name.and_then(|it| it.to_str()).unwrap_or_default()
}

impl<'a> CommandLine<'a> {
    /// Of all arguments, the program's name included.
    pub(super) fn of(arguments: &'a [String]) -> Self {
        Self {
            arguments: arguments.get(1..).unwrap_or_default(),
        }
    }

    /// The sidecar that was started so; nothing if it has no app id, as one that only tells its
    /// version.
    pub(super) fn sidecar(&self, process: &Facts, user: u32) -> Option<Sidecar> {
        let app_id = self.value("app-id").filter(|id| !id.is_empty())?;
        Some(Sidecar {
            app_id: app_id.to_owned(),
            http_socket: self.socket(app_id),
            http_host: self.host(),
            pid: process.pid,
            parent: Some(process.parent),
            started_unix_ms: process.started_unix_ms,
            is_own: process.user == user,
            ..self.defaults()
        })
    }

    /// All that needs no app id.
    pub(super) fn defaults(&self) -> Sidecar {
        let port = |name, default| match self.value(name).map(str::parse) {
            None => Some(default),
            Some(Ok(port)) => Some(port),
            Some(Err(_)) => None,
        };
        let size = |name, default| {
            let given = self.value(name);
            given
                .and_then(|text| outrider_core::quantity::parse_bytes(text).ok())
                .unwrap_or(default)
        };
        Sidecar {
            http_port: port("dapr-http-port", 3500),
            grpc_port: port("dapr-grpc-port", 50001),
            app_port: port("app-port", 0).filter(|port| *port != 0),
            metrics_port: port("metrics-port", 9090),
            metrics_enabled: self.value("enable-metrics") != Some("false"),
            max_body_size: size("max-body-size", 4 << 20),
            read_buffer_size: size("read-buffer-size", 4 << 10),
            ..Sidecar::default()
        }
    }

    /// The value that counts, which is the last one. A switch that stands alone has the next
    /// argument as its value, which nobody here asks for.
    fn value(&self, name: &str) -> Option<&'a str> {
        let mut found = None;
        for (at, argument) in self.arguments.iter().enumerate() {
            let text = argument.strip_prefix("--");
            let Some(text) = text.or_else(|| argument.strip_prefix('-')) else {
                continue;
            };
            match text.split_once('=') {
                Some((written, value)) if written == name => found = Some(value),
                None if text == name => found = self.arguments.get(at + 1).map(String::as_str),
                _ => {}
            }
        }
        found
    }

    /// The socket file, named by its folder (contract, http-api 1).
    fn socket(&self, app_id: &str) -> Option<String> {
        let folder = self.value("unix-domain-socket")?;
        if folder.is_empty() {
            return None;
        }
        Some(format!("{folder}/dapr-{app_id}-http.socket"))
    }

    /// Where to connect to, if all addresses are known not to be loopback ones.
    fn host(&self) -> Option<String> {
        let list = self.value("dapr-listen-addresses")?;
        let mut first = None;
        for host in list.split(',') {
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            if matches!(bare, "" | "0.0.0.0" | "::" | "localhost" | "127.0.0.1") {
                return None;
            }
            first.get_or_insert(bare);
        }
        first.map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    fn sidecar(line: &str) -> Option<Sidecar> {
        CommandLine::of(&words(line)).sidecar(&Facts::default(), 0)
    }

    #[test]
    fn values_stand_behind_the_flag_or_an_equals_sign() {
        let it = sidecar("daprd --app-id a --dapr-http-port=1 -dapr-grpc-port 2 --app-port 3");
        let it = it.unwrap();
        assert_eq!(it.app_id, "a");
        assert_eq!(
            (it.http_port, it.grpc_port, it.app_port),
            (Some(1), Some(2), Some(3))
        );
        assert_eq!(sidecar("daprd --app-id a --app-id=b").unwrap().app_id, "b");
    }

    #[test]
    fn what_is_not_given_has_its_default() {
        let it = sidecar("daprd --app-id a --app-port 0 --max-body-size -1").unwrap();
        assert_eq!((it.http_port, it.grpc_port), (Some(3500), Some(50001)));
        assert_eq!((it.app_port, it.metrics_port), (None, Some(9090)));
        assert!(it.metrics_enabled && it.http_socket.is_none() && it.http_host.is_none());
        assert_eq!(it.read_buffer_size, 4096);
        assert!(sidecar("daprd --version").is_none());
        assert!(sidecar("daprd --app-id").is_none());
        assert!(sidecar("daprd --app-id=").is_none());
    }

    #[test]
    fn sockets_and_other_addresses_are_found() {
        let it = sidecar("daprd --app-id a --unix-domain-socket /run").unwrap();
        assert_eq!(it.http_socket.as_deref(), Some("/run/dapr-a-http.socket"));
        let host = |list: &str| {
            let line = format!("daprd --app-id a --dapr-listen-addresses {list}");
            sidecar(&line).unwrap().http_host
        };
        assert_eq!(host("10.0.0.1,10.0.0.2").as_deref(), Some("10.0.0.1"));
        assert_eq!(host("[::1]").as_deref(), Some("::1"));
        assert_eq!(host("10.0.0.1,127.0.0.1"), None);
    }

    #[test]
    fn sidecars_are_told_by_name_whatever_the_path() {
        for (name, line) in [
            ("daprd", "/home/a/.dapr/bin/daprd --app-id a"),
            ("outrider", "daprd --app-id a"),
            ("outrider", "/bin/outrider sidecar --app-id a"),
            ("DAPRD", "x"),
        ] {
            assert!(is_sidecar(name, &words(line)), "{line}");
        }
        for line in ["/bin/outrider list", "vim daprd", "outrider", "dapr run"] {
            assert!(!is_sidecar("x", &words(line)), "{line}");
        }
    }

    #[test]
    fn runs_of_both_tools_are_known() {
        assert!(is_run(&words("/bin/dapr --log-as-json run -f .")));
        assert!(is_run(&words("outrider run -- python app.py")));
        assert!(!is_run(&words("bash -c run")));
    }
}
