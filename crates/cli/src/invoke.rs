//! `outrider invoke`: one call to an app through a sidecar (contract, cli 9), by HTTP or by the
//! gRPC methods of the app.
//!
//! Shows what came back as it came, errors included. Follows no redirect and repeats nothing.

mod app;
mod explain;
mod grpc;
mod options;
mod send;
mod target;

use std::process::ExitCode;

use outrider_config::flags::{Flag, Kind, Positionals, Spec};

use crate::{
    Process, http,
    output::{Output, complain, printable},
    sidecars::{self, Found, Sidecar},
};
use options::Options;

pub(crate) const SPEC: Spec = Spec {
    usage_name: "outrider invoke",
    usage_tail: "--app-id <text> --method <path | pkg.Service/Method> [flags]",
    about: "\
Calls an app through a sidecar and prints what comes back.

  outrider invoke --app-id shop --method orders/7?full=1 --verb GET
  outrider invoke --app-id shop --method neworder --data '{\"orderId\": 42}'
  outrider invoke --app-id shop --method upload --data-file a.png --content-type image/png
  outrider invoke --app-id shop --method orders --verb GET --from till --timing
  outrider invoke --app-id shop --method shop.v1.Orders/Get --data '{\"id\": \"42\"}'

The call goes to the shop's own sidecar, as with the dapr CLI, and so tests the app and its \
sidecar. With --from it goes to the sidecar of another app, takes the whole way from there and is \
subject to all that calls of that app are subject to.

If the app speaks gRPC and the method looks like shop.v1.Orders/Get, that method is called, with \
JSON in and out. What it takes is learnt from the app, by server reflection, or from --proto-set; \
without --method, the app's methods are listed. Only unary methods can be called.

The body goes to standard output, whatever the status; a line that tells the outcome follows it \
there, or goes to standard error if the call failed. The exit code is 0 if the status is below \
400, or OK, else 1. If your sidecars ask for a token, set DAPR_API_TOKEN.",
    flags: &[
        Flag::new("app-id", Kind::Str, "The app to call. Required.").short('a'),
        Flag::new(
            "method",
            Kind::Str,
            "The path to call, with its query if it has one, or a gRPC method. Required.",
        )
        .short('m'),
        Flag::new("verb", Kind::Str, "The HTTP verb.")
            .short('v')
            .default("POST"),
        Flag::new("data", Kind::Str, "The body; JSON for a gRPC method.").short('d'),
        Flag::new(
            "data-file",
            Kind::Str,
            "The file with the body; - is standard input.",
        )
        .short('f'),
        Flag::new("content-type", Kind::Str, "What kind of body it is.")
            .default("application/json"),
        Flag::new(
            "header",
            Kind::StrSlice,
            "One more header, as in 'Accept: text/plain', or metadata of gRPC. May be given several \
             times.",
        )
        .short('H'),
        Flag::new(
            "grpc",
            Kind::Bool,
            "Call a gRPC method of the app, even if its sidecar does not say that it has some.",
        ),
        Flag::new(
            "proto-set",
            Kind::Str,
            "The file that describes the gRPC methods, if the app itself is not to be asked: made by \
             'protoc --include_imports --descriptor_set_out=FILE'.",
        ),
        Flag::new(
            "from",
            Kind::Str,
            "The app whose sidecar is to make the call.",
        ),
        Flag::new(
            "unix-domain-socket",
            Kind::Str,
            "The folder with the sidecar's socket, if it listens on one.",
        )
        .short('u'),
        Flag::new(
            "include",
            Kind::Bool,
            "Print the status and the headers before the body, and trailers after it.",
        )
        .short('i'),
        Flag::new(
            "timing",
            Kind::Bool,
            "Tell on standard error how long each hop took.",
        ),
        Flag::new("quiet", Kind::Bool, "Print the body alone.").short('q'),
        Flag::new(
            "timeout",
            Kind::Duration,
            "Give up after this time. 0s waits for ever.",
        )
        .default("0s"),
    ],
    positionals: Positionals::Refused,
};

pub(crate) fn main(process: &Process<'_>, arguments: &[String], output: Output) -> ExitCode {
    let arguments = options::keep_headers_whole(&SPEC, arguments);
    let parsed = match crate::read(&SPEC, &arguments, output) {
        Ok(parsed) => parsed,
        Err(code) => return code,
    };
    let options = match Options::try_new(&parsed) {
        Ok(options) => options,
        Err(message) => return crate::misused(&SPEC, &message),
    };
    let (found, token) = (sidecars::find(), process.api_token.as_deref());
    let app = match app::by_grpc(&options, &found.sidecars, token) {
        Ok(app) => app,
        Err(error) => return failed(&options, &printable(&error.to_string())),
    };
    let Some(method) = &options.method else {
        return unnamed(&options, app.as_ref());
    };
    let body = match options.body() {
        Ok(body) => body,
        Err(message) => {
            complain(&message);
            return ExitCode::FAILURE;
        }
    };
    let call = Call {
        options: &options,
        method,
        body: &body,
    };
    let outcome = match &app {
        Some(app) => call.by_grpc(app, &found, token, output),
        None => call.by_http(&found, token, output),
    };
    outcome.unwrap_or_else(|why| failed(&options, &why))
}

