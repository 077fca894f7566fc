//! Bytes as they appear: prefixes, colours, JSON. Writes nothing itself.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Serialize;

use super::{Status, Stream};
use crate::{output::printable, run::log_file::date_and_time};

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::run) enum Look {
    /// With colours, as it comes.
    Terminal,
    /// A terminal of somebody who wants no colours.
    Colourless,
    /// For files and pipes.
    Plain,
    /// An object a line.
    Json,
}

/// Somebody who writes.
#[derive(Clone, Debug)]
pub(in crate::run) struct Source(Arc<Inner>);

#[derive(Debug, PartialEq, Eq)]
struct Inner {
    /// In front of each line; empty if nobody else writes.
    prefix: String,
    app_id: String,
    kind: &'static str,
}

impl Source {
    /// `label` is empty if nobody else writes; `colour` is a number of a terminal's palette.
    pub(in crate::run) fn new(
        look: Look,
        label: &str,
        colour: Option<&str>,
        app_id: &str,
        kind: &'static str,
    ) -> Self {
        let label = printable(label);
        let prefix = match (label.as_str(), colour) {
            ("", _) => String::new(),
            (_, Some(colour)) if look == Look::Terminal => {
                format!("\x1b[{colour}m{label} │\x1b[0m ")
            }
            _ => format!("{label} │ "),
        };
        Self(Arc::new(Inner {
            prefix,
            app_id: app_id.to_owned(),
            kind,
        }))
    }
}

/// Knows which line is open on which stream.
pub(super) struct Writer {
    look: Look,
    one_place: bool,
    open: [Option<(Stream, Source)>; 2],
}

/// A line of an app or a sidecar, or of our own. The members are those of the reference's own
/// lines (contract `cli.md` 1), and more.
#[derive(Serialize)]
struct Object<'a> {
    time: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_id: Option<&'a str>,
    msg: &'a str,
}

impl Writer {
    pub(super) fn new(look: Look, one_place: bool) -> Self {
        Self {
            look,
            one_place,
            open: [None, None],
        }
    }

    /// Lines, or a piece of one.
    pub(super) fn piece(&mut self, stream: Stream, source: &Source, bytes: &[u8]) -> Vec<u8> {
        if self.look == Look::Json {
            return objects(source, bytes);
        }
        let mut out = Vec::with_capacity(bytes.len() + 64);
        let slot = self.slot(stream);
        let goes_on = matches!(&self.open[slot], Some((at, it))
            if *at == stream && Arc::ptr_eq(&it.0, &source.0));
        if !goes_on {
            out.extend(self.end(stream));
        }
        let mut begins = !goes_on;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if begins {
                out.extend_from_slice(source.0.prefix.as_bytes());
            }
            out.extend_from_slice(line);
            begins = line.ends_with(b"\n");
        }
        if !bytes.is_empty() {
            self.open[slot] = (!begins).then(|| (stream, source.clone()));
        }
        out
    }

    /// Our own words, each line of them; failures go to stderr.
    pub(super) fn told(
        &mut self,
        source: &Source,
        status: Status,
        text: &str,
    ) -> (Stream, Vec<u8>) {
        let stream = match status {
            Status::Failure => Stream::Err,
            _ => Stream::Out,
        };
        if self.look == Look::Json {
            let lines = text.lines().map(|line| {
                object(&Object {
                    time: &now(),
                    status: Some(word(status)),
                    source: None,
                    app_id: None,
                    msg: line,
                })
            });
            return (stream, lines.flatten().collect());
        }
        let colour = match status {
            _ if self.look != Look::Terminal => None,
            Status::Info => None,
            Status::Success => Some("32"),
            Status::Warning => Some("33"),
            Status::Failure => Some("31"),
        };
        let mut lines = String::new();
        for line in text.lines().map(printable) {
            match colour {
                Some(colour) => lines.push_str(&format!("\x1b[{colour}m{line}\x1b[0m\n")),
                None => lines.push_str(&format!("{line}\n")),
            }
        }
        (stream, self.piece(stream, source, lines.as_bytes()))
    }

    /// The line end that is missing, if one is.
    pub(super) fn end(&mut self, stream: Stream) -> Vec<u8> {
        let slot = self.slot(stream);
        match self.open[slot].take() {
            Some(_) => b"\n".to_vec(),
            None => Vec::new(),
        }
    }

    fn slot(&self, stream: Stream) -> usize {
        usize::from(!self.one_place && stream == Stream::Err)
    }
}

