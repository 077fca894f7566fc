//! From a resource to a component that works, one at a time (contract `configuration.md` 5.3, 5.4).

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use outrider_config::resources::{Component, Resources};
use outrider_core::duration::GoDuration;
use outrider_telemetry::log::scope;

use super::{
    Components,
    category::{Category, Secrets, is_secret_store},
    secrets::SecretStore,
    state,
    values::{Sources, Templates, Twins},
};

/// How long a component may take to start unless it says so itself.
const TIMEOUT: Duration = Duration::from_secs(5);

type Capabilities = &'static [&'static str];

/// Why a component does not work.
#[derive(Debug)]
pub(super) struct Failure {
    tag: &'static str,
    reason: &'static str,
    cause: String,
}

impl Failure {
    /// There is no such thing, or its description makes no sense.
    pub(super) fn creation(cause: impl Into<String>) -> Self {
        Self {
            tag: "CREATE_COMPONENT_FAILURE",
            reason: "creation",
            cause: cause.into(),
        }
    }

    /// It does not start.
    pub(super) fn init(cause: impl Into<String>) -> Self {
        Self {
            tag: INIT,
            reason: "init",
            cause: cause.into(),
        }
    }
}

const INIT: &str = "INIT_COMPONENT_FAILURE";

fn tagged(tag: &str, log_name: &str, cause: &str) -> String {
    format!("[{tag}]: initialization error occurred for {log_name}: {cause}")
}

impl Components {
    /// Makes what runs equal to what was found: what is gone ends, what is new or changed starts,
    /// secret stores before all others.
    ///
    /// # Errors
    /// The first component that does not start and is not said to be dispensable.
    pub(super) async fn apply(&mut self, found: Resources) -> Result<(), String> {
        let wanted = |name: &str| found.components.iter().any(|c| c.name == name);
        for name in self.kept.others(wanted) {
            self.close(&name, "Received Component deletion, closing");
        }
        self.parked.retain(|(_, component)| wanted(&component.name));
        let (first, rest): (Vec<_>, Vec<_>) = found
            .components
            .into_iter()
            .partition(|component| is_secret_store(&component.component_type));
        for component in first.into_iter().chain(rest) {
            self.update(component).await?;
        }
        Ok(())
    }

    /// Starts a component, or puts it into the place of the one of that name if they differ.
    async fn update(&mut self, component: Component) -> Result<(), String> {
        let name = component.name.clone();
        let reloads = self.kept.find(&name).is_some();
        if reloads {
            let mut resolved = component.clone();
            let missing = self.resolve(&mut resolved);
            if missing.is_none() && self.kept.find(&name) == Some(&resolved) {
                return Ok(());
            }
            self.close(&name, "Closing existing Component to reload");
        }
        self.parked.retain(|(_, parked)| parked.name != name);
        if self.is_allowed(&component) {
            self.process(component).await?;
        }
        Ok(())
    }

    fn close(&mut self, name: &str, why: &str) {
        let Some(component) = self.kept.remove(name) else {
            return;
        };
        tracing::info!(
            target: scope::RUNTIME_HOTRELOAD_RECONCILER, "{why}: {}", component.log_name()
        );
        self.secrets.remove(name);
        self.shared.stores.remove(name);
        self.publish();
    }

    /// Starts a component, and what has waited for it.
    async fn process(&mut self, component: Component) -> Result<(), String> {
        let mut queue = VecDeque::from([component]);
        while let Some(mut component) = queue.pop_front() {
            let log_name = component.log_name();
            tracing::debug!(target: scope::RUNTIME_PROCESSOR, "Loading component: {log_name}");
            if let Some(store) = self.resolve(&mut component) {
                self.parked.push((store, component));
                continue;
            }
            match self.start(&component).await {
                Ok(Some(capabilities)) => {
                    self.counted.loaded(&component.component_type);
                    let name = component.name.clone();
                    self.kept.add(component, capabilities);
                    self.publish();
                    tracing::info!(
                        target: scope::RUNTIME_PROCESSOR, "Component loaded: {log_name}"
                    );
                    queue.extend(self.unpark(&name));
                }
                Ok(None) => {}
                Err(why) => fail(&component, &why)?,
            }
        }
        Ok(())
    }

