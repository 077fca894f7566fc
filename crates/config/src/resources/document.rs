//! The documents of a file: cut apart, then read one by one, so that a broken one spoils no other.

use serde_json::Value;

use super::component::{self, Component};
use super::fields::Object;
use crate::yaml;

/// One document, as JSON.
pub(super) struct Document(Value);

/// What every resource has.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) namespace: String,
}

/// All documents, or why one can't be read. Those without anything in them are left out.
pub(super) fn documents(content: &[u8]) -> impl Iterator<Item = Result<Document, String>> {
    split(content).filter_map(|text| read(text).transpose())
}

fn read(text: &[u8]) -> Result<Option<Document>, String> {
    let json = |what: &str| format!("error converting YAML to JSON: {what}");
    let Ok(text) = std::str::from_utf8(text) else {
        return Err(json("yaml: not UTF-8 text"));
    };
    let node = yaml::parse_first(text).map_err(|error| json(&error.to_string()))?;
    let value = node.map(|node| yaml::json::to_json(&node));
    match value.transpose().map_err(|what| json(&what))? {
        None | Some(Value::Null) => Ok(None),
        Some(value) => Ok(Some(Document(value))),
    }
}

/// Cuts at each line that begins with three dashes, whatever follows them (contract,
/// configuration 4.1). The first line of the file is no cut.
fn split(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    const CUT: &[u8] = b"\n---";
    let mut rest = Some(content);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let Some(at) = text.windows(CUT.len()).position(|window| window == CUT) else {
            return Some(text);
        };
        let behind = &text[at + CUT.len()..];
        rest = behind
            .iter()
            .position(|byte| *byte == b'\n')
            .map(|end| &behind[end + 1..]);
        Some(&text[..at])
    })
}

impl Document {
    /// What tells whether the document is wanted.
    pub(super) fn head(&self) -> Result<Head, String> {
        let root = Object::root(&self.0)?;
        let mut head = Head {
            api_version: root.text("apiVersion", "TypeMeta.apiVersion")?,
            kind: root.text("kind", "TypeMeta.kind")?,
            ..Head::default()
        };
        if let Some(metadata) = root.object("metadata", ("metadata", "v1.ObjectMeta"))? {
            head.name = metadata.text("name", "ObjectMeta.metadata.name")?;
            head.namespace = metadata.text("namespace", "ObjectMeta.metadata.namespace")?;
        }
        Ok(head)
    }

    /// The document as a component.
    pub(super) fn component(&self, head: &Head) -> Result<Component, String> {
        component::decode(&Object::root(&self.0)?, &head.name)
    }

    /// The apps it is for; empty for all.
    pub(super) fn scopes(&self) -> Vec<String> {
        let root = Object::root(&self.0);
        root.and_then(|root| component::scopes(&root))
            .unwrap_or_default()
    }
}

impl Head {
    /// A name must be able to stand in a URL.
    pub(super) fn check_name(&self) -> Result<(), String> {
        let mut faults = Vec::new();
        if matches!(self.name.as_str(), "." | "..") {
            faults.push(format!("may not be '{}'", self.name));
        } else {
            for sign in ['/', '%'] {
                if self.name.contains(sign) {
                    faults.push(format!("may not contain '{sign}'"));
                }
            }
        }
        if faults.is_empty() {
            return Ok(());
        }
        Err(format!(
            "invalid name {} for {}: {}",
            outrider_core::quote::quote(&self.name),
            outrider_core::quote::quote(&self.kind),
            faults.join("; ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_cut_at_lines_that_begin_with_dashes() {
        for (text, parts) in [
            ("a\n---\nb", vec!["a", "b"]),
            ("---\na\n--- # note\nb\n", vec!["---\na", "b\n"]),
            ("a\n---", vec!["a"]),
            ("a\n---x", vec!["a"]),
            ("a\n---\n", vec!["a", ""]),
            ("a\n----\nb\n --- c", vec!["a", "b\n --- c"]),
            ("", vec![""]),
        ] {
            let cut: Vec<_> = split(text.as_bytes()).collect();
            let parts: Vec<_> = parts.iter().map(|part| part.as_bytes()).collect();
            assert_eq!(cut, parts, "{text:?}");
        }
    }
}
