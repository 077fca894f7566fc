//! `static`: a list of instances, ours. It stands in the Configuration, or in a file that is read
//! again when it changes.
//!
//! A list that cannot be read leaves the last good one in force. What the text of a file means is
//! for the caller to say: this knows no format.

use std::fs::{self, File};
use std::future::pending;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::{OpenError, unknown};
use crate::table::{Listing, Query, SourceHandle, Table};

/// Reads the text of a file.
pub type Parse = fn(&str) -> Result<Vec<Listing>, String>;

/// Where the list is.
#[derive(Clone, Debug)]
pub enum List {
    /// Here.
    Listed(Vec<Listing>),
    /// In a file.
    File {
        /// Its path.
        path: PathBuf,
        /// How its text is read.
        parse: Parse,
    },
}

/// A list in force.
#[derive(Debug)]
pub struct Fixed {
    source: SourceHandle,
    file: Option<Followed>,
}

impl Fixed {
    /// Lists what is in the list.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn open(list: &List, table: &Table) -> Result<Self, OpenError> {
        table.keep_namespaces_apart();
        let source = table.source("static");
        let (listings, file) = match list {
            List::Listed(listings) => (listings.clone(), None),
            List::File { path, parse } => {
                let mut file = Followed {
                    path: path.clone(),
                    parse: *parse,
                    seen: Seen::None,
                };
                let listings = file.changed().unwrap_or_else(|| Ok(Vec::new()));
                (listings.map_err(OpenError)?, Some(file))
            }
        };
        source.replace_all(listings);
        Ok(Self { source, file })
    }

    /// Refuses what is asked for and not listed, and follows the file. Runs until dropped.
    pub async fn run(mut self, table: &Table) {
        let mut asked = table.asked();
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                query = asked.next() => match query {
                    Some(query) => self.answer(&query, table),
                    None => return pending().await,
                },
                _ = looks.tick(), if self.file.is_some() => self.look(),
            }
        }
    }

    fn answer(&mut self, query: &Query, table: &Table) {
        if self.file.is_some() {
            // Somebody may have added it just now.
            self.look();
        }
        let app_id = query.app_id();
        let place = match &self.file {
            Some(file) => format!("is not in {}", file.path.display()),
            None => "is not in nameResolution.configuration.apps".to_owned(),
        };
        let snapshot = table.snapshot();
        let others: Vec<_> = snapshot.namespaces_of(app_id).collect();
        let detail = match &others[..] {
            [] => String::new(),
            others => format!(
                " for namespace {}, only for {}",
                query.namespace(),
                others.join(", ")
            ),
        };
        let why = unknown(format!("couldn't find service: {app_id} {place}{detail}"));
        table.refuse(query, why, Duration::ZERO);
    }

    fn look(&mut self) {
        let Some(file) = &mut self.file else { return };
        let path = file.path.display().to_string();
        match file.changed() {
            None => {}
            Some(Ok(listings)) => {
                tracing::info!(
                    "static name resolution: {path} read again, {} instances",
                    listings.len()
                );
                self.source.replace_all(listings);
            }
            Some(Err(why)) => {
                tracing::warn!("static name resolution stays as it was: {why}");
            }
        }
    }
}

/// A file and what was last seen of it.
#[derive(Debug)]
struct Followed {
    path: PathBuf,
    parse: Parse,
    seen: Seen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    None,
    Missing,
    /// Device, inode, size, time of the last change in nanoseconds: a file that was replaced by
    /// another, also behind a link, differs in one of them.
    There(u64, u64, u64, i128),
}

impl Followed {
    /// The list, or what is wrong with it, if the file differs from when it was last looked at.
    fn changed(&mut self) -> Option<Result<Vec<Listing>, String>> {
        let now = match fs::metadata(&self.path) {
            Ok(it) => {
                let changed = i128::from(it.mtime()) * 1_000_000_000 + i128::from(it.mtime_nsec());
                Seen::There(it.dev(), it.ino(), it.len(), changed)
            }
            Err(_) => Seen::Missing,
        };
        if now == self.seen {
            return None;
        }
        self.seen = now;
        let path = self.path.display();
        let text = read(&self.path).map_err(|error| format!("cannot read {path}: {error}"));
        Some(text.and_then(|text| (self.parse)(&text).map_err(|why| format!("{path}: {why}"))))
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let mut file = File::open(path)?.take(MOST_BYTES + 1);
    file.read_to_string(&mut text)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(io::Error::other("larger than 4 MiB, which no such list is"));
    }
    Ok(text)
}

const LOOK: Duration = Duration::from_secs(1);
const MOST_BYTES: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn lines(text: &str) -> Result<Vec<Listing>, String> {
        let line = |line: &str| {
            let (app_id, addr) = line.split_once(' ').ok_or("no address")?;
            Ok(Listing::new(None, app_id, addr))
        };
        text.lines().map(line).collect()
    }

    fn addrs(table: &Table, app_id: &str) -> Vec<String> {
        let found = table.peek("default", app_id);
        let all = found.iter().flat_map(|set| set.all());
        all.map(|it| it.addr().to_owned()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_listed_is_refused_at_once() {
        let table = Table::new();
        let listed = List::Listed(vec![
            Listing::new(None, "cart", "10.0.0.1:1"),
            Listing::new(Some("prod"), "pay", "10.0.0.2:1"),
        ]);
        let fixed = Fixed::open(&listed, &table).unwrap();
        let running = table.clone();
        let task = tokio::spawn(async move { fixed.run(&running).await });
        assert_eq!(addrs(&table, "cart"), ["10.0.0.1:1"]);
        let started = tokio::time::Instant::now();
        for (app_id, detail) in [
            ("nosuch", ""),
            ("pay", " for namespace default, only for prod"),
        ] {
            let error = table.wait_for("default", app_id, SECOND).await.unwrap_err();
            let text = format!(
                "couldn't find service: {app_id} is not in \
                 nameResolution.configuration.apps{detail}"
            );
            assert_eq!(error.to_string(), text);
        }
        assert!(started.elapsed() < SECOND);
        task.abort();
    }

    #[tokio::test]
    async fn a_bad_new_version_of_the_file_keeps_the_last_good_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("apps");
        let list = List::File {
            path: path.clone(),
            parse: lines,
        };
        let table = Table::new();
        let missing = Fixed::open(&list, &table).unwrap_err();
        assert!(missing.to_string().starts_with("cannot read "), "{missing}");
        fs::write(&path, "cart 10.0.0.1:1").unwrap();
        let mut fixed = Fixed::open(&list, &table).unwrap();
        assert_eq!(addrs(&table, "cart"), ["10.0.0.1:1"]);
        for bad in ["cart", "cart 10.0.0.9:1\nbroken"] {
            fs::write(&path, bad).unwrap();
            fixed.look();
            assert_eq!(addrs(&table, "cart"), ["10.0.0.1:1"]);
        }
        fs::remove_file(&path).unwrap();
        fixed.look();
        assert_eq!(addrs(&table, "cart"), ["10.0.0.1:1"]);
        fs::write(&path, "cart 10.0.0.1:1\ncart 10.0.0.2:1\npay 10.0.0.3:1").unwrap();
        let wait = table.wait_for("default", "pay", SECOND * 20);
        let running = table.clone();
        let task = tokio::spawn(async move { fixed.run(&running).await });
        wait.await.unwrap();
        assert_eq!(addrs(&table, "cart"), ["10.0.0.1:1", "10.0.0.2:1"]);
        task.abort();
    }
}
