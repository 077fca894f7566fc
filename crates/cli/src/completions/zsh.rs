//! The script for zsh, to be put into a folder of `fpath` as `_outrider`.

use super::{
    COMMANDS, Flag, Values, arguments, command_names, flags, in_short, quoted, takes_value, values,
};

pub(super) fn script() -> String {
    let commands: String = COMMANDS
        .iter()
        .map(|it| format!("    {}\n", quoted(&format!("{}:{}", it.name, it.summary))))
        .collect();
    let mut cases = String::new();
    for command in COMMANDS {
        let specs: String = flags(&command.spec)
            .flat_map(|flag| specs(command.name, flag))
            .map(|spec| format!(" \\\n        {}", quoted(&spec)))
            .collect();
        let rest = match arguments(command.name, &command.spec) {
            Values::Anything => String::new(),
            values => format!(
                " \\\n        {}",
                quoted(&format!("*:value:{}", action(values)))
            ),
        };
        cases.push_str(&format!(
            "    {})\n      _arguments '--help[Explain the command]'{specs}{rest} ;;\n",
            command.name
        ));
    }
    format!(
        "#compdef outrider\n\
         # Completion of outrider for zsh.\n\
         _outrider_ids() {{ compadd -- ${{(f)\"$(outrider list --output ids 2>/dev/null)\"}} }}\n\
         _outrider() {{\n  \
         local -a commands\n  \
         commands=(\n{commands}  )\n  \
         if (( CURRENT == 2 )); then _describe command commands; return; fi\n  \
         local command=$words[2]\n  \
         shift words; (( CURRENT-- ))\n  \
         case $command in\n{cases}  esac\n}}\n\
         if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _outrider \"$@\"\n\
         else compdef _outrider outrider; fi\n"
    )
}

/// One for each spelling.
fn specs(command: &str, flag: &Flag) -> Vec<String> {
    // Brackets and colons mean something there.
    let help = in_short(flag.help)
        .replace(['[', ']'], "")
        .replace(':', " ");
    let value = match takes_value(flag) {
        true => format!(":value:{}", action(values(command, flag))),
        false => String::new(),
    };
    let equals = if takes_value(flag) { "=" } else { "" };
    let long = format!("*--{}{equals}[{help}]{value}", flag.name);
    let short = flag
        .short
        .map(|letter| format!("*-{letter}[{help}]{value}"));
    short.into_iter().chain([long]).collect()
}

fn action(values: Values) -> String {
    match values {
        Values::Words(words) => format!("({})", words.join(" ")),
        Values::Commands => format!("({})", command_names()),
        Values::AppIds => "_outrider_ids".to_owned(),
        Values::Files => "_files".to_owned(),
        Values::Anything => " ".to_owned(),
    }
}
