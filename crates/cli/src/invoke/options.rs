//! What `invoke` was told, checked.

use std::{fs, io::Read as _, time::Duration};

use outrider_config::flags::{Kind, Parsed, Spec};
use outrider_core::quote::quote;

use crate::{output::printable, suggest};

#[derive(Debug)]
pub(super) struct Options {
    pub(super) app_id: String,
    /// None if it was not given, which is a mistake, and a question to an app of gRPC.
    pub(super) method: Option<String>,
    pub(super) way: Way,
    pub(super) verb: String,
    pub(super) data: Data,
    /// Names and values that can stand in a message.
    pub(super) headers: Vec<(String, String)>,
    /// Those of them that were given as headers.
    pub(super) metadata: Vec<(String, String)>,
    pub(super) from: Option<String>,
    pub(super) socket: Option<String>,
    pub(super) include: bool,
    pub(super) timing: bool,
    pub(super) quiet: bool,
    /// None: for ever.
    pub(super) limit: Option<Duration>,
}

/// What the call is to be made with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Something was asked for that only HTTP has.
    Http,
    /// By the app's own methods, and the file that describes them if it is not to be asked.
    Grpc(Option<String>),
    /// As the method and the app suggest.
    Open,
}

/// Where the body comes from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Data {
    None,
    Text(String),
    File(String),
    Stdin,
}

impl Options {
    /// The error is a sentence for the person who typed it.
    pub(super) fn try_new(parsed: &Parsed) -> Result<Self, String> {
        if !parsed.given("app-id") {
            return Err(not_set("app-id"));
        }
        let app_id = parsed.str("app-id");
        if app_id.is_empty() {
            return Err("--app-id is empty".to_owned());
        }
        let verb = verb(parsed)?;
        let limit = parsed.duration("timeout");
        let Some(limit) = limit.to_std() else {
            return Err(format!("--timeout is {limit}; it must not be negative"));
        };
        let metadata = headers(parsed)?;
        Ok(Self {
            app_id,
            method: parsed.given_str("method"),
            way: way(parsed)?,
            verb,
            data: data(parsed)?,
            headers: with_content_type(parsed, metadata.clone())?,
            metadata,
            from: parsed.given_str("from").filter(|it| !it.is_empty()),
            socket: parsed
                .given_str("unix-domain-socket")
                .filter(|it| !it.is_empty()),
            include: parsed.bool("include"),
            timing: parsed.bool("timing"),
            quiet: parsed.bool("quiet"),
            limit: Some(limit).filter(|it| !it.is_zero()),
        })
    }

    /// The body. The error is a line for stderr.
    pub(super) fn body(&self) -> Result<Vec<u8>, String> {
        let mut body = Vec::new();
        let (file, read) = match &self.data {
            Data::None => return Ok(body),
            Data::Text(text) => return Ok(text.clone().into_bytes()),
            Data::File(file) => (file.as_str(), fs::read(file)),
            Data::Stdin => {
                let read = std::io::stdin().lock().read_to_end(&mut body);
                ("-", read.map(|_| body))
            }
        };
        let file = printable(file);
        read.map_err(|error| format!("Error reading payload from '{file}'. Error: {error}\n"))
    }
}

/// What is said of a flag that must be there.
pub(super) fn not_set(flag: &str) -> String {
    format!("required flag(s) \"{flag}\" not set")
}

fn way(parsed: &Parsed) -> Result<Way, String> {
    let set = parsed.given_str("proto-set").filter(|it| !it.is_empty());
    let is_grpc = parsed.bool("grpc") || set.is_some();
    let mut http_only = ["verb", "content-type"].into_iter();
    match http_only.find(|it| parsed.given(it)) {
        Some(flag) if is_grpc => Err(format!(
            "--{flag} means nothing to a gRPC app; leave it out"
        )),
        Some(_) => Ok(Way::Http),
        None if is_grpc => Ok(Way::Grpc(set)),
        None => Ok(Way::Open),
    }
}

/// In capitals. A sidecar makes POST of what it does not know (contract, http-api 5), so a slip must
/// not get there.
fn verb(parsed: &Parsed) -> Result<String, String> {
    let written = parsed.str("verb");
    let verb = written.to_ascii_uppercase();
    if VERBS.contains(&&*verb) {
        return Ok(verb);
    }
    let hint = match suggest::nearest(&verb, &VERBS) {
        Some(meant) => format!("did you mean {meant}?"),
        None => format!("it must be {}", VERBS.join(", ")),
    };
    Err(format!("--verb is {}; {hint}", quote(&written)))
}

