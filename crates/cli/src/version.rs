//! `outrider version`: both versions, in the lines of the dapr CLI (contract, cli 11).

use std::process::ExitCode;

use outrider_config::flags::{Flag, Kind, Positionals, Spec};
use outrider_core::quote::quote;

use crate::{Process, output::Output};

pub(crate) const SPEC: Spec = Spec {
    usage_name: "outrider version",
    usage_tail: "[-o json]",
    about: "\
Tells the version of this program and the version of Dapr's runtime API that its sidecar serves. \
The lines and keys are those of 'dapr version'; 'outrider --version' says the same in one line.",
    flags: &[Flag::new(
        "output",
        Kind::Str,
        "What to print: text, or json for an object with both versions.",
    )
    .short('o')
    .default("text")],
    positionals: Positionals::Refused,
};

pub(crate) fn main(process: &Process<'_>, arguments: &[String], output: Output) -> ExitCode {
    let parsed = match crate::read(&SPEC, arguments, output) {
        Ok(parsed) => parsed,
        Err(code) => return code,
    };
    match &*parsed.str("output") {
        "text" => output.finish(&text(process.runtime_version)),
        "json" => output.finish(&json(process.runtime_version)),
        other => {
            let message = format!("--output is {}; it must be text or json", quote(other));
            crate::misused(&SPEC, &message)
        }
    }
}

/// With the blank at the end of the first line that scripts may have learned.
fn text(runtime: &str) -> String {
    format!("CLI version: {OWN} \nRuntime version: {runtime}\n")
}

fn json(runtime: &str) -> String {
    let runtime = serde_json::Value::from(runtime);
    format!("{{\"Cli version\":\"{OWN}\",\"Runtime version\":{runtime}}}\n")
}

const OWN: &str = env!("CARGO_PKG_VERSION");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_told_in_both_forms() {
        assert_eq!(
            text("1.18.3"),
            format!("CLI version: {OWN} \nRuntime version: 1.18.3\n")
        );
        let json: serde_json::Value = serde_json::from_str(&json("1.18.3")).unwrap();
        assert_eq!(json["Cli version"], OWN);
        assert_eq!(json["Runtime version"], "1.18.3");
    }
}
