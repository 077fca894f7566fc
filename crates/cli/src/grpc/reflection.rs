//! Asks a server what it serves: gRPC server reflection, `v1` or else `v1alpha`.
//!
//! Believes no more than a bounded number of files of a bounded size.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use outrider_wire::{
    r#gen::reflection::{
        ErrorResponse, ServerReflectionRequest, ServerReflectionResponse,
        server_reflection_request::MessageRequest as Ask,
        server_reflection_response::MessageResponse as Answer,
    },
    grpc::code_name,
};
use prost::Message as _;
use prost_reflect::{DescriptorPool, prost_types::FileDescriptorProto};

use super::{
    Channel, Failure, Question, Status,
    channel::{Call, Last},
};
/// A conversation about services.
#[derive(Debug)]
pub(crate) struct Reflection {
    call: Call,
}

/// Why nothing was learnt.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// Neither version is served.
    #[error("it offers no server reflection")]
    Unsupported,
    #[error(transparent)]
    Failure(#[from] Failure),
    #[error("it ended the reflection with {}", .0.line())]
    Status(Status),
    #[error("it can't describe {what:?}: {}: {message}", code_name(*.code))]
    Part {
        what: String,
        code: i32,
        message: String,
    },
    #[error("its reflection answers what was not asked")]
    Odd,
    #[error("its answer can't be read: {0}")]
    Unreadable(#[from] prost::DecodeError),
    #[error("what it says of itself is wrong: {0}")]
    Wrong(#[from] prost_reflect::DescriptorError),
    #[error("it describes itself with more than {FILES} files or {BYTES} bytes")]
    TooMuch,
}

impl Reflection {
    /// Begins, and tells the names of the services.
    pub(crate) async fn start(
        channel: &Channel,
        metadata: &[(String, String)],
    ) -> Result<(Self, Vec<String>), Refusal> {
        for version in ["v1", "v1alpha"] {
            let method = format!("grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
            let question = Question {
                method: &method,
                metadata,
                limit: None,
            };
            let call = channel.open(question).await?;
            match Self::services(call).await {
                Err(Refusal::Status(status)) if status.code == UNIMPLEMENTED => {}
                other => return other,
            }
        }
        Err(Refusal::Unsupported)
    }

    async fn services(mut call: Call) -> Result<(Self, Vec<String>), Refusal> {
        // A server that does not know the method may refuse it before it reads a message.
        let sent = call.send(&question(Ask::ListServices("*".to_owned())), Last::No);
        let Some(answer) = call.message().await? else {
            let (_, status) = call.finish().await?;
            return Err(match sent {
                Err(failure) if status.is_ok() => failure.into(),
                _ => Refusal::Status(status),
            });
        };
        match read(answer)? {
            Answer::ListServicesResponse(list) => {
                let names = list.service.into_iter().map(|it| it.name);
                let mut names: Vec<String> = names.collect();
                names.sort();
                names.dedup();
                names.truncate(FILES);
                Ok((Self { call }, names))
            }
            Answer::ErrorResponse(error) => Err(refused("its services", error)),
            _ => Err(Refusal::Odd),
        }
    }

    /// The files that declare these services, and all that those import.
    pub(crate) async fn files(
        mut self,
        services: &[&str],
    ) -> Result<Vec<FileDescriptorProto>, Refusal> {
        let mut known: BTreeMap<String, FileDescriptorProto> = BTreeMap::new();
        let mut bytes = 0;
        let symbols = services
            .iter()
            .map(|it| Ask::FileContainingSymbol((*it).to_owned()));
        let mut wanted: VecDeque<Ask> = symbols.collect();
        while let Some(ask) = wanted.pop_front() {
            if let Ask::FileByFilename(name) = &ask
                && known.contains_key(name)
            {
                continue;
            }
            for file in self.ask(ask).await? {
                bytes += file.len();
                let file = FileDescriptorProto::decode(file)?;
                let imports = file.dependency.iter().cloned().map(Ask::FileByFilename);
                wanted.extend(imports);
                known.insert(file.name().to_owned(), file);
                if known.len() > FILES || bytes > BYTES {
                    return Err(Refusal::TooMuch);
                }
            }
        }
        Ok(known.into_values().collect())
    }

    async fn ask(&mut self, ask: Ask) -> Result<Vec<Bytes>, Refusal> {
        let what = match &ask {
            Ask::FileByFilename(name) | Ask::FileContainingSymbol(name) => name.clone(),
            _ => String::new(),
        };
        self.call.send(&question(ask), Last::No)?;
        match read(self.call.message().await?.ok_or(Failure::Cut)?)? {
            Answer::FileDescriptorResponse(files) => Ok(files.file_descriptor_proto),
            Answer::ErrorResponse(error) => match well_known(&what) {
                // Some servers keep these to themselves; everyone knows them.
                Some(file) => Ok(vec![file]),
                None => Err(refused(&what, error)),
            },
            _ => Err(Refusal::Odd),
        }
    }
}

fn question(ask: Ask) -> Vec<u8> {
    let question = ServerReflectionRequest {
        message_request: Some(ask),
        ..ServerReflectionRequest::default()
    };
    question.encode_to_vec()
}

fn read(message: Bytes) -> Result<Answer, Refusal> {
    let answer = ServerReflectionResponse::decode(message)?;
    answer.message_response.ok_or(Refusal::Odd)
}

fn refused(what: &str, error: ErrorResponse) -> Refusal {
    Refusal::Part {
        what: what.to_owned(),
        code: error.error_code,
        message: error.error_message,
    }
}

/// A file of protobuf itself.
fn well_known(name: &str) -> Option<Bytes> {
    let file = DescriptorPool::global().get_file_by_name(name)?;
    Some(file.encode_to_vec().into())
}

const UNIMPLEMENTED: i32 = 12;
const FILES: usize = 2_000;
const BYTES: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::super::testing::{self, App, Said};
    use super::*;

    async fn learnt(app: &App, services: &[&str]) -> Result<Vec<String>, Refusal> {
        let channel = Channel::connect(&app.address()).await?;
        let (reflection, _) = Reflection::start(&channel, &[]).await?;
        let files = reflection.files(services).await?;
        Ok(files.into_iter().map(|it| it.name().to_owned()).collect())
    }

    #[tokio::test]
    async fn files_come_with_all_that_they_import() {
        for version in ["v1", "v1alpha"] {
            let app = App::start(testing::reflecting(version)).await;
            let channel = Channel::connect(&app.address()).await.unwrap();
            let (_, services) = Reflection::start(&channel, &[]).await.unwrap();
            let reflection = format!("grpc.reflection.{version}.ServerReflection");
            assert_eq!(services, [&*reflection, testing::SERVICE]);
            let files = learnt(&app, &[testing::SERVICE]).await.unwrap();
            // The last one is not served.
            let all = [
                "base.proto",
                "google/protobuf/timestamp.proto",
                "shop.proto",
            ];
            assert_eq!(files, all);
        }
    }

    #[tokio::test]
    async fn an_app_without_reflection_is_told_from_one_that_fails() {
        let app = App::start(|_, _| Said::status(12, "unknown service")).await;
        let refusal = learnt(&app, &[]).await.unwrap_err();
        assert!(matches!(refusal, Refusal::Unsupported), "{refusal:?}");
        let app = App::start(|_, _| Said::status(16, "who are you?")).await;
        let refusal = learnt(&app, &[]).await.unwrap_err().to_string();
        assert_eq!(
            refusal,
            "it ended the reflection with Unauthenticated: who are you?"
        );
    }

    #[tokio::test]
    async fn what_it_does_not_know_is_named() {
        let app = App::start(testing::reflecting("v1")).await;
        let refusal = learnt(&app, &["a.B"]).await.unwrap_err().to_string();
        assert_eq!(refusal, "it can't describe \"a.B\": NotFound: not here");
        let app = App::start(|_, _| Said::message(Bytes::from_static(b"\xff"))).await;
        let refusal = learnt(&app, &[]).await.unwrap_err();
        assert!(matches!(refusal, Refusal::Unreadable(_)), "{refusal:?}");
        let app = App::start(|_, _| Said::message(Bytes::new())).await;
        let refusal = learnt(&app, &[]).await.unwrap_err();
        assert!(matches!(refusal, Refusal::Odd), "{refusal:?}");
    }
}