/// No method was named, which an app of gRPC can help with.
fn unnamed(options: &Options, app: Option<&app::App>) -> ExitCode {
    let code = crate::misused(&SPEC, &options::not_set("method"));
    if let Some(app) = app {
        let offer = http::block_on(grpc::offer(options, app));
        let offer = offer.unwrap_or_else(|error| printable(&error.to_string()));
        complain(&format!("{offer}\n"));
    }
    code
}

/// The reason is fit for a terminal.
fn failed(options: &Options, why: &str) -> ExitCode {
    let id = printable(&options.app_id);
    complain(&format!("error invoking app {id}: {why}\n"));
    ExitCode::FAILURE
}

/// What is to be called. The errors of its calls are fit for a terminal.
struct Call<'a> {
    options: &'a Options,
    method: &'a str,
    body: &'a [u8],
}

impl Call<'_> {
    fn by_http(
        &self,
        found: &Found,
        token: Option<&str>,
        output: Output,
    ) -> Result<ExitCode, String> {
        let sidecar = through(self.options, found, Api::Http).map_err(|why| printable(&why))?;
        let call = send::Call {
            options: self.options,
            method: self.method,
            body: self.body,
            token: token.filter(|_| sidecar.is_own),
        };
        let sent = http::block_on(send::send(&call, &sidecar.address, output));
        sent.unwrap_or_else(|error| Err(error.to_string()))
            .map_err(|why| printable(&why))
    }

    fn by_grpc(
        &self,
        app: &app::App,
        found: &Found,
        token: Option<&str>,
        output: Output,
    ) -> Result<ExitCode, String> {
        let sidecar = through(self.options, found, Api::Grpc).map_err(|why| printable(&why))?;
        let call = grpc::Call {
            options: self.options,
            method: self.method,
            body: self.body,
            token: token.filter(|_| sidecar.is_own),
            app,
        };
        let sent = http::block_on(grpc::send(&call, &sidecar.address, output));
        sent.unwrap_or_else(|error| Err(printable(&error.to_string())))
    }
}

/// The sidecar that makes the call.
struct Through {
    address: http::Address,
    is_own: bool,
}

/// The API of the sidecar that is used.
#[derive(Clone, Copy, Debug)]
enum Api {
    Http,
    Grpc,
}

fn through(options: &Options, found: &Found, api: Api) -> Result<Through, String> {
    let caller = options.from.as_ref().unwrap_or(&options.app_id);
    if let Some(folder) = &options.socket {
        let path = std::path::Path::new(folder);
        let name = match api {
            Api::Http => "http",
            Api::Grpc => "grpc",
        };
        let file = path.join(format!("dapr-{caller}-{name}.socket"));
        let path = if path.is_dir() { file } else { path.to_owned() };
        return Ok(Through {
            address: http::Address::Socket(path),
            is_own: true,
        });
    }
    let all = &found.sidecars;
    // One of ours is better than one that may refuse us.
    let mut named = all.iter().filter(|it| it.app_id == *caller);
    let first = named.clone().find(|it| it.is_own).or_else(|| named.next());
    let sidecar = first.ok_or_else(|| {
        let mut why = format!("app ID {caller} not found");
        if let Some(problem) = &found.problem {
            why = format!("{why}; some sidecars may not be found: {problem}");
        } else if let Some(other) = other_caller(options, all) {
            why = format!(
                "{why} on this machine; --from {other} calls it through the sidecar of {other}"
            );
        }
        why
    })?;
    let (address, name) = match api {
        Api::Http => (sidecar.http(), "HTTP"),
        Api::Grpc => (sidecar.grpc(), "gRPC"),
    };
    Ok(Through {
        address: address.ok_or_else(|| format!("the sidecar of {caller} has no {name} API"))?,
        is_own: sidecar.is_own,
    })
}

/// The app itself may be elsewhere, and a sidecar here know the way.
fn other_caller<'a>(options: &Options, all: &'a [Sidecar]) -> Option<&'a str> {
    let mut others = all.iter().filter(|it| it.is_own);
    let other = others.next().map(|it| &*it.app_id);
    other.filter(|_| options.from.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_fits_a_terminal() {
        assert!(SPEC.help().lines().all(|line| line.chars().count() <= 100));
    }
}
