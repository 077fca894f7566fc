//! The calling app: posts an order to its own sidecar and looks at what comes back.
//!
//! It never sends an order twice.

use std::time::Duration;

use outrider_wire::{Fields, http1::ResponseHead};
use serde_json::json;
use tokio::time::Instant;

use super::{
    CALLEE,
    api::{Api, told},
    orders::USER_AGENT,
    visits::{Visit, Visits},
};
use crate::http::{self, text};

/// What became of an order.
#[derive(Debug, PartialEq)]
pub(super) struct Call {
    pub(super) id: u64,
    pub(super) total: Duration,
    pub(super) result: Result<Answered, Failed>,
}

/// It arrived and was answered well.
#[derive(Debug, PartialEq)]
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) way: Way,
}

/// Where the time went.
#[derive(Debug, PartialEq)]
pub(super) enum Way {
    /// The sidecars told their parts: each hop there and back, and inside the called app.
    Hops {
        /// From the app to its own sidecar.
        own: Duration,
        /// From sidecar to sidecar.
        link: Duration,
        /// From the other sidecar to its app.
        app: Duration,
        inside: Duration,
    },
    /// Only the apps' clocks are known: through both sidecars, inside the called app, back.
    Legs {
        there: Duration,
        inside: Duration,
        back: Duration,
    },
    /// Some other app answered.
    Unknown,
}

/// What the caller was told instead.
#[derive(Debug, PartialEq)]
pub(super) struct Failed {
    /// None if there was no answer.
    pub(super) status: Option<u16>,
    pub(super) message: String,
    /// The `Outrider-Fault` field.
    pub(super) fault: Option<String>,
}

/// The calling app's connection to its sidecar.
#[derive(Debug)]
pub(super) struct Caller {
    api: Api,
}

impl Caller {
    pub(super) fn new(port: u16) -> Self {
        Self {
            api: Api::new(port, LIMIT),
        }
    }

    /// Sends an order and waits for the answer, but not for ever.
    pub(super) async fn order(&mut self, id: u64, visits: &Visits) -> Call {
        let line = format!("POST /v1.0/invoke/{CALLEE}/method/neworder");
        let fields = format!("User-Agent: {USER_AGENT}\r\nOutrider-Timing: 1\r\n");
        let order = json!({ "orderId": id });
        let started = Instant::now();
        let outcome = self.api.ask(&line, &fields, Some(&order)).await;
        let finished = Instant::now();
        let result = match outcome {
            Ok((head, _)) if (200..300).contains(&head.status) => {
                let timing = Timing::of(&head.fields);
                Ok(Answered {
                    status: head.status,
                    way: Way::of((started, finished), visits.of(id), timing),
                })
            }
            Ok((head, body)) => Err(Failed::told(&head, &body)),
            Err(error) => Err(Failed::alone(error.to_string())),
        };
        Call {
            id,
            total: finished - started,
            result,
        }
    }
}

impl Failed {
    fn told(head: &ResponseHead, body: &[u8]) -> Self {
        Self {
            status: Some(head.status),
            message: told(body),
            fault: text(&head.fields, "Outrider-Fault").map(str::to_owned),
        }
    }

    fn alone(message: String) -> Self {
        Self {
            status: None,
            message,
            fault: None,
        }
    }
}

/// The waits that the sidecars report in `Server-Timing`: `link` is how long the caller's one
/// waited for the other, `app` how long that one waited for its app.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Timing {
    link: Duration,
    app: Duration,
}

impl Timing {
    /// Each hop adds a field of its own.
    fn of(fields: &Fields) -> Option<Self> {
        Self::read(&http::server_timing(fields))
    }

    fn read(value: &str) -> Option<Self> {
        let find = |hop| http::hop_duration(value, hop);
        Some(Self {
            link: find("link")?,
            app: find("app")?,
        })
    }
}

impl Way {
    fn of(ours: (Instant, Instant), visit: Option<Visit>, timing: Option<Timing>) -> Self {
        let (started, finished) = ours;
        let Some(Visit { arrived, answered }) = visit else {
            return Self::Unknown;
        };
        let inside = answered - arrived;
        match timing {
            // Clocks of several processes: a difference may come out below nothing.
            Some(Timing { link, app }) => Self::Hops {
                own: (finished - started).saturating_sub(link),
                link: link.saturating_sub(app),
                app: app.saturating_sub(inside),
                inside,
            },
            None => Self::Legs {
                there: arrived - started,
                inside,
                back: finished - answered,
            },
        }
    }
}

/// How long an order waits for its answer.
const LIMIT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn server_timing_is_read_leniently() {
        let timing = Timing {
            link: ms(12),
            app: ms(4),
        };
        assert_eq!(Timing::read("link;dur=12, app;dur=4.0"), Some(timing));
        assert_eq!(
            Timing::read("db, app ; desc=\"x\" ; dur=4,link;dur=12.000"),
            Some(timing)
        );
        for bad in [
            "",
            "link;dur=1",
            "link;dur=x, app;dur=1",
            "link;dur=-1, app;dur=1",
        ] {
            assert_eq!(Timing::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn hops_add_up_to_the_whole() {
        let started = Instant::now();
        let ours = (started, started + ms(10));
        let visit = Visit {
            arrived: started + ms(4),
            answered: started + ms(5),
        };
        let timing = Timing {
            link: ms(7),
            app: ms(3),
        };
        assert_eq!(
            Way::of(ours, Some(visit), Some(timing)),
            Way::Hops {
                own: ms(3),
                link: ms(4),
                app: ms(2),
                inside: ms(1)
            }
        );
        assert_eq!(
            Way::of(ours, Some(visit), None),
            Way::Legs {
                there: ms(4),
                inside: ms(1),
                back: ms(5)
            }
        );
        assert_eq!(Way::of(ours, None, Some(timing)), Way::Unknown);
    }

    #[test]
    fn timings_that_disagree_are_no_panic() {
        let started = Instant::now();
        let visit = Visit {
            arrived: started,
            answered: started + ms(1),
        };
        let timing = Timing {
            link: ms(7),
            app: ms(9),
        };
        let way = Way::of((started, started + ms(1)), Some(visit), Some(timing));
        let hops = Way::Hops {
            own: ms(0),
            link: ms(0),
            app: ms(8),
            inside: ms(1),
        };
        assert_eq!(way, hops);
    }

    #[tokio::test]
    async fn a_missing_sidecar_is_told_as_such() {
        let [port] = super::super::ports::free().unwrap();
        let call = Caller::new(port).order(1, &Visits::default()).await;
        let failed = call.result.unwrap_err();
        assert_eq!(failed.status, None);
        assert!(failed.message.contains("no connection to its own sidecar"));
    }
}
