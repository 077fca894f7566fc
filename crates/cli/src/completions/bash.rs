//! The script for bash. Needs nothing of the bash-completion package.

use super::{COMMANDS, Flag, Values, arguments, command_names, flags, quoted, takes_value, values};

pub(super) fn script() -> String {
    let mut cases = String::new();
    for command in COMMANDS {
        let names: Vec<String> = flags(&command.spec)
            .map(|flag| format!("--{}", flag.name))
            .chain(["--help".to_owned()])
            .collect();
        let named = flags(&command.spec).filter(|flag| takes_value(flag));
        let prev: String = named
            .map(|flag| {
                let reply = reply(values(command.name, flag));
                format!("        {}) {reply}; return ;;\n", spellings(flag))
            })
            .collect();
        let name = command.name;
        let words = quoted(&names.join(" "));
        let other = reply(arguments(name, &command.spec));
        let prev = match prev.is_empty() {
            true => prev,
            false => format!("      case $prev in\n{prev}      esac\n"),
        };
        cases.push_str(&format!(
            "    {name})\n{prev}      if [[ $cur == -* ]]; then _outrider_words {words}\n      \
             else {other}; fi ;;\n"
        ));
    }
    format!(
        "# Completion of outrider for bash.\n\
         _outrider_words() {{ COMPREPLY=($(compgen -W \"$1\" -- \"$cur\")); }}\n\
         {FILE_NAMES}{APP_IDS}\
         _outrider() {{\n  \
         local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}}\n  \
         COMPREPLY=()\n  \
         if ((COMP_CWORD == 1)); then _outrider_words {}; return; fi\n  \
         case ${{COMP_WORDS[1]}} in\n{cases}  esac\n}}\n\
         complete -F _outrider outrider\n",
        quoted(&format!("{} --help --version", command_names()))
    )
}

/// One a line, as names may have blanks; bash itself writes those in quotes. It may be too old for
/// `compopt`, and knows more about files than `compgen` tells, so it has the last word.
const FILE_NAMES: &str = r#"_outrider_files() {
  local it
  compopt -o filenames -o default 2>/dev/null
  while IFS= read -r it; do COMPREPLY+=("$it"); done < <(compgen -f -- "$cur")
}
"#;

/// `compgen -W` would run what an id has between `$(` and `)`. So would the user with the line, if
/// the id were not written in quotes.
const APP_IDS: &str = r#"_outrider_ids() {
  local it
  while IFS= read -r it; do
    if [[ $it == "$cur"* ]]; then COMPREPLY+=("$(printf %q "$it")"); fi
  done < <(outrider list --output ids 2>/dev/null)
}
"#;

fn spellings(flag: &Flag) -> String {
    match flag.short {
        Some(letter) => format!("--{}|-{letter}", flag.name),
        None => format!("--{}", flag.name),
    }
}

fn reply(values: Values) -> String {
    match values {
        Values::Words(words) => format!("_outrider_words {}", quoted(&words.join(" "))),
        Values::Commands => format!("_outrider_words {}", quoted(&command_names())),
        Values::AppIds => "_outrider_ids".to_owned(),
        Values::Files => "_outrider_files".to_owned(),
        Values::Anything => ":".to_owned(),
    }
}
