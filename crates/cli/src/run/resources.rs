//! Which resources an app gets that was given none.

use std::path::{Path, PathBuf};

use super::{
    dapr_folder, environment::Variables, error::Error, options::Notes, screen::Status, store,
};

/// Dapr's own components if there are any, else the embedded store.
pub(super) fn default(
    dapr: Option<&Path>,
    variables: &Variables,
    notes: &mut Notes,
) -> Result<Vec<PathBuf>, Error> {
    if let Some(folder) = dapr_folder::components(dapr) {
        return Ok(vec![folder]);
    }
    let (status, text, folders) = match store::prepare(variables)? {
        Some(store) => (
            Status::Info,
            format!(
                "no resources were given: the state store {} is the file {}",
                store::NAME,
                store.file.display()
            ),
            vec![store.resources],
        ),
        None => (
            Status::Warning,
            "no resources were given, and no state store was made: neither XDG_DATA_HOME nor HOME \
             names a folder"
                .to_owned(),
            Vec::new(),
        ),
    };
    // Several apps of a template share it.
    if !notes.iter().any(|(_, known)| *known == text) {
        notes.push((status, text));
    }
    Ok(folders)
}
