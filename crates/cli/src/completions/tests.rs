use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use super::*;

/// What the shell says to the script, or nothing if it is not installed.
fn refused(shell: &[&str], script: &str) -> Option<String> {
    let child = Command::new(shell[0])
        .args(&shell[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("skipped: {} is not installed", shell[0]);
        return None;
    };
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(script.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    Some(told + &String::from_utf8_lossy(&output.stdout))
}

#[test]
fn shells_can_read_their_scripts() {
    for shell in [&["bash", "-n"], &["zsh", "-n"], &["fish", "-n"]] {
        let said = refused(shell, &script(shell[0]).unwrap());
        assert_eq!(said.unwrap_or_default(), "", "{shell:?}");
    }
    assert_eq!(script("tcsh"), None);
}

#[test]
fn every_command_and_flag_is_in_every_script() {
    for shell in SHELLS {
        let script = script(shell).unwrap();
        for command in COMMANDS {
            assert!(script.contains(command.name), "{shell} {}", command.name);
            for flag in flags(&command.spec) {
                assert!(script.contains(flag.name), "{shell} {}", flag.name);
            }
        }
    }
}

/// The words that bash offers for a line, whose last word is being written.
fn offered(line: &[&str]) -> Option<Vec<String>> {
    offered_of(&["shop", "till"], line)
}

fn offered_of(ids: &[&str], line: &[&str]) -> Option<Vec<String>> {
    let words: Vec<String> = line.iter().map(|it| quoted(it)).collect();
    let ids: Vec<String> = ids.iter().map(|it| quoted(it)).collect();
    let script = format!(
        "outrider() {{ printf '%s\\n' {}; }}\n{}\nCOMP_WORDS=({}); COMP_CWORD={}\n\
         _outrider\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
        ids.join(" "),
        bash::script(),
        words.join(" "),
        line.len() - 1
    );
    let said = refused(&["bash"], &script)?;
    Some(said.lines().map(str::to_owned).collect())
}

#[test]
fn bash_offers_what_may_stand_there() {
    for (line, expected) in [
        (&["outrider", "inv"][..], &["invoke"][..]),
        (&["outrider", "help", "li"], &["list"]),
        (&["outrider", "invoke", "--da"], &["--data", "--data-file"]),
        (&["outrider", "invoke", "--app-id", "s"], &["shop"]),
        (&["outrider", "invoke", "-a", ""], &["shop", "till"]),
        (&["outrider", "invoke", "-v", "DEL"], &["DELETE"]),
        (&["outrider", "stop", "t"], &["till"]),
        (&["outrider", "list", "-o", "y"], &["yaml"]),
        (&["outrider", "completions", "z"], &["zsh"]),
        (&["outrider", "list", "x"], &[""]),
    ] {
        let Some(words) = offered(line) else { return };
        assert_eq!(words, expected, "{line:?}");
    }
}

#[test]
fn bash_never_runs_what_an_id_or_a_file_is_called() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let id = format!("z$(touch {})", mark.display());
    let shop = ["outrider", "stop", "z"];
    let Some(words) = offered_of(&[&id, "zoo `id`", "shop"], &shop) else {
        return;
    };
    assert!(!mark.exists());
    let quoted = [
        format!(r"z\$\(touch\ {}\)", mark.display()),
        r"zoo\ \`id\`".to_owned(),
    ];
    assert_eq!(words, quoted);
    let file = folder.path().join("two words $(id)");
    std::fs::write(&file, "").unwrap();
    let begin = folder.path().join("two").display().to_string();
    let words = offered(&["outrider", "run", "--config", &begin]).unwrap();
    assert_eq!(words, [file.display().to_string()]);
}

#[test]
fn help_is_cut_to_its_first_sentence() {
    assert_eq!(in_short("One thing. Another."), "One thing");
    assert_eq!(in_short("It's 1.5 of it."), "It's 1.5 of it");
    assert_eq!(in_short(""), "");
}
