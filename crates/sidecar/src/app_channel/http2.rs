//! Requests to an app that speaks HTTP/2 without TLS.

use std::{
    cell::RefCell,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderValue, Request, header};
use outrider_wire::Fields;
use tokio::sync::OwnedSemaphorePermit;

use super::{AppError, Rest, http::AppAnswer};
use crate::{
    call::{Body, BodyError, BodyStream},
    link::{
        end::{AppEnd, End},
        failure,
        pool::Group,
        raw::{self, BodySource, Broken, NoAnswer, RawBody, Sending},
    },
};

/// The app beside this sidecar, as one lane sees it.
pub(super) struct Channel {
    end: End,
    group: Rc<Group>,
}

impl Channel {
    /// The app at `addr` (`host:port`).
    pub(super) fn new(addr: &str) -> Self {
        Self {
            end: End::App(Rc::new(AppEnd {
                addr: addr.to_owned(),
                tls: None,
            })),
            group: Rc::default(),
        }
    }

    /// Sends a request and waits for the head of its answer. It is sent again only if the app
    /// surely did not look at it.
    pub(super) async fn send(
        &self,
        mut head: Request<()>,
        rest: Rest,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<AppAnswer, AppError> {
        if let Some(length) = declared(&rest) {
            let value = HeaderValue::from(length);
            head.headers_mut().insert(header::CONTENT_LENGTH, value);
        }
        let length = rest.length;
        let source = match rest.body {
            Body::Stream(_) => Source::Once(RefCell::new(Some(Body::Stream(Box::new(Exactly {
                body: rest.body,
                length,
                sent: 0,
            }))))),
            Body::Whole(bytes) => Source::Again(bytes),
            Body::Empty => Source::Again(Bytes::new()),
        };
        let answered = raw::exchange(&self.group, &self.end, || head.clone(), &source).await;
        let (response, sending) = answered.map_err(error)?;
        let (parts, recv) = response.into_parts();
        let mut fields = Fields::with_capacity(256, parts.headers.len());
        for (name, value) in &parts.headers {
            fields.push_canonical(name.as_str().as_bytes(), value.as_bytes());
        }
        let body = RawBody::answer(recv).into_body().await;
        let body = match body {
            Body::Stream(_) => Body::Stream(Box::new(Answer {
                body,
                sending,
                permit,
            })),
            whole => whole,
        };
        Ok(AppAnswer {
            status: parts.status.as_u16(),
            fields,
            body,
        })
    }
}

/// The length that the app is told.
fn declared(rest: &Rest) -> Option<u64> {
    match &rest.body {
        Body::Empty => matches!(rest.verb, "POST" | "PUT" | "PATCH").then_some(0),
        Body::Whole(bytes) => Some(bytes.len() as u64),
        Body::Stream(_) => rest.length,
    }
}

fn error(error: NoAnswer) -> AppError {
    match error {
        NoAnswer::Unreached(error) => AppError::Unreachable(error.cause().to_owned()),
        NoAnswer::Broken(Broken::Body(error)) => AppError::Body(error),
        NoAnswer::Broken(Broken::Unprocessed(error) | Broken::Stream(error)) => {
            AppError::Http2(failure::text(&error))
        }
    }
}

/// A body to be sent.
enum Source {
    /// As often as one likes.
    Again(Bytes),
    /// But once.
    Once(RefCell<Option<Body>>),
}

impl BodySource for Source {
    const ENDS_IN_DATA: bool = false;

    fn body(&self) -> Body {
        match self {
            Self::Again(bytes) => Body::whole(bytes.clone()),
            Self::Once(body) => body.take().unwrap_or_default(),
        }
    }

    fn is_possible(&self) -> bool {
        match self {
            Self::Again(_) => true,
            Self::Once(body) => body.borrow().is_some(),
        }
    }
}

/// A body that breaks if it is not as long as was said.
struct Exactly {
    body: Body,
    length: Option<u64>,
    sent: u64,
}

impl BodyStream for Exactly {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let piece = ready!(self.body.poll_data(cx));
        if let Some(Ok(piece)) = &piece {
            self.sent += piece.len() as u64;
        }
        let ended = piece.is_none();
        match self.length {
            Some(length) if self.sent > length || (ended && self.sent < length) => {
                let text = format!(
                    "http: ContentLength={length} with Body length {}",
                    self.sent
                );
                self.length = None;
                Poll::Ready(Some(Err(BodyError::Broken(text))))
            }
            _ => Poll::Ready(piece),
        }
    }

    fn poll_progress(&mut self, cx: &mut Context<'_>) {
        self.body.poll_progress(cx);
    }
}

/// The body of an answer whose request may still be leaving.
struct Answer {
    body: Body,
    sending: Sending,
    /// Holds the app's slot until the answer has been relayed (contract `lifecycle.md` 5).
    permit: Option<OwnedSemaphorePermit>,
}

impl BodyStream for Answer {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        self.sending.poll_progress(cx);
        if let Some(error) = self.sending.take_failure() {
            return Poll::Ready(Some(Err(error)));
        }
        let polled = self.body.poll_data(cx);
        if matches!(polled, Poll::Ready(None)) {
            self.permit = None;
        }
        polled
    }

    fn poll_progress(&mut self, cx: &mut Context<'_>) {
        self.sending.poll_progress(cx);
    }
}
