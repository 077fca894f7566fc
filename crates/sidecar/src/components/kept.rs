//! The components that work, in the order in which they came to do so.

use std::sync::Arc;

use outrider_config::resources::Component;

use super::Listed;

/// Components with what is listed of them.
#[derive(Debug, Default)]
pub(super) struct Kept {
    items: Vec<(Component, Listed)>,
}

impl Kept {
    /// Adds one whose name is free.
    pub(super) fn add(&mut self, component: Component, capabilities: &'static [&'static str]) {
        let listed = Listed {
            name: component.name.clone(),
            component_type: component.component_type.clone(),
            version: component.version.clone(),
            capabilities,
        };
        self.items.push((component, listed));
    }

    /// The one of that name, its references followed.
    pub(super) fn find(&self, name: &str) -> Option<&Component> {
        let mut components = self.items.iter().map(|(component, _)| component);
        components.find(|component| component.name == name)
    }

    /// Takes the one of that name out.
    pub(super) fn remove(&mut self, name: &str) -> Option<Component> {
        let at = self.items.iter().position(|(c, _)| c.name == name)?;
        Some(self.items.remove(at).0)
    }

    /// The names of those that do not satisfy `stays`.
    pub(super) fn others(&self, stays: impl Fn(&str) -> bool) -> Vec<String> {
        let names = self.items.iter().map(|(component, _)| &component.name);
        names.filter(|name| !stays(name)).cloned().collect()
    }

    /// The list for `/v1.0/metadata`.
    pub(super) fn listed(&self) -> Arc<[Listed]> {
        self.items
            .iter()
            .map(|(_, listed)| listed.clone())
            .collect()
    }
}
