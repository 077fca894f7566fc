//! Logging as a process has it: one receiver of events for all threads.

use outrider_telemetry::log::{self, Error, Memory, Options, Sink, scope};

struct Chatty;

impl std::fmt::Display for Chatty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        tracing::info!(target: scope::RUNTIME, "inner");
        f.write_str("outer")
    }
}

fn options(memory: &Memory) -> Options {
    Options {
        sink: Sink::Memory(memory.clone()),
        ..Options::default()
    }
}

#[test]
fn an_installed_logger_hears_all_threads_and_is_the_only_one() {
    let memory = Memory::default();
    log::install(options(&memory)).unwrap();
    let second = log::install(options(&memory));
    assert!(matches!(second, Err(Error::AlreadyInstalled)));

    std::thread::spawn(|| tracing::info!(target: scope::SIGNALS, "thread"))
        .join()
        .unwrap();
    tracing::info!(target: scope::RUNTIME, "{Chatty}");
    tracing::info!(target: "hyper", "foreign");

    let text = memory.text();
    let messages: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split(" msg=").nth(1)?.split(' ').next())
        .collect();
    assert_eq!(messages, ["thread", "inner", "outer"]);
    assert!(text.lines().all(|line| line.ends_with(" ver=unknown")));
}