/// A sidecar's lines are objects already; all others become some.
fn objects(source: &Source, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() * 2);
    let time = now();
    for line in bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        if source.0.kind == SIDECAR && line.starts_with(b"{") && line.ends_with(b"}") {
            out.extend_from_slice(line);
            out.push(b'\n');
            continue;
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        out.extend(object(&Object {
            time: &time,
            status: None,
            source: Some(source.0.kind),
            app_id: Some(&source.0.app_id),
            msg: &String::from_utf8_lossy(line),
        }));
    }
    out
}

fn object(object: &Object<'_>) -> Vec<u8> {
    let mut line = serde_json::to_vec(object).expect("texts always make JSON");
    line.push(b'\n');
    line
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Info => "info",
        Status::Success => "success",
        Status::Warning => "warning",
        Status::Failure => "failure",
    }
}

/// RFC 3339 in UTC.
fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let [year, month, day, hour, minute, second] = date_and_time(since.unwrap_or_default());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

pub(in crate::run) const APP: &str = "app";
pub(in crate::run) const SIDECAR: &str = "sidecar";
pub(in crate::run) const OWN: &str = "outrider";

#[cfg(test)]
mod tests {
    use super::*;

    fn source(look: Look, label: &str) -> Source {
        Source::new(look, label, Some("36"), "cart", APP)
    }

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn each_line_has_its_prefix_and_an_open_one_goes_on() {
        let mut writer = Writer::new(Look::Plain, true);
        let (a, b) = (source(Look::Plain, "a"), source(Look::Plain, "b"));
        let mut shown = String::new();
        for (source, bytes) in [
            (&a, "1\n2"),
            (&a, "2\n"),
            (&a, "3"),
            (&b, "4\n"),
            (&a, "33\n"),
        ] {
            shown += &text(writer.piece(Stream::Out, source, bytes.as_bytes()));
        }
        assert_eq!(shown, "a │ 1\na │ 22\na │ 3\nb │ 4\na │ 33\n");
    }

    #[test]
    fn streams_that_lead_to_different_places_do_not_disturb_each_other() {
        for (one_place, expected) in [(true, "\na │ 2\n"), (false, "a │ 2\n")] {
            let mut writer = Writer::new(Look::Plain, one_place);
            let a = source(Look::Plain, "a");
            writer.piece(Stream::Out, &a, b"1");
            assert_eq!(text(writer.piece(Stream::Err, &a, b"2\n")), expected);
            assert_eq!(writer.end(Stream::Out).is_empty(), one_place);
        }
    }

    #[test]
    fn whoever_writes_alone_has_no_prefix() {
        let mut writer = Writer::new(Look::Plain, true);
        let alone = source(Look::Plain, "");
        assert_eq!(text(writer.piece(Stream::Out, &alone, b"x\n")), "x\n");
    }

    #[test]
    fn only_a_terminal_has_colours() {
        let mut writer = Writer::new(Look::Terminal, true);
        let a = source(Look::Terminal, "a");
        let shown = text(writer.piece(Stream::Out, &a, b"x\n"));
        assert_eq!(shown, "\x1b[36ma │\x1b[0m x\n");
        let clear = source(Look::Plain, "\x1b[2J");
        let (_, shown) = Writer::new(Look::Plain, true).told(&clear, Status::Info, "\x07");
        assert_eq!(text(shown), "\\u{1b}[2J │ \\u{7}\n");
        let (stream, shown) = writer.told(&a, Status::Failure, "no");
        assert_eq!(stream, Stream::Err);
        assert!(text(shown).ends_with("\x1b[31mno\x1b[0m\n"));
        let (_, shown) = Writer::new(Look::Colourless, true).told(
            &source(Look::Colourless, "a"),
            Status::Failure,
            "no",
        );
        assert_eq!(text(shown), "a │ no\n");
    }

    #[test]
    fn every_line_is_an_object_in_json() {
        let mut writer = Writer::new(Look::Json, true);
        let app = source(Look::Json, "a");
        let shown = text(writer.piece(Stream::Out, &app, b"say \"x\"\r\n\ny"));
        let lines: Vec<serde_json::Value> = shown
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["msg"], "say \"x\"");
        assert_eq!(lines[0]["source"], "app");
        assert_eq!(lines[0]["app_id"], "cart");
        let sidecar = Source::new(Look::Json, "", None, "cart", SIDECAR);
        let raw = "{\"app_id\":\"cart\"}\n";
        assert_eq!(
            text(writer.piece(Stream::Out, &sidecar, raw.as_bytes())),
            raw
        );
        let (_, told) = writer.told(&app, Status::Success, "up");
        let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
        assert_eq!(
            (&told["status"], &told["msg"]),
            (&"success".into(), &"up".into())
        );
    }
}
