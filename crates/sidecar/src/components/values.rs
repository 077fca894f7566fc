//! The values of a component: references to secrets and variables followed, templates filled
//! (contract `configuration.md` 5.2, 5.3).

use std::{borrow::Cow, collections::BTreeMap};

use outrider_config::{
    env::{DAPR_ENV_KEYS, Env},
    resources::{Component, Item, unquote},
};
use outrider_state::Properties;
use outrider_telemetry::log::scope;

use super::{
    secrets::{SecretStore, is_forbidden},
    told::Told,
};

/// Where values come from.
pub(super) struct Sources<'a> {
    /// Loaded secret stores.
    pub stores: &'a BTreeMap<String, SecretStore>,
    /// The environment.
    pub env: &'a Env,
    /// What was said before.
    pub told: &'a mut Told,
}

impl Sources<'_> {
    /// Follows all references. What can't be had is told and leaves the value as it is; a store that
    /// is named and not loaded is given back, because the component waits for it.
    pub(super) fn resolve(&mut self, component: &mut Component) -> Option<String> {
        let mut missing = None;
        let name = component.name.clone();
        for item in &mut component.metadata {
            if item.value.is_none() && !item.variable.is_empty() {
                self.take_variable(&name, item);
            } else if let Some(secret) = &item.secret {
                let Some(store) = self.stores.get(&component.secret_store) else {
                    missing = Some(component.secret_store.clone());
                    continue;
                };
                if store.hides(&secret.name) {
                    let text = format!("Access to env var {} is forbidden", secret.name);
                    if self.told.is_new(&format!("{name}: {text}")) {
                        tracing::warn!(target: scope::CONTRIB, "{text}");
                    }
                }
                match store.get(&secret.name) {
                    Ok(values) => {
                        let key = Some(&secret.key).filter(|key| !key.is_empty());
                        let value = values.get(key.unwrap_or(&secret.name));
                        if let Some(value) = value.filter(|value| !value.is_empty()) {
                            item.value = Some(unquote(value).into_owned());
                        }
                    }
                    Err(refusal) => {
                        let text = format!("Error getting secret: {refusal}");
                        if self.told.is_new(&format!("{name}: {text}")) {
                            tracing::error!(target: scope::RUNTIME_PROCESSOR_SECRET, "{text}");
                        }
                    }
                }
            }
        }
        let missing = missing?;
        self.warn(&format!(
            "Component {name} references a secret store that isn't loaded: {missing}"
        ));
        (!missing.is_empty()).then_some(missing)
    }

    fn take_variable(&mut self, component: &str, item: &mut Item) {
        if may_be_seen(&item.variable, self.env) {
            let value = self.env.variable(&item.variable).unwrap_or_default();
            item.value = Some(unquote(value).into_owned());
        } else {
            self.warn(&format!(
                "Component {component} references an env variable that isn't allowed: {}",
                item.variable
            ));
        }
    }

    fn warn(&mut self, text: &str) {
        if self.told.is_new(text) {
            tracing::warn!(target: scope::RUNTIME_PROCESSOR_SECRET, "{text}");
        }
    }
}

/// Whether a component may have the variable. `DAPR_ENV_KEYS` is compared word by word.
fn may_be_seen(variable: &str, env: &Env) -> bool {
    let name = variable.to_uppercase();
    if name.is_empty() || name.contains(' ') || is_forbidden(&name) {
        return false;
    }
    env.filled(DAPR_ENV_KEYS)
        .is_none_or(|keys| keys.split(' ').any(|key| key == name))
}

/// What becomes of names that differ in case only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Twins {
    /// The component does not start.
    Refused,
    /// The first of them counts, where the reference picks one by chance, mostly the first.
    FirstCounts,
}

/// What templates stand for.
pub(super) struct Templates<'a> {
    /// `{podName}`; none if there is no pod.
    pub pod_name: Option<&'a str>,
    /// First part of `{namespace}`.
    pub namespace: &'a str,
    /// `{appID}`, and the second part of `{namespace}`.
    pub app_id: &'a str,
}

impl Templates<'_> {
    /// Names and values with templates filled. Names that differ in case only are an error, or
    /// the first of them counts.
    pub(super) fn properties(
        &self,
        component: &Component,
        twins: Twins,
    ) -> Result<Properties, String> {
        let mut filled: Vec<(String, String)> = Vec::with_capacity(component.metadata.len());
        for item in &component.metadata {
            let is_twin = |(name, _): &(String, String)| {
                *name != item.name && name.eq_ignore_ascii_case(&item.name)
            };
            if twins == Twins::FirstCounts && filled.iter().any(is_twin) {
                continue;
            }
            let value = item.value.as_deref().unwrap_or_default();
            filled.push((
                item.name.clone(),
                self.fill(&item.name, value)?.into_owned(),
            ));
        }
        Properties::try_new(filled).map_err(|error| error.to_string())
    }

    fn fill<'v>(&self, name: &str, value: &'v str) -> Result<Cow<'v, str>, String> {
        if !value.contains('{') {
            return Ok(Cow::Borrowed(value));
        }
        let mut parts = value.split("{uuid}");
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            text.push_str(&uuid::Uuid::new_v4().to_string());
            text.push_str(part);
        }
        if text.contains("{podName}") {
            let Some(pod_name) = self.pod_name else {
                return Err(format!(
                    "failed to parse metadata: property {name} refers to {{podName}} but podName \
                     is not set"
                ));
            };
            text = text.replace("{podName}", pod_name);
        }
        let namespace = format!("{}.{}", self.namespace, self.app_id);
        let text = text.replace("{namespace}", &namespace);
        Ok(Cow::Owned(text.replace("{appID}", self.app_id)))
    }
}

