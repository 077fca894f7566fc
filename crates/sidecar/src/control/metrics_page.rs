//! The metrics page (contract `observability.md` 1): every path answers with it.

use std::{net::TcpListener as StdTcpListener, rc::Rc, sync::Arc};

use outrider_telemetry::metrics::{CONTENT_TYPE, render_page};
use outrider_wire::Fields;
use tokio::{net::TcpListener, task::spawn_local};

use crate::{
    call::Body,
    http1::{self, Date, Handler, Limits, Request, Response, Sent, Served, Sizing},
    io::{Buffers, Socket, Stream},
    shared::Shared,
};

struct Page {
    shared: Arc<Shared>,
}

impl Handler for Page {
    type Record = ();

    async fn handle(&self, _: Request) -> Response<()> {
        let mut text = String::with_capacity(16 * 1024);
        render_page(&self.shared.families.registry, &mut text);
        let mut fields = Fields::default();
        fields.push(b"Content-Type", CONTENT_TYPE.as_bytes());
        Response {
            status: 200,
            fields,
            body: Body::whole(text.into()),
            sizing: Sizing::Length,
            close: false,
            record: (),
        }
    }

    fn finished(&self, (): (), _: Sent) {}
}

/// Serves the page until the task is dropped.
pub(crate) async fn serve(listener: StdTcpListener, shared: Arc<Shared>) -> std::io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let buffers = Rc::<Buffers>::default();
    let date = Rc::<Date>::default();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        };
        let (shared, buffers, date) = (Arc::clone(&shared), Rc::clone(&buffers), Rc::clone(&date));
        spawn_local(async move {
            let socket = Socket::new(Stream::Tcp(stream));
            let served = Served {
                socket: &socket,
                buffers: &buffers,
                date: &date,
                limits: Limits {
                    head: 64 * 1024,
                    body: 64 * 1024,
                    h2c: false,
                },
                drain: shared.drain.subscribe(),
            };
            http1::serve(
                served,
                &Page {
                    shared: Arc::clone(&shared),
                },
            )
            .await;
        });
    }
}
