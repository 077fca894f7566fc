//! Sends the call and shows the answer while it comes.

use std::{
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

use outrider_wire::http1::{Decoder, Framing, ResponseHead, reason};
use tokio::time::{Instant, timeout};

use super::{explain, options::Options, target::target};
use crate::{
    http::{Address, Client, Request, text},
    notice::with_notice,
    output::{Output, complain, printable},
};

/// One call.
pub(super) struct Call<'a> {
    pub(super) options: &'a Options,
    pub(super) method: &'a str,
    pub(super) body: &'a [u8],
    pub(super) token: Option<&'a str>,
}

/// Sends it; the exit code follows the status. The error is why there is no whole answer.
pub(super) async fn send(
    call: &Call<'_>,
    address: &Address,
    output: Output,
) -> Result<ExitCode, String> {
    within(call.options.limit, exchange(call, address, output)).await
}

/// The work, given up after the time.
pub(super) async fn within<T>(
    limit: Option<Duration>,
    work: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    let Some(limit) = limit else {
        return work.await;
    };
    match timeout(limit, work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(format!(
            "no answer within {limit:?}, which is the --timeout"
        )),
    }
}

async fn exchange(call: &Call<'_>, address: &Address, output: Output) -> Result<ExitCode, String> {
    let message = message(call, address);
    let mut connection = address
        .connect()
        .await
        .map_err(|error| format!("no connection to the sidecar at {address}: {error}"))?;
    let started = Instant::now();
    let sent = connection.send(&message).await;
    // A sidecar may refuse a body that it did not read to the end.
    let head = with_notice(connection.response_head(), PATIENCE, || late(address));
    let head = match (head.await, sent) {
        (Ok(head), _) => head,
        (Err(error), Ok(())) | (Err(_), Err(error)) => {
            return Err(format!("the sidecar at {address} did not answer: {error}"));
        }
    };
    let to_head = started.elapsed();
    if call.options.include && !call.options.quiet {
        written(output.write(&heading(&head)))?;
    }
    let ended_line = body(call, &mut connection, &head).await?;
    tell(call, &head, ended_line, output)?;
    if call.options.timing {
        complain(&explain::timing(&head.fields, to_head, started.elapsed()));
    }
    Ok(match head.status {
        200..400 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// Tells that the answer is awaited.
pub(super) fn late(address: &Address) {
    complain(&format!(
        "waiting: the sidecar at {address} took the call and has not answered yet; Ctrl-C or \
         --timeout gives up\n"
    ));
}

fn message(call: &Call<'_>, address: &Address) -> Vec<u8> {
    let options = call.options;
    let headers = options.headers.iter();
    let mut fields: Vec<(&str, &str)> = headers.map(|(name, value)| (&**name, &**value)).collect();
    let is_given = |wanted: &str| {
        let mut names = options.headers.iter().map(|(name, _)| name);
        names.any(|name| name.eq_ignore_ascii_case(wanted))
    };
    if let Some(token) = call.token.filter(|_| !is_given(TOKEN)) {
        fields.push((TOKEN, token));
    }
    if !is_given("User-Agent") {
        fields.push(("User-Agent", AGENT));
    }
    if options.timing {
        fields.push(("Outrider-Timing", "1"));
    }
    let request = Request {
        verb: &options.verb,
        target: &target(&options.app_id, call.method),
        fields,
        body: call.body,
    };
    request.message(address)
}

/// The status line and the fields, as they would be told in a terminal.
fn heading(head: &ResponseHead) -> String {
    let mut out = format!("HTTP/1.1 {}\n", status(head.status));
    for (name, value) in head.fields.iter() {
        let line = [name, b": ", value].concat();
        out.push_str(&printable(&String::from_utf8_lossy(&line)));
        out.push('\n');
    }
    out + "\n"
}

/// Writes the body as it comes; whether the line that follows it begins where a line begins.
async fn body(
    call: &Call<'_>,
    connection: &mut Client,
    head: &ResponseHead,
) -> Result<bool, String> {
    let framing = match &*call.options.verb {
        "HEAD" => Framing::Empty,
        _ => head.framing,
    };
    let mut decoder = Decoder::new(framing);
    let mut ended_line = true;
    loop {
        match connection.piece(&mut decoder).await {
            Ok(None) => return Ok(ended_line),
            Ok(Some(piece)) => {
                ended_line = piece.last() == Some(&b'\n');
                let mut stdout = io::stdout().lock();
                written(stdout.write_all(&piece).and_then(|()| stdout.flush()))?;
            }
            Err(error) => {
                let status = status(head.status);
                return Err(format!("{status}, but the body broke off: {error}"));
            }
        }
    }
}

/// The outcome: on stdout, where scripts of the dapr CLI look for it, or on stderr.
fn tell(
    call: &Call<'_>,
    head: &ResponseHead,
    ended_line: bool,
    output: Output,
) -> Result<(), String> {
    let status = status(head.status);
    let (quiet, id) = (call.options.quiet, printable(&call.options.app_id));
    if !quiet && !ended_line {
        written(output.write("\n"))?;
    }
    if (200..400).contains(&head.status) {
        if !quiet {
            written(output.write(&format!("App invoked successfully: {status}\n")))?;
        }
        return Ok(());
    }
    complain(&format!("error invoking app {id}: {status}\n"));
    if head.status == 401 && call.token.is_none() {
        complain("the sidecar may ask for a token: set DAPR_API_TOKEN\n");
    }
    if let Some(fault) = text(&head.fields, "Outrider-Fault") {
        complain(&explain::fault(fault));
    }
    Ok(())
}

/// As in a status line.
fn status(status: u16) -> String {
    match reason(status) {
        Some(reason) => format!("{status} {reason}"),
        None => status.to_string(),
    }
}

pub(super) fn written(done: io::Result<()>) -> Result<(), String> {
    done.map_err(|error| format!("nobody reads the answer: {error}"))
}

/// Shown in milliseconds.
pub(super) fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

/// A call that takes longer is told of.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
pub(super) const TOKEN: &str = "dapr-api-token";
const AGENT: &str = concat!("outrider/", env!("CARGO_PKG_VERSION"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_have_their_words() {
        assert_eq!(status(404), "404 Not Found");
        assert_eq!(status(799), "799");
    }

    #[test]
    fn headings_cannot_reach_the_terminal() {
        let text = b"HTTP/1.1 200 OK\r\nA: b\tc\r\nB: 1\r\n\r\n";
        let (head, _) = outrider_wire::http1::parse_response(text).unwrap().unwrap();
        assert_eq!(heading(&head), "HTTP/1.1 200 OK\nA: b\\tc\nB: 1\n\n");
    }

    #[test]
    fn times_are_in_milliseconds() {
        assert_eq!(millis(Duration::from_micros(1_234)), "1.23 ms");
    }
}
