//! Which parts of the sidecar are up, as the health routes tell it (contract `http-api.md` 11).

use std::sync::atomic::{AtomicU32, Ordering};

/// A part that must be up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The metrics page.
    Metrics,
    /// The gRPC API.
    GrpcApi,
    /// The internal port.
    GrpcInternal,
    /// The whole start, the app's port included.
    Runtime,
    /// The identity. It is the first to go, as soon as the end has begun.
    Security,
    /// Outbound calls work; not part of `/v1.0/healthz`.
    Outbound,
}

const NAMES: [(Part, &str); 5] = [
    (Part::Runtime, "runtime"),
    (Part::GrpcApi, "grpc-api-server"),
    (Part::GrpcInternal, "grpc-internal-server"),
    (Part::Metrics, "metrics-exporter"),
    (Part::Security, "security-provider"),
];

/// The parts that are up.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    up: AtomicU32,
}

impl Ready {
    /// Notes that a part is up.
    pub(crate) fn set(&self, part: Part) {
        self.up.fetch_or(bit(part), Ordering::Relaxed);
    }

    /// Notes that a part is down again.
    pub(crate) fn unset(&self, part: Part) {
        self.up.fetch_and(!bit(part), Ordering::Relaxed);
    }

    /// True if the part is up.
    pub(crate) fn is_up(&self, part: Part) -> bool {
        self.up.load(Ordering::Relaxed) & bit(part) != 0
    }

    /// The names of the parts that are not up, for the message; empty if all are.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let missing = NAMES.iter().filter(|(part, _)| !self.is_up(*part));
        missing.map(|(_, name)| *name).collect()
    }
}

fn bit(part: Part) -> u32 {
    1 << part as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_parts_are_named() {
        let ready = Ready::default();
        ready.set(Part::Metrics);
        ready.set(Part::Security);
        ready.set(Part::GrpcApi);
        assert_eq!(ready.missing(), ["runtime", "grpc-internal-server"]);
        ready.set(Part::Runtime);
        ready.set(Part::GrpcInternal);
        assert!(ready.missing().is_empty());
        ready.unset(Part::GrpcApi);
        assert_eq!(ready.missing(), ["grpc-api-server"]);
        assert!(!ready.is_up(Part::Outbound));
    }
}
