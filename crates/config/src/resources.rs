//! Resources from `--resources-path`: files → documents → typed components, and what is to be said
//! about the rest (contract, configuration 4).
//!
//! Reads files and nothing else. Files and documents that can't be used are warnings, as values;
//! only a folder that can't be read and two components of one name are errors. What a component's
//! type means, and where its secrets come from, is none of its business.

mod component;
mod document;
mod fields;
mod folder;
mod text;
mod unquote;

use std::collections::BTreeMap;

pub use component::{Component, Item, SecretRef};
pub use folder::read_file;
pub use unquote::unquote;

use document::{Document, documents};
use folder::{File, files};

/// Whose resources are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// Resources whose scopes do not hold this id are left out.
    pub app_id: &'a str,
    /// Resources of another namespace are left out; none if namespaces do not count.
    pub namespace: Option<&'a str>,
}

/// What the folders hold for one app.
#[derive(Debug, Default, PartialEq)]
pub struct Resources {
    /// The components, in the order of folders, files and documents.
    pub components: Vec<Component>,
    /// Kinds that this version knows and does not load, with the names of their resources.
    pub unserved: BTreeMap<&'static str, Vec<String>>,
    /// What can't be used, and why.
    pub warnings: Vec<String>,
}

/// Why nothing can be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A folder that can't be read.
    #[error("open {folder}: {why}")]
    Folder {
        /// The folder as given.
        folder: String,
        /// What the system says.
        why: String,
    },
    /// Components of one name; all of them.
    #[error("{}", .0.join("\n"))]
    Duplicates(Vec<String>),
}

/// Kinds that would have an effect if this version loaded them.
const UNSERVED: [(&str, &[&str]); 6] = [
    ("HTTPEndpoint", &["dapr.io/v1alpha1"]),
    ("Resiliency", &["dapr.io/v1alpha1"]),
    ("Configuration", &["dapr.io/v1alpha1"]),
    ("Subscription", &["dapr.io/v1alpha1", "dapr.io/v2alpha1"]),
    ("MCPServer", &["dapr.io/v1alpha1"]),
    ("WorkflowAccessPolicy", &["dapr.io/v1alpha1"]),
];

impl Reader<'_> {
    /// Reads all folders.
    ///
    /// # Errors
    /// The first folder that can't be read, or all components whose name is taken.
    pub fn load(&self, folders: &[String]) -> Result<Resources, Error> {
        let mut found = Found::default();
        for folder in folders {
            let files = files(folder)?;
            for name in files.others {
                found.warnings.push(format!(
                    "A non-YAML Component file {name} was detected, it will not be loaded"
                ));
            }
            for file in files.yaml {
                self.read(&file, &mut found);
            }
        }
        if !found.duplicates.is_empty() {
            return Err(Error::Duplicates(found.duplicates));
        }
        Ok(Resources {
            components: found.components,
            unserved: found.unserved,
            warnings: found.warnings,
        })
    }

    fn read(&self, file: &File, found: &mut Found) {
        let content = match &file.content {
            Ok(content) => content,
            Err(why) => {
                let path = &file.path;
                found.warnings.push(format!(
                    "daprd load Component error when opening file {path}: open {path}: {why}"
                ));
                return;
            }
        };
        let mut faults = Vec::new();
        for document in documents(&text::utf8(content)) {
            match document {
                Ok(document) => self.take(&document, file, found, &mut faults),
                Err(fault) => faults.push(fault),
            }
        }
        if !faults.is_empty() {
            found.warnings.push(format!(
                "daprd load Component error when parsing manifests yaml resource in {}: {}",
                file.path,
                faults.join("\n")
            ));
        }
    }

    fn take(&self, document: &Document, file: &File, found: &mut Found, faults: &mut Vec<String>) {
        let head = match document.head() {
            Ok(head) => head,
            Err(fault) => return faults.push(fault),
        };
        if head.api_version == "dapr.io/v1alpha1" && head.kind == "Component" {
            match head.check_name().and_then(|()| document.component(&head)) {
                Ok(component) if self.is_in_namespace(&head.namespace) => {
                    self.add(component, file, found);
                }
                Ok(_) => {}
                Err(fault) => faults.push(fault),
            }
            return;
        }
        let kind = UNSERVED
            .iter()
            .find(|(kind, versions)| {
                *kind == head.kind && versions.contains(&head.api_version.as_str())
            })
            .map(|(kind, _)| *kind);
        if let Some(kind) = kind
            && self.is_in_namespace(&head.namespace)
            && self.is_in_scope(&document.scopes())
        {
            found.unserved.entry(kind).or_default().push(head.name);
        }
    }

    /// A name that is taken is an error even outside the scope, but only those inside take one.
    fn add(&self, component: Component, file: &File, found: &mut Found) {
        if component.name.is_empty() {
            found.warnings.push(format!(
                "a Component of type {} in {} is ignored: it has no metadata.name",
                component.component_type, file.path
            ));
            return;
        }
        let taken = found.components.iter().find(|c| c.name == component.name);
        if let Some(existing) = taken {
            found.duplicates.push(format!(
                "duplicate definition of Component name {} with existing {}",
                component.log_name(),
                existing.log_name()
            ));
        } else if self.is_in_scope(&component.scopes) {
            found.components.push(component);
        }
    }

    fn is_in_namespace(&self, namespace: &str) -> bool {
        namespace.is_empty() || self.namespace.is_none_or(|own| own == namespace)
    }

    fn is_in_scope(&self, scopes: &[String]) -> bool {
        scopes.is_empty() || scopes.iter().any(|scope| scope == self.app_id)
    }
}

/// What has come up so far.
#[derive(Default)]
struct Found {
    components: Vec<Component>,
    unserved: BTreeMap<&'static str, Vec<String>>,
    warnings: Vec<String>,
    duplicates: Vec<String>,
}

#[cfg(test)]
mod tests;
