//! Log files of a template's apps (contract `cli.md` 5.5): named by app id, kind and time (in UTC),
//! and without the colours that are meant for terminals.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use outrider_core::calendar::civil_from_seconds;

/// A file that both streams of a process go to; clones write to the same one.
#[derive(Clone, Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    /// None after the first error.
    file: Option<File>,
}

impl LogFile {
    /// A new file in `<folder>/.dapr/logs`. `kind` is `app` or `daprd`.
    pub(super) fn create(folder: &Path, name: &str, kind: &str) -> io::Result<Self> {
        let folder = folder.join(".dapr").join("logs");
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(&folder)?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let [year, month, day, hour, minute, second] = date_and_time(since.unwrap_or_default());
        let time = format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}");
        let name = name.replace(['/', '\0'], "_");
        let path = folder.join(format!("{name}_{kind}_{time}.log"));
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o644)
            .open(&path)?;
        Ok(Self {
            path: fs::canonicalize(&path).unwrap_or(path),
            inner: Arc::new(Mutex::new(Inner { file: Some(file) })),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends. After the first error, which the caller gets, nothing is written any more.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = &mut inner.file else {
            return Ok(());
        };
        let written = file.write_all(bytes);
        if written.is_err() {
            inner.file = None;
        }
        written
    }
}

/// Takes the sequences out that colour a terminal; what is split between pieces is still found.
#[derive(Debug, Default)]
pub(super) struct Colourless {
    state: Escape,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    Outside,
    /// Behind ESC.
    Begun,
    /// Behind ESC and `[`.
    Parameters,
}

impl Colourless {
    pub(super) fn strip(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            self.state = match (self.state, byte) {
                (Escape::Outside, 0x1b) => Escape::Begun,
                (Escape::Begun, b'[') => Escape::Parameters,
                // Whatever else follows an ESC is one character long for our purposes.
                (Escape::Begun, _) => Escape::Outside,
                (Escape::Parameters, 0x20..=0x3f) => Escape::Parameters,
                (Escape::Parameters, 0x40..=0x7e) => Escape::Outside,
                // No sequence after all; its beginning stays lost.
                (Escape::Parameters | Escape::Outside, _) => {
                    out.push(byte);
                    Escape::Outside
                }
            };
        }
        out
    }
}

/// Year, month, day, hour, minute and second of a time since 1970, in UTC.
pub(super) fn date_and_time(since_1970: Duration) -> [i64; 6] {
    let seconds = i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX);
    civil_from_seconds(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_taken_out_wherever_the_pieces_are_cut() {
        let coloured = "a\x1b[1;31mred\x1b[0m b\x1b(Bc ä\x1b[2K\n".as_bytes();
        for cut in 0..coloured.len() {
            let mut strip = Colourless::default();
            let mut out = strip.strip(&coloured[..cut]);
            out.extend(strip.strip(&coloured[cut..]));
            assert_eq!(String::from_utf8(out).unwrap(), "ared bBc ä\n", "{cut}");
        }
    }

    #[test]
    fn files_are_named_by_app_kind_and_time() {
        let folder = tempfile::tempdir().unwrap();
        let file = LogFile::create(folder.path(), "a/b", "app").unwrap();
        file.write(b"1\n").unwrap();
        file.clone().write(b"2\n").unwrap();
        assert_eq!(fs::read(file.path()).unwrap(), b"1\n2\n");
        let name = file
            .path()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        assert!(name.starts_with("a_b_app_20"), "{name}");
        assert_eq!(name.len(), "a_b_app_20260101000000.log".len());
    }

    #[test]
    fn seconds_since_1970_become_a_date() {
        let at = date_and_time(Duration::from_secs(1_767_225_599));
        assert_eq!(at, [2025, 12, 31, 23, 59, 59]);
    }
}