#[cfg(test)]
mod tests {
    use outrider_config::resources::SecretRef;

    use super::*;

    fn env(variables: &[(&str, &str)]) -> Env {
        let variables = variables.iter();
        Env::new(variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    fn component(store: &str, items: Vec<Item>) -> Component {
        Component {
            name: "c".into(),
            secret_store: store.into(),
            metadata: items,
            ..Component::default()
        }
    }

    fn secret(value: Option<&str>, name: &str, key: &str) -> Item {
        Item {
            value: value.map(str::to_owned),
            secret: Some(SecretRef {
                name: name.into(),
                key: key.into(),
            }),
            ..Item::default()
        }
    }

    fn variable(value: Option<&str>, variable: &str) -> Item {
        Item {
            value: value.map(str::to_owned),
            variable: variable.into(),
            ..Item::default()
        }
    }

    /// The values after all references are followed, and the store that is waited for.
    fn resolved(env: &Env, mut component: Component) -> (Vec<Option<String>>, Option<String>) {
        let store = SecretStore::environment(&Properties::default(), env);
        let stores = BTreeMap::from([("env".to_owned(), store)]);
        let mut told = Told::default();
        let mut sources = Sources {
            stores: &stores,
            env,
            told: &mut told,
        };
        let missing = sources.resolve(&mut component);
        let values = component.metadata.into_iter().map(|item| item.value);
        (values.collect(), missing)
    }

    #[test]
    fn secrets_override_values_unless_they_are_empty() {
        let env = env(&[("A", "x"), ("Q", "\"q\""), ("E", "")]);
        let items = vec![
            secret(Some("old"), "A", ""),
            secret(None, "Q", "Q"),
            secret(Some("old"), "E", ""),
            secret(Some("old"), "A", "other"),
        ];
        let (values, missing) = resolved(&env, component("env", items));
        let expected = ["x", "q", "old", "old"].map(|text| Some(text.to_owned()));
        assert_eq!((values, missing), (expected.to_vec(), None));
    }

    #[test]
    fn a_store_that_is_not_loaded_is_waited_for_if_it_has_a_name() {
        let env = env(&[]);
        let items = || vec![secret(Some("old"), "A", "")];
        let (values, missing) = resolved(&env, component("none", items()));
        assert_eq!(values, [Some("old".to_owned())]);
        assert_eq!(missing.as_deref(), Some("none"));
        assert_eq!(resolved(&env, component("", items())).1, None);
        assert_eq!(resolved(&env, component("none", Vec::new())).1, None);
    }

    #[test]
    fn variables_fill_what_has_no_value_if_they_may_be_seen() {
        let env = env(&[("FOO", "x"), ("DAPR_X", "y")]);
        let items = vec![
            variable(None, "FOO"),
            variable(Some("old"), "FOO"),
            variable(None, "UNSET"),
            variable(None, "dapr_x"),
            variable(None, "app_api_token"),
        ];
        let (values, _) = resolved(&env, component("", items));
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(values, [text("x"), text("old"), text(""), None, None]);
    }

    #[test]
    fn a_list_of_variables_allows_only_its_words() {
        let env = env(&[("DAPR_ENV_KEYS", "FOOBAR FOO")]);
        for (name, seen) in [
            ("FOO", true),
            ("foobar", true),
            ("BAR", false),
            ("FOOB", false),
        ] {
            assert_eq!(may_be_seen(name, &env), seen, "{name}");
        }
    }

    #[test]
    fn of_names_that_differ_in_case_only_the_first_may_count() {
        let templates = Templates {
            pod_name: None,
            namespace: "ns",
            app_id: "me",
        };
        let item = |name: &str, value: &str| Item {
            name: name.into(),
            value: Some(value.into()),
            ..Item::default()
        };
        let items = vec![
            item("keyPrefix", "a"),
            item("KEYPREFIX", "b"),
            item("keyPrefix", "c"),
        ];
        let component = component("", items);
        let found = templates.properties(&component, Twins::FirstCounts);
        assert_eq!(found.unwrap().get(&["keyPrefix"]), Some("c"));
        let refused = templates
            .properties(&component, Twins::Refused)
            .unwrap_err();
        assert_eq!(refused, "key KEYPREFIX is duplicate in the metadata");
    }

    #[test]
    fn templates_are_filled_in_values() {
        let templates = Templates {
            pod_name: None,
            namespace: "ns",
            app_id: "me",
        };
        let fill = |value| templates.fill("n", value).map(Cow::into_owned);
        assert_eq!(fill("{appID}-{namespace}-{x}").unwrap(), "me-ns.me-{x}");
        let uuids = fill("{uuid}/{uuid}").unwrap();
        let (one, other) = uuids.split_once('/').unwrap();
        assert!(
            one.len() == 36 && other.len() == 36 && one != other,
            "{uuids}"
        );
        assert_eq!(
            fill("a{podName}").unwrap_err(),
            "failed to parse metadata: property n refers to {podName} but podName is not set"
        );
        let templates = Templates {
            pod_name: Some("pod-0"),
            ..templates
        };
        assert_eq!(templates.fill("n", "a{podName}").unwrap(), "apod-0");
    }
}
