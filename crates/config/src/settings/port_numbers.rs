//! Ports as the flags spell them: numbers first, conflicts next, ranges last (contract,
//! configuration 1.3 steps 5 and 6).

use super::{InternalPort, Listen, RuntimeFault};
use crate::go_text;
use crate::sidecar_flags::RawFlags;

/// The ports as numbers, before anyone asks whether a port can have them.
pub(super) struct PortNumbers {
    http: i64,
    grpc: i64,
    profile: i64,
    internal: Option<i64>,
    public: Option<i64>,
    app: Option<i64>,
}

impl PortNumbers {
    /// Reads all of them in the pinned order.
    pub(super) fn read(raw: &RawFlags) -> Result<Self, RuntimeFault> {
        let optional = |what, text: &str| match text {
            "" => Ok(None),
            _ => port_number(what, text).map(Some),
        };
        Ok(Self {
            http: port_number("error parsing dapr-http-port flag", &raw.dapr_http_port)?,
            grpc: port_number("error parsing dapr-grpc-port flag", &raw.dapr_grpc_port)?,
            profile: port_number("error parsing profile-port flag", &raw.profile_port)?,
            internal: optional(
                "error parsing dapr-internal-grpc-port",
                &raw.dapr_internal_grpc_port,
            )?,
            public: optional("error parsing dapr-public-port", &raw.dapr_public_port)?,
            app: optional("error parsing app-port", &raw.app_port)?,
        })
    }

    /// An app port that is not given counts as 0 here (contract, configuration 1.3 step 6).
    pub(super) fn refuse_conflicts(&self) -> Result<(), RuntimeFault> {
        let app = self.app.unwrap_or(0);
        for (flag, port) in [("dapr-http-port", self.http), ("dapr-grpc-port", self.grpc)] {
            if port == app {
                return Err(RuntimeFault::PortConflict { flag, port });
            }
        }
        Ok(())
    }

    /// What to listen on. Ranges are checked only here: the reference does not check them at all.
    pub(super) fn listen(&self, raw: &RawFlags, stable: u16) -> Result<Listen, RuntimeFault> {
        let filled = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Ok(Listen {
            http_port: in_range("dapr-http-port", self.http)?,
            grpc_port: in_range("dapr-grpc-port", self.grpc)?,
            addresses: raw
                .dapr_listen_addresses
                .split(',')
                .map(str::to_owned)
                .collect(),
            public_port: self
                .public
                .map(|port| in_range("dapr-public-port", port))
                .transpose()?,
            public_address: raw.dapr_public_listen_address.clone(),
            internal_port: match self.internal {
                None | Some(0) => InternalPort::Stable(stable),
                Some(port) => InternalPort::Chosen(in_range("dapr-internal-grpc-port", port)?),
            },
            internal_address: raw.dapr_internal_grpc_listen_address.clone(),
            unix_socket_folder: filled(&raw.unix_domain_socket),
            // Tools pass -1 along with profiling off.
            profile_port: match raw.enable_profiling {
                true => Some(in_range("profile-port", self.profile)?),
                false => None,
            },
        })
    }

    /// Where the app listens; 0 is nowhere.
    pub(super) fn app_port(&self) -> Result<Option<u16>, RuntimeFault> {
        match self.app {
            None | Some(0) => Ok(None),
            Some(port) => in_range("app-port", port).map(Some),
        }
    }
}

fn port_number(what: &'static str, text: &str) -> Result<i64, RuntimeFault> {
    go_text::atoi(text).map_err(|why| RuntimeFault::PortNumber { what, why })
}

fn in_range(flag: &'static str, value: i64) -> Result<u16, RuntimeFault> {
    u16::try_from(value).map_err(|_| RuntimeFault::PortRange { flag, value })
}

/// The port of the numbers for Prometheus, which is checked after all files are read.
pub(super) fn metrics_port(text: &str) -> Result<u16, RuntimeFault> {
    in_range(
        "metrics-port",
        port_number("failed to parse metrics port", text)?,
    )
}
