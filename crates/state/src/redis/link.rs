//! One connection to one server: how it comes about, what is asked over it and how it breaks.
//!
//! Every question goes out once. Whether it may go out again is not decided here.

use std::{future::Future, io, time::Duration};

use redis::{
    AsyncConnectionConfig, Cmd, Pipeline, ProtocolVersion, RedisConnectionInfo, RedisError,
    ServerError, ServerErrorKind, Value, aio::MultiplexedConnection,
};
use tokio::{net::TcpStream, task::JoinHandle, time};

use super::settings::{Host, Login};

/// A connection that many questions share; answers come in the order of the questions. Closed when
/// the last owner lets go.
pub(super) struct Link {
    connection: MultiplexedConnection,
    driver: JoinHandle<()>,
    peer: String,
}

/// Why there is no connection.
pub(super) enum Failure {
    /// This may have passed in a moment.
    Passing(String),
    /// Trying again at once would only take time.
    Lasting(String),
}

/// A question that got no answer. Whether the server has acted on it is unknown.
#[derive(Debug)]
pub(super) enum Broken {
    /// Not in time.
    Late(String),
    /// The connection is gone.
    Lost(String),
}

/// Questions that may wait in line before askers have to.
const LINE: usize = 1024;

impl Link {
    /// Connects, says who we are, chooses the database and makes sure that the server answers.
    pub(super) async fn open(
        host: &Host,
        login: &Login,
        db: i64,
        dial: Duration,
        answer: Option<Duration>,
    ) -> Result<Self, Failure> {
        let peer = host.to_string();
        let stream = within_dial(&peer, dial, connect(host)).await?;
        let info = RedisConnectionInfo::default()
            .set_protocol(ProtocolVersion::RESP2)
            .set_skip_set_lib_name();
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(LINE);
        let (connection, driver) = MultiplexedConnection::new_with_config(&info, stream, config)
            .await
            .map_err(|error| Failure::Passing(format!("read tcp {peer}: {error}")))?;
        let link = Self {
            connection,
            driver: tokio::spawn(driver),
            peer,
        };
        link.greet(login, db, answer).await?;
        Ok(link)
    }

    /// True once nothing can be asked any more.
    pub(super) fn is_dead(&self) -> bool {
        self.driver.is_finished()
    }

    /// The answer to one command; what the server refuses is an answer.
    pub(super) async fn ask(&self, cmd: &Cmd, limit: Option<Duration>) -> Result<Value, Broken> {
        let mut connection = self.connection.clone();
        self.within(limit, connection.send_packed_command(cmd))
            .await
    }

    /// The answers to commands that go out in one piece.
    pub(super) async fn ask_all(
        &self,
        pipe: &Pipeline,
        limit: Option<Duration>,
    ) -> Result<Vec<Value>, Broken> {
        let mut connection = self.connection.clone();
        self.within(limit, connection.send_packed_commands(pipe, 0, pipe.len()))
            .await
    }

    async fn within<T>(
        &self,
        limit: Option<Duration>,
        answer: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, Broken> {
        let answer = match limit {
            None => answer.await,
            Some(limit) => match time::timeout(limit, answer).await {
                Ok(answer) => answer,
                Err(_) => return Err(Broken::Late(format!("read tcp {}: i/o timeout", self.peer))),
            },
        };
        answer.map_err(|error| Broken::Lost(format!("read tcp {}: {}", self.peer, lost(&error))))
    }

    async fn greet(&self, login: &Login, db: i64, limit: Option<Duration>) -> Result<(), Failure> {
        let mut pipe = redis::pipe();
        if !login.password.is_empty() {
            let auth = pipe.cmd("AUTH");
            if !login.username.is_empty() {
                auth.arg(&login.username);
            }
            auth.arg(&login.password);
        }
        if db != 0 {
            pipe.cmd("SELECT").arg(db);
        }
        pipe.cmd("PING");
        let answers = match self.ask_all(&pipe, limit).await {
            Ok(answers) => answers,
            Err(Broken::Late(text)) => return Err(Failure::Lasting(text)),
            Err(Broken::Lost(text)) => return Err(Failure::Passing(text)),
        };
        for answer in answers {
            match answer {
                Value::ServerError(error) if needs_no_password(&error) => {}
                Value::ServerError(error) if is_passing(&error) => {
                    return Err(Failure::Passing(words(&error)));
                }
                Value::ServerError(error) => return Err(Failure::Lasting(words(&error))),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// What the server said, word for word.
pub(super) fn words(error: &ServerError) -> String {
    match error.details() {
        Some(details) => format!("{} {details}", error.code()),
        None => error.code().to_owned(),
    }
}

/// True for a server that can't do anything now but may soon, and has not done what it was asked.
pub(super) fn is_passing(error: &ServerError) -> bool {
    matches!(
        error.kind(),
        Some(
            ServerErrorKind::BusyLoading
                | ServerErrorKind::ReadOnly
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::TryAgain
        )
    )
}

/// A password for a server that has none set is let pass, as the reference's `HELLO` does.
fn needs_no_password(error: &ServerError) -> bool {
    error.details().is_some_and(|details| {
        details.starts_with("AUTH <password> called without any password configured")
            || details.starts_with("Client sent AUTH, but no password is set")
    })
}

async fn connect(host: &Host) -> Result<TcpStream, Failure> {
    let found = tokio::net::lookup_host((host.name.as_str(), host.port)).await;
    let addrs = found.map_err(|error| {
        let text = os_words(&error);
        let why = text.rsplit(": ").next().unwrap_or_default();
        Failure::Passing(format!("dial tcp: lookup {}: {why}", host.name))
    })?;
    let mut last = format!("dial tcp: lookup {}: no such host", host.name);
    for addr in addrs {
        match TcpStream::connect(addr).await {
            // A small write waits for nothing.
            Ok(stream) => match stream.set_nodelay(true) {
                Ok(()) => return Ok(stream),
                Err(error) => last = format!("dial tcp {addr}: {}", os_words(&error)),
            },
            Err(error) => last = format!("dial tcp {addr}: connect: {}", os_words(&error)),
        }
    }
    Err(Failure::Passing(last))
}

async fn within_dial<T>(
    peer: &str,
    limit: Duration,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match time::timeout(limit, work).await {
        Ok(done) => done,
        Err(_) => Err(Failure::Lasting(format!("dial tcp {peer}: i/o timeout"))),
    }
}

/// The system's words as Go has them.
fn os_words(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    text.to_lowercase()
}

fn lost(error: &RedisError) -> String {
    match error.is_io_error() {
        // Only the first of the questions under way is told the system's reason.
        true => "connection lost before the answer came".into(),
        false => error.to_string(),
    }
}
