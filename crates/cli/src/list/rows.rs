//! A sidecar as scripts see it: keys in a fixed order. The first are those of `dapr list`
//! (contract, cli 7), where a number that is not known is 0; the others are ours, where it is null.

use std::time::Duration;

use outrider_core::calendar::civil_from_seconds;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::sidecars::{Metadata, Sidecar};

/// Keys with texts, numbers, truths or nothing.
#[derive(Debug)]
pub(super) struct Row(pub(super) Vec<(&'static str, Value)>);

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl Row {
    pub(super) fn of(it: &Sidecar, now: Duration) -> Self {
        let nothing = Metadata::default();
        let told = it.metadata().unwrap_or(&nothing);
        let version = it.version.as_ref();
        let told_version = Some(&told.runtime_version).filter(|it| !it.is_empty());
        Self(vec![
            ("appId", json!(it.app_id)),
            ("httpPort", json!(it.http_port.unwrap_or_default())),
            ("grpcPort", json!(it.grpc_port.unwrap_or_default())),
            ("appPort", json!(it.app_port.unwrap_or_default())),
            ("metricsEnabled", json!(it.metrics_enabled)),
            ("command", json!(told.app_command)),
            ("age", json!(age(since(it, now)))),
            ("created", json!(created(it.started_unix_ms))),
            ("daprdPid", json!(it.pid)),
            ("cliPid", json!(it.cli_pid().unwrap_or_default())),
            ("appPid", json!(told.app_pid.unwrap_or_default())),
            ("maxRequestBodySize", json!(it.max_body_size)),
            ("httpReadBufferSize", json!(it.read_buffer_size)),
            ("runTemplatePath", json!(told.run_template_path)),
            ("appLogPath", json!(told.app_log_path)),
            ("daprdLogPath", json!(told.daprd_log_path)),
            ("runTemplateName", json!(told.run_template_name)),
            ("namespace", json!(it.namespace)),
            ("httpSocket", json!(it.http_socket)),
            ("metricsPort", json!(it.metrics_port)),
            ("address", json!(it.address)),
            ("pid", json!(it.pid)),
            ("startedUnixMs", json!(it.started_unix_ms)),
            ("version", json!(version.or(told_version))),
        ])
    }
}

/// How long it runs. `now` is the time since 1970.
pub(super) fn since(it: &Sidecar, now: Duration) -> Duration {
    now.saturating_sub(Duration::from_millis(it.started_unix_ms))
}

/// The largest unit of the age, as in `3m`.
pub(super) fn age(age: Duration) -> String {
    match age.as_secs() {
        seconds @ ..60 => format!("{seconds}s"),
        seconds @ 60..3_600 => format!("{}m", seconds / 60),
        seconds @ 3_600..86_400 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

/// A command, cut to what a column bears (contract, cli 7).
pub(super) fn cut(command: &str) -> String {
    if command.chars().count() <= SHOWN {
        return command.to_owned();
    }
    let begin: String = command.chars().take(SHOWN).collect();
    begin + "..."
}

/// In the layout of the dapr CLI, in UTC.
fn created(unix_ms: u64) -> String {
    let seconds = i64::try_from(unix_ms / 1000).unwrap_or_default();
    let [year, month, day, hour, minute, second] = civil_from_seconds(seconds);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}.{second:02}")
}

const SHOWN: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_one_unit() {
        for (seconds, shown) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (3_600, "1h"),
            (90_000, "1d"),
        ] {
            assert_eq!(age(Duration::from_secs(seconds)), shown);
        }
    }

    #[test]
    fn the_date_has_the_layout_of_the_dapr_cli() {
        assert_eq!(created(1_700_000_000_000), "2023-11-14 22:13.20");
        assert_eq!(created(0), "1970-01-01 00:00.00");
    }

    #[test]
    fn long_commands_are_cut() {
        assert_eq!(cut("python app.py"), "python app.py");
        assert_eq!(cut(&"é".repeat(21)), "é".repeat(20) + "...");
    }
}
