//! Components: loaded from files before anything is served, and again whenever the files change
//! (contract `configuration.md` 5 and 10).
//!
//! All of it happens on the control thread. What lanes see of it are the state stores (`stores.rs`)
//! and the list of `/v1.0/metadata`; both change only once a component works, or works no more.
//! Only secret stores and state stores do anything here: a type of another known category is told
//! once and otherwise left alone.

mod category;
mod counted;
mod kept;
mod load;
mod reload;
mod secrets;
mod state;
mod told;
mod values;
mod watch;

use std::{collections::BTreeMap, sync::Arc};

use outrider_config::resources::{Component, Error, Reader, Resources};
use outrider_telemetry::log::scope;
use serde::Serialize;

use crate::{plan, shared::Shared};

use counted::Counted;
use kept::Kept;
use secrets::SecretStore;
use told::Told;
use watch::Watch;

/// A component as `/v1.0/metadata` lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Listed {
    /// Its name.
    pub name: String,
    /// Its type, as written.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub component_type: String,
    /// Its version, as written.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// What it can do.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub capabilities: &'static [&'static str],
}

/// The components of one sidecar.
pub(crate) struct Components {
    shared: Arc<Shared>,
    kept: Kept,
    secrets: BTreeMap<String, SecretStore>,
    /// Components that wait for a secret store, with its name.
    parked: Vec<(String, Component)>,
    counted: Counted,
    told: Told,
    watch: Option<Watch>,
}

impl Components {
    /// None loaded yet; the folders are watched from now on, if they are to be.
    ///
    /// # Errors
    /// A folder that is not there, in the words of the fatal line.
    pub(crate) fn try_new(shared: &Arc<Shared>) -> Result<Self, String> {
        let watch = match &shared.plan.resources {
            Some(resources) if resources.hot_reload => Some(Watch::try_new(&resources.folders)?),
            _ => None,
        };
        Ok(Self {
            counted: Counted::new(shared),
            kept: Kept::default(),
            secrets: BTreeMap::new(),
            parked: Vec::new(),
            told: Told::default(),
            watch,
            shared: Arc::clone(shared),
        })
    }

    /// Loads everything for the first time.
    ///
    /// # Errors
    /// Files that can't be loaded, or a component that can't start, in the words of the fatal line.
    pub(crate) async fn load(&mut self) -> Result<(), String> {
        if self.shared.plan.resources.is_none() {
            return Ok(());
        }
        tracing::info!(target: scope::RUNTIME, "Loading components…");
        let found = self.read();
        let found = found.map_err(|error| format!("failed to load components: {error}"))?;
        self.apply(found).await?;
        tracing::info!(target: scope::RUNTIME, "All outstanding components processed");
        Ok(())
    }

    /// What to say about components that are still waiting; nothing if none is.
    pub(crate) fn waiting(&self) -> Option<String> {
        let name = |(store, component): &(String, Component)| {
            format!("{} waits for {store}", component.log_name())
        };
        let waiting: Vec<_> = self.parked.iter().map(name).collect();
        (!waiting.is_empty()).then(|| {
            format!(
                "components that wait for a secret store that is not loaded can't be used: {}",
                waiting.join(", ")
            )
        })
    }

    /// What the files hold now. What can't be used of it is told, once for as long as it is so.
    fn read(&mut self) -> Result<Resources, Error> {
        let Some(options) = &self.shared.plan.resources else {
            return Ok(Resources::default());
        };
        let reader = Reader {
            app_id: self.shared.plan.app_id.as_str(),
            namespace: options.namespace.as_deref(),
        };
        let found = reader.load(&options.folders)?;
        self.told.begin();
        for warning in &found.warnings {
            if self.told.is_new(warning) {
                tracing::warn!(target: scope::RUNTIME_LOADER_DISK, "{warning}");
            }
        }
        for (kind, names) in &found.unserved {
            let text = no_effect(kind, names);
            if self.told.is_new(&text) {
                tracing::warn!(target: scope::RUNTIME, "{text}");
            }
        }
        Ok(found)
    }

    /// What the plan says about resources. There are components only if it says something.
    fn options(&self) -> Option<&plan::Resources> {
        self.shared.plan.resources.as_ref()
    }

    /// Tells the readers of `/v1.0/metadata`. Last of all: what is listed works already.
    fn publish(&self) {
        self.shared.metadata.list_components(self.kept.listed());
    }
}

fn no_effect(kind: &str, names: &[String]) -> String {
    let names = names.join(", ");
    match kind {
        "Configuration" => format!(
            "resources of kind Configuration have no effect in --resources-path; name their file \
             with --config: {names}"
        ),
        _ => format!("resources of kind {kind} have no effect in this version: {names}"),
    }
}
