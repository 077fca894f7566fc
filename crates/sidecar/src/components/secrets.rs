//! The secret stores that components take values from (contract `configuration.md` 8).
//!
//! Values are never logged, and a store prints nothing of what it holds.

use std::{collections::BTreeMap, fmt};

use outrider_config::{
    env::{APP_API_TOKEN, Env},
    resources::read_file,
};
use outrider_core::words::is_truthy;
use outrider_state::Properties;
use serde_json::Value;
use tokio::sync::oneshot;

/// The values of one secret by their keys.
pub(super) type Secret = BTreeMap<String, String>;

/// A loaded secret store.
pub(super) enum SecretStore {
    /// Secrets of a file, read once.
    File(FileSecrets),
    /// Variables of the environment.
    Environment {
        /// Stands before the name of each variable.
        prefix: String,
        /// The environment.
        env: Env,
    },
}

/// Secrets of a file.
pub(super) struct FileSecrets {
    secrets: BTreeMap<String, Secret>,
    several_keys: bool,
}

/// What a store says to a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There is no such secret.
    NotFound(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(name) => write!(f, "secret {name} not found"),
        }
    }
}

impl SecretStore {
    /// Opens `secretstores.local.file`.
    pub(super) async fn file(properties: &Properties) -> Result<Self, String> {
        let path = properties.get(&["secretsFile"]).unwrap_or_default();
        if path.is_empty() {
            return Err("missing local secrets file in metadata".to_owned());
        }
        let separator = match properties.get(&["nestedSeparator"]) {
            None | Some("") => ":",
            Some(text) => text,
        };
        let several_keys = properties.get(&["multiValued"]).is_some_and(is_truthy);
        let text = read(path).await;
        let text = text.map_err(|why| format!("open {path}: {why}"))?;
        let root: Value = serde_json::from_slice(&text)
            .map_err(|error| format!("{path} is no JSON object: {error}"))?;
        let secrets = FileSecrets::read(&root, separator, several_keys);
        let secrets = secrets.ok_or_else(|| format!("{path} is no JSON object"))?;
        Ok(Self::File(secrets))
    }

    /// Opens `secretstores.local.env`.
    pub(super) fn environment(properties: &Properties, env: &Env) -> Self {
        Self::Environment {
            prefix: properties.get(&["prefix"]).unwrap_or_default().to_owned(),
            env: env.clone(),
        }
    }

    /// What it can do, in the words of `/v1.0/metadata`.
    pub(super) fn capabilities(&self) -> &'static [&'static str] {
        match self {
            Self::File(FileSecrets {
                several_keys: true, ..
            }) => &["MULTIPLE_KEY_VALUES_PER_SECRET"],
            _ => &[],
        }
    }

    /// Whether nobody may see what has that name.
    pub(super) fn hides(&self, name: &str) -> bool {
        match self {
            Self::File(_) => false,
            Self::Environment { prefix, .. } => is_forbidden(&format!("{prefix}{name}")),
        }
    }

    /// A secret by name. A variable that is not set, or that nobody may see, is empty.
    pub(super) fn get(&self, name: &str) -> Result<Secret, Refusal> {
        match self {
            Self::File(file) => match file.secrets.get(name) {
                Some(secret) => Ok(secret.clone()),
                None => Err(Refusal::NotFound(name.to_owned())),
            },
            Self::Environment { prefix, env } => {
                let variable = format!("{prefix}{name}");
                let value = match self.hides(name) {
                    true => "",
                    false => env.variable(&variable).unwrap_or_default(),
                };
                Ok(Secret::from([(name.to_owned(), value.to_owned())]))
            }
        }
    }
}

impl FileSecrets {
    fn read(root: &Value, separator: &str, several_keys: bool) -> Option<Self> {
        let root = match root {
            Value::Object(root) => root,
            // An empty file of JSON.
            Value::Null => {
                return Some(Self {
                    secrets: BTreeMap::new(),
                    several_keys,
                });
            }
            _ => return None,
        };
        let mut secrets = BTreeMap::new();
        for (name, value) in root {
            let mut flat = Secret::new();
            flatten(&mut flat, name, separator, value);
            if !several_keys {
                let single =
                    |(name, value): (String, String)| (name.clone(), Secret::from([(name, value)]));
                secrets.extend(flat.into_iter().map(single));
                continue;
            }
            match value {
                Value::String(text) => {
                    let secret = Secret::from([(name.clone(), text.clone())]);
                    secrets.insert(name.clone(), secret);
                }
                Value::Object(map) => {
                    let mut secret = Secret::new();
                    for (key, value) in map {
                        flatten(&mut secret, key, separator, value);
                    }
                    secrets.insert(name.clone(), secret);
                }
                _ => {}
            }
        }
        Some(Self {
            secrets,
            several_keys,
        })
    }
}

