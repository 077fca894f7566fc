//! Which resources an app gets that was given none.

use std::path::{Path, PathBuf};

use super::{dapr_folder, environment::Variables, options::Notes, screen::Status, store};

/// Dapr's own components if there are any, else the embedded store.
pub(super) fn default(
    dapr: Option<&Path>,
    variables: &Variables,
    notes: &mut Notes,
) -> Vec<PathBuf> {
    if let Some(folder) = dapr_folder::components(dapr) {
        return vec![folder];
    }
    let (status, text, folders) = match store::prepare(variables) {
        Ok(Some(store)) => (
            Status::Info,
            format!(
                "no resources were given: the state store {} is the file {}",
                store::NAME,
                store.file.display()
            ),
            vec![store.resources],
        ),
        Ok(None) => (
            Status::Warning,
            format!("{NONE}: neither XDG_DATA_HOME nor HOME names a folder; {CURE}"),
            Vec::new(),
        ),
        Err(why) => (
            Status::Warning,
            format!("{NONE}: {why}; {CURE}"),
            Vec::new(),
        ),
    };
    // Several apps of a template share it.
    if !notes.iter().any(|(_, known)| *known == text) {
        notes.push((status, text));
    }
    folders
}

const NONE: &str = "no resources were given, and no state store was made";
const CURE: &str = "--resources-path (in a template: resourcesPath) names a folder with resources";
