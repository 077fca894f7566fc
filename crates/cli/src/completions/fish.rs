//! The script for fish.

use super::{
    COMMANDS, Flag, Values, arguments, command_names, flags, in_short, takes_value, values,
};

pub(super) fn script() -> String {
    let mut out = String::from(
        "# Completion of outrider for fish.\n\
         complete -c outrider -f\n\
         complete -c outrider -n __fish_use_subcommand -l help -d 'Explain what there is'\n\
         complete -c outrider -n __fish_use_subcommand -l version -d 'Tell both versions'\n",
    );
    for command in COMMANDS {
        let summary = quoted(command.summary);
        let name = command.name;
        out.push_str(&format!(
            "complete -c outrider -n __fish_use_subcommand -a {name} -d {summary}\n"
        ));
        let lead = format!("complete -c outrider -n '__fish_seen_subcommand_from {name}'");
        for flag in flags(&command.spec) {
            out.push_str(&format!("{lead}{}\n", one(name, flag)));
        }
        let rest = match arguments(name, &command.spec) {
            Values::Anything => continue,
            values => offer(values),
        };
        out.push_str(&format!("{lead}{rest}\n"));
    }
    out
}

fn one(command: &str, flag: &Flag) -> String {
    let short = flag.short.map(|letter| format!(" -s {letter}"));
    let value = match takes_value(flag) {
        // Files come back with a value that is required, unless they are sent away again.
        true => match values(command, flag) {
            Values::Files => " -r -F".to_owned(),
            other => format!(" -x{}", offer(other)),
        },
        false => String::new(),
    };
    let (short, help) = (short.unwrap_or_default(), quoted(&in_short(flag.help)));
    format!("{short} -l {}{value} -d {help}", flag.name)
}

fn offer(values: Values) -> String {
    match values {
        Values::Words(words) => format!(" -a {}", quoted(&words.join(" "))),
        Values::Commands => format!(" -a {}", quoted(&command_names())),
        // fish has its own way to send errors away.
        Values::AppIds => " -a '(outrider list --output ids 2>/dev/null)'".to_owned(),
        Values::Files => " -F".to_owned(),
        Values::Anything => String::new(),
    }
}

/// In single quotes as fish reads them.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}
