//! Prints files, from their last lines on if so wanted, and what is added to them later.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::sleep;

use crate::output::{complain, printable};

/// A file and how far it was printed.
#[derive(Debug)]
pub(super) struct Tail {
    path: PathBuf,
    file: File,
    at: u64,
    /// Printed where the output turns to this file.
    title: Option<String>,
}

impl Tail {
    /// Opens it. The error is for stderr.
    pub(super) fn try_new(
        path: &Path,
        title: Option<String>,
        last_lines: Option<u64>,
    ) -> Result<Self, String> {
        let failed = |error: io::Error| {
            let path = printable(&path.display().to_string());
            format!("cannot read {path}: {error}")
        };
        let mut file = File::open(path).map_err(failed)?;
        let at = match last_lines {
            None => 0,
            Some(lines) => begin_of_last(&mut file, lines).map_err(failed)?,
        };
        Ok(Self {
            path: path.to_owned(),
            file,
            at,
            title,
        })
    }

    /// The next piece, empty if there is none.
    fn piece(&mut self) -> io::Result<Vec<u8>> {
        // Somebody emptied it.
        if self.file.metadata()?.len() < self.at {
            self.at = 0;
        }
        self.file.seek(SeekFrom::Start(self.at))?;
        let mut piece = Vec::new();
        let read = (&self.file).take(PIECE).read_to_end(&mut piece)?;
        self.at += read as u64;
        Ok(piece)
    }
}

/// Where the last lines begin. A last line without an end counts.
fn begin_of_last(file: &mut File, lines: u64) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let mut end = length;
    let mut seen = 0;
    while end > 0 {
        let begin = end.saturating_sub(PIECE);
        file.seek(SeekFrom::Start(begin))?;
        let mut piece = Vec::new();
        (&*file).take(end - begin).read_to_end(&mut piece)?;
        for (at, byte) in piece.iter().enumerate().rev() {
            let behind = begin + at as u64 + 1;
            // The end of the last line begins no other.
            if *byte == b'\n' && behind < length {
                seen += 1;
            }
            if lines == 0 || (*byte == b'\n' && seen == lines && behind < length) {
                return Ok(if lines == 0 { length } else { behind });
            }
        }
        end = begin;
    }
    Ok(0)
}

/// Prints all there is, and with `follow` whatever comes until nobody reads any more.
pub(super) async fn show(mut tails: Vec<Tail>, follow: bool) -> Result<(), String> {
    let mut current = None;
    loop {
        let mut is_news = false;
        for (at, tail) in tails.iter_mut().enumerate() {
            loop {
                let piece = match tail.piece() {
                    Ok(piece) => piece,
                    Err(error) if follow => {
                        let path = printable(&tail.path.display().to_string());
                        complain(&format!("cannot read {path}: {error}\n"));
                        return Ok(());
                    }
                    Err(error) => return Err(error.to_string()),
                };
                if piece.is_empty() {
                    break;
                }
                is_news = true;
                let title = tail.title.as_ref().filter(|_| current != Some(at));
                if print(title, current.is_some(), &piece).is_err() {
                    // Whoever read has seen enough, as `head` has.
                    return Ok(());
                }
                current = Some(at);
            }
        }
        if !follow {
            return Ok(());
        }
        if !is_news {
            sleep(POLL).await;
        }
    }
}

fn print(title: Option<&String>, apart: bool, piece: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    if let Some(title) = title {
        let gap = if apart { "\n" } else { "" };
        writeln!(stdout, "{gap}{}", printable(title))?;
    }
    stdout.write_all(piece)?;
    stdout.flush()
}

const PIECE: u64 = 64 * 1024;
const POLL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that is gone when the test is.
    struct Temporary(PathBuf);

    impl Temporary {
        fn new(name: &str, text: &[u8]) -> Self {
            let name = format!("outrider-tail-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::write(&path, text).unwrap();
            Self(path)
        }

        fn from(&self, lines: Option<u64>) -> String {
            let mut tail = Tail::try_new(&self.0, None, lines).unwrap();
            String::from_utf8(tail.piece().unwrap()).unwrap()
        }
    }

    impl Drop for Temporary {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn the_last_lines_are_found() {
        let ended = Temporary::new("ended", b"a\nb\nc\n");
        assert_eq!(ended.from(None), "a\nb\nc\n");
        assert_eq!(ended.from(Some(0)), "");
        assert_eq!(ended.from(Some(1)), "c\n");
        assert_eq!(ended.from(Some(2)), "b\nc\n");
        assert_eq!(ended.from(Some(9)), "a\nb\nc\n");
        let open = Temporary::new("open", b"a\nb");
        assert_eq!(open.from(Some(1)), "b");
        assert_eq!(Temporary::new("empty", b"").from(Some(1)), "");
    }

    #[test]
    fn long_files_are_searched_from_their_end() {
        let text = "0123456789\n".repeat(20_000);
        let file = Temporary::new("long", text.as_bytes());
        let tail = Tail::try_new(&file.0, None, Some(10_000)).unwrap();
        assert_eq!(tail.at, 110_000);
    }

    #[test]
    fn what_is_added_comes_next_and_an_emptied_file_begins_again() {
        let file = Temporary::new("grows", b"a\n");
        let mut tail = Tail::try_new(&file.0, None, None).unwrap();
        assert_eq!(tail.piece().unwrap(), b"a\n");
        assert_eq!(tail.piece().unwrap(), b"");
        std::fs::write(&file.0, b"a\nb\n").unwrap();
        assert_eq!(tail.piece().unwrap(), b"b\n");
        std::fs::write(&file.0, b"c").unwrap();
        assert_eq!(tail.piece().unwrap(), b"c");
    }
}
