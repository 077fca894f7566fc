//! One app, as the flags describe it (contract `cli.md` 3).

use std::path::{Path, PathBuf};

use outrider_config::flags::Parsed;
use outrider_core::quote::quote;

use super::{
    dapr_folder,
    environment::Variables,
    error::Error,
    plan::{Destination, Health, Member, Restart, Sidecar, id_of_folder},
    resources,
    screen::Status,
    values,
};

/// What to say before anything starts.
pub(super) type Notes = Vec<(Status, String)>;

/// Reads the flags; `folder` is where we were called.
pub(super) fn member(
    parsed: &Parsed,
    folder: &Path,
    variables: &Variables,
    notes: &mut Notes,
) -> Result<Member, Error> {
    let dapr = dapr_folder::find(&parsed.str("runtime-path"), variables);
    let app_id = match parsed.str("app-id") {
        id if id.is_empty() => id_of_folder(folder),
        id => {
            checked("app-id", &id, values::app_id(&id))?;
            id
        }
    };
    let config = match parsed.given_str("config").filter(|it| !it.is_empty()) {
        Some(given) => Some(existing("--config", given.into())?),
        None => dapr_folder::config(dapr.as_deref()),
    };
    let resources = match given_resources(parsed)? {
        given if given.is_empty() => resources::default(dapr.as_deref(), variables, notes),
        given => given,
    };
    if parsed.positionals.is_empty() {
        let text = "no app command was given, only the sidecar runs".to_owned();
        notes.push((Status::Warning, text));
    }
    Ok(Member {
        name: app_id.clone(),
        app_id,
        folder: folder.to_owned(),
        command: parsed.positionals.clone(),
        variables: Default::default(),
        sidecar: Sidecar {
            config,
            resources,
            ..sidecar(parsed, folder)?
        },
        app_log: Destination::Console,
        sidecar_log: Destination::Console,
        depends_on: Vec::new(),
        restart: Restart::No,
    })
}

fn sidecar(parsed: &Parsed, folder: &Path) -> Result<Sidecar, Error> {
    let text = |flag: &str, check: Check| {
        let text = parsed.str(flag);
        checked(flag, &text, check(&text)).map(|()| text)
    };
    Ok(Sidecar {
        app_port: port(parsed, "app-port")?,
        app_protocol: text("app-protocol", values::protocol)?,
        app_channel_address: parsed.str("app-channel-address"),
        app_max_concurrency: parsed.int("app-max-concurrency"),
        app_ssl: parsed.bool("app-ssl"),
        health: Health {
            enabled: parsed.bool("enable-app-health-check"),
            path: parsed.str("app-health-check-path"),
            interval: parsed.int("app-health-probe-interval"),
            timeout: parsed.int("app-health-probe-timeout"),
            threshold: parsed.int("app-health-threshold"),
        },
        http_port: port(parsed, "dapr-http-port")?,
        grpc_port: port(parsed, "dapr-grpc-port")?,
        internal_port: port(parsed, "dapr-internal-grpc-port")?,
        metrics_port: port(parsed, "metrics-port")?,
        profile_port: port(parsed, "profile-port")?,
        enable_profiling: parsed.bool("enable-profiling"),
        enable_api_logging: parsed.bool("enable-api-logging"),
        listen_addresses: parsed.str("dapr-listen-addresses"),
        unix_domain_socket: socket_folder(&parsed.str("unix-domain-socket"), folder),
        config: None,
        resources: Vec::new(),
        max_body_size: text("max-body-size", values::size)?,
        read_buffer_size: text("read-buffer-size", values::size)?,
        log_level: text("log-level", values::log_level)?,
        log_as_json: parsed.bool("log-as-json"),
    })
}

type Check = fn(&str) -> Result<(), String>;

fn checked(flag: &str, text: &str, outcome: Result<(), String>) -> Result<(), Error> {
    let text = quote(text);
    outcome.map_err(|why| Error::Value(format!("--{flag} is {text}; {why}")))
}

/// Absolute, so that `list` and `invoke` find the sockets from anywhere.
fn socket_folder(given: &str, folder: &Path) -> String {
    match given {
        "" => String::new(),
        given => folder.join(given).display().to_string(),
    }
}