    fn resolve(&mut self, component: &mut Component) -> Option<String> {
        let env = &self.shared.plan.resources.as_ref()?.env;
        let mut sources = Sources {
            stores: &self.secrets,
            env,
            told: &mut self.told,
        };
        sources.resolve(component)
    }

    /// What waits for that secret store, if it is one.
    fn unpark(&mut self, name: &str) -> Vec<Component> {
        if !self.secrets.contains_key(name) {
            return Vec::new();
        }
        let mut free = Vec::new();
        for (store, component) in std::mem::take(&mut self.parked) {
            if store == name {
                free.push(component);
            } else {
                self.parked.push((store, component));
            }
        }
        free
    }

    /// What the component can do, once it works; none if we do not have such a thing.
    async fn start(&mut self, component: &Component) -> Result<Option<Capabilities>, String> {
        let component_type = &component.component_type;
        let Some(category) = Category::of(component_type, &component.version) else {
            return Err(format!("incorrect type {component_type}"));
        };
        if category == Category::Unserved {
            self.tell_unserved(component);
            return Ok(None);
        }
        let log_name = component.log_name();
        match self.start_in_time(category, component).await {
            Ok(capabilities) => Ok(Some(capabilities)),
            Err(why) => {
                tracing::error!(
                    target: scope::RUNTIME_PROCESSOR, "Failed to init component {log_name}: {why}"
                );
                self.counted.failed(component_type, &component.name, "init");
                Err(tagged(INIT, &log_name, &why))
            }
        }
    }

    fn tell_unserved(&mut self, component: &Component) {
        let text = format!(
            "component {} is not loaded: components of this type are not available in this version",
            component.log_name()
        );
        if self.told.is_new(&text) {
            tracing::warn!(target: scope::RUNTIME_PROCESSOR, "{text}");
        }
    }

    /// Starts it within its time.
    async fn start_in_time(
        &mut self,
        category: Category,
        component: &Component,
    ) -> Result<Capabilities, String> {
        let log_name = component.log_name();
        let limit = time_limit(&component.init_timeout);
        let too_late = format!("init timeout for component {log_name}");
        if limit.is_zero() {
            return Err(too_late);
        }
        let begun = Instant::now();
        let failure = match tokio::time::timeout(limit, self.open(category, component)).await {
            Ok(Ok(capabilities)) => return Ok(capabilities),
            Ok(Err(failure)) => failure,
            Err(_) => Failure::init("context deadline exceeded"),
        };
        let (name, component_type) = (&component.name, &component.component_type);
        self.counted.failed(component_type, name, failure.reason);
        let mut why = tagged(failure.tag, &log_name, &failure.cause);
        if begun.elapsed() >= limit {
            why = format!("{why}\n{too_late}");
        }
        Err(why)
    }

    async fn open(
        &mut self,
        category: Category,
        component: &Component,
    ) -> Result<Capabilities, Failure> {
        let plan = &self.shared.plan;
        let Some(options) = &plan.resources else {
            return Err(Failure::init("no resources"));
        };
        if let Category::NoSuchVersion(what) = category {
            let (component_type, version) = (&component.component_type, &component.version);
            return Err(Failure::creation(format!(
                "couldn't find {what} {component_type}/{version}"
            )));
        }
        let templates = Templates {
            pod_name: options.env.filled(outrider_config::env::POD_NAME),
            namespace: plan.namespace.as_str(),
            app_id: plan.app_id.as_str(),
        };
        let twins = match category {
            Category::State(outrider_state::Kind::Memory) => Twins::FirstCounts,
            _ => Twins::Refused,
        };
        let properties = templates.properties(component, twins);
        let properties = properties.map_err(Failure::init)?;
        match category {
            Category::State(kind) => {
                let loaded = state::open(kind, component, &properties, plan).await?;
                let capabilities = loaded.store.capabilities();
                self.shared.stores.insert(loaded);
                Ok(capabilities)
            }
            Category::Secrets(kind) => {
                let store = match kind {
                    Secrets::File => {
                        let store = SecretStore::file(&properties).await;
                        store.map_err(Failure::init)?
                    }
                    Secrets::Environment => SecretStore::environment(&properties, &options.env),
                };
                let capabilities = store.capabilities();
                self.secrets.insert(component.name.clone(), store);
                Ok(capabilities)
            }
            Category::Unserved | Category::NoSuchVersion(_) => Ok(&[]),
        }
    }

