//! `outrider demo`: two small apps in this process, a real sidecar process beside each, and an
//! order a second from one app to the other, which keeps it in the state store of its sidecar.
//!
//! Uses free ports of 127.0.0.1 and nothing else: no network, no files but the entries of its
//! sidecars in the same-host registry and a folder beside it, which end with the demo. A namespace
//! of its own and a list of where nodeapp is keep it apart from other demos. Ends its children
//! whatever happens, short of being killed itself.

mod api;
mod call;
mod error;
mod folder;
mod nodeapp;
mod options;
mod orders;
mod ports;
mod screen;
mod sidecar;
mod state;
mod stop;
mod tally;
mod visits;

use std::{path::Path, process::ExitCode};

use tokio::task::JoinSet;

use crate::{
    Process,
    output::{Output, complain},
};
use error::Error;
use folder::Folder;
use nodeapp::NodeApp;
use options::Options;
pub(crate) use options::SPEC;
use sidecar::Pair;
use stop::Stop;
use tally::Tally;
use visits::Visits;

/// The app that sends.
const CALLER: &str = "orders";
/// The app that is called.
const CALLEE: &str = "nodeapp";

pub(crate) fn main(process: &Process<'_>, arguments: &[String], output: Output) -> ExitCode {
    let parsed = match crate::read(&SPEC, arguments, output) {
        Ok(parsed) => parsed,
        Err(code) => return code,
    };
    let options = match Options::try_new(&parsed) {
        Ok(options) => options,
        Err(message) => return crate::misused(&SPEC, &message),
    };
    let executable = process.executable.as_deref();
    match run(executable, &options, output) {
        Ok(tally) if tally.failures() == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            complain(&format!("the demo ends: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Runs the demo on a runtime of its own.
fn run(executable: Option<&Path>, options: &Options, output: Output) -> Result<Tally, Error> {
    let executable = executable.ok_or(Error::NoExecutable)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Runtime)?
        .block_on(perform(executable, options, output))
}

async fn perform(executable: &Path, options: &Options, output: Output) -> Result<Tally, Error> {
    // Before anything is started: from here on a signal means an orderly end.
    let mut stop = Stop::try_new().map_err(Error::Runtime)?;
    let visits = Visits::default();
    let app = NodeApp::bind().await.map_err(Error::Ports)?;
    let app_port = app.port();
    // Outlives the sidecars.
    let folder = Folder::try_new()?;
    let mut pair = Pair::spawn(executable, app_port, options.port, &folder)?;
    let mut tasks = JoinSet::new();
    tasks.spawn(app.serve(pair.callee.http_port(), visits.clone(), output));

    let mut tally = Tally::default();
    let story = async {
        pair.ready().await?;
        let opening = screen::opening(&pair, app_port, options, output.paint());
        output.write(&opening).map_err(Error::Output)?;
        orders::send(options, &mut pair, &visits, &mut tally, output).await
    };
    let outcome = tokio::select! {
        outcome = story => outcome,
        () = stop.wanted() => Ok(()),
    };
    pair.end().await;
    match outcome {
        // Whoever watched has left, as `head` does after enough lines.
        Err(Error::Output(_)) => return Ok(tally),
        outcome => outcome?,
    }
    // The end is the same with or without a reader.
    let _ = output.write(&screen::closing(&tally, output.paint()));
    Ok(tally)
}
