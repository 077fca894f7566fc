//! `outrider version`, and `outrider completions` read by real shells.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use outrider_testkit::unique_id;

use super::{BIN, outrider, sidecar};

#[tokio::test]
async fn versions_are_told_in_the_lines_of_the_dapr_cli() {
    let text = outrider(&["version"]).await.stdout;
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("CLI version: "), "{text}");
    assert!(lines[1].starts_with("Runtime version: 1."), "{text}");
    let json = outrider(&["version", "-o", "json"]).await.stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let runtime = json["Runtime version"].as_str().unwrap();
    assert_eq!(lines[1], format!("Runtime version: {runtime}"));
    let short = outrider(&["--version"]).await.stdout;
    assert!(
        short.ends_with(&format!("(Dapr runtime API {runtime})\n")),
        "{short}"
    );
}

/// Gives the shell something to read; its output, or nothing if it is not installed.
#[expect(clippy::print_stderr, reason = "a skip is told aloud")]
fn read_by(shell: &[&str], script: &str) -> Option<String> {
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
    child
        .stdin
        .take()
        .unwrap()
        .write_all(script.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.success() && told.is_empty(),
        "{shell:?}: {told}"
    );
    Some(String::from_utf8(output.stdout).unwrap())
}

#[tokio::test]
async fn shells_accept_their_scripts() {
    for shell in ["bash", "zsh", "fish"] {
        let script = outrider(&["completions", shell]).await.stdout;
        assert!(script.contains("outrider"));
        read_by(&[shell, "-n"], &script);
    }
    let done = outrider(&["completions", "tcsh"]).await;
    assert_eq!(done.code, Some(2));
}

#[tokio::test]
async fn bash_completes_the_ids_of_running_apps() {
    let prefix = unique_id("complete");
    let sidecar = sidecar()
        .app_id(format!("{prefix}-me"))
        .start()
        .await
        .unwrap();
    let script = outrider(&["completion", "bash"]).await.stdout;
    let asked = format!(
        "PATH={}:$PATH\n{script}\nCOMP_WORDS=(outrider stop {prefix}); COMP_CWORD=2\n_outrider\n\
         echo \"${{COMPREPLY[@]}}\"\n",
        std::path::Path::new(BIN).parent().unwrap().display()
    );
    if let Some(offered) = read_by(&["bash"], &asked) {
        assert_eq!(offered, format!("{}\n", sidecar.app_id()));
    }
}