fn data(parsed: &Parsed) -> Result<Data, String> {
    // Empty ones count as not given, as in the reference.
    let text = Some(parsed.str("data")).filter(|it| !it.is_empty());
    let file = Some(parsed.str("data-file")).filter(|it| !it.is_empty());
    match (text, file) {
        (Some(_), Some(_)) => {
            Err("Only one of --data and --data-file allowed in the same invoke command".to_owned())
        }
        (Some(text), None) => Ok(Data::Text(text)),
        (None, Some(file)) if file == "-" => Ok(Data::Stdin),
        (None, Some(file)) => Ok(Data::File(file)),
        (None, None) => Ok(Data::None),
    }
}

/// Those that were given as headers.
fn headers(parsed: &Parsed) -> Result<Vec<(String, String)>, String> {
    let mut headers = Vec::new();
    for text in parsed.list("header") {
        let (name, value) = text.split_once(':').unwrap_or((&text, ""));
        let value = value.trim();
        if !is_token(name) || !text.contains(':') {
            let text = quote(&text);
            return Err(format!(
                "--header is {text}; it must look like 'Accept: text/plain'"
            ));
        }
        if LENGTHS.iter().any(|it| it.eq_ignore_ascii_case(name)) {
            return Err(format!("--header {name} is set by the call itself"));
        }
        headers.push((name.to_owned(), value.to_owned()));
    }
    Ok(headers)
}

/// The content type too, unless it is among them.
fn with_content_type(
    parsed: &Parsed,
    mut headers: Vec<(String, String)>,
) -> Result<Vec<(String, String)>, String> {
    let mut names = headers.iter().map(|(name, _)| name);
    if !names.any(|it| it.eq_ignore_ascii_case("Content-Type")) || parsed.given("content-type") {
        headers.push(("Content-Type".to_owned(), parsed.str("content-type")));
    }
    // An empty one is left out.
    headers.retain(|(name, value)| name != "Content-Type" || !value.is_empty());
    match headers.iter().find(|(_, value)| !is_value(value)) {
        Some((name, value)) => Err(format!(
            "the value {} of header {name} has a control character",
            quote(value)
        )),
        None => Ok(headers),
    }
}

/// RFC 9110's token.
fn is_token(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_inner)
}

fn is_value(text: &str) -> bool {
    !text
        .bytes()
        .any(|byte| byte.is_ascii_control() && byte != b'\t')
}

/// Says of each list flag's value that it is one text, commas and all: headers have commas, and
/// the flags' lists split at them. Quotes do that by the rules of such lists.
pub(super) fn keep_headers_whole(spec: &Spec, arguments: &[String]) -> Vec<String> {
    let quoted = |value: &str| format!("\"{}\"", value.replace('"', "\"\""));
    let mut out = Vec::with_capacity(arguments.len());
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--" {
            out.push(argument.clone());
            break;
        }
        let Some((kind, lead, value)) = flag(spec, argument) else {
            out.push(argument.clone());
            continue;
        };
        let is_list = kind == Kind::StrSlice;
        match value {
            Some(value) if is_list => out.push(format!("{lead}{}", quoted(value))),
            Some(_) => out.push(argument.clone()),
            None => {
                out.push(argument.clone());
                let next = rest.next();
                out.extend(next.map(|next| if is_list { quoted(next) } else { next.clone() }));
            }
        }
    }
    out.extend(rest.cloned());
    out
}

/// The flag in an argument that takes a value: its kind, all that stands before the value, and the
/// value, unless that is the next argument.
fn flag<'a>(spec: &Spec, argument: &'a str) -> Option<(Kind, &'a str, Option<&'a str>)> {
    let takes_value = |kind: Kind| !matches!(kind, Kind::Bool | Kind::OptBool);
    if let Some(text) = argument.strip_prefix("--") {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let flag = spec.flags.iter().find(|it| it.name == name)?;
        let lead = &argument[..argument.len() - value.map_or(0, str::len)];
        return takes_value(flag.kind).then_some((flag.kind, lead, value));
    }
    let letters = argument.strip_prefix('-')?;
    for (at, letter) in letters.char_indices() {
        let flag = spec.flags.iter().find(|it| it.short == Some(letter))?;
        if !takes_value(flag.kind) {
            continue;
        }
        let rest = &letters[at + letter.len_utf8()..];
        let value = match rest.strip_prefix('=') {
            Some(value) if !value.is_empty() => Some(value),
            _ => Some(rest).filter(|it| !it.is_empty()),
        };
        let lead = &argument[..argument.len() - value.map_or(0, str::len)];
        return Some((flag.kind, lead, value));
    }
    None
}

/// Those that reach an app.
const VERBS: [&str; 8] = [
    "GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE",
];

/// They would contradict the message.
const LENGTHS: [&str; 3] = ["Content-Length", "Transfer-Encoding", "Connection"];

