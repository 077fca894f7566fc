//! The template of several apps (contract `cli.md` 5): found, read, resolved.
//!
//! Every fault is told with file, line and cure, all of them at once. Keys that nobody knows are
//! warnings: the reference ignores them, and templates that work there must work here.

mod order;
mod ports;
mod resolve;
mod schema;

use std::{
    fmt,
    io::{self, Read},
    path::{Path, PathBuf},
};

use outrider_config::yaml::{self, decode::UnknownKey};

use self::schema::Root;
use super::{
    environment::Variables,
    error::Error,
    options::Notes,
    plan::{Member, Origin},
    screen::Status,
};
use crate::suggest;

/// Where we were called, and with what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings<'a> {
    pub(super) folder: &'a Path,
    pub(super) variables: &'a Variables,
    /// The value of `--runtime-path`.
    pub(super) runtime_path: &'a str,
    pub(super) log_as_json: bool,
}

/// A template's text and where it came from.
#[derive(Debug)]
struct Source {
    /// As messages name it.
    name: String,
    /// Absolute; none for standard input.
    path: Option<PathBuf>,
    /// What its paths begin at.
    folder: PathBuf,
    text: String,
}

/// Something wrong in a template.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    /// None if it is about the whole file.
    line: Option<usize>,
    text: String,
}

/// Everything that is wrong, in the order of the file.
#[derive(Debug, Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, line: usize, text: impl Into<String>) {
        self.0.push(Fault {
            line: Some(line),
            text: text.into(),
        });
    }

    /// For a value of `common`, which every app would tell of.
    fn add_once(&mut self, line: usize, text: String) {
        let is_known = |it: &Fault| it.line == Some(line) && it.text == text;
        if !self.0.iter().any(is_known) {
            self.add(line, text);
        }
    }

    /// The first is what to mend first, and the last line is what people see first; with one fault
    /// they are the same.
    fn into_error(mut self, name: &str) -> Error {
        self.0.sort_by_key(|fault| fault.line);
        let lines = self.0.iter().map(|fault| match fault.line {
            Some(line) => format!("{name} line {line}: {}", fault.text),
            None => format!("{name}: {}", fault.text),
        });
        let lines: Vec<String> = lines.collect();
        Error::Value(lines.join("\n"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Reads what `--run-file` names.
pub(super) fn load(
    argument: &str,
    around: &Surroundings<'_>,
    notes: &mut Notes,
) -> Result<(Vec<Member>, Origin), Error> {
    let source = find(argument, around.folder)?;
    let (root, unknown) = decode(&source)?;
    for key in unknown {
        notes.push((Status::Warning, unknown_text(&source.name, &key)));
    }
    let name = root
        .name
        .as_ref()
        .map_or(String::new(), |name| name.value.clone());
    let members = resolve::members(&root, &source, around, notes)?;
    let origin = Origin::Template {
        path: source.path,
        name,
    };
    Ok((members, origin))
}

fn find(argument: &str, folder: &Path) -> Result<Source, Error> {
    let failed = |path: &Path, cause| Error::File {
        what: "the template can't be read:",
        path: path.to_owned(),
        cause,
    };
    if argument == "-" {
        let mut text = String::new();
        let read = io::stdin().read_to_string(&mut text);
        read.map_err(|cause| failed(Path::new("standard input"), cause))?;
        return Ok(Source {
            name: "standard input".to_owned(),
            path: None,
            folder: folder.to_owned(),
            text,
        });
    }
    let mut path = folder.join(argument);
    let mut name = argument.to_owned();
    if path.is_dir() {
        path.push("dapr.yaml");
        name = Path::new(argument).join("dapr.yaml").display().to_string();
    }
    let text = std::fs::read_to_string(&path).map_err(|cause| failed(&path, cause))?;
    // Takes out `.` and doubled slashes; `stop` compares the text.
    let path = std::path::absolute(&path).unwrap_or(path);
    Ok(Source {
        name,
        folder: path.parent().unwrap_or(folder).to_owned(),
        path: Some(path),
        text,
    })
}

fn decode(source: &Source) -> Result<(Root, Vec<UnknownKey>), Error> {
    let mut root = Root::default();
    let mut faults = Faults::default();
    let decoded = yaml::parse_first(&source.text).and_then(|node| match node {
        Some(node) => yaml::decode::decode(&mut root, &node),
        None => Ok(Vec::new()),
    });
    match decoded {
        Ok(unknown) => return Ok((root, unknown)),
        Err(yaml::Error::Syntax { line, what }) => faults.add(line, format!("no YAML: {what}")),
        Err(yaml::Error::Structure(text)) => faults.0.push(Fault { line: None, text }),
        Err(yaml::Error::Unmarshal(problems)) => {
            for problem in problems {
                let line = source.text.lines().nth(problem.line.saturating_sub(1));
                let cure = cure(&problem.text, line.unwrap_or_default());
                faults.add(problem.line, format!("{}{cure}", problem.text));
            }
        }
    }
    Err(faults.into_error(&source.name))
}

/// What to write instead, by the type that was expected and the line it was expected in.
fn cure(text: &str, line: &str) -> &'static str {
    match text.rsplit_once(" into ").map(|(_, kind)| kind) {
        Some("[]string") if line.contains("resourcesPaths") => {
            "; write a list, as in [./resources], or use the key resourcesPath"
        }
        Some("[]string") if line.contains("dependsOn") => "; write a list, as in [cart, till]",
        Some("[]string") => "; write a list, as in [python3, app.py]",
        Some("int") => "; write a whole number",
        Some("bool") => "; write true or false",
        Some("string") => "; write a single text",
        Some("map[string]string") => "; write lines of the form NAME: value",
        Some("[]app") => "; write a list, each app behind a dash",
        Some("app" | "common" | "template") => "; write lines of the form key: value",
        _ => "",
    }
}

fn unknown_text(name: &str, key: &UnknownKey) -> String {
    let UnknownKey { line, path, .. } = key;
    let last = path.rsplit('.').next().unwrap_or(path);
    let keys = schema::keys(path);
    let meant = schema::renamed(last).or_else(|| suggest::nearest(last, &keys));
    let hint = match meant {
        _ if schema::is_own(path) => "; it belongs to an app, below apps:".to_owned(),
        Some(key) => format!("; did you mean {key}?"),
        None => String::new(),
    };
    format!("{name} line {line}: the key {path} is not known and ignored{hint}")
}

#[cfg(test)]
mod tests;
