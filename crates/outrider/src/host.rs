//! Facts about this host that a sidecar needs.

use std::net::UdpSocket;

use outrider_config::{
    env::{DAPR_HOST_IP, Env},
    settings,
};

/// Working folder, user and host name.
pub(crate) fn facts() -> settings::Host {
    let uname = rustix::system::uname();
    settings::Host {
        cwd: std::env::current_dir()
            .map_or_else(|_| String::new(), |dir| dir.display().to_string()),
        uid: rustix::process::getuid().as_raw(),
        hostname: uname.nodename().to_string_lossy().into_owned(),
    }
}

/// The address other sidecars know this host by (contract `naming.md` 3). A machine with nothing
/// but loopback is its own whole world.
pub(crate) fn address(env: &Env) -> String {
    if let Some(given) = env.filled(DAPR_HOST_IP) {
        return given.to_owned();
    }
    // Connecting a datagram socket sends nothing; it asks the kernel which address it would use.
    let found = [
        ("0.0.0.0:0", "192.0.2.1:80"),
        ("[::]:0", "[2001:db8::1]:80"),
    ]
    .into_iter()
    .filter_map(|(from, to)| {
        let socket = UdpSocket::bind(from).ok()?;
        socket.connect(to).ok()?;
        Some(socket.local_addr().ok()?.ip())
    })
    .find(|ip| !outrider_core::host::is_clat(*ip) && !ip.is_unspecified());
    found.map_or_else(|| "127.0.0.1".to_owned(), |ip| ip.to_string())
}

/// CPUs that this process may use: the machine's, or its share of them.
pub(crate) fn cpus() -> usize {
    // Reads affinity and the cgroup's quota.
    std::thread::available_parallelism().map_or(1, Into::into)
}

/// Lets the process hold as many connections as the system allows.
pub(crate) fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Failing leaves the limit as it was.
    let _ = setrlimit(Resource::Nofile, raised);
}
