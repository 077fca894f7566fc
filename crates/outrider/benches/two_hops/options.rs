//! The arguments after `--`.

/// What can be measured alone.
const PARTS: [&str; 10] = [
    "load",
    "start",
    "body",
    "syscalls",
    "heap",
    "instructions",
    "size",
    "grpc",
    "streams",
    "stalled",
];

/// What to measure and how long.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// Short rounds: enough to see that everything works, too short for figures to rely on.
    pub(crate) quick: bool,
    only: Vec<String>,
}

/// What the arguments ask for.
pub(crate) enum Parsed {
    Run(Options),
    /// Be a relay from this port to that one.
    Relay(u16, u16),
    /// Say this and end with this code.
    Say(String, u8),
}

impl Options {
    pub(crate) fn parse(args: impl Iterator<Item = String>) -> Parsed {
        let mut options = Self::default();
        let mut benching = false;
        let mut args = args;
        while let Some(arg) = args.next() {
            match arg.as_str() {
                // Cargo says so in a bench run, and only there.
                "--bench" => benching = true,
                // How the bench starts processes of its own.
                "--relay" => {
                    let mut port = || args.next()?.parse().ok();
                    return match (port(), port()) {
                        (Some(port), Some(next)) => Parsed::Relay(port, next),
                        _ => wrong("--relay"),
                    };
                }
                "--quick" => options.quick = true,
                "--only" => match args.next() {
                    Some(name) if PARTS.contains(&name.as_str()) => options.only.push(name),
                    other => return wrong(&format!("--only {}", other.unwrap_or_default())),
                },
                other => return wrong(other),
            }
        }
        if benching {
            Parsed::Run(options)
        } else {
            Parsed::Say("nothing measured: run by cargo bench -p outrider".into(), 0)
        }
    }

    pub(crate) fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == part)
    }
}

fn wrong(arg: &str) -> Parsed {
    let parts = PARTS.join(", ");
    let text = format!(
        "unknown argument \"{arg}\"; allowed are --quick and --only NAME, NAME being one of {parts}"
    );
    Parsed::Say(text, 2)
}
