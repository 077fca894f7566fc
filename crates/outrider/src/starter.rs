//! A sidecar that ends with the process that started it, however that ends: `outrider run` asks for
//! it by a variable. Where the system does not tell of a parent's end, the sidecar lives on.

use outrider_config::env::OUTRIDER_END_WITH;

/// From here on the end of the starter is a request to end. False if it is gone already.
pub(crate) fn watch() -> bool {
    #[expect(
        clippy::disallowed_methods,
        reason = "the process entry reads the environment"
    )]
    let starter = std::env::var(OUTRIDER_END_WITH);
    match starter.ok().and_then(|pid| pid.parse().ok()) {
        Some(starter) => watch_for(starter),
        None => true,
    }
}

#[cfg(target_os = "linux")]
fn watch_for(starter: i32) -> bool {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    // An error means a kernel without it.
    let _ = set_parent_process_death_signal(Some(Signal::TERM));
    // It may have ended before we asked.
    getppid().is_some_and(|parent| parent.as_raw_nonzero().get() == starter)
}

#[cfg(not(target_os = "linux"))]
fn watch_for(_: i32) -> bool {
    true
}
