//! The last lines that a sidecar wrote, for the case that it can't start or ends.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::Child,
    task::JoinSet,
    time::timeout,
};

use crate::{log_line, output::printable};

/// Both streams, read so that the process never waits for a reader.
#[derive(Debug)]
pub(super) struct Log {
    lines: Arc<Mutex<VecDeque<String>>>,
    readers: JoinSet<()>,
}

impl Log {
    /// Takes the piped streams of the child.
    pub(super) fn of(child: &mut Child) -> Self {
        let lines = Arc::default();
        let mut readers = JoinSet::new();
        if let Some(stdout) = child.stdout.take() {
            readers.spawn(collect(stdout, Arc::clone(&lines)));
        }
        if let Some(stderr) = child.stderr.take() {
            readers.spawn(collect(stderr, Arc::clone(&lines)));
        }
        Self { lines, readers }
    }

    pub(super) fn last_lines(&self) -> Vec<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().cloned().collect()
    }

    /// Waits for the rest, which comes at once when the process has ended.
    pub(super) async fn drained(&mut self) {
        let all = async { while self.readers.join_next().await.is_some() {} };
        let _ = timeout(REST, all).await;
    }

    /// The cause in front, the lines behind it; each begins with a line break or a colon.
    pub(super) fn as_cause(&self) -> String {
        let lines = self.last_lines();
        let Some(last) = lines.last() else {
            return "; it said nothing".to_owned();
        };
        let cause = log_line::value(last, "msg=").unwrap_or_else(|| last.clone());
        format!(": {cause}\nits last lines:\n  {}", lines.join("\n  "))
    }
}

async fn collect(stream: impl AsyncRead + Unpin, lines: Arc<Mutex<VecDeque<String>>>) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    while reader
        .read_until(b'\n', &mut line)
        .await
        .is_ok_and(|n| n > 0)
    {
        let text = printable(String::from_utf8_lossy(&line).trim_end());
        let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == REMEMBERED {
            lines.pop_front();
        }
        lines.push_back(text);
        line.clear();
    }
}

const REMEMBERED: usize = 8;
const REST: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_last_lines_are_kept() {
        let lines = Arc::default();
        let text: String = (1..=20).map(|n| format!("line\t{n}\r\n")).collect();
        collect(text.as_bytes(), Arc::clone(&lines)).await;
        let lines = lines.lock().unwrap();
        assert_eq!(lines.len(), REMEMBERED);
        assert_eq!(lines.back().map(String::as_str), Some("line\\t20"));
    }
}
