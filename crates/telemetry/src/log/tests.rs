//! Lines as a reader of the log sees them.

use std::time::{Duration, SystemTime};

use super::{Format, Level, Logger, Memory, Options, Sink, scope};

const STAMP: &str = "2025-11-22T09:48:40.12Z";

fn clock() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::new(1_763_804_920, 120_000_000)
}

fn options(memory: &Memory) -> Options {
    Options {
        app_id: "nodeapp".to_owned(),
        instance: "host-1".to_owned(),
        version: "1.18.3".to_owned(),
        sink: Sink::Memory(memory.clone()),
        ..Options::default()
    }
}

fn lines_of(change: impl FnOnce(&mut Options), terminal: bool, work: impl FnOnce()) -> String {
    let memory = Memory::default();
    let mut options = options(&memory);
    change(&mut options);
    let logger = Logger::try_new(options).unwrap().for_test(clock, terminal);
    tracing::subscriber::with_default(logger, work);
    memory.text()
}

fn text(work: impl FnOnce()) -> String {
    lines_of(|_| (), false, work)
}

fn json(work: impl FnOnce()) -> String {
    lines_of(|options| options.format = Format::Json, false, work)
}

fn at_level(level: Level, work: impl FnOnce()) -> String {
    lines_of(|options| options.level = level, false, work)
}

fn all_levels() {
    tracing::trace!(target: scope::RUNTIME, "t");
    tracing::debug!(target: scope::RUNTIME, "d");
    tracing::info!(target: scope::RUNTIME, "i");
    tracing::warn!(target: scope::RUNTIME, "w");
    tracing::error!(target: scope::RUNTIME, "e");
    tracing::error!(target: scope::RUNTIME, fatal = false, "n");
    tracing::error!(target: scope::RUNTIME, fatal = true, "f");
}

fn levels(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.split(" level=").nth(1)?.split(' ').next())
        .collect()
}

#[test]
fn a_text_line_has_the_layout_of_the_reference() {
    let line = text(|| {
        tracing::info!(
            target: scope::RUNTIME_HTTP_INFO,
            method = "GET /v1.0/metadata",
            code = 200,
            duration = 1_u64,
            useragent = "curl/8.5.0",
            "HTTP API Called"
        );
    });
    assert_eq!(
        line,
        format!(
            "time=\"{STAMP}\" level=info msg=\"HTTP API Called\" app_id=nodeapp code=200 \
             duration=1 instance=host-1 method=\"GET /v1.0/metadata\" \
             scope=dapr.runtime.http-info type=log useragent=curl/8.5.0 ver=1.18.3\n"
        )
    );
}

#[test]
fn a_json_line_has_sorted_keys_escaped_html_and_real_numbers() {
    let line = json(|| {
        tracing::warn!(
            target: scope::RUNTIME,
            size = -1_i64,
            ratio = 1_048_576.0,
            tiny = 1e-7,
            done = true,
            wide = u128::MAX,
            "a <b> & \"c\"\n"
        );
    });
    assert_eq!(
        line,
        format!(
            "{{\"app_id\":\"nodeapp\",\"done\":true,\"instance\":\"host-1\",\"level\":\"warning\",\
             \"msg\":\"a \\u003cb\\u003e \\u0026 \\\"c\\\"\\n\",\"ratio\":1048576,\
             \"scope\":\"dapr.runtime\",\"size\":-1,\"time\":\"{STAMP}\",\"tiny\":1e-7,\
             \"type\":\"log\",\"ver\":\"1.18.3\",\
             \"wide\":340282366920938463463374607431768211455}}\n"
        )
    );
}

#[test]
fn a_terminal_line_is_coloured_and_padded() {
    let line = lines_of(
        |options| options.app_id.clear(),
        true,
        || tracing::warn!(target: scope::RUNTIME, n = 1, "größe \x1b]0;x\x07\n"),
    );
    let message = format!("{:<44}", "größe \\x1b]0;x\\x07");
    // Escapes count by what they replace, so the padding is that of the original message.
    let message = format!("{}{}", message.trim_end(), " ".repeat(44 - 12));
    let field = |name: &str, value: &str| format!(" \x1b[33m{name}\x1b[0m={value}");
    let mut want = format!("\x1b[33mWARN\x1b[0m[0065] {message} ");
    for (name, value) in [
        ("instance", "host-1"),
        ("n", "1"),
        ("scope", "dapr.runtime"),
        ("type", "log"),
        ("ver", "1.18.3"),
    ] {
        want.push_str(&field(name, value));
    }
    want.push('\n');
    assert_eq!(line, want);
}

#[test]
fn an_empty_message_is_left_out_of_text_but_not_of_json() {
    let work = || tracing::info!(target: scope::RUNTIME, component = "", "");
    let line = text(work);
    assert!(
        line.contains("level=info app_id=nodeapp component= instance"),
        "{line}"
    );
    assert!(json(work).contains("\"msg\":\"\""));
}

