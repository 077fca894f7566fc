//! Everything the demo shows, as text. Nothing here writes.

use std::time::Duration;

use outrider_core::duration::GoDuration;
use outrider_wire::http1::RequestHead;
use serde_json::Value;

use super::{
    CALLEE, CALLER,
    call::{Answered, Call, Failed, Way},
    options::Options,
    sidecar::{Pair, Sidecar},
    state::{KEY, STORE},
    tally::{Tally, Times},
};
use crate::{
    columns,
    output::{Paint, Style, printable},
};

/// What runs where, and what to try.
pub(super) fn opening(pair: &Pair, app_port: u16, options: &Options, paint: Paint) -> String {
    let bold = |text: &str| paint.apply(Style::Bold, text);
    let (own, other) = (&pair.caller, &pair.callee);
    let invoke = format!(
        "http://127.0.0.1:{}/v1.0/invoke/{CALLEE}/method",
        own.http_port()
    );
    let heading = bold(&format!(
        "{CALLER} calls {CALLEE}, each through its own sidecar"
    ));
    let picture = format!("{CALLER} ──► sidecar ──► sidecar ──► {CALLEE}");
    let (own_pid, other_pid) = (own.pid(), other.pid());
    let places = indented(&places(pair, app_port));
    let rhythm = rhythm(options);
    let post = bold(&format!("curl {invoke}/neworder -d '{{\"orderId\": 42}}'"));
    let get = bold(&format!("curl {invoke}/order"));
    let state = bold(&format!(
        "curl http://127.0.0.1:{}/v1.0/state/{STORE}/{KEY}",
        other.http_port()
    ));
    let list = bold("outrider list");
    let kill_other = bold(&format!("kill {other_pid}"));
    let kill_own = bold(&format!("kill {own_pid}"));
    format!(
        "\n{heading}\n\n  {picture}\n\n{places}\n\
         Try it by hand, in another terminal:\n\
         \x20 {post}\n\
         \x20 {get}   the last order that {CALLEE} kept\n\
         \x20 {state}   where {CALLEE} keeps it: the state store of its sidecar\n\
         \x20 {list}   both sidecars, in the namespace of this demo\n\n\
         Then break it:\n\
         \x20 {kill_other}   the sidecar of {CALLEE}: {CALLER} is told 500 ERR_DIRECT_INVOKE, and why\n\
         \x20 {kill_own}   the sidecar of {CALLER}: {CALLER} gets no connection\n\n\
         {rhythm}\n\n"
    )
}

