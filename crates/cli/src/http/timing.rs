//! `Server-Timing` (W3C): how long each hop of a call took.

use std::time::Duration;

use outrider_wire::Fields;

/// All metrics of an answer in one line; each hop adds a field of its own.
pub(crate) fn server_timing(fields: &Fields) -> String {
    let values = fields
        .get_all(SERVER_TIMING.as_bytes())
        .map(String::from_utf8_lossy);
    values.collect::<Vec<_>>().join(",")
}

/// The duration of a hop, if the value has it.
pub(crate) fn hop_duration(value: &str, hop: &str) -> Option<Duration> {
    let mut metrics = value
        .split(',')
        .map(|metric| metric.split(';').map(str::trim));
    let metric = metrics.find_map(|mut it| (it.next() == Some(hop)).then_some(it));
    let millis = metric?.find_map(|parameter| parameter.strip_prefix("dur="))?;
    Duration::try_from_secs_f64(millis.parse::<f64>().ok()? / 1000.0).ok()
}

pub(crate) const SERVER_TIMING: &str = "Server-Timing";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hop_is_found_among_others() {
        let value = "db, app ; desc=\"x\" ; dur=4,link;dur=12.500";
        assert_eq!(hop_duration(value, "app"), Some(Duration::from_millis(4)));
        let link = Some(Duration::from_micros(12_500));
        assert_eq!(hop_duration(value, "link"), link);
        for bad in ["", "app", "app;dur=x", "app;dur=-1", "app;dur=1e400"] {
            assert_eq!(hop_duration(bad, "app"), None, "{bad}");
        }
    }
}
