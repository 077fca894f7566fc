//! One connection to one server: who we are there, what is asked over it and how it breaks.
//!
//! Every question goes out once. Whether it may go out again is not decided here.

use std::time::Duration;

use outrider_trust::Connector;

use super::{
    dial::{Failure, Stream, dial},
    pipe::{Gap, Pipe},
    question::Question,
    settings::{Host, Login},
    value::{Refusal, Value},
};

/// A connection that many questions share; answers come in the order of the questions. Closed when
/// the last owner lets go.
pub(super) struct Link {
    pipe: Pipe<Stream>,
    peer: String,
}

/// What all connections of a store are made like.
pub(super) struct Wire {
    /// Time for a connection to come about.
    pub dial: Duration,
    /// Time for the first answers; none is for ever.
    pub answer: Option<Duration>,
    /// Encryption, if there is any.
    pub tls: Option<Connector>,
}

/// A question that got no answer.
#[derive(Debug)]
pub(super) enum Broken {
    /// Not in time. Whether the server has acted on it is unknown.
    Late(String),
    /// The connection is gone. Whether the server has acted on it is unknown.
    Lost(String),
    /// The connection is gone, and nothing of the question was sent.
    Unsent(String),
    /// Too many wait on this connection, and nothing of the question was sent.
    Full(String),
}

impl Link {
    /// Connects, says who we are, chooses the database and makes sure that the server answers.
    pub(super) async fn open(
        host: &Host,
        login: &Login,
        db: i64,
        wire: &Wire,
    ) -> Result<Self, Failure> {
        let stream = dial(host, wire.tls.as_ref(), wire.dial).await?;
        let link = Self {
            pipe: Pipe::new(stream),
            peer: host.to_string(),
        };
        match link.greet(login, db, wire.answer).await {
            Ok(()) => Ok(link),
            // That is how a port for TLS answers to anything else.
            Err(Failure::Passing(text)) if link.is_dead() && wire.tls.is_none() => Err(
                Failure::Passing(format!("{text}; does the server want TLS (enableTLS)?")),
            ),
            Err(failure) => Err(failure),
        }
    }

    /// True once nothing can be asked any more.
    pub(super) fn is_dead(&self) -> bool {
        self.pipe.is_broken()
    }

    /// The answers to a question; what the server refuses is an answer.
    pub(super) async fn ask(
        &self,
        question: &Question,
        limit: Option<Duration>,
    ) -> Result<Vec<Value>, Broken> {
        let answered = self.pipe.ask(question, limit).await;
        answered.map_err(|gap| {
            let peer = &self.peer;
            match gap {
                Gap::Late => Broken::Late(format!("read tcp {peer}: i/o timeout")),
                Gap::Lost(why) => Broken::Lost(format!("read tcp {peer}: {why}")),
                Gap::Unsent(why) => Broken::Unsent(format!("write tcp {peer}: {why}")),
                Gap::Full => Broken::Full(format!(
                    "write tcp {peer}: too many requests wait for answers of redis; nothing was sent"
                )),
            }
        })
    }

    /// The answer to one command.
    pub(super) async fn ask_once(
        &self,
        words: &[&str],
        limit: Option<Duration>,
    ) -> Result<Value, Failure> {
        let answers = self.ask(&Question::of(words), limit).await?;
        Ok(answers.into_iter().next().unwrap_or(Value::Nil))
    }

    async fn greet(&self, login: &Login, db: i64, limit: Option<Duration>) -> Result<(), Failure> {
        let mut question = Question::default();
        match (&*login.username, &*login.password) {
            (_, "") => {}
            ("", password) => question.add(&["AUTH", password]),
            (username, password) => question.add(&["AUTH", username, password]),
        }
        if db != 0 {
            question.add(&["SELECT", &db.to_string()]);
        }
        question.add(&["PING"]);
        for answer in self.ask(&question, limit).await? {
            match answer {
                Value::Refused(refusal) if needs_no_password(&refusal) => {}
                Value::Refused(refusal) if refusal.is_passing() => {
                    return Err(Failure::Passing(refusal.0));
                }
                Value::Refused(refusal) => return Err(Failure::Lasting(refusal.0)),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Broken {
    /// The reason.
    pub(super) fn text(self) -> String {
        let (Self::Late(text) | Self::Lost(text) | Self::Unsent(text) | Self::Full(text)) = self;
        text
    }
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Late(text) => Self::Lasting(text),
            Broken::Lost(text) | Broken::Unsent(text) | Broken::Full(text) => Self::Passing(text),
        }
    }
}

/// A password for a server that has none set is let pass, as the reference's `HELLO` does.
fn needs_no_password(refusal: &Refusal) -> bool {
    let text = &refusal.0;
    text.starts_with("ERR AUTH <password> called without any password configured")
        || text.starts_with("ERR Client sent AUTH, but no password is set")
}
