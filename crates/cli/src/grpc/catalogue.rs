//! The services of an app and the types of their messages.

use prost_reflect::{DescriptorPool, MessageDescriptor, MethodDescriptor, ServiceDescriptor};

use super::{Channel, Reflection, Refusal};
use crate::{output::printable, suggest};
use outrider_core::quote::quote;

/// What is known of an app.
#[derive(Debug)]
pub(crate) struct Catalogue {
    pool: DescriptorPool,
    /// The full names of all services, described or not.
    services: Vec<String>,
}

impl Catalogue {
    /// Asks the app for the service, or for all of them if it has none of that name.
    pub(crate) async fn ask(
        channel: &Channel,
        metadata: &[(String, String)],
        wanted: Option<&str>,
    ) -> Result<Self, Refusal> {
        let (reflection, mut services) = Reflection::start(channel, metadata).await?;
        services.retain(|it| !is_about_services(it));
        let names = services.iter().map(String::as_str);
        let symbols: Vec<&str> = match wanted.filter(|it| names.clone().any(|name| name == *it)) {
            Some(service) => vec![service],
            None => names.collect(),
        };
        let mut pool = DescriptorPool::new();
        pool.add_file_descriptor_protos(reflection.files(&symbols).await?)?;
        Ok(Self { pool, services })
    }

    /// Reads a `FileDescriptorSet`, as `protoc` writes it.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        let pool = DescriptorPool::decode(bytes).map_err(|error| {
            format!(
                "{error}; make the file with 'protoc --include_imports --descriptor_set_out=FILE'"
            )
        })?;
        let services = pool.services().map(|it| it.full_name().to_owned());
        Ok(Self {
            services: services.collect(),
            pool,
        })
    }

    /// The message of that full name.
    pub(crate) fn message(&self, name: &str) -> Option<MessageDescriptor> {
        self.pool.get_message_by_name(name)
    }

    /// The method that `pkg.Service/Method` names. The error says what there is instead.
    pub(crate) fn method(&self, text: &str) -> Result<MethodDescriptor, String> {
        let found = split(text).and_then(|(service, method)| {
            let service = self.pool.get_service_by_name(service)?;
            service.methods().find(|it| it.name() == method)
        });
        found.ok_or_else(|| {
            let hint = match self.meant(text) {
                Some(meant) => format!("; did you mean {meant}?"),
                None => String::new(),
            };
            format!("it has no method {}{hint}\n{}", quote(text), self.list())
        })
    }

    /// What there is to call.
    pub(crate) fn list(&self) -> String {
        let mut lines = Vec::new();
        for name in &self.services {
            match self.pool.get_service_by_name(name) {
                Some(service) => lines.extend(service.methods().map(|it| signature(&it))),
                None => lines.push(format!("{name}/…")),
            }
        }
        let more = lines.len().saturating_sub(LISTED);
        lines.truncate(LISTED);
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        if lines.is_empty() {
            return "it offers no methods".to_owned();
        }
        let lines: Vec<String> = lines
            .iter()
            .map(|it| format!("  {}", printable(it)))
            .collect();
        format!("it offers:\n{}", lines.join("\n"))
    }

    /// The method whose name is nearest to the text.
    fn meant(&self, text: &str) -> Option<String> {
        let plain = |text: &str| {
            text.trim_start_matches('/')
                .replace('/', ".")
                .to_lowercase()
        };
        let written = plain(text);
        let described = self.services.iter();
        let described = described.filter_map(|it| self.pool.get_service_by_name(it));
        let names: Vec<String> = described.flat_map(|it| full_names(&it)).collect();
        let ends_so = |name: &&String| {
            let name = plain(name);
            name == written || name.ends_with(&format!(".{written}"))
        };
        let ending = names.iter().find(ends_so).map(String::as_str);
        let nearest = || suggest::nearest(text.trim_start_matches('/'), &names);
        ending.or_else(nearest).map(str::to_owned)
    }
}

/// Service and method.
pub(crate) fn split(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('/').unwrap_or(text).rsplit_once('/')
}

fn full_names(service: &ServiceDescriptor) -> Vec<String> {
    service.methods().map(|it| full_name(&it)).collect()
}

fn full_name(method: &MethodDescriptor) -> String {
    format!("{}/{}", method.parent_service().full_name(), method.name())
}

fn signature(method: &MethodDescriptor) -> String {
    let stream = |is_stream| if is_stream { "stream " } else { "" };
    format!(
        "{} ({}{}) returns ({}{})",
        full_name(method),
        stream(method.is_client_streaming()),
        method.input().name(),
        stream(method.is_server_streaming()),
        method.output().name(),
    )
}

fn is_about_services(service: &str) -> bool {
    service.starts_with("grpc.reflection.")
}

/// More lines than this help nobody.
const LISTED: usize = 60;

#[cfg(test)]
mod tests {
    use super::super::testing::{self, App, catalogue};
    use super::*;

    #[test]
    fn methods_are_found_with_and_without_the_first_slash() {
        for text in ["shop.v1.Orders/Get", "/shop.v1.Orders/Get"] {
            assert_eq!(catalogue().method(text).unwrap().input().name(), "GetOrder");
        }
    }

    #[test]
    fn a_slip_is_answered_with_what_there_is() {
        for (slip, meant) in [
            ("shop.v1.Orders/get", "Orders/Get"),
            ("Orders/Get", "Orders/Get"),
            ("Watch", "Orders/Watch"),
            ("shop.v1.Orders.Get", "Orders/Get"),
            ("shop.v1.Order/Watch", "Orders/Watch"),
        ] {
            let error = catalogue().method(slip).unwrap_err();
            let first = format!("it has no method {slip:?}; did you mean shop.v1.{meant}?\n");
            assert!(error.starts_with(&first), "{error}");
        }
        let error = catalogue().method("a.b.c.D/E").unwrap_err();
        assert_eq!(
            error,
            "it has no method \"a.b.c.D/E\"\nit offers:\n  \
             shop.v1.Orders/Get (GetOrder) returns (Order)\n  \
             shop.v1.Orders/Watch (GetOrder) returns (stream Order)"
        );
    }

    #[test]
    fn files_that_are_no_sets_are_refused_with_the_cure() {
        let error = Catalogue::read(b"syntax = \"proto3\";").unwrap_err();
        assert!(error.contains("protoc --include_imports"), "{error}");
        // One that lacks what it imports.
        let mut set = testing::set();
        set.file.retain(|it| it.name() == "shop.proto");
        let bytes = prost::Message::encode_to_vec(&set);
        assert!(Catalogue::read(&bytes).is_err());
        let bytes = prost::Message::encode_to_vec(&testing::set());
        assert!(Catalogue::read(&bytes).is_ok());
    }

    #[tokio::test]
    async fn an_app_is_asked_for_the_service_or_for_all() {
        let app = App::start(testing::reflecting("v1")).await;
        let channel = Channel::connect(&app.address()).await.unwrap();
        for wanted in [Some(testing::SERVICE), Some("x.Y"), None] {
            let catalogue = Catalogue::ask(&channel, &[], wanted).await.unwrap();
            assert!(catalogue.method("shop.v1.Orders/Get").is_ok());
        }
    }
}
