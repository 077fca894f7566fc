//! Copies what a process writes to the screen and to its log file.
//!
//! Whole lines go on at once. Of a line that is not complete yet, a piece goes on when it is large,
//! when the stream ends, or, on a terminal, when nothing more comes for a moment: it may be a
//! question. So no line is too long, and the process never waits for the end of its own line.

use std::time::Duration;

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::timeout,
};

use super::{
    log_file::{Colourless, LogFile},
    said::Said,
    screen::{Screen, Source, Status, Stream},
};

/// Where the lines of one stream go.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) screen: Screen,
    pub(super) source: Source,
    pub(super) shown: Shown,
    pub(super) file: Option<LogFile>,
    /// Remembers what could be the cause of an end.
    pub(super) said: Option<Said>,
}

/// Which lines go to the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    All,
    /// Those of a sidecar that tell of an error, which nobody would look for in a file.
    Errors,
    None,
}

/// Runs until the end of the stream.
pub(super) async fn copy(mut from: impl AsyncRead + Unpin, stream: Stream, route: Route) {
    let mut colourless = Colourless::default();
    let mut held = Vec::with_capacity(READ);
    // A line of which a piece went on already; what is known of it was decided then.
    let mut is_begun = false;
    loop {
        let waits = route.screen.is_interactive() && !held.is_empty();
        held.reserve(READ);
        let read = from.read_buf(&mut held);
        let read = match waits {
            true => timeout(QUIET, read).await,
            false => Ok(read.await),
        };
        let complete = match read {
            Ok(Ok(n)) if n > 0 => match held.iter().rposition(|byte| *byte == b'\n') {
                Some(end) => end + 1,
                None if held.len() >= PIECE => held.len(),
                None => continue,
            },
            Ok(_) => {
                if !held.is_empty() {
                    route.pass(stream, held, is_begun, &mut colourless).await;
                }
                return;
            }
            Err(_) => held.len(),
        };
        let rest = held.split_off(complete);
        let ends = held.ends_with(b"\n");
        route.pass(stream, held, is_begun, &mut colourless).await;
        is_begun = !ends;
        held = rest;
    }
}

impl Route {
    async fn pass(
        &self,
        stream: Stream,
        bytes: Vec<u8>,
        is_begun: bool,
        colourless: &mut Colourless,
    ) {
        if let Some(file) = &self.file
            && let Err(error) = file.write(&colourless.strip(&bytes))
        {
            let path = file.path().display();
            let text = format!("nothing more is written to {path}: {error}");
            self.screen.tell(Status::Warning, text);
        }
        let mut errors = Vec::new();
        if let Some(said) = &self.said {
            let whole = bytes.split_inclusive(|byte| *byte == b'\n');
            for line in whole.skip(usize::from(is_begun)) {
                if said.take(line) && self.shown == Shown::Errors {
                    errors.extend_from_slice(line);
                }
            }
        }
        let shown = match self.shown {
            Shown::All => bytes,
            Shown::Errors => errors,
            Shown::None => return,
        };
        if !shown.is_empty() {
            self.screen.write(stream, &self.source, shown).await;
        }
    }
}

const READ: usize = 16 * 1024;
/// A piece of an incomplete line that is large enough to go on.
const PIECE: usize = 64 * 1024;
/// Nothing came for this long: somebody may be waiting for an answer.
const QUIET: Duration = Duration::from_millis(50);
