//! What `outrider` says about itself when asked for nothing in particular.

use outrider_config::sidecar_flags::Form;
use outrider_core::quote::quote;

use crate::{COMMANDS, suggest};

/// The overview: what it is, what it can do, where to begin.
pub(crate) fn text() -> String {
    let widest = COMMANDS.iter().map(|it| it.name.len()).max();
    let width = widest.unwrap_or_default();
    let commands: String = COMMANDS
        .iter()
        .map(|it| format!("  {:width$}  {}\n", it.name, it.summary))
        .collect();
    let version = env!("CARGO_PKG_VERSION");
    format!("outrider {version}: {WHAT}\nCommands:\n{commands}\n{FIRST_STEPS}")
}

/// One line with both versions.
pub(crate) fn version(runtime: &str) -> String {
    format!(
        "outrider {} (Dapr runtime API {runtime})\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// What to say to a word that is no command.
pub(crate) fn unknown(word: &str) -> String {
    let hint = match suggest::command(word) {
        Some(command) => format!("Did you mean 'outrider {command}'?\n"),
        None if is_sidecar_flag(word) => {
            format!("Flags of a sidecar stand behind the command: outrider sidecar {word} …\n")
        }
        None => String::new(),
    };
    let kind = if word.starts_with('-') {
        "flag"
    } else {
        "command"
    };
    format!(
        "{hint}Run 'outrider --help' for all commands.\nunknown {kind}: {}\n",
        quote(word)
    )
}

/// Whoever comes from daprd may forget the command.
fn is_sidecar_flag(word: &str) -> bool {
    let name = word.trim_start_matches('-').split('=').next();
    let known = |name| Form::Outrider.spec().flags.iter().any(|it| it.name == name);
    word.starts_with('-') && name.is_some_and(known)
}

const WHAT: &str = "\
calls between services, with Dapr's protocols

Each app gets a sidecar, a small process beside it. An app sends a call to its own sidecar, by the
name of the app it wants; the sidecar finds that app's sidecar, which hands the call over, and the
answer comes back the same way:

  app ──► sidecar ──► sidecar ──► app
";

const FIRST_STEPS: &str = "\
First steps:
  outrider demo
      Watch calls go by, and break them. Needs nothing but this program.
  outrider run --app-id shop --app-port 3000 -- node app.js
      Your app and a sidecar beside it, ended together.
  outrider invoke --app-id shop --method hello --verb GET
      Calls /hello of the app called shop through it.

Under the name daprd (a link or a copy) this program is the sidecar itself and takes its flags
directly. 'outrider --version' tells both versions.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overview_names_every_command_and_fits_a_terminal() {
        let text = text();
        for command in COMMANDS {
            let name = command.name;
            assert!(text.contains(&format!("\n  {name} ")), "{name}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 100));
    }

    #[test]
    fn the_version_names_both() {
        assert_eq!(
            version("1.18.3"),
            concat!(
                "outrider ",
                env!("CARGO_PKG_VERSION"),
                " (Dapr runtime API 1.18.3)\n"
            )
        );
    }

    #[test]
    fn an_unknown_word_gets_a_hint() {
        assert_eq!(
            unknown("lst"),
            "Did you mean 'outrider list'?\nRun 'outrider --help' for all commands.\n\
             unknown command: \"lst\"\n"
        );
        assert!(unknown("--app-id=a").starts_with("Flags of a sidecar stand behind the command"));
        assert_eq!(
            unknown("--bogus\x1b"),
            "Run 'outrider --help' for all commands.\nunknown flag: \"--bogus\\x1b\"\n"
        );
    }
}
