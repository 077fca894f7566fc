//! What Dapr's own tool leaves in its folder: a default Configuration and default components.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use super::environment::Variables;

/// `<given or variable or home>/.dapr`, blank values skipped; none without any of them.
pub(super) fn find(given: &str, variables: &Variables) -> Option<PathBuf> {
    let variable = |name: &str| {
        let value = variables.get(OsStr::new(name))?;
        let blank = value.to_string_lossy().trim().is_empty();
        (!blank).then(|| PathBuf::from(value))
    };
    let given = given.trim();
    let parent = match given {
        "" => variable("DAPR_RUNTIME_PATH").or_else(|| variable("HOME"))?,
        given => PathBuf::from(given),
    };
    Some(parent.join(".dapr"))
}

/// Its Configuration, if it is there.
pub(super) fn config(folder: Option<&Path>) -> Option<PathBuf> {
    let file = folder?.join("config.yaml");
    file.is_file().then_some(file)
}

/// Its components, if there are any.
pub(super) fn components(folder: Option<&Path>) -> Option<PathBuf> {
    let folder = folder?.join("components");
    let is_yaml = |path: &Path| {
        let kind = path.extension().and_then(OsStr::to_str);
        matches!(kind, Some("yaml" | "yml"))
    };
    let mut items = fs::read_dir(&folder).ok()?.filter_map(Result::ok);
    items.any(|item| is_yaml(&item.path())).then_some(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_values_do_not_count() {
        let with = |runtime: &str| {
            [("DAPR_RUNTIME_PATH", runtime), ("HOME", "/h")]
                .map(|(name, value)| (name.into(), value.into()))
                .into()
        };
        assert_eq!(find("/x", &with("/r")), Some("/x/.dapr".into()));
        assert_eq!(find(" ", &with("/r")), Some("/r/.dapr".into()));
        assert_eq!(find("", &with(" ")), Some("/h/.dapr".into()));
        assert_eq!(find("", &Variables::new()), None);
    }

    #[test]
    fn only_what_is_there_is_used() {
        let dapr = tempfile::tempdir().unwrap();
        let folder = Some(dapr.path());
        assert_eq!((config(folder), components(folder)), (None, None));
        let inner = dapr.path().join("components");
        fs::create_dir(&inner).unwrap();
        fs::write(dapr.path().join("config.yaml"), "").unwrap();
        fs::write(inner.join("readme.md"), "").unwrap();
        assert_eq!(components(folder), None);
        fs::write(inner.join("statestore.yaml"), "").unwrap();
        assert_eq!(components(folder), Some(inner));
        assert!(config(folder).is_some());
    }
}