    /// Whether `spec.components.deny` of the Configuration lets it in.
    fn is_allowed(&mut self, component: &Component) -> bool {
        let deny = self.options().map_or(&[][..], |options| &options.deny);
        let Some(why) = denied(deny, component) else {
            return true;
        };
        let text = format!(
            "component '{}' cannot be loaded because {why}",
            component.name
        );
        if self.told.is_new(&text) {
            tracing::warn!(target: scope::RUNTIME_AUTHORIZER, "{text}");
        }
        false
    }
}

fn fail(component: &Component, why: &str) -> Result<(), String> {
    let text = format!("process component {} error: {why}", component.name);
    if component.ignore_errors {
        tracing::error!(
            target: scope::RUNTIME_PROCESSOR, "Ignoring error processing component: {text}"
        );
        return Ok(());
    }
    tracing::warn!(
        target: scope::RUNTIME_PROCESSOR,
        "Error processing component, daprd will exit gracefully: {text}"
    );
    Err(text)
}

/// Zero for one that can't be kept.
fn time_limit(text: &str) -> Duration {
    match text.parse::<GoDuration>() {
        Ok(limit) => limit.to_std_or_zero(),
        Err(_) => TIMEOUT,
    }
}

/// Why a component may not be loaded; entries are `type` or `type/version`.
fn denied(deny: &[String], component: &Component) -> Option<String> {
    let mut rules = deny
        .iter()
        .map(|entry| entry.split_once('/').unwrap_or((entry, "")))
        .filter(|(component_type, version)| !component_type.is_empty() && !version.contains('/'))
        .peekable();
    rules.peek()?;
    if component.component_type.is_empty() || component.version.is_empty() {
        return Some(
            "it has no type or no version, and spec.components.deny can't be applied to it"
                .to_owned(),
        );
    }
    let matches = |(component_type, version): (&str, &str)| {
        component_type == component.component_type
            && (version.is_empty() || version == component.version)
    };
    rules.any(matches).then(|| {
        let log_name = component.log_name();
        format!("components of type '{log_name}' are not allowed")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_limit_that_is_none_is_five_seconds() {
        for (text, limit) in [
            ("", TIMEOUT),
            ("abc", TIMEOUT),
            ("10s", Duration::from_secs(10)),
            ("0s", Duration::ZERO),
            ("-3s", Duration::ZERO),
        ] {
            assert_eq!(time_limit(text), limit, "{text}");
        }
    }

    #[test]
    fn denied_types_are_exact() {
        let deny = |entries: &[&str], component_type: &str, version: &str| {
            let entries: Vec<_> = entries.iter().map(|entry| (*entry).to_owned()).collect();
            let component = Component {
                name: "c".into(),
                component_type: component_type.into(),
                version: version.into(),
                ..Component::default()
            };
            denied(&entries, &component).is_some()
        };
        assert!(deny(&["state.redis"], "state.redis", "v1"));
        assert!(deny(&["a", "state.redis/v1"], "state.redis", "v1"));
        assert!(!deny(&["state.redis/v2"], "state.redis", "v1"));
        assert!(!deny(&["State.redis"], "state.redis", "v1"));
        assert!(!deny(&["state.redis/v1/x"], "state.redis", "v1"));
        assert!(!deny(&["", "a/b/c"], "state.redis", ""));
        assert!(deny(&["other"], "state.redis", ""));
        assert!(!deny(&[], "state.redis", ""));
    }
}
