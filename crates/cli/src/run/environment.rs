//! Variables for the app and for its sidecar (contract `cli.md` 4.4), each set once.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
};

use super::{
    arguments::protocol,
    plan::{Member, Origin},
    ports::Ports,
};

/// The variables we were started with.
pub(super) type Variables = BTreeMap<OsString, OsString>;

/// Everything the app gets.
pub(super) fn of_app(inherited: &Variables, member: &Member, ports: &Ports) -> Variables {
    let sidecar = &member.sidecar;
    let mut all = inherited.clone();
    let mut set = |name: &str, value: String| all.insert(name.into(), value.into());
    set("APP_ID", member.app_id.clone());
    set("APP_CHANNEL_ADDRESS", sidecar.app_channel_address.clone());
    if let Some(port) = sidecar.app_port {
        set("APP_PORT", port.to_string());
    }
    set("DAPR_HTTP_PORT", ports.http.to_string());
    set("DAPR_GRPC_PORT", ports.grpc.to_string());
    set("DAPR_METRICS_PORT", ports.metrics.to_string());
    if let Some(protocol) = protocol(sidecar) {
        set("APP_PROTOCOL", protocol.to_owned());
    }
    // Python keeps 8 KiB back when it does not write to a terminal, and now it writes to us.
    let unbuffered = OsStr::new("PYTHONUNBUFFERED");
    all.entry(unbuffered.into()).or_insert_with(|| "1".into());
    for (name, value) in &member.variables {
        all.insert(name.into(), value.into());
    }
    all
}

/// What the sidecar gets beyond what it inherits.
pub(super) fn of_sidecar(
    inherited: &Variables,
    origin: &Origin,
) -> Option<(&'static str, &'static str)> {
    let is_set = inherited
        .get(OsStr::new(HOST_IP))
        .is_some_and(|value| !value.is_empty());
    match origin {
        Origin::Template { .. } if !is_set => Some((HOST_IP, "127.0.0.1")),
        Origin::Template { .. } | Origin::Flags => None,
    }
}

const HOST_IP: &str = "DAPR_HOST_IP";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tests::member;

    const PORTS: Ports = Ports {
        http: 1,
        grpc: 2,
        internal: 3,
        metrics: 4,
        profile: None,
    };

    fn text<'a>(all: &'a Variables, name: &str) -> Option<&'a str> {
        all.get(OsStr::new(name))?.to_str()
    }

    #[test]
    fn stale_values_of_an_outer_run_are_replaced_and_the_template_has_the_last_word() {
        let inherited = [("DAPR_HTTP_PORT", "9"), ("APP_ID", "outer"), ("HOME", "/h")];
        let inherited = inherited
            .map(|(name, value)| (name.into(), value.into()))
            .into();
        let mut cart = member("cart");
        cart.sidecar.app_port = Some(5000);
        cart.sidecar.app_ssl = true;
        cart.variables.insert("DAPR_GRPC_PORT".into(), "77".into());
        let all = of_app(&inherited, &cart, &PORTS);
        for (name, value) in [
            ("DAPR_HTTP_PORT", "1"),
            ("DAPR_GRPC_PORT", "77"),
            ("DAPR_METRICS_PORT", "4"),
            ("APP_ID", "cart"),
            ("APP_PORT", "5000"),
            ("APP_PROTOCOL", "https"),
            ("APP_CHANNEL_ADDRESS", ""),
            ("HOME", "/h"),
            ("PYTHONUNBUFFERED", "1"),
        ] {
            assert_eq!(text(&all, name), Some(value), "{name}");
        }
    }

    #[test]
    fn no_port_and_no_such_protocol_set_nothing() {
        let mut cart = member("cart");
        cart.sidecar.app_protocol = "gopher".into();
        let all = of_app(&Variables::new(), &cart, &PORTS);
        assert_eq!(text(&all, "APP_PORT"), None);
        assert_eq!(text(&all, "APP_PROTOCOL"), None);
    }

    #[test]
    fn sidecars_of_a_template_know_each_other_by_loopback() {
        let template = Origin::Template {
            path: None,
            name: String::new(),
        };
        let none = Variables::new();
        assert!(of_sidecar(&none, &template).is_some());
        assert!(of_sidecar(&none, &Origin::Flags).is_none());
        let set = [(HOST_IP.into(), "10.0.0.1".into())].into();
        assert!(of_sidecar(&set, &template).is_none());
    }
}
