//! A Component resource, typed (contract, configuration 5.1). Values are as written: references to
//! secrets and variables are not followed here.

use std::fmt;

use serde_json::Value;

use super::fields::{self, Object};
use crate::yaml::json::compact;

/// A component as a file describes it. Two are equal if a sidecar would do the same with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Component {
    /// Its name, unique among components.
    pub name: String,
    /// For example `state.redis`.
    pub component_type: String,
    /// For example `v1`; may be empty.
    pub version: String,
    /// A failing start of it does not end the sidecar.
    pub ignore_errors: bool,
    /// A duration as text; whatever it is.
    pub init_timeout: String,
    /// Its settings, in order.
    pub metadata: Vec<Item>,
    /// The component that knows the secrets it refers to; may be empty.
    pub secret_store: String,
    /// The apps it is for; empty for all.
    pub scopes: Vec<String>,
}

/// One setting of a component. Its value is not printed: it may be a secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Item {
    /// Its name.
    pub name: String,
    /// Its value: a text as it is, anything else as compact JSON; none if it is absent or null.
    pub value: Option<String>,
    /// The secret whose value takes the place of that one.
    pub secret: Option<SecretRef>,
    /// The variable that gives the value if there is none; may be empty.
    pub variable: String,
}

/// Where a secret is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretRef {
    /// Its name in the store.
    pub name: String,
    /// The key inside it; that name again if none is given.
    pub key: String,
}

impl Component {
    /// The name that log lines and errors use.
    #[must_use]
    pub fn log_name(&self) -> String {
        let Self {
            name,
            component_type,
            version,
            ..
        } = self;
        if version.is_empty() {
            return format!("{name} ({component_type})");
        }
        format!("{name} ({component_type}/{version})")
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Item")
            .field("name", &self.name)
            .field("secret", &self.secret)
            .field("variable", &self.variable)
            .finish_non_exhaustive()
    }
}

/// Fills a component. Keys nobody knows are ignored.
pub(super) fn decode(root: &Object<'_>, name: &str) -> Result<Component, String> {
    let mut component = Component {
        name: name.to_owned(),
        ..Component::default()
    };
    if let Some(auth) = root.object("auth", ("Component.auth", "v1alpha1.Auth"))? {
        component.secret_store = auth.text("secretStore", "Auth.auth.secretStore")?;
    }
    component.scopes = scopes(root)?;
    let Some(spec) = root.object("spec", ("Component.spec", "v1alpha1.ComponentSpec"))? else {
        return Ok(component);
    };
    component.ignore_errors = spec.boolean("ignoreErrors", "ComponentSpec.spec.ignoreErrors")?;
    component.init_timeout = spec.text("initTimeout", "ComponentSpec.spec.initTimeout")?;
    let list = ("ComponentSpec.spec.metadata", "[]common.NameValuePair");
    let elements = spec.list("metadata", list)?;
    for element in elements.filter(|element| !element.is_null()) {
        let of = ("ComponentSpec.spec.metadata", "common.NameValuePair");
        component
            .metadata
            .push(item(&Object::element(element, of)?)?);
    }
    component.component_type = spec.text("type", "ComponentSpec.spec.type")?;
    component.version = spec.text("version", "ComponentSpec.spec.version")?;
    Ok(component)
}

pub(super) fn scopes(root: &Object<'_>) -> Result<Vec<String>, String> {
    let place = "Component.Scoped.scopes";
    root.list("scopes", (place, "[]string"))?
        .map(|scope| match scope {
            // An app without a name, so that the list is not empty and nobody is meant.
            Value::Null => Ok(String::new()),
            scope => fields::text(scope, place),
        })
        .collect()
}

fn item(pair: &Object<'_>) -> Result<Item, String> {
    let place = "NameValuePair.spec.metadata.secretKeyRef";
    let secret = pair.object("secretKeyRef", (place, "common.SecretKeyRef"))?;
    let secret = secret.map(|secret| {
        Ok::<_, String>(SecretRef {
            name: secret.text("name", "SecretKeyRef.spec.metadata.secretKeyRef.name")?,
            key: secret.text("key", "SecretKeyRef.spec.metadata.secretKeyRef.key")?,
        })
    });
    Ok(Item {
        name: pair.text("name", "NameValuePair.spec.metadata.name")?,
        value: pair.field("value").map(|value| match value {
            Value::String(text) => text.clone(),
            other => compact(other),
        }),
        secret: secret.transpose()?.filter(|secret| !secret.name.is_empty()),
        variable: pair.text("envRef", "NameValuePair.spec.metadata.envRef")?,
    })
}