#[cfg(test)]
mod tests {
    use outrider_config::flags::{Outcome, parse};

    use super::super::SPEC;
    use super::*;

    fn read(words: &[&str]) -> Result<Options, String> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        match parse(&SPEC, &keep_headers_whole(&SPEC, &words)) {
            Ok(Outcome::Parsed(parsed)) => Options::try_new(&parsed),
            other => panic!("{other:?}"),
        }
    }

    fn with(more: &[&str]) -> Result<Options, String> {
        read(&[&["--app-id", "a", "--method", "m"], more].concat())
    }

    #[test]
    fn a_call_needs_an_app_and_a_method() {
        let missing = read(&["-m", "x"]).unwrap_err();
        assert_eq!(missing, "required flag(s) \"app-id\" not set");
        assert_eq!(read(&["-a", "x"]).unwrap().method, None);
        let options = with(&[]).unwrap();
        assert_eq!((&*options.verb, options.limit), ("POST", None));
        assert_eq!(with(&["-v", "get"]).unwrap().verb, "GET");
        for (slip, hint) in [
            ("DELTE", "--verb is \"DELTE\"; did you mean DELETE?"),
            ("G T", "--verb is \"G T\"; did you mean GET?"),
            ("PROPFIND", "--verb is \"PROPFIND\"; it must be GET, POST, "),
        ] {
            let error = with(&["-v", slip]).unwrap_err();
            assert!(error.starts_with(hint), "{error}");
        }
    }

    #[test]
    fn what_only_http_has_decides_the_way() {
        let way = |words: &[&str]| with(words).map(|it| it.way);
        assert_eq!(way(&[]), Ok(Way::Open));
        assert_eq!(way(&["-v", "GET"]), Ok(Way::Http));
        assert_eq!(way(&["--grpc"]), Ok(Way::Grpc(None)));
        let set = Way::Grpc(Some("f".into()));
        assert_eq!(way(&["--proto-set", "f"]), Ok(set));
        for words in [
            ["--grpc", "--verb=GET"],
            ["--proto-set=f", "--content-type=a/b"],
        ] {
            let error = way(&words).unwrap_err();
            assert!(
                error.ends_with("means nothing to a gRPC app; leave it out"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_body_comes_from_one_place() {
        assert_eq!(with(&["-d", "x"]).unwrap().data, Data::Text("x".into()));
        assert_eq!(with(&["-f", "-"]).unwrap().data, Data::Stdin);
        assert_eq!(
            with(&["-d", "x", "-f", "y"]).unwrap_err(),
            "Only one of --data and --data-file allowed in the same invoke command"
        );
        let missing = with(&["-f", "/nowhere/x"]).unwrap().body().unwrap_err();
        let expected = "Error reading payload from '/nowhere/x'. Error: ";
        assert!(missing.starts_with(expected), "{missing}");
    }

    #[test]
    fn headers_keep_commas_and_quotes() {
        let forms: [&[&str]; 5] = [
            &["-H", "Accept: a, \"b\""],
            &["--header=Accept: a, \"b\""],
            &["--header", "Accept:a, \"b\""],
            &["-HAccept: a, \"b\""],
            &["-iH=Accept: a, \"b\""],
        ];
        for words in forms {
            let headers = with(words).unwrap().headers;
            let accept = ("Accept".to_owned(), "a, \"b\"".to_owned());
            assert_eq!(headers[0], accept, "{words:?}");
        }
        // A value that looks like the flag is a value.
        let options = with(&["-d", "-H", "-v", "GET"]).unwrap();
        assert_eq!(options.data, Data::Text("-H".into()));
        assert_eq!(options.headers.len(), 1);
    }

    #[test]
    fn the_content_type_can_be_chosen_either_way_or_left_out() {
        let kind = |words: &[&str]| {
            let headers = with(words).unwrap().headers;
            headers
                .into_iter()
                .map(|(_, value)| value)
                .collect::<Vec<_>>()
        };
        assert_eq!(kind(&[]), ["application/json"]);
        assert_eq!(kind(&["--content-type", "text/plain"]), ["text/plain"]);
        assert_eq!(kind(&["-H", "content-type: a/b"]), ["a/b"]);
        assert!(kind(&["--content-type", ""]).is_empty());
    }

    #[test]
    fn headers_that_cannot_stand_in_a_message_are_refused() {
        for bad in [
            "Accept",
            ": x",
            "a b: c",
            "",
            "x: a\nb",
            "content-length: 1",
        ] {
            assert!(with(&["-H", bad]).is_err(), "{bad}");
        }
        assert!(with(&["--content-type", "a\r\nb: c"]).is_err());
    }
}
