//! State stores from components: what is checked before one is opened (contract `state.md` 1.2, 1.4).

use outrider_config::resources::Component;
use outrider_state::{
    KeyPrefix, Kind, Properties,
    encrypted::{Encrypted, Key},
};

use super::load::Failure;
use crate::{
    plan::Plan,
    stores::{Loaded, Querying},
};

/// Items that ask for messages beside the writes, which nobody here would send.
const OUTBOX: [&str; 4] = [
    "outboxPublishPubsub",
    "outboxPublishTopic",
    "outboxPubsub",
    "outboxDiscardWhenMissingState",
];

/// Opens a store.
pub(super) async fn open(
    kind: Kind,
    component: &Component,
    properties: &Properties,
    plan: &Plan,
) -> Result<Loaded, Failure> {
    let namespace = plan.resources.as_ref();
    let namespace = namespace.and_then(|resources| resources.namespace.as_deref());
    let prefix = KeyPrefix::try_new(
        properties.get(&["keyPrefix"]),
        plan.app_id.as_str(),
        namespace,
        &component.name,
    );
    let prefix = prefix.map_err(|error| {
        Failure::init(format!(
            "failed to save lock keyprefix: api error: code = InvalidArgument desc = {error}"
        ))
    })?;
    let asks = |name: &&&str| component.metadata.iter().any(|item| item.name == **name);
    if let Some(name) = OUTBOX.iter().find(asks) {
        return Err(Failure::init(format!(
            "the outbox is not available in this version; remove {name} from the metadata"
        )));
    }
    let primary = key(component, properties, "primaryEncryptionKey")?;
    let secondary = key(component, properties, "secondaryEncryptionKey")?;
    let querying = match kind {
        Kind::Memory | Kind::Sqlite => Querying::Unsupported,
        Kind::Redis if primary.is_some() => Querying::Encrypted,
        Kind::Redis => Querying::NoModule,
    };
    let store = kind.open(properties).await;
    let mut store = store.map_err(|error| Failure::init(error.to_string()))?;
    if let Some(primary) = primary {
        let wrapped = Encrypted::wrap(store, primary, secondary);
        store = wrapped.map_err(|error| Failure::creation(error.to_string()))?;
    }
    Ok(Loaded {
        name: component.name.clone(),
        prefix,
        store,
        querying,
    })
}

/// A key that is asked for; one that can't be had must not mean that nothing is encrypted.
fn key(component: &Component, properties: &Properties, name: &str) -> Result<Option<Key>, Failure> {
    let mut items = component.metadata.iter().rev();
    let Some(item) = items.find(|item| item.name == name) else {
        return Ok(None);
    };
    let hex = properties.get_exact(name).unwrap_or_default();
    if hex.is_empty() {
        return Err(Failure::creation(format!(
            "failed to extract encryption key: {name} has no value; name a secret that exists in \
             the store that auth.secretStore names"
        )));
    }
    let secret = item.secret.as_ref();
    Ok(Some(Key {
        name: secret.map_or(String::new(), |secret| secret.name.clone()),
        hex: hex.to_owned(),
    }))
}
