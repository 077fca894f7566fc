//! Lexical cleaning: repeated slashes, `.` and `..`. Touches no file system and decodes nothing.

use std::borrow::Cow;

/// The shortest path of the same meaning, by text alone: repeated slashes collapse, `.` goes, `..`
/// takes the segment before it along (and goes at the root), a trailing slash is dropped. Nothing
/// left is `.`, or `/` if the path began there.
#[must_use]
pub fn clean(path: &str) -> Cow<'_, str> {
    if !path.is_empty() && is_settled(path, |_| true) {
        return Cow::Borrowed(path);
    }
    Cow::Owned(rebuild(path))
}

/// Whether cleaning would leave the path as it is and every byte is allowed: one scan for both.
/// May say no to a clean path (one that begins with `..`), never yes to another; `""` is a yes.
pub(super) fn is_settled(path: &str, allowed: impl Fn(u8) -> bool) -> bool {
    let bytes = path.as_bytes();
    let rooted = usize::from(bytes.first() == Some(&b'/'));
    let mut start = rooted;
    for (at, &byte) in bytes.iter().enumerate().skip(rooted) {
        if !allowed(byte) {
            return false;
        }
        if byte == b'/' {
            if is_idle(&bytes[start..at]) {
                return false;
            }
            start = at + 1;
        }
    }
    let last = &bytes[start..];
    bytes.len() == rooted || !is_idle(last)
}

fn is_idle(segment: &[u8]) -> bool {
    matches!(segment, b"" | b"." | b"..")
}

fn rebuild(path: &str) -> String {
    let root = usize::from(path.starts_with('/'));
    let mut out = String::with_capacity(path.len());
    out.push_str(&path[..root]);
    // What a later `..` must not take away: the root, or leading `..` of a rootless path.
    let mut floor = root;
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." if out.len() > floor => {
                let cut = out[floor..].rfind('/').unwrap_or(0);
                out.truncate(floor + cut);
            }
            ".." if root == 1 => {}
            _ => {
                if out.len() > root {
                    out.push('/');
                }
                out.push_str(segment);
                if segment == ".." {
                    floor = out.len();
                }
            }
        }
    }
    if out.is_empty() {
        out.push('.');
    }
    out
}
