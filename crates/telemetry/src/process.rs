//! The `process_*` families, read from `/proc/self` at the moment of the question. What the system
//! does not offer is left out; nothing here fails and nothing is kept between two questions.

use std::fs;
use std::path::Path;

use crate::metrics::Page;

/// Appends the families of this process, sorted by name.
pub fn render(out: &mut String) {
    render_from(out, Path::new("/proc"));
}

fn render_from(out: &mut String, proc: &Path) {
    let read = |file: &str| fs::read_to_string(proc.join(file)).ok();
    let stat = read("self/stat");
    let stat = stat.as_deref().and_then(Stat::parse);
    let status = read("self/status").unwrap_or_default();
    let limits = read("self/limits").unwrap_or_default();
    let boot = read("stat").and_then(|text| boot_seconds(&text));
    let ticks = ticks_per_second(&fs::read(proc.join("self/auxv")).unwrap_or_default());

    let started = stat.zip(boot).map(|(stat, boot)| boot + stat.start / ticks);
    let mut family = |name, kind, help, value: Option<f64>| {
        if let Some(value) = value {
            let mut page = Page::new(out, name);
            page.head(help, kind);
            page.number("", "", value);
        }
    };
    family(
        "process_cpu_seconds_total",
        "counter",
        "Processor time used, in seconds.",
        stat.map(|stat| stat.cpu / ticks),
    );
    family(
        "process_max_fds",
        "gauge",
        "How many file descriptors may be open.",
        max_files(&limits),
    );
    family(
        "process_open_fds",
        "gauge",
        "How many file descriptors are open.",
        open_files(&proc.join("self/fd")),
    );
    family(
        "process_resident_memory_bytes",
        "gauge",
        "Memory in use, in bytes.",
        status_number(&status, "VmRSS").map(|kib| kib * KIB),
    );
    family(
        "process_start_time_seconds",
        "gauge",
        "When the process started, in seconds since 1970.",
        started,
    );
    family(
        "process_threads",
        "gauge",
        "How many threads there are.",
        status_number(&status, "Threads"),
    );
    family(
        "process_virtual_memory_bytes",
        "gauge",
        "Address space in use, in bytes.",
        status_number(&status, "VmSize").map(|kib| kib * KIB),
    );
}

const KIB: f64 = 1024.0;

/// Clock ticks, as in `/proc/self/stat`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stat {
    cpu: f64,
    start: f64,
}

impl Stat {
    /// The second field is the program's name in parentheses, which may hold spaces and
    /// parentheses itself: count from the last one.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(')')?;
        let number = |field: usize| -> Option<f64> {
            rest.split_ascii_whitespace().nth(field - 3)?.parse().ok()
        };
        Some(Self {
            cpu: number(14)? + number(15)?,
            start: number(22)?,
        })
    }
}

fn status_number(text: &str, key: &str) -> Option<f64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn max_files(text: &str) -> Option<f64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_ascii_whitespace().next()? {
        "unlimited" => None,
        number => number.parse().ok(),
    }
}

fn boot_seconds(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

/// One descriptor is the one that lists them.
fn open_files(dir: &Path) -> Option<f64> {
    let open = fs::read_dir(dir).ok()?.count().saturating_sub(1);
    Some(open as f64)
}

/// The kernel tells its tick rate in the auxiliary vector: pairs of words, entry 17. It is 100 on
/// every common machine, which is assumed where the vector cannot be read.
fn ticks_per_second(auxv: &[u8]) -> f64 {
    const WORD: usize = size_of::<usize>();
    let (pairs, _) = auxv.as_chunks::<{ 2 * WORD }>();
    let ticks = pairs.iter().find_map(|pair| {
        let (key, value) = pair.split_first_chunk::<WORD>()?;
        (usize::from_ne_bytes(*key) == AT_CLKTCK)
            .then(|| value.first_chunk().copied().map(usize::from_ne_bytes))?
    });
    ticks.filter(|&ticks| ticks > 0).unwrap_or(100) as f64
}

const AT_CLKTCK: usize = 17;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Stat, render, render_from, ticks_per_second};

    const STAT: &str = "28753 (a) b (c) R 28710 28710 25694 0 -1 4194304 101 0 0 0 250 50 0 0 20 \
                        0 1 0 130322 3133440 416 18446744073709551615 0 0 0 0 0 0 0 0 0 17 0\n";

    fn auxv(pairs: &[[usize; 2]]) -> Vec<u8> {
        pairs
            .iter()
            .flatten()
            .flat_map(|word| word.to_ne_bytes())
            .collect()
    }

    #[test]
    fn the_page_of_a_made_up_process_is_complete() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("self");
        fs::create_dir_all(own.join("fd")).unwrap();
        for fd in ["0", "1", "2", "3"] {
            fs::write(own.join("fd").join(fd), "").unwrap();
        }
        fs::write(own.join("stat"), STAT).unwrap();
        let status = "Name:\ta\nVmSize:\t    3060 kB\nVmRSS:\t    1704 kB\nThreads:\t3\n";
        fs::write(own.join("status"), status).unwrap();
        let limits = "Limit  Soft Limit  Hard Limit  Units\n\
                      Max open files            20000                40000                files\n";
        fs::write(own.join("limits"), limits).unwrap();
        fs::write(own.join("auxv"), auxv(&[[6, 4096], [17, 100], [0, 0]])).unwrap();
        fs::write(dir.path().join("stat"), "cpu 1 2\nbtime 1700000000\n").unwrap();

        let mut page = String::new();
        render_from(&mut page, dir.path());
        let samples: Vec<&str> = page.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "process_cpu_seconds_total 3",
                "process_max_fds 20000",
                "process_open_fds 3",
                "process_resident_memory_bytes 1.744896e+06",
                "process_start_time_seconds 1.70000130322e+09",
                "process_threads 3",
                "process_virtual_memory_bytes 3.13344e+06",
            ]
        );
        assert!(page.contains("# TYPE process_cpu_seconds_total counter\n"));
    }

    #[test]
    fn without_proc_there_is_nothing_to_tell() {
        let dir = tempfile::tempdir().unwrap();
        let mut page = String::new();
        render_from(&mut page, dir.path());
        assert_eq!(page, "");
    }

    #[test]
    fn nonsense_is_left_out() {
        for text in [
            "",
            "1 (x",
            "1 (x) R 1 2",
            "1 (x) R a b c d e f g h i j k l m n o p q r s t",
        ] {
            assert_eq!(Stat::parse(text), None, "{text:?}");
        }
        assert_eq!(ticks_per_second(b"abc"), 100.0);
        assert_eq!(ticks_per_second(&auxv(&[[17, 0]])), 100.0);
        assert_eq!(ticks_per_second(&auxv(&[[6, 4096], [17, 1024]])), 1024.0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_uses_memory_and_files() {
        let mut page = String::new();
        render(&mut page);
        for name in [
            "process_open_fds",
            "process_resident_memory_bytes",
            "process_start_time_seconds",
        ] {
            let value: f64 = page
                .lines()
                .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
                .unwrap();
            assert!(value > 0.0, "{name} {value}");
        }
    }
}
