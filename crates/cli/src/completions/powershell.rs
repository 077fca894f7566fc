//! The script for PowerShell.

use super::{COMMANDS, Values, arguments, command_names, flags, takes_value, values};

pub(super) fn script() -> String {
    let mut cases = String::new();
    for command in COMMANDS {
        let mut by_flag = String::new();
        for flag in flags(&command.spec).filter(|flag| takes_value(flag)) {
            let reply = offer(values(command.name, flag));
            by_flag.push_str(&format!(
                "                '--{}' {{ {reply} }}\n",
                flag.name
            ));
            if let Some(letter) = flag.short {
                by_flag.push_str(&format!("                '-{letter}' {{ {reply} }}\n"));
            }
        }
        let names: Vec<String> = flags(&command.spec)
            .map(|flag| format!("'--{}'", flag.name))
            .chain(["'--help'".to_owned()])
            .collect();
        let other = offer(arguments(command.name, &command.spec));
        cases.push_str(&format!(
            "        '{}' {{\n            $offer = switch -CaseSensitive ($before) {{\n{by_flag}                \
             default {{ if ($word.StartsWith('-')) {{ {} }} else {{ {other} }} }}\n            \
             }}\n        }}\n",
            command.name,
            names.join(", ")
        ));
    }
    format!(
        "# Completion of outrider for PowerShell.\n\
         Register-ArgumentCompleter -Native -CommandName outrider -ScriptBlock {{\n    \
         param($word, $line, $cursor)\n    \
         $words = @($line.CommandElements | ForEach-Object {{ $_.ToString() }})\n    \
         if ($word -eq '') {{ $words += '' }}\n    \
         $before = $words[-2]\n    \
         $offer = @()\n    \
         if ($words.Count -le 2) {{ $offer = {} }}\n    \
         else {{ switch -CaseSensitive ($words[1]) {{\n{cases}    }} }}\n    \
         $offer | Where-Object {{ $_ -like \"$word*\" }} | ForEach-Object {{\n        \
         # What stands in the line is read as code, unless it is in quotes.\n        \
         $text = if ($_ -match '[^\\w./-]') {{ \"'\" + $_.Replace(\"'\", \"''\") + \"'\" }} else {{ $_ }}\n        \
         [System.Management.Automation.CompletionResult]::new($text, $_, 'ParameterValue', $_)\n    }}\n}}\n",
        listed(command_names().split(' '))
    )
}

fn offer(values: Values) -> String {
    match values {
        Values::Words(words) => listed(words.iter().copied()),
        Values::Commands => listed(command_names().split(' ')),
        Values::AppIds => "outrider list --output ids 2>$null".to_owned(),
        // PowerShell offers files by itself where nothing else is offered.
        Values::Files | Values::Anything => "@()".to_owned(),
    }
}

fn listed<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.map(|word| format!("'{word}'")).collect();
    words.join(", ")
}
