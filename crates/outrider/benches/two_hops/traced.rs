//! System calls, heap allocations and instructions per call and sidecar.
//!
//! Each is counted over the whole life of two sidecars, twice, with few calls and with many; the
//! difference is the calls' own. What happens beside the calls, such as other sidecars that come
//! and go, only adds; so each life is lived several times and the smallest counts are taken. Under
//! such tools times mean nothing, counts do.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use outrider_testkit::unique_id;

use crate::client::Connection;
use crate::grpc;
use crate::subject::{FILES, Sidecar, outrider};

/// Counts by name.
type Counts = BTreeMap<String, f64>;

const SIDES: [&str; 2] = ["caller", "callee"];

/// Ports of the apps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Apps {
    pub(crate) http: u16,
    pub(crate) grpc: u16,
}

/// What is counted.
#[derive(Clone, Copy, Debug)]
enum Way {
    Http,
    Proxied,
    Relays,
}

const WAYS: [(&str, Way); 3] = [
    ("HTTP, an answer of 128 bytes", Way::Http),
    ("gRPC passed through, 1 KiB both ways", Way::Proxied),
    ("the same by bare relays", Way::Relays),
];

/// A tool that counts what a process does.
struct Tool {
    name: &'static str,
    /// The words before the command line of the process; the last one takes the file's name.
    words: &'static [&'static str],
    read: fn(&str) -> Counts,
    /// So many lives, of which the smallest counts are taken.
    lives: usize,
}

const STRACE: Tool = Tool {
    name: "strace",
    words: &["strace", "-f", "-c", "-o"],
    read: strace_table,
    lives: 5,
};

const VALGRIND: Tool = Tool {
    name: "valgrind",
    words: &["valgrind", "--leak-check=no", "--log-file="],
    read: heap_usage,
    lives: 5,
};

const CALLGRIND: Tool = Tool {
    name: "valgrind",
    words: &[
        "valgrind",
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
        "--log-file=",
    ],
    read: collected,
    lives: 2,
};

pub(crate) async fn system_calls(apps: Apps, quick: bool) -> io::Result<()> {
    println!("\nsystem calls per call and sidecar, 1 connection:");
    each_way(&STRACE, apps, quick, say_system_calls).await
}

fn say_system_calls(mut counts: Counts) {
    const GROUPS: [(&str, &[&str]); 3] = [
        ("reads", &["read", "readv", "recvfrom", "recvmsg"]),
        ("writes", &["write", "writev", "sendto", "sendmsg"]),
        ("waits", &["epoll_wait", "epoll_pwait", "epoll_pwait2"]),
    ];
    for (group, names) in GROUPS {
        let sum: f64 = names.iter().filter_map(|name| counts.remove(*name)).sum();
        print!(" {group} {sum:.2},");
    }
    let rest: f64 = counts.values().sum();
    // The two lives differ by a few calls of their own, either way.
    print!(" others {:.2}", rest.max(0.0));
    let often = counts.iter().filter(|(_, count)| **count >= 0.01);
    for (name, count) in often {
        print!(" ({name} {count:.2})");
    }
    println!();
}

pub(crate) async fn heap(apps: Apps, quick: bool) -> io::Result<()> {
    println!("\nheap allocations per call and sidecar, 1 connection:");
    let say = |counts: Counts| {
        let of = |name: &str| counts.get(name).copied().unwrap_or(f64::NAN);
        let (allocations, bytes) = (of("allocs"), of("bytes"));
        println!(" {allocations:.2} allocations, {bytes:.0} bytes");
    };
    each_way(&VALGRIND, apps, quick, say).await
}

/// Of the program itself, not of the system for it: the part that a change of code moves, and the
/// only one that is the same on a busy machine.
pub(crate) async fn instructions(apps: Apps, quick: bool) -> io::Result<()> {
    println!("\ninstructions per call and sidecar outside the system, 1 connection:");
    let say = |counts: Counts| {
        let instructions = counts.get("instructions").copied().unwrap_or(f64::NAN);
        println!(" {instructions:.0}");
    };
    each_way(&CALLGRIND, apps, quick, say).await
}

/// Lets `say` say what was counted for each side of each way.
async fn each_way(tool: &Tool, apps: Apps, quick: bool, say: fn(Counts)) -> io::Result<()> {
    for (name, way) in WAYS {
        println!(" {name}");
        let Some(sides) = per_call(tool, (way, apps), quick).await? else {
            return Ok(());
        };
        for (side, counts) in SIDES.into_iter().zip(sides) {
            print!("  {side:9}");
            say(counts);
        }
    }
    Ok(())
}

