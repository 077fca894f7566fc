//! What sidecars tell about a call, in words: why it failed (`Outrider-Fault`), and where the time
//! went (`Server-Timing`).

use std::time::Duration;

use outrider_wire::Fields;

use super::send::millis;
use crate::{http, output::printable};

/// The field's value, as in `peer-lost; hop=link; attempts=2; instance=127.0.0.1:50002`.
pub(super) fn fault(value: &str) -> String {
    let mut parts = value.split(';').map(str::trim);
    let word = parts.next().unwrap_or_default();
    let known = FAULTS.iter().find(|(fault, _)| *fault == word);
    let what = match known {
        Some((_, what)) => (*what).to_owned(),
        None => format!("the sidecar calls it {}", printable(word)),
    };
    let mut out = format!("  {what}\n");
    for part in parts {
        let Some((name, value)) = part.split_once('=') else {
            continue;
        };
        let value = printable(value);
        let line = match name {
            "hop" => format!("where: {}", hop(&value)),
            "attempts" if value == "1" => "tried once".to_owned(),
            "attempts" => format!("tried {value} times"),
            "instance" => format!("last at {value}"),
            "elapsed" => format!("gave up after {value}"),
            other => format!("{}: {value}", printable(other)),
        };
        out.push_str(&format!("  {line}\n"));
    }
    out
}

fn hop(word: &str) -> &str {
    match word {
        "sidecar" => "in the sidecar that was asked",
        "link" => "between the two sidecars",
        "peer" => "in the sidecar of the called app",
        "app" => "between the called app and its sidecar",
        other => other,
    }
}

/// Each hop's own share, outermost first. What a sidecar does not tell is left out.
pub(super) fn timing(fields: &Fields, to_head: Duration, whole: Duration) -> String {
    let told = http::server_timing(fields);
    let hop = |name| http::hop_duration(&told, name);
    let (sidecar, link, app) = (hop("sidecar"), hop("link"), hop("app"));
    // A call to the sidecar's own app has no link.
    let link = link.filter(|link| !link.is_zero() || app.is_some());
    let mut lines = Vec::new();
    // Clocks of several processes: a difference may come out below nothing.
    if let Some(sidecar) = sidecar {
        let inner = link.or(app);
        let name = match inner {
            Some(_) => "in the sidecar",
            None => "in the sidecar and its app",
        };
        lines.push(("to the sidecar and back", to_head.saturating_sub(sidecar)));
        lines.push((name, sidecar.saturating_sub(inner.unwrap_or_default())));
    }
    if let Some(link) = link {
        let name = match app {
            Some(_) => "to the other sidecar, in it and back",
            None => "to the other sidecar, its app and back",
        };
        lines.push((name, link.saturating_sub(app.unwrap_or_default())));
    }
    if let Some(app) = app {
        lines.push(("to the app, in it and back", app));
    }
    if lines.is_empty() {
        lines.push(("to the head of the answer", to_head));
    }
    lines.push(("reading the body", whole.saturating_sub(to_head)));
    lines.push(("in all", whole));
    let line = |(what, time): &(&str, Duration)| format!("  {what:38} {:>12}\n", millis(*time));
    lines.iter().map(line).collect()
}

/// The words of the field (ARCHITECTURE 8).
const FAULTS: [(&str, &str); 19] = [
    ("no-target", "the request named no app"),
    ("invalid-target", "this can be no app id"),
    ("invalid-method", "this can be no method"),
    ("invalid-verb", "this verb cannot be sent"),
    (
        "unknown-app",
        "no sidecar of such an app is known; is it running, and in the same namespace?",
    ),
    (
        "bad-body",
        "the body of the request broke off or was too large",
    ),
    ("bad-field", "a header of the request cannot be sent on"),
    ("deadline", "the caller's time was over"),
    (
        "no-resolver",
        "the sidecar has no way to find other apps: its name resolution is not served",
    ),
    (
        "no-app",
        "the called sidecar has no app: it was started without --app-port",
    ),
    ("app-unhealthy", "the called app fails its health checks"),
    (
        "app-unreachable",
        "the called app does not listen on its port; the request was not delivered",
    ),
    ("app-broken", "the called app broke off its answer"),
    (
        "peer-unreachable",
        "the sidecar of the called app cannot be reached; nothing was sent",
    ),
    (
        "peer-unprocessed",
        "the sidecar of the called app did not look at the request",
    ),
    (
        "peer-lost",
        "the connection to the sidecar of the called app broke; the app may have done its work",
    ),
    ("denied", "the called app does not allow this"),
    (
        "peer-status",
        "the sidecar of the called app reports an error",
    ),
    (
        "peer-protocol",
        "the sidecar of the called app answered what cannot be read",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_told_in_words() {
        let value = "peer-unreachable; hop=link; attempts=4; instance=127.0.0.1:50002; \
                     elapsed=3004ms";
        assert_eq!(
            fault(value),
            "  the sidecar of the called app cannot be reached; nothing was sent\n  \
             where: between the two sidecars\n  tried 4 times\n  last at 127.0.0.1:50002\n  \
             gave up after 3004ms\n"
        );
    }

    #[test]
    fn unknown_words_are_shown_as_they_are() {
        assert_eq!(
            fault("new\x1b; mood=bad; x"),
            "  the sidecar calls it new\\u{1b}\n  mood: bad\n"
        );
        assert_eq!(fault(""), "  the sidecar calls it \n");
    }

    #[test]
    fn hops_have_their_own_shares() {
        let ms = Duration::from_millis;
        let mut fields = Fields::with_capacity(0, 0);
        fields.push(b"Server-Timing", b"app;dur=4");
        fields.push(b"Server-Timing", b"link;dur=7");
        fields.push(b"Server-Timing", b"sidecar;dur=9");
        let text = timing(&fields, ms(10), ms(12));
        let times: Vec<&str> = text.lines().map(|line| line[40..].trim()).collect();
        assert_eq!(
            times,
            [
                "1.00 ms", "2.00 ms", "3.00 ms", "4.00 ms", "2.00 ms", "12.00 ms"
            ]
        );
    }

    #[test]
    fn a_call_to_the_own_app_has_no_link() {
        let mut fields = Fields::with_capacity(0, 0);
        fields.push(b"Server-Timing", b"link;dur=0.000");
        fields.push(b"Server-Timing", b"sidecar;dur=9");
        let text = timing(&fields, Duration::from_millis(10), Duration::ZERO);
        assert!(text.contains("  in the sidecar and its app "), "{text}");
        assert!(!text.contains("other sidecar"), "{text}");
    }

    #[test]
    fn a_sidecar_that_tells_no_times_leaves_the_whole() {
        let fields = Fields::with_capacity(0, 0);
        let text = timing(&fields, Duration::ZERO, Duration::ZERO);
        assert_eq!(text.lines().count(), 3, "{text}");
    }
}
