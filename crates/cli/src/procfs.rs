//! What the system tells about processes, from `/proc`. Where there is none, nothing is known of
//! any process, and whoever asks goes on without.
//!
//! Signals nobody and reads no environment.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

/// A process, as far as the user may see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) pid: u32,
    /// The kernel's name of it, cut to 15 bytes.
    pub(crate) name: String,
    /// The program's name among them.
    pub(crate) arguments: Vec<String>,
    pub(crate) parent: u32,
    /// Of the user it runs as.
    pub(crate) user: u32,
    /// Since 1970.
    pub(crate) started_unix_ms: u64,
}

/// The line of figures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) name: String,
    /// It has ended, and its parent has not asked how.
    pub(crate) has_ended: bool,
    pub(crate) parent: u32,
    /// The id of its process group.
    pub(crate) group: u32,
    /// When it started, in ticks since boot; tells it from a later process with the same id.
    pub(crate) started_ticks: u64,
}

/// The processes whose names and arguments the filter takes, in this network namespace (the
/// loopback address of another one leads elsewhere).
pub(crate) fn find(wanted: impl Fn(&str, &[String]) -> bool) -> Vec<Facts> {
    let Ok(folder) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let names = folder.flatten().map(|it| it.file_name());
    let pids = names.filter_map(|name| name.to_str()?.parse().ok());
    let booted = booted_unix_ms();
    pids.filter_map(|pid| one(pid, booted, &wanted)).collect()
}

/// A single process, whatever it is.
pub(crate) fn facts(pid: u32) -> Option<Facts> {
    one(pid, booted_unix_ms(), |_, _| true)
}

fn one(pid: u32, booted: u64, wanted: impl Fn(&str, &[String]) -> bool) -> Option<Facts> {
    let folder = format!("/proc/{pid}");
    let folder = Path::new(&folder);
    // Of a process that ends meanwhile, or belongs to the kernel, something is missing.
    let name = fs::read_to_string(folder.join("comm")).ok()?;
    let name = name.trim_end_matches('\n');
    let arguments = split(&fs::read(folder.join("cmdline")).ok()?);
    if arguments.is_empty() || !wanted(name, &arguments) || is_elsewhere(folder) {
        return None;
    }
    let stat = stat(pid)?;
    Some(Facts {
        pid,
        name: name.to_owned(),
        arguments,
        parent: stat.parent,
        user: fs::metadata(folder).ok()?.uid(),
        started_unix_ms: booted + stat.started_ticks * 1000 / TICKS,
    })
}

/// The figures of a process; nothing if it is gone or there is no `/proc`.
pub(crate) fn stat(pid: u32) -> Option<Stat> {
    let line = fs::read(format!("/proc/{pid}/stat")).ok()?;
    read_stat(&String::from_utf8_lossy(&line))
}

/// Whether `/proc` tells of processes here.
pub(crate) fn is_there() -> bool {
    stat(std::process::id()).is_some()
}

/// The name may hold anything, also spaces and parentheses.
fn read_stat(line: &str) -> Option<Stat> {
    let (head, tail) = line.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let words: Vec<&str> = tail.split_whitespace().collect();
    Some(Stat {
        name: name.to_owned(),
        has_ended: matches!(*words.first()?, "Z" | "X" | "x"),
        parent: words.get(1)?.parse().ok()?,
        group: words.get(2)?.parse().ok()?,
        started_ticks: words.get(19)?.parse().ok()?,
    })
}

/// Arguments as the kernel keeps them, each ended by a zero byte.
fn split(bytes: &[u8]) -> Vec<String> {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    if bytes.is_empty() {
        return Vec::new();
    }
    let words = bytes.split(|byte| *byte == 0);
    words
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}

/// It is known to be in another network namespace.
fn is_elsewhere(folder: &Path) -> bool {
    let inode = |path: &Path| fs::metadata(path).map(|it| it.ino());
    let theirs = inode(&folder.join("ns/net"));
    let ours = inode(Path::new("/proc/self/ns/net"));
    matches!((ours, theirs), (Ok(ours), Ok(theirs)) if ours != theirs)
}

fn booted_unix_ms() -> u64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("btime "));
    let seconds: Option<u64> = line.and_then(|it| it.trim().parse().ok());
    seconds.unwrap_or_default().saturating_mul(1000)
}

/// Ticks of a second in what the kernel shows to programs; the same on all common machines.
const TICKS: u64 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_parentheses_moves_nothing() {
        let line = "77 (a) (b)) S 5 77 1 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 4711 9 9";
        let stat = read_stat(line).unwrap();
        assert_eq!(stat.name, "a) (b)");
        assert_eq!((stat.parent, stat.group), (5, 77));
        assert_eq!((stat.started_ticks, stat.has_ended), (4711, false));
        let ended = read_stat("1 (x) Z 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 0 0 0 0 5").unwrap();
        assert!(ended.has_ended);
    }

    #[test]
    fn broken_figures_are_nothing() {
        for line in ["", "1 (x", "1 (x) S", "x) (", "1 (x) S 1 1 1"] {
            assert_eq!(read_stat(line), None, "{line}");
        }
    }

    #[test]
    fn arguments_end_in_zero_bytes() {
        assert_eq!(split(b""), Vec::<String>::new());
        assert_eq!(split(b"a\0\0b c\0"), ["a", "", "b c"]);
    }

    #[test]
    fn this_process_is_found() {
        if !is_there() {
            return;
        }
        let pid = std::process::id();
        let all = find(|_, _| true);
        let own = all.iter().find(|it| it.pid == pid).unwrap();
        assert_eq!(own.arguments[0], std::env::args().next().unwrap());
        assert!(own.started_unix_ms > 1_600_000_000_000);
        assert_eq!(facts(pid).as_ref(), Some(own));
    }
}
