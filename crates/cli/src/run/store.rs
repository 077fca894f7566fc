//! The embedded default: an app that was given no resources gets a state store in one file of the
//! user's data folder. Only `outrider run` does that, never a sidecar by itself.

use std::{
    ffi::OsStr,
    fs::{self, DirBuilder, Permissions},
    io::{self, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use super::{environment::Variables, error::Error};

/// The store, and the resources folder that describes it to sidecars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Default {
    pub(super) resources: PathBuf,
    pub(super) file: PathBuf,
}

/// The name apps call it by.
pub(super) const NAME: &str = "statestore";

/// Writes the description if it is not there; none if the user has no folder for data.
pub(super) fn prepare(variables: &Variables) -> Result<Option<Default>, Error> {
    let Some(data) = data_folder(variables) else {
        return Ok(None);
    };
    let folder = data.join("outrider");
    let failed = |cause| Error::File {
        what: "it can't be prepared in",
        path: folder.clone(),
        cause,
    };
    write(&folder).map(Some).map_err(failed)
}

/// `$XDG_DATA_HOME` if it is absolute, as its specification wants, else `~/.local/share`.
fn data_folder(variables: &Variables) -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(variables.get(OsStr::new(name))?);
        path.is_absolute().then_some(path)
    };
    absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local").join("share")))
}

fn write(folder: &Path) -> io::Result<Default> {
    let resources = folder.join("default-resources");
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&resources)?;
    // It may have been made by somebody else, less private.
    fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    let file = folder.join("state.db");
    let text = description(&file);
    let path = resources.join(format!("{NAME}.yaml"));
    // Left alone if it is right: running sidecars watch the folder.
    if fs::read_to_string(&path).is_ok_and(|known| known == text) {
        return Ok(Default { resources, file });
    }
    let unfinished = resources.join(format!(".{NAME}.{}", std::process::id()));
    fs::File::create(&unfinished)?.write_all(text.as_bytes())?;
    fs::rename(&unfinished, &path)?;
    Ok(Default { resources, file })
}

/// The path as a URI that SQLite opens, with every byte escaped that could mean something on the
/// way there: to SQLite, or as a template in a component's value.
fn uri(file: &Path) -> String {
    let mut uri = "file:".to_owned();
    for byte in file.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => {
                uri.push(char::from(*byte));
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

fn description(file: &Path) -> String {
    let path = uri(file);
    format!(
        "# Written by 'outrider run', for apps that are given no resources. Changes are lost:\n\
         # copy the file to a folder of your own and name that with --resources-path.\n\
         apiVersion: dapr.io/v1alpha1\n\
         kind: Component\n\
         metadata:\n\
         \x20 name: {NAME}\n\
         spec:\n\
         \x20 type: state.sqlite\n\
         \x20 version: v1\n\
         \x20 metadata:\n\
         \x20 - name: connectionString\n\
         \x20   value: \"{path}\"\n\
         \x20 - name: cleanupInterval\n\
         \x20   value: 1h\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_is_private_and_its_description_is_written_once() {
        let home = tempfile::tempdir().unwrap();
        let variables = [("HOME".into(), home.path().into())].into();
        let store = prepare(&variables).unwrap().unwrap();
        let folder = home.path().join(".local/share/outrider");
        assert_eq!(store.file, folder.join("state.db"));
        let mode = fs::metadata(&folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        let path = store.resources.join("statestore.yaml");
        let written = fs::metadata(&path).unwrap().modified().unwrap();
        assert_eq!(prepare(&variables).unwrap(), Some(store));
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), written);
        assert!(
            fs::read_to_string(&path)
                .unwrap()
                .contains("type: state.sqlite\n")
        );
    }

    #[test]
    fn the_data_folder_follows_its_specification() {
        let of = |all: &[(&str, &str)]| {
            let variables = all.iter().map(|(name, value)| (name.into(), value.into()));
            data_folder(&variables.collect())
        };
        assert_eq!(
            of(&[("XDG_DATA_HOME", "/x"), ("HOME", "/h")]),
            Some("/x".into())
        );
        let fallen_back = Some("/h/.local/share".into());
        assert_eq!(of(&[("XDG_DATA_HOME", "x"), ("HOME", "/h")]), fallen_back);
        assert_eq!(of(&[("XDG_DATA_HOME", ""), ("HOME", "/h")]), fallen_back);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn nothing_in_a_path_means_anything_but_itself() {
        assert_eq!(
            uri(Path::new("/home/me/x-y.z_~1")),
            "file:/home/me/x-y.z_~1"
        );
        let odd = OsStr::from_bytes(b"/a #?%41&{appID}+\"\n\xc3\xa4\xff");
        assert_eq!(
            uri(Path::new(odd)),
            "file:/a%20%23%3F%2541%26%7BappID%7D%2B%22%0A%C3%A4%FF"
        );
        let text = description(Path::new("/a b/state.db"));
        let expected = "  - name: connectionString\n    value: \"file:/a%20b/state.db\"\n  \
                        - name: cleanupInterval\n    value: 1h\n";
        assert!(text.ends_with(expected), "{text}");
    }
}
