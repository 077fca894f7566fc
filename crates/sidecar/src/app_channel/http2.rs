//! Requests to an app that speaks HTTP/2 without TLS.

use std::{
    rc::Rc,
    task::{Context, Poll},
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
        pool::Group,
        raw::{self, Broken, RawBody, Sending},
    },
};

/// Attempts over further connections where the app did not look at the one before.
const UNPROCESSED_LIMIT: u32 = 3;

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
        let again = match &rest.body {
            Body::Empty => Some(Bytes::new()),
            Body::Whole(bytes) => Some(bytes.clone()),
            Body::Stream(_) => None,
        };
        let mut body = rest.body;
        let mut unprocessed = 0;
        let (response, sending) = loop {
            let link = self.group.link(&self.end).await;
            let link = link.map_err(|error| AppError::Unreachable(error.cause().to_owned()))?;
            let sent = async { raw::open(&link, head.clone(), body).await?.head().await };
            match (sent.await, &again) {
                (Ok(answered), _) => break answered,
                (Err(Broken::Unprocessed(_)), Some(bytes)) if unprocessed < UNPROCESSED_LIMIT => {
                    unprocessed += 1;
                    body = Body::whole(bytes.clone());
                }
                (Err(broken), _) => return Err(error(broken)),
            }
        };
        let (parts, recv) = response.into_parts();
        let mut fields = Fields::with_capacity(256, parts.headers.len());
        for (name, value) in &parts.headers {
            fields.push_canonical(name.as_str().as_bytes(), value.as_bytes());
        }
        let body = RawBody::new(recv).into_body().await;
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

fn error(broken: Broken) -> AppError {
    match broken {
        Broken::Body(error) => AppError::Body(error),
        Broken::Unprocessed(error) | Broken::Stream(error) => {
            AppError::Http2(crate::link::failure::text(&error))
        }
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
