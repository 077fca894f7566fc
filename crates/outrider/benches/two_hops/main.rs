//! What two hops cost: a client calls an app directly, through two HAProxy processes, and through
//! two sidecars, all in one run on one machine; gRPC calls go through bare HTTP/2 relays instead of
//! HAProxy, and through two sidecars of the reference if the environment's `DAPRD` names one.
//!
//! `cargo bench -p outrider` runs everything; after `--`, `--quick` shortens the rounds and
//! `--only NAME` runs one part. The parts and the figures are explained in `docs/benchmarks.md`.
//! Nothing is asserted: this measures, and people judge.

#![expect(clippy::print_stdout, reason = "the report is what this is for")]

mod app;
mod body;
mod client;
mod grpc;
mod load;
mod options;
mod process;
mod start;
mod stats;
mod subject;
mod traced;

use std::fs;
use std::io;
use std::process::ExitCode;

use options::{Options, Parsed};
use subject::OUTRIDER;
use tokio::task::LocalSet;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Parsed::Run(options) => options,
        Parsed::Relay(port, next) => {
            // Whoever started it sees that it has ended.
            let _ = grpc::relay(port, next);
            return ExitCode::FAILURE;
        }
        Parsed::Say(text, code) => {
            println!("{text}");
            return ExitCode::from(code);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let work = async { LocalSet::new().run_until(run(&options)).await };
    match runtime.and_then(|runtime| runtime.block_on(work)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("stopped: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> io::Result<()> {
    describe()?;
    let app = app::start()?;
    let grpc_app = grpc::start_app()?;
    let apps = traced::Apps {
        http: app,
        grpc: grpc_app,
    };
    if options.wants("load") {
        load::measure(app, options.quick).await?;
    }
    if options.wants("grpc") {
        let daprd = reference();
        grpc::load(app, grpc_app, daprd.as_deref(), options.quick).await?;
    }
    if options.wants("streams") {
        grpc::streams(grpc_app, options.quick).await?;
    }
    if options.wants("stalled") {
        grpc::stalled(grpc_app, options.quick).await?;
    }
    if options.wants("start") {
        start::measure(options.quick)?;
    }
    if options.wants("body") {
        body::measure(app, options.quick).await?;
    }
    if options.wants("syscalls") {
        traced::system_calls(apps, options.quick).await?;
    }
    if options.wants("heap") {
        traced::heap(apps, options.quick).await?;
    }
    if options.wants("instructions") {
        traced::instructions(apps, options.quick).await?;
    }
    if options.wants("size") {
        let size = fs::metadata(OUTRIDER)?.len();
        println!("\nsize of the binary: {:.2} MB", size as f64 / 1e6);
    }
    println!("\nload average after: {}", load_average()?);
    Ok(())
}

/// A sidecar of the reference, to be measured beside ours.
#[expect(clippy::disallowed_methods, reason = "this is the process's entry")]
fn reference() -> Option<String> {
    std::env::var("DAPRD").ok()
}

fn describe() -> io::Result<()> {
    let cpus = std::thread::available_parallelism()?;
    println!("{cpus} CPUs, load average before: {}", load_average()?);
    match subject::haproxy_version() {
        Some(version) => println!("{version}"),
        None => println!("haproxy is not installed: left out, and with it every ratio"),
    }
    if cfg!(debug_assertions) {
        println!("built without optimisation: the figures mean nothing");
    }
    Ok(())
}

/// Others at work on the machine make times longer; CPU per call suffers less.
fn load_average() -> io::Result<String> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').take(3).collect::<Vec<_>>().join(" "))
}
