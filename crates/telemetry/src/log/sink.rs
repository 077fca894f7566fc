//! Where lines go. Each line is handed over in one write, so lines of several threads never mix;
//! a line that cannot be written is lost, since a log must not stop the work it tells about.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::Error;

/// The destination asked for.
#[derive(Clone, Debug, Default)]
pub enum Sink {
    /// Standard output, coloured if it is a terminal and the format is text.
    #[default]
    Stdout,
    /// Appended to this file, which is created with mode 0644.
    File(PathBuf),
    /// Kept in memory, for tests.
    Memory(Memory),
}

impl Sink {
    pub(super) fn open(self) -> Result<Open, Error> {
        Ok(match self {
            Self::Stdout => Open::Stdout,
            Self::File(path) => Open::File(append_to(&path).map_err(|source| Error::File {
                path: path.clone(),
                source,
            })?),
            Self::Memory(memory) => Open::Memory(memory),
        })
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o644);
    options.open(path)
}

/// Lines kept in memory. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    /// Everything written so far.
    pub fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// A sink ready for lines.
#[derive(Debug)]
pub(super) enum Open {
    Stdout,
    File(File),
    Memory(Memory),
}

impl Open {
    pub(super) fn is_terminal(&self) -> bool {
        matches!(self, Self::Stdout) && io::stdout().is_terminal()
    }

    /// `line` ends with a newline; the standard library then passes it on unsplit.
    pub(super) fn write(&self, line: &str) {
        let written = match self {
            Self::Stdout => io::stdout().lock().write_all(line.as_bytes()),
            Self::File(file) => {
                let mut file = file;
                file.write_all(line.as_bytes())
            }
            Self::Memory(memory) => {
                let mut bytes = memory.0.lock().unwrap_or_else(PoisonError::into_inner);
                bytes.write_all(line.as_bytes())
            }
        };
        // There is no other place to report it to.
        drop(written);
    }
}

#[cfg(test)]
mod tests {
    use super::Sink;

    #[test]
    fn a_file_keeps_what_it_had_and_is_readable_by_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.txt");
        Sink::File(path.clone()).open().unwrap().write("one\n");
        Sink::File(path.clone()).open().unwrap().write("two\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o7133, 0, "{mode:o}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("absent").join("log.txt");
        let error = Sink::File(path.clone()).open().unwrap_err().to_string();
        assert!(error.contains(path.to_str().unwrap()), "{error}");
    }
}
