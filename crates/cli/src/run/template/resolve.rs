//! From a template's values to what is started (contract `cli.md` 5.2).
//!
//! A value of an app always wins over that of `common`, also if it is `false`, 0 or empty; the
//! reference takes those for absent.

use std::{
    collections::HashMap,
    ffi::OsStr,
    path::{Path, PathBuf},
};

use outrider_core::quote::quote;

use super::{
    Fault, Faults, Source, Surroundings, order, ports,
    schema::{App, At, Common, Root},
};
use crate::run::{
    dapr_folder,
    environment::Variables,
    error::Error,
    options::Notes,
    plan::{Destination, Health, Member, Restart, Sidecar, id_of_folder},
    resources, values,
};

/// Checks everything and says all that is wrong.
pub(super) fn members(
    root: &Root,
    source: &Source,
    around: &Surroundings<'_>,
    notes: &mut Notes,
) -> Result<Vec<Member>, Error> {
    let mut faults = Faults::default();
    match &root.version {
        Some(version) if version.value != 0 => {}
        version => faults.0.push(Fault {
            line: version.as_ref().map(|version| version.line),
            text: "required field 'version' not found in the provided run template file; begin it \
                   with version: 1"
                .to_owned(),
        }),
    }
    if root.apps.is_empty() {
        faults.0.push(Fault {
            line: None,
            text: "No apps to run; list them under apps:".to_owned(),
        });
    }
    let mut members: Vec<Member> = Vec::new();
    for app in &root.apps {
        let mut resolver = Resolver {
            app,
            common: &root.common,
            base: &source.folder,
            around,
            faults: &mut faults,
        };
        members.push(resolver.member(notes));
    }
    make_names_differ(&mut members);
    order::resolve(&root.apps, &mut members, &mut faults);
    ports::check(&root.apps, &members, &mut faults);
    match faults.0.is_empty() {
        true => Ok(members),
        false => Err(faults.into_error(&source.name)),
    }
}

/// Two apps may have one id; on the screen and in log files they are told apart.
fn make_names_differ(members: &mut [Member]) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for member in members {
        let count = seen.entry(member.app_id.clone()).or_default();
        *count += 1;
        if *count > 1 {
            member.name = format!("{}-{count}", member.app_id);
        }
    }
}

struct Resolver<'a> {
    app: &'a App,
    common: &'a Common,
    /// The template's folder.
    base: &'a Path,
    around: &'a Surroundings<'a>,
    faults: &'a mut Faults,
}

/// The app's value, or else the common one.
macro_rules! either {
    ($self:ident, $field:ident) => {
        $self
            .app
            .shared
            .$field
            .as_ref()
            .or($self.common.$field.as_ref())
    };
}

/// The same as a plain value, or the type's zero.
macro_rules! plain {
    ($self:ident, $field:ident) => {
        either!($self, $field)
            .map(|at| at.value.clone())
            .unwrap_or_default()
    };
}

