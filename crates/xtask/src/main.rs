//! `cargo xtask <command>`: checks and generators for people who work on outrider.
//!
//! Picks the command and reports its outcome. Commands change nothing but the files they name.

use std::io::Write;
use std::process::ExitCode;

mod arrows;
mod generate;

const USAGE: &str = "\
usage: cargo xtask <command>

commands:
  arrows         fail on a dependency between our crates that the floor plan does not allow
  gen            write the Rust types of protos/ into crates/wire/src/gen/
  gen --check    fail if those files differ from what protos/ would give
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match args[..] {
        ["arrows"] => arrows::run(),
        ["gen"] => generate::write(),
        ["gen", "--check"] => generate::check(),
        [] | ["help" | "--help" | "-h"] => Ok(USAGE.to_owned()),
        _ => Err(format!("unknown command {:?}\n\n{USAGE}", args.join(" "))),
    };
    // A closed terminal is no failure of the command.
    match outcome {
        Ok(text) => {
            let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
            ExitCode::SUCCESS
        }
        Err(text) => {
            let _ = writeln!(std::io::stderr(), "xtask: {}", text.trim_end());
            ExitCode::FAILURE
        }
    }
}
