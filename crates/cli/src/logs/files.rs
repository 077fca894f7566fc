//! Which files hold the logs of an app and of its sidecar.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::sidecars::Metadata;

/// Whose log is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    App,
    Sidecar,
    Both,
}

/// A log file and who wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Log {
    App(PathBuf),
    Sidecar(PathBuf),
}

impl Log {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::App(path) | Self::Sidecar(path) => path,
        }
    }

    /// How it is announced beside the other.
    pub(super) fn title(&self) -> String {
        let who = match self {
            Self::App(_) => "app",
            Self::Sidecar(_) => "sidecar",
        };
        format!("==> {who}: {} <==", self.path().display())
    }
}

impl Which {
    fn has_app(self) -> bool {
        self != Self::Sidecar
    }

    fn has_sidecar(self) -> bool {
        self != Self::App
    }
}

/// The files that the sidecar tells of.
pub(super) fn told(told: &Metadata, which: Which) -> Vec<Log> {
    let file = |path: &String| (!path.is_empty()).then(|| PathBuf::from(path));
    let app = file(&told.app_log_path).filter(|_| which.has_app());
    let sidecar = file(&told.daprd_log_path).filter(|_| which.has_sidecar());
    let app = app.map(Log::App).into_iter();
    app.chain(sidecar.map(Log::Sidecar)).collect()
}

/// The newest files below the folder and the folders in it.
pub(super) fn newest(folder: &Path, app_id: &str, which: Which) -> Vec<Log> {
    let find = |kind| latest(&names(folder), &format!("{app_id}_{kind}_"));
    let app = which.has_app().then(|| find("app")).flatten();
    let sidecar = which.has_sidecar().then(|| find("daprd")).flatten();
    let app = app.map(Log::App).into_iter();
    app.chain(sidecar.map(Log::Sidecar)).collect()
}

/// All files in `.dapr/logs` of the folder and of the folders in it.
fn names(folder: &Path) -> Vec<PathBuf> {
    let inside = |folder: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|it| it.path()).collect()
    };
    let mut folders = inside(folder);
    folders.push(folder.to_owned());
    let logs = folders.iter().map(|it| it.join(".dapr/logs"));
    logs.flat_map(|it| inside(&it)).collect()
}

/// The one with the latest time in its name: `<begin><14 digits>.log`.
fn latest(paths: &[PathBuf], begin: &str) -> Option<PathBuf> {
    let time = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?;
        let time = name.strip_prefix(begin)?.strip_suffix(".log")?;
        let is_time = !time.is_empty() && time.bytes().all(|it| it.is_ascii_digit());
        is_time.then(|| time.to_owned())
    };
    let timed = paths.iter().filter_map(|path| Some((time(path)?, path)));
    timed.max().map(|(_, path)| path.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_of_an_app_is_found_by_its_name() {
        let paths: Vec<PathBuf> = [
            "/x/a_app_20260101000000.log",
            "/y/a_app_20260102000000.log",
            "/x/a_daprd_20260103000000.log",
            "/x/a_app_b_app_20260104000000.log",
            "/x/a_app_20260105000000.txt",
            "/x/a_app_.log",
        ]
        .iter()
        .map(PathBuf::from)
        .collect();
        let found = latest(&paths, "a_app_");
        assert_eq!(found, Some("/y/a_app_20260102000000.log".into()));
        assert_eq!(latest(&paths, "b_app_"), None);
    }

    #[test]
    fn what_the_sidecar_tells_is_shown_as_asked() {
        let metadata = Metadata {
            app_log_path: "/a".into(),
            daprd_log_path: "/d".into(),
            ..Metadata::default()
        };
        let (app, sidecar) = (Log::App("/a".into()), Log::Sidecar("/d".into()));
        assert_eq!(told(&metadata, Which::Both), [app, sidecar]);
        for (which, path) in [(Which::App, "/a"), (Which::Sidecar, "/d")] {
            let logs = told(&metadata, which);
            let paths: Vec<&Path> = logs.iter().map(Log::path).collect();
            assert_eq!(paths, [Path::new(path)]);
        }
        assert!(told(&Metadata::default(), Which::Both).is_empty());
    }
}