/// What each side did per call; none if the tool is not installed.
async fn per_call(tool: &Tool, what: (Way, Apps), quick: bool) -> io::Result<Option<[Counts; 2]>> {
    let (few, many) = if quick { (50, 250) } else { (200, 2200) };
    let tried = Command::new(tool.name)
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if tried.is_err() {
        println!("  {} is not installed: left out", tool.name);
        return Ok(None);
    }
    let lives = if quick { 1 } else { tool.lives };
    let base = fewest(tool, what, few, lives).await?;
    let mut sides = fewest(tool, what, many, lives).await?;
    for (side, base) in sides.iter_mut().zip(&base) {
        for (name, count) in side.iter_mut() {
            let before = base.get(name).copied().unwrap_or(0.0);
            *count = (*count - before) / f64::from(many - few);
        }
    }
    Ok(Some(sides))
}

/// The smallest counts of several lives.
async fn fewest(
    tool: &Tool,
    what: (Way, Apps),
    calls: u32,
    lives: usize,
) -> io::Result<[Counts; 2]> {
    let mut fewest = counted(tool, what, calls).await?;
    for _ in 1..lives {
        let sides = counted(tool, what, calls).await?;
        for (fewest, side) in fewest.iter_mut().zip(sides) {
            fewest.retain(|name, _| side.contains_key(name));
            for (name, count) in fewest {
                *count = count.min(side[name]);
            }
        }
    }
    Ok(fewest)
}

/// What each side did in a life with so many calls.
async fn counted(tool: &Tool, what: (Way, Apps), calls: u32) -> io::Result<[Counts; 2]> {
    let files = SIDES.map(|side| Path::new(FILES).join(unique_id(side) + ".counts"));
    let sides = files.each_ref().map(|file| wrapped(tool, file));
    let (way, apps) = what;
    match way {
        Way::Http => http_life(apps.http, &sides, calls).await?,
        Way::Proxied => grpc::life(apps.grpc, &sides, calls).await?,
        Way::Relays => grpc::relays_life(apps.grpc, &sides, calls).await?,
    }
    let [caller, callee] = files.map(|file| read(tool, &file));
    Ok([caller?, callee?])
}

async fn http_life(app: u16, sides: &[Sidecar; 2], calls: u32) -> io::Result<()> {
    let [caller, callee] = sides;
    let subject = outrider(app, caller, callee).await?;
    let request = subject.request("GET", "/answer/128", "");
    let mut connection = Connection::open(subject.port).await?;
    for _ in 0..calls {
        match connection.call(&request).await? {
            200 => {}
            other => return Err(io::Error::other(format!("a traced call ended in {other}"))),
        }
    }
    drop(connection);
    subject.shut_down().await
}

fn wrapped(tool: &Tool, file: &Path) -> Sidecar {
    let mut words: Vec<String> = tool.words.iter().map(|&word| word.to_owned()).collect();
    let name = file.display().to_string();
    match words.last_mut() {
        Some(last) if last.ends_with('=') => last.push_str(&name),
        _ => words.push(name),
    }
    Sidecar {
        wrapped: words,
        ..Sidecar::default()
    }
}

fn read(tool: &Tool, file: &PathBuf) -> io::Result<Counts> {
    let counts = (tool.read)(&fs::read_to_string(file)?);
    fs::remove_file(file)?;
    if counts.is_empty() {
        let name = tool.name;
        return Err(io::Error::other(format!("{name} left no counts")));
    }
    Ok(counts)
}

/// Columns: share, seconds, microseconds per call, calls, errors if any, name.
fn strace_table(text: &str) -> Counts {
    let rows = text.lines().filter_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (name, calls) = (columns.last()?, columns.get(3)?);
        Some(((*name).to_owned(), calls.parse().ok()?))
    });
    rows.filter(|(name, _)| name != "total").collect()
}

/// `Collected : 1234567`.
fn collected(text: &str) -> Counts {
    let line = text.lines().find_map(|it| it.split_once("Collected : "));
    let number = line.and_then(|(_, number)| number.trim().parse().ok());
    let named = number.map(|number| ("instructions".to_owned(), number));
    named.into_iter().collect()
}

/// `total heap usage: 1,234 allocs, 1,200 frees, 567,890 bytes allocated`.
fn heap_usage(text: &str) -> Counts {
    let line = text
        .lines()
        .find_map(|it| it.split_once("total heap usage:"));
    let figures = line.map_or("", |(_, rest)| rest).split(", ");
    let pairs = figures.filter_map(|figure| {
        let mut words = figure.split_whitespace();
        let number = words.next()?.replace(',', "").parse().ok()?;
        Some((words.next()?.to_owned(), number))
    });
    pairs.collect()
}