/// Objects and lists become paths; depth is bounded by the reader of JSON. What is no text is kept
/// as JSON text, where the reference leaves traces of its formatter.
fn flatten(into: &mut Secret, path: &str, separator: &str, value: &Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                flatten(into, &format!("{path}{separator}{key}"), separator, value);
            }
        }
        Value::Array(items) => {
            for (at, value) in items.iter().enumerate() {
                flatten(into, &format!("{path}{separator}{at}"), separator, value);
            }
        }
        Value::String(text) => {
            into.insert(path.to_owned(), text.clone());
        }
        other => {
            into.insert(path.to_owned(), other.to_string());
        }
    }
}

/// Reads the file beside the control thread, on a thread that nobody waits for if it is given up:
/// a file system that hangs must neither keep signals waiting nor the end of the process.
async fn read(path: &str) -> Result<Vec<u8>, String> {
    let (tell, told) = oneshot::channel();
    let path = path.to_owned();
    std::thread::Builder::new()
        .name("secrets-file".to_owned())
        .spawn(move || tell.send(read_file(&path)))
        .map_err(|error| format!("no thread to read it on: {error}"))?;
    let told = told.await;
    told.unwrap_or_else(|_| Err("reading it has failed".to_owned()))
}

/// Tokens that stand between us and others are nobody's secrets.
pub(super) fn is_forbidden(variable: &str) -> bool {
    let name = variable.to_uppercase();
    name == APP_API_TOKEN || name.starts_with("DAPR_")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    async fn file(json: &str, more: &[(&str, &str)]) -> SecretStore {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.json");
        fs::write(&path, json).unwrap();
        let path = path.display().to_string();
        let items = [("secretsFile", path.as_str())];
        let items = items.iter().chain(more);
        let items = items.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let properties = Properties::try_new(items).unwrap();
        SecretStore::file(&properties).await.unwrap()
    }

    fn value(store: &SecretStore, name: &str, key: &str) -> Option<String> {
        store.get(name).ok()?.get(key).cloned()
    }

    #[tokio::test]
    async fn nested_secrets_are_paths() {
        let store = file(
            r#"{"a":{"b":["x",{"c":"y"}]},"n":5,"t":true,"z":null}"#,
            &[],
        )
        .await;
        for (name, expected) in [
            ("a:b:0", "x"),
            ("a:b:1:c", "y"),
            ("n", "5"),
            ("t", "true"),
            ("z", "null"),
        ] {
            assert_eq!(value(&store, name, name).as_deref(), Some(expected));
        }
        let refusal = store.get("a").unwrap_err();
        assert_eq!(refusal.to_string(), "secret a not found");
        assert!(store.capabilities().is_empty());
        let store = file(r#"{"a":{"b":"x"}}"#, &[("nestedSeparator", ".")]).await;
        assert_eq!(value(&store, "a.b", "a.b").as_deref(), Some("x"));
    }

    #[tokio::test]
    async fn secrets_of_several_keys_are_the_topmost_objects() {
        let json = r#"{"redis":{"password":"x","deep":{"er":"y"}},"one":"z","n":5,"l":[1]}"#;
        let store = file(json, &[("multiValued", "yes")]).await;
        assert_eq!(value(&store, "redis", "password").as_deref(), Some("x"));
        assert_eq!(value(&store, "redis", "deep:er").as_deref(), Some("y"));
        assert_eq!(value(&store, "one", "one").as_deref(), Some("z"));
        assert!(store.get("n").is_err() && store.get("l").is_err());
        assert_eq!(store.capabilities(), ["MULTIPLE_KEY_VALUES_PER_SECRET"]);
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_used_says_why() {
        let open = async |path: &str| {
            let items = [("secretsFile".to_owned(), path.to_owned())];
            match SecretStore::file(&Properties::try_new(items).unwrap()).await {
                Ok(_) => panic!("opened"),
                Err(why) => why,
            }
        };
        let missing = "missing local secrets file in metadata";
        assert_eq!(open("").await, missing);
        let missing = "open /no/such: no such file or directory";
        assert_eq!(open("/no/such").await, missing);
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe").display().to_string();
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let refused = format!("open {pipe}: not a regular file");
        assert_eq!(open(&pipe).await, refused);
        let large = folder.path().join("large");
        let file = fs::File::create(&large).unwrap();
        file.set_len((16 << 20) + 1).unwrap();
        let why = open(&large.display().to_string()).await;
        assert!(why.contains("larger than 16 MiB"), "{why}");
    }

    #[test]
    fn variables_have_a_prefix_and_some_are_nobodys_business() {
        let variables = [("P_a", "1"), ("DAPR_API_TOKEN", "2"), ("b", "3")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let env = Env::new(variables);
        let prefixed = [("prefix".to_owned(), "P_".to_owned())];
        let prefixed = Properties::try_new(prefixed).unwrap();
        let store = SecretStore::environment(&prefixed, &env);
        assert_eq!(value(&store, "a", "a").as_deref(), Some("1"));
        assert_eq!(value(&store, "b", "b").as_deref(), Some(""));
        let store = SecretStore::environment(&Properties::default(), &env);
        assert_eq!(value(&store, "b", "b").as_deref(), Some("3"));
        assert_eq!(
            value(&store, "dapr_api_token", "dapr_api_token").as_deref(),
            Some("")
        );
    }
}