fn port(parsed: &Parsed, flag: &str) -> Result<Option<u16>, Error> {
    let number = parsed.int(flag);
    values::port(number).map_err(|why| Error::Value(format!("--{flag} is {number}; {why}")))
}

fn given_resources(parsed: &Parsed) -> Result<Vec<PathBuf>, Error> {
    let given = parsed.list("resources-path");
    let (flag, given) = match parsed.str("components-path") {
        folder if given.is_empty() && !folder.is_empty() => ("--components-path", vec![folder]),
        _ => ("--resources-path", given),
    };
    let all = given.into_iter();
    all.map(|path| existing(flag, path.into())).collect()
}

fn existing(what: &'static str, path: PathBuf) -> Result<PathBuf, Error> {
    match std::fs::metadata(&path) {
        Ok(_) => Ok(path),
        Err(cause) => Err(Error::File { what, path, cause }),
    }
}

#[cfg(test)]
mod tests {
    use outrider_config::flags::{Outcome, parse};

    use super::*;
    use crate::run::flags::SPEC;

    fn read(line: &str, variables: &Variables) -> Result<Member, String> {
        let line: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let Ok(Outcome::Parsed(parsed)) = parse(&SPEC, &line) else {
            panic!("{line:?} can't be read");
        };
        let member = member(
            &parsed,
            Path::new("/src/My.Cart"),
            variables,
            &mut Vec::new(),
        );
        member.map_err(|error| error.to_string())
    }

    #[test]
    fn the_folder_gives_the_id_and_less_than_a_port_is_none() {
        let none = Variables::new();
        let member = read("-p 5000 -H 0 -G -3 node app.js --app-id x", &none).unwrap();
        assert_eq!(member.app_id, "My-Cart");
        assert_eq!(member.command, ["node", "app.js", "--app-id", "x"]);
        assert_eq!(member.sidecar.app_port, Some(5000));
        assert_eq!(member.sidecar.http_port, None);
        assert_eq!(member.sidecar.grpc_port, None);
        assert_eq!(member.sidecar.config, None);
        let member = read("-u run/x node", &none).unwrap();
        assert_eq!(member.sidecar.unix_domain_socket, "/src/My.Cart/run/x");
    }

    #[test]
    fn what_is_not_there_or_no_port_is_named() {
        let none = Variables::new();
        for (line, begin) in [
            (
                "-H 65536 x",
                "--dapr-http-port is 65536; it must be at most 65535",
            ),
            (
                "--log-level loud x",
                "--log-level is \"loud\"; allowed are debug, ",
            ),
            (
                "--max-body-size 4MiB x",
                "--max-body-size is \"4MiB\"; did you mean 4Mi?",
            ),
            ("-P htp x", "--app-protocol is \"htp\"; allowed are http, "),
            ("-a a.b x", "--app-id is \"a.b\"; parameter app-id cannot"),
            ("-c /nowhere/c.yaml x", "--config /nowhere/c.yaml: "),
            ("--resources-path /nowhere x", "--resources-path /nowhere: "),
            ("-d /nowhere x", "--components-path /nowhere: "),
        ] {
            let error = read(line, &none).unwrap_err();
            assert!(error.starts_with(begin), "{error}");
        }
    }

    #[test]
    fn daprs_own_defaults_are_used_if_they_are_there() {
        let home = tempfile::tempdir().unwrap();
        let variables = [("HOME".into(), home.path().into())].into();
        let dapr = home.path().join(".dapr");
        std::fs::create_dir_all(dapr.join("components")).unwrap();
        let resources = |member: Member| member.sidecar.resources;
        let own = home.path().join(".local/share/outrider/default-resources");
        assert_eq!(resources(read("x", &variables).unwrap()), [own]);
        std::fs::write(dapr.join("components/a.yml"), "").unwrap();
        std::fs::write(dapr.join("config.yaml"), "").unwrap();
        let member = read("x", &variables).unwrap();
        assert_eq!(member.sidecar.config, Some(dapr.join("config.yaml")));
        assert_eq!(resources(member), [dapr.join("components")]);
    }
}
