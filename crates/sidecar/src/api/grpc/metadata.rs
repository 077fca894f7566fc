//! `GetMetadata`, `SetMetadata`, `Shutdown`: what this sidecar is, and its end (contract
//! `grpc-api.md` 3).

use http::HeaderMap;
use outrider_core::duration::GoDuration;
use outrider_wire::{
    r#gen::{google::protobuf::Empty, runtime},
    grpc::Code,
};

use super::Status;
use crate::{
    plan::{Health, Plan},
    ready::Part,
    shared::{Shared, Stop},
};

/// What this sidecar is.
pub(super) fn read(shared: &Shared) -> runtime::GetMetadataResponse {
    let plan = &shared.plan;
    let metadata = &shared.metadata;
    let app_found = shared.ready.is_up(Part::Runtime);
    let components = metadata.components();
    let components = components
        .iter()
        .map(|listed| runtime::RegisteredComponents {
            name: listed.name.clone(),
            r#type: listed.component_type.clone(),
            version: listed.version.clone(),
            capabilities: listed
                .capabilities
                .iter()
                .map(ToString::to_string)
                .collect(),
        });
    runtime::GetMetadataResponse {
        id: plan.app_id.to_string(),
        registered_components: components.collect(),
        extended_metadata: metadata.extended(plan).into_iter().collect(),
        app_connection_properties: Some(connection(plan)),
        runtime_version: plan.version.to_owned(),
        enabled_features: plan.features.clone(),
        actor_runtime: Some(actors(app_found)),
        workflows: Some(runtime::MetadataWorkflows::default()),
        ..runtime::GetMetadataResponse::default()
    }
}

fn connection(plan: &Plan) -> runtime::AppConnectionProperties {
    let app = plan.app.as_ref();
    let health = app.and_then(|app| app.health.as_ref());
    let slots = app.and_then(|app| app.max_concurrency);
    runtime::AppConnectionProperties {
        port: app.map_or(0, |app| i32::from(app.port)),
        protocol: plan.app_protocol.to_owned(),
        channel_address: plan.app_host.clone(),
        max_concurrency: slots.map_or(0, |slots| i32::try_from(slots).unwrap_or(i32::MAX)),
        health: health.map(|health| probes(plan, health)),
    }
}

fn probes(plan: &Plan, health: &Health) -> runtime::AppConnectionHealthProperties {
    let has_path = !plan.app_protocol.starts_with("grpc");
    runtime::AppConnectionHealthProperties {
        health_check_path: if has_path {
            health.path.clone()
        } else {
            String::new()
        },
        health_probe_interval: GoDuration::from(health.interval).to_string(),
        health_probe_timeout: GoDuration::from(health.timeout).to_string(),
        health_threshold: i32::try_from(health.threshold).unwrap_or(i32::MAX),
    }
}

/// There are no actors here, which clients are told as the reference tells it without placement.
fn actors(app_found: bool) -> runtime::ActorRuntime {
    use runtime::actor_runtime::ActorRuntimeStatus::{Disabled, Initializing};
    let status = if app_found { Disabled } else { Initializing };
    runtime::ActorRuntime {
        runtime_status: status.into(),
        active_actors: Vec::new(),
        host_ready: false,
        placement: if app_found {
            "placement: disconnected".to_owned()
        } else {
            String::new()
        },
    }
}

/// Sets a value; an empty key is taken and means nothing.
pub(super) fn write(shared: &Shared, q: runtime::SetMetadataRequest) -> Result<Empty, Status> {
    if q.key.is_empty() || shared.metadata.set(q.key, q.value) {
        return Ok(Empty {});
    }
    let text = "the values set so far leave no room for it";
    Err(Status::new(Code::ResourceExhausted, text))
}

/// Asks for the end; the answer is sent first.
pub(super) fn shutdown(shared: &Shared, headers: &HeaderMap) -> Empty {
    let forced = headers
        .get_all("dapr-force-shutdown")
        .iter()
        .any(|value| value.as_bytes().eq_ignore_ascii_case(b"true"));
    let stop = if forced { Stop::Forced } else { Stop::Api };
    // Nobody listening means that the end has begun already.
    let _ = shared.stop.send(stop);
    Empty {}
}
