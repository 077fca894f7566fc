//! Ports that stand in a template twice, each told with both lines.

use std::collections::HashMap;

use super::{
    Faults,
    schema::{App, At},
};
use crate::run::plan::Member;

/// A port and who wants it.
struct Claim<'a> {
    key: &'static str,
    owner: &'a str,
    line: usize,
    port: u16,
    /// Where an app listens, and whether it is started here: two sidecars may look after one app.
    app: Option<(&'a str, bool)>,
}

pub(super) fn check(apps: &[App], members: &[Member], faults: &mut Faults) {
    let mut known: HashMap<u16, Vec<Claim<'_>>> = HashMap::new();
    for (app, member) in apps.iter().zip(members) {
        for claim in claims(app, member) {
            let others = known.entry(claim.port).or_default();
            if let Some(other) = others.iter().find(|other| clash(other, &claim)) {
                let text = format!(
                    "{} {} of {} is in line {} the {} of {}; choose another one",
                    claim.key, claim.port, claim.owner, other.line, other.key, other.owner
                );
                faults.add(claim.line, text);
            }
            others.push(claim);
        }
    }
}

fn claims<'a>(app: &'a App, member: &'a Member) -> Vec<Claim<'a>> {
    let (own, sidecar) = (&app.own, &member.sidecar);
    // Sockets stand in for the ports of the APIs.
    let apis = sidecar.unix_domain_socket.is_empty();
    let profile = sidecar.profile_port.filter(|_| sidecar.enable_profiling);
    let claim = |key, at: &Option<At<i64>>, port: Option<u16>, app| {
        Some(Claim {
            key,
            owner: &member.name,
            line: at.as_ref()?.line,
            port: port?,
            app,
        })
    };
    let address = match sidecar.app_channel_address.as_str() {
        "" | "localhost" => "127.0.0.1",
        address => address,
    };
    let app = Some((address, !member.command.is_empty()));
    let http = sidecar.http_port.filter(|_| apis);
    let grpc = sidecar.grpc_port.filter(|_| apis);
    let internal = sidecar.internal_port;
    let all = [
        claim("appPort", &own.app_port, sidecar.app_port, app),
        claim("daprHTTPPort", &own.http_port, http, None),
        claim("daprGRPCPort", &own.grpc_port, grpc, None),
        claim("daprInternalGRPCPort", &own.internal_port, internal, None),
        claim("metricsPort", &own.metrics_port, sidecar.metrics_port, None),
        claim("profilePort", &own.profile_port, profile, None),
    ];
    all.into_iter().flatten().collect()
}

fn clash(one: &Claim<'_>, other: &Claim<'_>) -> bool {
    match (one.app, other.app) {
        (None, None) => true,
        (Some((address, _)), None) | (None, Some((address, _))) => address == "127.0.0.1",
        (Some((here, runs)), Some((there, also))) => here == there && runs && also,
    }
}
