//! The threads that lanes run on, and how connections reach them.

use std::{
    future::{Future, poll_fn},
    io,
    net::TcpListener as StdTcpListener,
    rc::Rc,
    sync::Arc,
    task::Poll,
    thread::JoinHandle,
    time::Duration,
};

use outrider_telemetry::log::scope;
use tokio::{
    net::{TcpListener, UnixListener},
    sync::{oneshot, watch},
    task::JoinSet,
};

use crate::{api, io::Stream, lane::Lane, listen, shared::Shared, workers::Workers};

/// A bound listener and what it serves.
#[derive(Debug)]
pub(crate) struct Door {
    /// What is served.
    pub service: Service,
    /// Where it listens.
    pub listener: Listener,
}

/// What a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// The HTTP API.
    Http,
    /// The gRPC API.
    Grpc,
    /// Calls from other sidecars.
    Internal,
    /// Health and metadata for probes.
    Public,
}

/// A listening socket of either kind.
#[derive(Debug)]
pub(crate) enum Listener {
    /// TCP.
    Tcp(StdTcpListener),
    /// A Unix domain socket.
    Unix(std::os::unix::net::UnixListener),
}

/// A running lane.
pub(crate) struct Running {
    thread: JoinHandle<()>,
    ended: oneshot::Receiver<()>,
}

impl Running {
    /// Waits until the lane has served its last connection.
    pub(crate) async fn ended(self) {
        // An error means that the thread is gone, which is an end too.
        let _ = self.ended.await;
        let _ = self.thread.join();
    }
}

/// Starts a lane on a thread of its own.
pub(crate) fn start(number: usize, shared: Arc<Shared>, doors: Vec<Door>) -> io::Result<Running> {
    let (tell, ended) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread();
    let thread = std::thread::Builder::new()
        .name(format!("lane-{number}"))
        .spawn(move || {
            let mut runtime = runtime;
            match runtime.enable_all().build_local(tokio::runtime::LocalOptions::default()) {
                Ok(runtime) => runtime.block_on(run(shared, doors)),
                Err(error) => {
                    tracing::error!(target: scope::RUNTIME, "lane {number} has no runtime: {error}");
                }
            }
            let _ = tell.send(());
        })?;
    Ok(Running { thread, ended })
}

/// Serves until drained.
async fn run(shared: Arc<Shared>, doors: Vec<Door>) {
    let lane = Lane::new(Arc::clone(&shared));
    let mut loops = JoinSet::new();
    for door in doors {
        let (lane, drain) = (Rc::clone(&lane), shared.drain.subscribe());
        loops.spawn_local(async move {
            let served = match door.service {
                Service::Http => accept(door.listener, drain, |s| api::http::serve(Rc::clone(&lane), s)).await,
                Service::Grpc => {
                    let workers = Workers::default();
                    accept(door.listener, drain, |s| api::grpc::serve(Rc::clone(&lane), workers.clone(), s)).await
                }
                Service::Internal => {
                    let crew = listen::server::Crew::default();
                    accept(door.listener, drain, |s| listen::server::serve(Rc::clone(&lane), crew.clone(), s)).await
                }
                Service::Public => accept(door.listener, drain, |s| api::http::public::serve(Rc::clone(&lane), s)).await,
            };
            if let Err(error) = served {
                tracing::error!(target: scope::RUNTIME, "a listener of {:?} failed: {error}", door.service);
            }
        });
    }
    tokio::select! {
        () = async { while loops.join_next().await.is_some() {} } => {}
        () = expire_idle(&lane) => {}
        () = lane.stores.follow(&shared.stores) => {}
    }
}

/// Closes connections to the app that have been idle too long.
async fn expire_idle(lane: &Lane) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if let Some(app) = &lane.app {
            app.expire();
        }
    }
}

/// Accepts until drained, then waits for the connections to end.
async fn accept<F: Future<Output = ()> + 'static>(
    listener: Listener,
    mut drain: watch::Receiver<bool>,
    serve: impl Fn(Stream) -> F,
) -> io::Result<()> {
    let listener = Accepting::try_from(listener)?;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            _ = drain.wait_for(|draining| *draining) => break,
            accepted = listener.accept() => match accepted {
                Ok(stream) => {
                    connections.spawn_local(serve(stream));
                }
                Err(error) => pause_after(&error).await,
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
    // Who was let in by the system before the door closed is served.
    while let Some(stream) = listener.accept_now().await {
        connections.spawn_local(serve(stream));
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
    Ok(())
}

/// Some failures to accept concern one connection, others all: those need time to pass.
async fn pause_after(error: &io::Error) {
    let one = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    );
    if !one {
        tracing::warn!(
            target: scope::RUNTIME,
            "can't accept connections: {error} (the limit on open files may be too low)"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

enum Accepting {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl TryFrom<Listener> for Accepting {
    type Error = io::Error;

    fn try_from(listener: Listener) -> io::Result<Self> {
        Ok(match listener {
            Listener::Tcp(tcp) => Self::Tcp(TcpListener::from_std(tcp)?),
            Listener::Unix(unix) => Self::Unix(UnixListener::from_std(unix)?),
        })
    }
}

impl Accepting {
    /// A connection that waits already, if there is one.
    async fn accept_now(&self) -> Option<Stream> {
        let mut accept = std::pin::pin!(self.accept());
        poll_fn(|cx| match accept.as_mut().poll(cx) {
            Poll::Ready(accepted) => Poll::Ready(accepted.ok()),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    async fn accept(&self) -> io::Result<Stream> {
        Ok(match self {
            Self::Tcp(tcp) => {
                let (stream, _) = tcp.accept().await?;
                stream.set_nodelay(true)?;
                Stream::Tcp(stream)
            }
            Self::Unix(unix) => Stream::Unix(unix.accept().await?.0),
        })
    }
}
