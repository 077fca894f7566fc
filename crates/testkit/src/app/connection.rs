//! One connection of a raw app: reading requests, acting out scripts.
//!
//! Decides nothing by itself; what is written, and when, is in the script.

use std::io;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::{Shared, lock};
use crate::message::{Ending, RawRequest, parse_head};
use crate::script::{Gate, Step};
use crate::wire::{BodyRead, Framing, Wire, ending_of};

/// What sidecars ask apps on their own account.
const INTERNAL: [&str; 2] = ["/dapr/config", "/healthz"];
const NOT_FOUND: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";

pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Connections end with this task: the set aborts them when it is dropped.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        // Small writes must arrive as written, not merged by the kernel; failing is harmless.
        let _ = stream.set_nodelay(true);
        let number = shared.seen.change(|seen| {
            seen.open.push(true);
            seen.open.len() - 1
        });
        let conn = Connection {
            wire: Wire::new(stream),
            number,
            shared: Arc::clone(&shared),
        };
        connections.spawn(async move {
            let shared = Arc::clone(&conn.shared);
            // A broken connection is what many tests are about; the record tells.
            let _ = conn.run().await;
            shared.seen.change(|seen| seen.open[number] = false);
        });
    }
}

struct Connection {
    wire: Wire<TcpStream>,
    number: usize,
    shared: Arc<Shared>,
}

enum After {
    KeepAlive,
    Close,
}

/// A request being received, and where it stands in the record.
struct Incoming {
    req: RawRequest,
    framing: Framing,
    body: BodyRead,
    at: usize,
}

impl Connection {
    async fn run(mut self) -> io::Result<()> {
        loop {
            self.wire.take_raw();
            let Some(head) = self.wire.head().await? else {
                return Ok(());
            };
            let (line, headers) = parse_head(&head);
            let mut req = RawRequest {
                chunked: headers.chunked(),
                line,
                headers,
                body: Vec::new(),
                body_len: 0,
                trailers: Default::default(),
                ending: None,
                connection: self.number,
                raw: head.to_vec(),
            };
            let framing = match (req.chunked, req.headers.length()) {
                (true, _) => Framing::Chunked,
                (false, Some(n)) => Framing::Length(n),
                (false, None) => Framing::None,
            };
            if !self.shared.settings.internal
                && req.method() == "GET"
                && INTERNAL.contains(&req.target())
            {
                self.wire.body(framing, &mut BodyRead::default()).await;
                self.wire.io.write_all(NOT_FOUND).await?;
                continue;
            }
            if framing == Framing::None {
                req.ending = Some(Ending::Framing);
            }
            if let After::Close = self.serve(req, framing).await? {
                return Ok(());
            }
        }
    }

    async fn serve(&mut self, req: RawRequest, framing: Framing) -> io::Result<After> {
        let entry = req.clone();
        let at = self.shared.seen.change(|seen| {
            seen.requests.push(entry);
            seen.cleared + seen.requests.len() - 1
        });
        let mut incoming = Incoming {
            req,
            framing,
            body: BodyRead::default(),
            at,
        };
        if !self.shared.settings.at_head {
            self.read_body(&mut incoming).await?;
        }
        // The order matters: a queued script is for the first request that gets this far.
        let once = lock(&self.shared.once).pop_front();
        let script = match once {
            Some(script) => script,
            None => {
                let handler = Arc::clone(&lock(&self.shared.handler));
                handler(&incoming.req)
            }
        };
        for step in script.0 {
            if let After::Close = self.act(step, &mut incoming).await? {
                return Ok(After::Close);
            }
        }
        self.read_body(&mut incoming).await?;
        Ok(After::KeepAlive)
    }

    /// Reads what is left of the body and puts the finished request on record.
    async fn read_body(&mut self, incoming: &mut Incoming) -> io::Result<()> {
        if incoming.req.ending.is_some() {
            return Ok(());
        }
        let expects = incoming
            .req
            .headers
            .get("expect")
            .is_some_and(|v| v.contains("100-"));
        if expects && !self.shared.settings.no_continue && !self.wire.has_unread() {
            self.wire
                .io
                .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
                .await?;
        }
        let ending = self.wire.body(incoming.framing, &mut incoming.body).await;
        self.finish(incoming, ending);
        match ending {
            Ending::Framing => Ok(()),
            _ => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "request body broke off",
            )),
        }
    }

    /// Puts a request whose body ended on record.
    fn finish(&mut self, incoming: &mut Incoming, ending: Ending) {
        let body = std::mem::take(&mut incoming.body);
        let req = &mut incoming.req;
        (req.body, req.body_len, req.trailers) = (body.bytes, body.len, body.trailers);
        (req.raw, req.ending) = (self.wire.take_raw(), Some(ending));
        let (at, entry) = (incoming.at, req.clone());
        self.shared.seen.change(|seen| {
            // A test may have cleared the record meanwhile.
            let place = at.checked_sub(seen.cleared);
            if let Some(slot) = place.and_then(|place| seen.requests.get_mut(place)) {
                *slot = entry;
            }
        });
    }

    async fn act(&mut self, step: Step, incoming: &mut Incoming) -> io::Result<After> {
        match step {
            Step::Send(bytes) => self.wire.io.write_all(&bytes).await?,
            Step::Repeat(bytes, times) => {
                for _ in 0..times {
                    self.wire.io.write_all(&bytes).await?;
                }
            }
            Step::Wait(gate) => self.wait(&gate, incoming).await?,
            Step::ReadBody => self.read_body(incoming).await?,
            Step::ReadSome(n) => self.read_some(n, incoming).await?,
            Step::HalfClose => self.wire.io.shutdown().await?,
            Step::Close => return Ok(After::Close),
            Step::Reset => {
                self.wire.io.set_zero_linger()?;
                return Ok(After::Close);
            }
            Step::Hang => {
                self.wire.until_closed().await?;
                return Ok(After::Close);
            }
        }
        Ok(After::KeepAlive)
    }

    /// Stands at a gate. A peer that closes meanwhile is noted, one that resets ends the script;
    /// while a request body is still coming nothing is read, to keep the back-pressure.
    async fn wait(&mut self, gate: &Gate, incoming: &Incoming) -> io::Result<()> {
        if incoming.req.ending.is_none() {
            gate.pass().await;
            return Ok(());
        }
        tokio::select! {
            () = gate.pass() => return Ok(()),
            closed = self.wire.until_closed() => closed?,
        }
        self.shared
            .seen
            .change(|seen| seen.open[self.number] = false);
        gate.opened().await;
        Ok(())
    }

    async fn read_some(&mut self, n: u64, incoming: &mut Incoming) -> io::Result<()> {
        let goal = incoming.body.len.saturating_add(n);
        let ending = match incoming.framing {
            Framing::Length(all) => {
                self.wire
                    .body(Framing::Length(goal.min(all)), &mut incoming.body)
                    .await
            }
            Framing::Chunked => {
                let mut ending = Ending::Framing;
                while incoming.body.len < goal && ending == Ending::Framing {
                    ending = match self.wire.chunk(&mut incoming.body).await {
                        Ok(0) => Ending::Malformed,
                        Ok(_) => Ending::Framing,
                        Err(err) => ending_of(&err),
                    };
                }
                ending
            }
            Framing::None | Framing::UntilEof => Ending::Framing,
        };
        if ending == Ending::Framing {
            return Ok(());
        }
        self.finish(incoming, ending);
        Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "request body ended before the script",
        ))
    }
}
