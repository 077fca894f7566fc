//! The public port: health and metadata, and nothing else (contract `http-api.md` 13).

use std::rc::Rc;

use super::{Answer, finish, health, metadata, record::Record, route::Route, take_apart};
use crate::{
    http1::{self, Handler, Limits, Request, Response, Sent, Served},
    io::{Socket, Stream},
    lane::Lane,
    plan::Routes,
};

/// The public port as one connection sees it.
struct Public {
    lane: Rc<Lane>,
}

/// Serves a connection to its end.
pub(crate) async fn serve(lane: Rc<Lane>, stream: Stream) {
    let socket = Socket::new(stream);
    let served = Served {
        socket: &socket,
        buffers: &lane.buffers,
        date: &lane.date,
        limits: Limits {
            head: lane.shared.limits.head,
            body: lane.shared.limits.body,
            h2c: false,
        },
        drain: lane.shared.drain.subscribe(),
    };
    http1::serve(
        served,
        &Public {
            lane: Rc::clone(&lane),
        },
    )
    .await;
}

impl Handler for Public {
    type Record = Option<Record>;

    async fn handle(&self, req: Request) -> Response<Self::Record> {
        let asked = match take_apart(req) {
            Ok(asked) => asked,
            Err(answer) => return finish(answer, None),
        };
        let shared = &self.lane.shared;
        let record = Record::new(&self.lane, &asked);
        let routes = Routes {
            invoke: false,
            shutdown: false,
            state: false,
            query: false,
            ..shared.plan.api.routes
        };
        let answer = match Route::of(asked.req.head.method(), &asked.raw_path, &routes) {
            Route::Healthz => health::healthz(shared, &asked.query),
            Route::HealthzOutbound => health::outbound(shared),
            Route::Metadata => metadata::read(shared),
            Route::PutMetadata(key) => metadata::write(shared, key, asked.req.body).await,
            Route::WrongMethod(allowed) => Answer::wrong_method(allowed),
            _ => Answer::text(404, "404 page not found"),
        };
        record.sealed(answer)
    }

    fn finished(&self, record: Self::Record, sent: Sent) {
        if let Some(record) = record {
            record.finish(sent);
        }
    }
}