impl Resolver<'_> {
    fn member(&mut self, notes: &mut Notes) -> Member {
        let own = &self.app.own;
        let folder = self.folder();
        let app_id = match own.app_id.as_ref().filter(|id| !id.value.is_empty()) {
            Some(id) => {
                if let Err(why) = values::app_id(&id.value) {
                    self.faults
                        .add(id.line, format!("appID {}: {why}", quote(&id.value)));
                }
                id.value.clone()
            }
            None => id_of_folder(&folder),
        };
        let command = own.command.as_ref().map_or(Vec::new(), |command| {
            if command
                .value
                .first()
                .is_some_and(|first| first.trim().is_empty())
            {
                let text = "exec: no command; the first element of command is the program";
                self.faults.add(command.line, text);
            }
            command.value.clone()
        });
        self.check_pull_policy();
        let runtime_path = plain!(self, runtime_path);
        let dapr = self.dapr_folder(&runtime_path);
        let config = self.config(&folder, dapr.as_deref());
        let resources = self.resources(&folder, dapr.as_deref(), notes);
        self.check_values();
        Member {
            name: app_id.clone(),
            app_id,
            command,
            variables: {
                let mut all = self.common.env.clone().unwrap_or_default().value;
                all.extend(self.app.shared.env.clone().unwrap_or_default().value);
                all
            },
            sidecar: Sidecar {
                config,
                resources,
                ..self.sidecar(&folder)
            },
            app_log: self.destination(either!(self, app_log_destination), "fileAndConsole"),
            sidecar_log: self.destination(either!(self, daprd_log_destination), "file"),
            depends_on: Vec::new(),
            restart: self.restart(),
            folder,
        }
    }

    fn sidecar(&mut self, folder: &Path) -> Sidecar {
        let own = &self.app.own;
        let text = |value: &Option<At<String>>| {
            let value = value.as_ref();
            value.map_or(String::new(), |at| at.value.clone())
        };
        Sidecar {
            app_port: self.port("appPort", &own.app_port),
            app_protocol: plain!(self, app_protocol),
            app_channel_address: text(&own.app_channel_address),
            app_max_concurrency: plain!(self, app_max_concurrency),
            app_ssl: plain!(self, app_ssl),
            health: Health {
                enabled: plain!(self, enable_app_health_check),
                path: plain!(self, app_health_check_path),
                interval: plain!(self, app_health_probe_interval),
                timeout: plain!(self, app_health_probe_timeout),
                threshold: plain!(self, app_health_threshold),
            },
            http_port: self.port("daprHTTPPort", &own.http_port),
            grpc_port: self.port("daprGRPCPort", &own.grpc_port),
            internal_port: self.port("daprInternalGRPCPort", &own.internal_port),
            metrics_port: self.port("metricsPort", &own.metrics_port),
            profile_port: self.port("profilePort", &own.profile_port),
            enable_profiling: plain!(self, enable_profiling),
            enable_api_logging: plain!(self, enable_api_logging),
            listen_addresses: plain!(self, api_listen_addresses),
            unix_domain_socket: match filled(own.unix_domain_socket.as_ref()) {
                // Absolute, so that `list` and `invoke` find the sockets from anywhere.
                Some(at) => absolute(folder, &at.value, self.around.variables)
                    .display()
                    .to_string(),
                None => String::new(),
            },
            config: None,
            resources: Vec::new(),
            max_body_size: plain!(self, max_body_size),
            read_buffer_size: plain!(self, read_buffer_size),
            log_level: plain!(self, log_level),
            log_as_json: self.around.log_as_json,
        }
    }

    fn folder(&mut self) -> PathBuf {
        let path = self.app.own.app_dir_path.as_ref();
        let Some(path) = path.filter(|path| !path.value.is_empty()) else {
            let text = "required field 'appDirPath' not found in the provided app config file; it \
                        is the folder the app runs in";
            self.faults.add(self.app.line, text);
            return self.base.to_owned();
        };
        let folder = self.existing(self.base, path);
        if folder.is_file() {
            let text = format!("appDirPath {}: a file; name its folder", quote(&path.value));
            self.faults.add(path.line, text);
        }
        folder
    }

    fn dapr_folder(&self, runtime_path: &str) -> Option<PathBuf> {
        let given = match runtime_path {
            "" => self.around.runtime_path.to_owned(),
            path => absolute(self.base, path, self.around.variables)
                .display()
                .to_string(),
        };
        dapr_folder::find(&given, self.around.variables)
    }

    /// The app's own > its folder's > the common one > Dapr's.
    fn config(&mut self, folder: &Path, dapr: Option<&Path>) -> Option<PathBuf> {
        if let Some(path) = filled(self.app.shared.config_file_path.as_ref()) {
            return Some(self.existing(folder, path));
        }
        let in_folder = folder.join(".dapr").join("config.yaml");
        if in_folder.exists() {
            return Some(in_folder);
        }
        match filled(self.common.config_file_path.as_ref()) {
            Some(path) => Some(self.existing(self.base, path)),
            None => dapr_folder::config(dapr),
        }
    }

    /// In the same order. Never a union.
    fn resources(&mut self, folder: &Path, dapr: Option<&Path>, notes: &mut Notes) -> Vec<PathBuf> {
        let own = self.resource_paths(folder, &self.app.shared);
        if !own.is_empty() {
            return own;
        }
        let in_folder = folder.join(".dapr").join("resources");
        if in_folder.exists() {
            return vec![in_folder];
        }
        match self.resource_paths(self.base, self.common) {
            paths if paths.is_empty() => resources::default(dapr, self.around.variables, notes),
            paths => paths,
        }
    }

    fn resource_paths(&mut self, base: &Path, from: &Common) -> Vec<PathBuf> {
        let list = from.resources_paths.iter().flat_map(|list| &list.value);
        let all = list.chain(&from.resources_path);
        let all = all.filter(|path| !path.value.is_empty());
        all.map(|path| self.existing(base, path)).collect()
    }

    /// Every path that is given must be there.
    fn existing(&mut self, base: &Path, path: &At<String>) -> PathBuf {
        let full = absolute(base, &path.value, self.around.variables);
        if let Err(error) = std::fs::metadata(&full) {
            let shown = full.display();
            let text = format!("error in getting the file info for {shown}: {error}");
            self.faults.add(path.line, text);
        }
        full
    }

    fn port(&mut self, key: &str, number: &Option<At<i64>>) -> Option<u16> {
        let number = number.as_ref()?;
        match values::port(number.value) {
            Ok(port) => port,
            Err(why) => {
                let text = format!("{key} is {}; {why}", number.value);
                self.faults.add(number.line, text);
                None
            }
        }
    }

    fn destination(&mut self, given: Option<&At<String>>, default: &str) -> Destination {
        let name = filled(given).map_or(default, |at| at.value.as_str());
        if let Some(destination) = Destination::by_name(name) {
            return destination;
        }
        let line = given.map_or(self.app.line, |at| at.line);
        let text = format!(
            "invalid log destination type: {name}; allowed are console, file, fileAndConsole"
        );
        self.faults.add(line, text);
        Destination::Console
    }

    fn restart(&mut self) -> Restart {
        let Some(at) = either!(self, restart) else {
            return Restart::No;
        };
        match at.value.as_str() {
            "" | "no" => Restart::No,
            "on-failure" => Restart::OnFailure,
            "always" => Restart::Always,
            other => {
                let text = format!("restart is {other}; allowed are no, on-failure, always");
                self.faults.add(at.line, text);
                Restart::No
            }
        }
    }

    /// Texts of which only some mean something.
    fn check_values(&mut self) {
        type Check = fn(&str) -> Result<(), String>;
        let all: [(&str, Option<&At<String>>, Check); 4] = [
            ("appProtocol", either!(self, app_protocol), values::protocol),
            ("logLevel", either!(self, log_level), values::log_level),
            ("maxBodySize", either!(self, max_body_size), values::size),
            (
                "readBufferSize",
                either!(self, read_buffer_size),
                values::size,
            ),
        ];
        for (key, at, check) in all {
            if let Some(at) = at
                && let Err(why) = check(&at.value)
            {
                self.faults
                    .add_once(at.line, format!("{key} is {}; {why}", quote(&at.value)));
            }
        }
    }

    /// It means nothing here; the reference checks it all the same.
    fn check_pull_policy(&mut self) {
        let policy = filled(self.app.own.container_image_pull_policy.as_ref());
        if let Some(at) = policy
            && !matches!(at.value.as_str(), "Always" | "Never" | "IfNotPresent")
        {
            let text = format!(
                "invalid containerImagePullPolicy: {}; allowed are Always, Never, IfNotPresent",
                at.value
            );
            self.faults.add(at.line, text);
        }
    }
}

fn filled(at: Option<&At<String>>) -> Option<&At<String>> {
    at.filter(|at| !at.value.is_empty())
}

/// `~/` is the user's home; whatever else is relative begins at the base.
fn absolute(base: &Path, path: &str, variables: &Variables) -> PathBuf {
    let home = variables.get(OsStr::new("HOME"));
    let full = match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => Path::new(home).join(rest),
        _ => base.join(path),
    };
    // Takes out `.` and doubled slashes, as far as that is possible without looking.
    std::path::absolute(&full).unwrap_or(full)
}
