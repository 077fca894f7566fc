//! `outrider completions`: scripts that make shells complete commands, flags, app ids and the
//! values of some flags. Made from the commands' own tables, so that they cannot lag behind.

mod bash;
mod fish;
mod powershell;
mod zsh;

use std::process::ExitCode;

use outrider_config::flags::{Flag, Kind, Positionals, Spec, Status};
use outrider_core::quote::quote;

use crate::{COMMANDS, Process, output::Output};

pub(crate) const SPEC: Spec = Spec {
    usage_name: "outrider completions",
    usage_tail: "bash | zsh | fish | powershell",
    about: "\
Prints a script that makes your shell complete commands, flags and the app ids of running \
sidecars. For this shell only, or for all to come:

  source <(outrider completions bash)
  outrider completions bash > ~/.local/share/bash-completion/completions/outrider
  outrider completions zsh > \"${fpath[1]}/_outrider\"
  outrider completions fish > ~/.config/fish/completions/outrider.fish
  outrider completions powershell | Out-String | Invoke-Expression",
    flags: &[],
    positionals: Positionals::Anywhere,
};

/// The shells there are scripts for.
const SHELLS: [&str; 4] = ["bash", "zsh", "fish", "powershell"];

pub(crate) fn main(_: &Process<'_>, arguments: &[String], output: Output) -> ExitCode {
    let parsed = match crate::read(&SPEC, arguments, output) {
        Ok(parsed) => parsed,
        Err(code) => return code,
    };
    let [shell] = &parsed.positionals[..] else {
        return crate::misused(&SPEC, "name one shell: bash, zsh, fish or powershell");
    };
    match script(shell) {
        Some(script) => output.finish(&script),
        None => {
            let shell = quote(shell);
            let message = format!("no script for {shell}; it must be {}", SHELLS.join(", "));
            crate::misused(&SPEC, &message)
        }
    }
}

fn script(shell: &str) -> Option<String> {
    match shell {
        "bash" => Some(bash::script()),
        "zsh" => Some(zsh::script()),
        "fish" => Some(fish::script()),
        "powershell" => Some(powershell::script()),
        _ => None,
    }
}

/// What may stand at a place of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Values {
    /// One of these words.
    Words(&'static [&'static str]),
    AppIds,
    Files,
    Commands,
    /// Only the user knows.
    Anything,
}

/// The values of a flag that takes one, by its name.
fn values(command: &str, flag: &Flag) -> Values {
    match (command, flag.name) {
        ("list", "output") => Values::Words(&["table", "json", "yaml"]),
        ("version", "output") => Values::Words(&["text", "json"]),
        (_, "verb") => Values::Words(&["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"]),
        (_, "log-level") => Values::Words(&["debug", "info", "warn", "error"]),
        (_, "app-protocol") => Values::Words(&["http", "https", "h2c", "grpc", "grpcs"]),
        ("invoke" | "stop" | "logs", "app-id") | (_, "from") => Values::AppIds,
        (_, name)
            if FILES
                .iter()
                .any(|it| name == *it || name.ends_with(&format!("-{it}"))) =>
        {
            Values::Files
        }
        _ => Values::Anything,
    }
}

/// Flags of these names, or that end so, name files or folders.
const FILES: [&str; 6] = ["file", "path", "config", "dir", "socket", "proto-set"];

/// What stands behind a command without a flag.
fn arguments(command: &str, spec: &Spec) -> Values {
    match (command, spec.positionals) {
        ("completions", _) => Values::Words(&SHELLS),
        ("help", _) => Values::Commands,
        ("stop" | "logs", _) => Values::AppIds,
        // A command to wrap, or a file.
        (_, Positionals::EndFlags) => Values::Files,
        _ => Values::Anything,
    }
}

/// The flags that are worth completing.
fn flags(spec: &Spec) -> impl Iterator<Item = &'static Flag> {
    let shown = |flag: &&Flag| flag.status == Status::Current;
    spec.flags.iter().filter(shown)
}

fn takes_value(flag: &Flag) -> bool {
    !matches!(flag.kind, Kind::Bool | Kind::OptBool)
}

/// The first sentence of the help, for shells that show some.
fn in_short(help: &str) -> String {
    let words: Vec<&str> = help.split_whitespace().collect();
    let text = words.join(" ");
    let end = text.find(". ").unwrap_or(text.len());
    text[..end].trim_end_matches('.').to_owned()
}

/// In single quotes as Bourne shells read them.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn command_names() -> String {
    let names: Vec<&str> = COMMANDS.iter().map(|it| it.name).collect();
    names.join(" ")
}

#[cfg(test)]
mod tests;
