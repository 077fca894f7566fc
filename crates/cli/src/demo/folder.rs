//! The one file of a demo: the state store of nodeapp's sidecar, in a folder that ends with the
//! demo.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{error::Error, state::STORE};
use crate::private_folder;

/// The folder; removed when dropped.
#[derive(Debug)]
pub(super) struct Folder(private_folder::Folder);

impl Folder {
    pub(super) fn try_new() -> Result<Self, Error> {
        let made = private_folder::Folder::try_new("demo", fill);
        let failed = |it: private_folder::Failure| Error::Folder {
            path: it.path,
            cause: it.cause,
        };
        made.map(Self).map_err(failed)
    }

    /// For the sidecar of nodeapp.
    pub(super) fn resources(&self) -> PathBuf {
        resources(self.0.path())
    }
}

fn resources(folder: &Path) -> PathBuf {
    folder.join("resources")
}

fn fill(folder: &Path) -> io::Result<()> {
    let resources = resources(folder);
    fs::create_dir(&resources)?;
    fs::write(resources.join(format!("{STORE}.yaml")), store())
}

fn store() -> String {
    format!(
        "apiVersion: dapr.io/v1alpha1\n\
         kind: Component\n\
         metadata:\n\
         \x20 name: {STORE}\n\
         spec:\n\
         \x20 type: state.in-memory\n\
         \x20 version: v1\n\
         \x20 metadata: []\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_describes_the_store() {
        let folder = Folder::try_new().unwrap();
        let store = fs::read_to_string(folder.resources().join("statestore.yaml")).unwrap();
        assert!(store.contains("\n  type: state.in-memory\n"), "{store}");
    }
}
