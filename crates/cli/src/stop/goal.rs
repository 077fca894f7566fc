//! What is to be ended.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use outrider_config::flags::Parsed;

use super::plan::Plan;
use crate::{
    output::printable,
    sidecars::{self, Sidecar},
};

/// What the command line asks for.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) goal: Goal,
    pub(super) force: bool,
    pub(super) limit: Duration,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// All instances of these apps.
    Ids(Vec<String>),
    /// What was started by `run -f` with this file.
    File {
        /// As the user wrote it.
        written: String,
        path: PathBuf,
    },
    /// All sidecars of this user.
    All,
}

impl Wish {
    /// The error is a sentence for the person who typed it.
    pub(super) fn try_new(parsed: &Parsed) -> Result<Self, String> {
        let mut ids = parsed.positionals.clone();
        ids.extend(parsed.given_str("app-id"));
        if ids.iter().any(String::is_empty) {
            return Err("an app id is empty".to_owned());
        }
        ids.sort();
        ids.dedup();
        let file = parsed.given_str("run-file");
        let goal = match (ids.is_empty(), file, parsed.bool("all")) {
            (false, None, false) => Goal::Ids(ids),
            (true, Some(file), false) if file.is_empty() => {
                return Err("--run-file is empty; name a template or its folder".to_owned());
            }
            (true, Some(file), false) => Goal::file(file),
            (true, None, true) => Goal::All,
            (true, None, false) => {
                return Err(
                    "name an app id, --run-file or --all; 'outrider list' shows the ids".to_owned(),
                );
            }
            _ => return Err("only one of app ids, --run-file and --all can be meant".to_owned()),
        };
        let limit = parsed.duration("timeout");
        let Some(limit) = limit.to_std() else {
            return Err(format!("--timeout is {limit}; it must not be negative"));
        };
        Ok(Self {
            goal,
            force: parsed.bool("force"),
            limit,
        })
    }
}

impl Goal {
    fn file(written: String) -> Self {
        let mut path = PathBuf::from(&written);
        if path.is_dir() {
            path.push("dapr.yaml");
        }
        Self::File { written, path }
    }

    /// What to say if the file of the wish is not there.
    pub(super) fn missing_file(&self) -> Option<String> {
        let Self::File { path, .. } = self else {
            return None;
        };
        let error = fs::metadata(path).err()?;
        let path = printable(&path.to_string_lossy());
        Some(format!("Failed to get run file path: {path}: {error}\n"))
    }

    /// Whether the sidecar is one of those.
    pub(super) fn is_meant(&self, it: &Sidecar) -> bool {
        match self {
            Self::Ids(ids) => ids.contains(&it.app_id),
            Self::File { path, .. } => it.metadata().is_some_and(|told| {
                let theirs = Path::new(&told.run_template_path);
                !told.run_template_path.is_empty() && is_same(theirs, path)
            }),
            Self::All => it.is_own,
        }
    }

    /// What to say about all that has no sidecar; empty if there is none.
    pub(super) fn unknown(&self, plans: &[Plan]) -> String {
        match self {
            Self::Ids(ids) => {
                let unknown = |id: &&String| !plans.iter().any(|plan| plan.app_id == **id);
                let line = |id: &String| {
                    let id = printable(id);
                    format!("failed to stop app id {id}: couldn't find app id {id}\n")
                };
                ids.iter().filter(unknown).map(line).collect()
            }
            Self::File { written, .. } if plans.is_empty() => format!(
                "Failed to stop Dapr and app processes: couldn't find apps with run file {}\n",
                outrider_core::quote::quote(written)
            ),
            Self::File { .. } | Self::All => String::new(),
        }
    }

    /// What to say of sidecars that may be meant if no other is: only they know their file.
    pub(super) fn perhaps(&self, sidecars: &[Sidecar]) -> String {
        let Self::File { .. } = self else {
            return String::new();
        };
        let lines = sidecars::silent(sidecars);
        if lines.is_empty() {
            return lines;
        }
        format!("These did not tell which file started them, and are left alone:\n{lines}")
    }
}

/// The same file, whatever links lead to it.
fn is_same(a: &Path, b: &Path) -> bool {
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    a == b || real(a) == real(b)
}

#[cfg(test)]
mod tests {
    use outrider_config::flags::{Outcome, parse};

    use super::*;

    fn read(line: &str) -> Result<Goal, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        match parse(&super::super::SPEC, &words) {
            Ok(Outcome::Parsed(parsed)) => Wish::try_new(&parsed).map(|it| it.goal),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn ids_a_file_or_all_can_be_meant() {
        let ids = |ids: &[&str]| Ok(Goal::Ids(ids.iter().map(|&id| id.to_owned()).collect()));
        assert_eq!(read("b a b"), ids(&["a", "b"]));
        assert_eq!(read("--app-id a"), ids(&["a"]));
        assert_eq!(read("--all"), Ok(Goal::All));
        let file = Goal::File {
            written: "x.yaml".to_owned(),
            path: "x.yaml".into(),
        };
        assert_eq!(read("-f x.yaml"), Ok(file));
        assert!(read("").unwrap_err().starts_with("name an app id"));
        assert!(
            read("--run-file=")
                .unwrap_err()
                .starts_with("--run-file is empty")
        );
        assert!(read("a --all").unwrap_err().starts_with("only one of"));
        assert!(
            read("a --timeout -1s")
                .unwrap_err()
                .contains("must not be negative")
        );
    }

    #[test]
    fn what_has_no_sidecar_is_told() {
        let ids = Goal::Ids(vec!["a".to_owned()]);
        assert_eq!(
            ids.unknown(&[]),
            "failed to stop app id a: couldn't find app id a\n"
        );
        let file = Goal::file("x.yaml".to_owned());
        assert_eq!(
            file.unknown(&[]),
            "Failed to stop Dapr and app processes: couldn't find apps with run file \"x.yaml\"\n"
        );
        assert_eq!(Goal::All.unknown(&[]), "");
    }

    #[test]
    fn those_that_may_have_been_started_by_the_file_are_named() {
        let silent = Sidecar {
            app_id: "a".to_owned(),
            pid: 7,
            is_own: true,
            answer: sidecars::Answer::Refused,
            ..Sidecar::default()
        };
        let file = Goal::file("x.yaml".to_owned());
        assert!(
            file.perhaps(std::slice::from_ref(&silent))
                .ends_with("\na (pid 7): it asks for a token: set DAPR_API_TOKEN\n")
        );
        assert_eq!(file.perhaps(&[]), "");
        assert_eq!(Goal::All.perhaps(&[silent]), "");
    }

    #[test]
    fn all_means_those_of_this_user() {
        let other = Sidecar::default();
        assert!(!Goal::All.is_meant(&other));
    }
}
