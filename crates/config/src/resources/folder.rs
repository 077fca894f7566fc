//! The files of one folder, read whole.

use std::fs;
use std::io::{self, Read};

use super::Error;

/// A larger file holds neither resources nor secrets.
const MAX_FILE: u64 = 16 << 20;

/// What lies in a folder, by name.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// Files that may hold resources.
    pub(super) yaml: Vec<File>,
    /// The names of all others.
    pub(super) others: Vec<String>,
}

/// One file.
#[derive(Debug)]
pub(super) struct File {
    /// The folder as given, and the name.
    pub(super) path: String,
    /// Its bytes, or why there are none.
    pub(super) content: Result<Vec<u8>, String>,
}

/// Reads the direct children of a folder; folders in it are left out, links are followed.
///
/// # Errors
/// The folder can't be read.
pub(super) fn files(folder: &str) -> Result<Files, Error> {
    let unreadable = |error: io::Error| Error::Folder {
        folder: folder.to_owned(),
        why: reason(&error),
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort_unstable();
    let mut files = Files::default();
    for name in names {
        if is_yaml(&name) {
            let path = format!("{}/{name}", folder.trim_end_matches('/'));
            let content = read_file(&path);
            files.yaml.push(File { path, content });
        } else {
            files.others.push(name);
        }
    }
    Ok(files)
}

fn is_yaml(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with(".yaml") || name.ends_with(".yml")
}

/// The bytes of a file that somebody has named to us; links are followed.
///
/// # Errors
/// What the system says, or that it is not such a file or holds more than 16 MiB.
pub fn read_file(path: &str) -> Result<Vec<u8>, String> {
    // Looked at before it is opened: opening a pipe waits for somebody who writes.
    let about = fs::metadata(path).map_err(|error| reason(&error))?;
    if !about.is_file() {
        return Err("not a regular file".to_owned());
    }
    let file = fs::File::open(path).map_err(|error| reason(&error))?;
    let mut content = Vec::new();
    file.take(MAX_FILE + 1)
        .read_to_end(&mut content)
        .map_err(|error| reason(&error))?;
    if content.len() as u64 > MAX_FILE {
        return Err("larger than 16 MiB; split it into several files".to_owned());
    }
    Ok(content)
}

/// The system's words without their number.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or_default();
    words.to_lowercase()
}