/// Columns: who, app, sidecar.
fn places(pair: &Pair, app_port: u16) -> String {
    let row = |sidecar: &Sidecar, app: String| {
        [
            sidecar.app_id().to_owned(),
            app,
            format!("http://127.0.0.1:{}", sidecar.http_port()),
            sidecar.pid().to_string(),
        ]
    };
    columns::table(
        ["APP ID", "APP", "SIDECAR", "SIDECAR PID"],
        &[
            row(&pair.caller, "only calls".to_owned()),
            row(&pair.callee, format!("http://127.0.0.1:{app_port}")),
        ],
    )
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

fn rhythm(options: &Options) -> String {
    let how_many = match options.calls {
        None => "Orders without end".to_owned(),
        Some(1) => "One order".to_owned(),
        Some(calls) => format!("{calls} orders"),
    };
    let nanos = i64::try_from(options.interval.as_nanos()).unwrap_or(i64::MAX);
    let pace = match nanos {
        _ if options.calls == Some(1) => String::new(),
        0 => ", one after the other".to_owned(),
        _ => format!(", one every {}", GoDuration::from_nanos(nanos)),
    };
    format!("{how_many}{pace}, all times in ms; Ctrl-C ends everything.")
}

/// A call in one line.
pub(super) fn line(call: &Call, paint: Paint) -> String {
    let total = millis(call.total);
    let (status, style, rest) = match &call.result {
        Ok(Answered { status, way }) => (status.to_string(), Style::Good, way_text(way, paint)),
        Err(failed) => (
            failed.status.map_or("---".to_owned(), |it| it.to_string()),
            Style::Bad,
            failure(failed, paint),
        ),
    };
    let status = paint.apply(style, &status);
    let line = format!("order {:<4} {status} {total:>11}   {rest}", call.id);
    format!("{}\n", line.trim_end())
}

fn way_text(way: &Way, paint: Paint) -> String {
    let dim = |text: &str| paint.apply(Style::Dim, text);
    match way {
        Way::Hops {
            own,
            link,
            app,
            inside,
        } => format!(
            "{CALLER} {} sidecar {} sidecar {} {CALLEE} {}",
            dim(&format!("◄─ {} ─►", short(*own))),
            dim(&format!("◄─ {} ─►", short(*link))),
            dim(&format!("◄─ {} ─►", short(*app))),
            dim(&short(*inside)),
        ),
        Way::Legs {
            there,
            inside,
            back,
        } => format!(
            "{CALLER} {} {CALLEE} {} {CALLER}",
            dim(&format!("── 2 sidecars {} ─►", short(*there))),
            dim(&format!(
                "{} ── 2 sidecars {} ─►",
                short(*inside),
                short(*back)
            )),
        ),
        Way::Unknown => format!("answered by another {CALLEE}"),
    }
}

fn failure(failed: &Failed, paint: Paint) -> String {
    let message = paint.apply(Style::Bad, &printable(&failed.message));
    match &failed.fault {
        Some(fault) => {
            let fault = format!("Outrider-Fault: {}", printable(fault));
            format!("{message}   {}", paint.apply(Style::Dim, &fault))
        }
        None => message,
    }
}

/// A request that a person sent.
pub(super) fn by_hand(head: &RequestHead, status: u16, answer: &Value, paint: Paint) -> String {
    let from = head.fields.get("Dapr-Caller-App-Id");
    let from = from.map_or_else(
        || "straight to its port".into(),
        |id| format!("through the sidecar of {}", String::from_utf8_lossy(id)),
    );
    let style = if status < 400 {
        Style::Good
    } else {
        Style::Bad
    };
    let answer: String = answer.to_string().chars().take(SHOWN).collect();
    format!(
        "{CALLEE} was asked {} {} {from}, and said {} {}\n",
        printable(head.method()),
        printable(head.target()),
        paint.apply(style, &status.to_string()),
        printable(&answer),
    )
}

/// A sidecar that the demo did not end.
pub(super) fn ended(sidecar: &Sidecar, paint: Paint) -> String {
    let how = sidecar
        .status()
        .map_or_else(String::new, |status| format!(" ({status})"));
    let said: String = sidecar
        .last_lines()
        .iter()
        .map(|line| format!("  {line}\n"))
        .collect();
    let head = format!(
        "the sidecar of {} (pid {}) ended{how}; it stays dead unless you start it again:",
        sidecar.app_id(),
        sidecar.pid()
    );
    format!(
        "{}\n{said}  {}\n",
        paint.apply(Style::Bold, &head),
        paint.apply(Style::Dim, &sidecar.command_line())
    )
}

/// Numbers of the whole run.
pub(super) fn closing(tally: &Tally, paint: Paint) -> String {
    let calls = match tally.calls() {
        0 => return "\nno order was sent\n".to_owned(),
        1 => "1 call".to_owned(),
        calls => format!("{calls} calls"),
    };
    let failures = match tally.failures() {
        0 => paint.apply(Style::Good, "none failed"),
        failures => paint.apply(Style::Bad, &format!("{failures} failed")),
    };
    let times = tally.times().map_or_else(String::new, |times| {
        let Times { min, p50, p99, max } = times;
        format!(
            "; time of an answered call: min {}, p50 {}, p99 {}, max {}",
            millis(min),
            millis(p50),
            millis(p99),
            millis(max)
        )
    });
    format!("\n{calls}, {failures}{times}\n")
}

/// As in `1.84 ms`.
fn millis(time: Duration) -> String {
    format!("{} ms", short(time))
}

/// Milliseconds without their unit.
fn short(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1000.0)
}

/// Characters of an answer that are shown.
const SHOWN: usize = 100;

#[cfg(test)]
mod tests;