#[test]
fn many_lines_of_a_message_stay_one_line() {
    let line = text(|| tracing::error!(target: scope::RUNTIME, "first\n\tsecond \"é\""));
    assert!(line.contains(r#"msg="first\n\tsecond \"é\"""#), "{line}");
    assert_eq!(line.lines().count(), 1);
}

#[test]
fn fields_cannot_shadow_the_keys_of_the_line() {
    let work = || tracing::info!(target: scope::RUNTIME, time = 1, level = "x", msg = "y", "z");
    let line = text(work);
    assert!(
        line.contains(" app_id=nodeapp fields.level=x fields.msg=y fields.time=1 instance="),
        "{line}"
    );
    let line = json(work);
    assert!(
        line.contains("\"fields.level\":\"x\",\"fields.msg\":\"y\",\"fields.time\":1,"),
        "{line}"
    );
    assert!(line.contains("\"level\":\"info\",\"msg\":\"z\""), "{line}");
}

#[test]
fn errors_and_formatted_values_are_text() {
    let error = std::io::Error::other("no route");
    let line = text(|| {
        let error: &dyn std::error::Error = &error;
        tracing::info!(target: scope::RUNTIME, error, list = ?[1, 2], id = %7, r#type = "t", "m");
    });
    assert!(line.contains(" error=\"no route\" id=7 "), "{line}");
    assert!(line.contains(" list=\"[1, 2]\" "), "{line}");
    assert!(line.contains(" type=t ver="), "{line}");
}

#[test]
fn an_empty_app_id_is_left_out() {
    let line = lines_of(
        |options| options.app_id.clear(),
        false,
        || tracing::info!(target: scope::RUNTIME, "m"),
    );
    assert!(line.contains(" msg=m instance="), "{line}");
}

#[test]
fn stamps_follow_the_offset() {
    let line = lines_of(
        |options| options.utc_offset = 3600,
        false,
        || tracing::info!(target: scope::RUNTIME, "m"),
    );
    assert!(
        line.starts_with("time=\"2025-11-22T10:48:40.12+01:00\""),
        "{line}"
    );
}

#[test]
fn each_level_setting_prints_its_own_level_and_worse() {
    let all = ["debug", "info", "warning", "error", "error", "fatal"];
    for (level, skipped) in [
        (Level::Debug, 0),
        (Level::Info, 1),
        (Level::Warn, 2),
        (Level::Error, 3),
        (Level::Fatal, 5),
    ] {
        let lines = at_level(level, all_levels);
        assert_eq!(levels(&lines), all[skipped..], "{level}");
        assert!(!lines.contains("fatal="), "{lines}");
    }
}

#[test]
fn info_scopes_print_at_info_whatever_the_setting() {
    let work = || {
        tracing::info!(target: scope::RUNTIME_GRPC_API_INFO, "kept");
        tracing::debug!(target: scope::RUNTIME_GRPC_API_INFO, "dropped");
    };
    for level in [Level::Debug, Level::Error, Level::Fatal] {
        let lines = at_level(level, work);
        assert_eq!(lines.lines().count(), 1, "{level}: {lines}");
        assert!(lines.contains(" msg=kept "), "{lines}");
    }
}

#[test]
fn other_crates_and_spans_cost_nothing() {
    let lines = at_level(Level::Debug, || {
        tracing::error!(target: "h2::proto", "not ours");
        tracing::error!(target: "daprish", "not ours");
        let span = tracing::error_span!(target: "dapr.runtime", "span");
        assert!(span.is_disabled());
        let _entered = span.enter();
        tracing::info!(target: "outrider::bench", "ours");
    });
    assert_eq!(lines.lines().count(), 1, "{lines}");
    assert!(lines.contains(" scope=\"outrider::bench\" "), "{lines}");
}

#[test]
fn a_value_that_logs_while_it_is_formatted_loses_no_line() {
    struct Chatty;
    impl std::fmt::Display for Chatty {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            tracing::info!(target: scope::RUNTIME, "inner");
            f.write_str("outer")
        }
    }
    // The dispatcher of a scope drops the inner event itself; what counts is that nothing panics.
    let lines = text(|| tracing::info!(target: scope::RUNTIME, "{Chatty}"));
    assert!(lines.contains(" msg=outer "), "{lines}");
}

#[test]
fn a_huge_line_does_not_change_the_next() {
    let lines = text(|| {
        tracing::info!(target: scope::RUNTIME, "{}", "x".repeat(1 << 20));
        tracing::info!(target: scope::RUNTIME, "small");
    });
    assert!(lines.lines().nth(1).unwrap().contains(" msg=small "));
}

#[test]
fn lines_of_many_threads_stay_whole() {
    let memory = Memory::default();
    let logger = Logger::try_new(options(&memory)).unwrap();
    let dispatch = tracing::Dispatch::new(logger);
    std::thread::scope(|threads| {
        for thread in 0..4 {
            let dispatch = dispatch.clone();
            threads.spawn(move || {
                tracing::dispatcher::with_default(&dispatch, || {
                    for line in 0..200 {
                        tracing::info!(target: scope::RUNTIME, thread, line, "m");
                    }
                });
            });
        }
    });
    let text = memory.text();
    assert_eq!(text.lines().count(), 800);
    for line in text.lines() {
        assert!(
            line.starts_with("time=") && line.ends_with(" ver=1.18.3"),
            "{line}"
        );
    }
}
