//! The calling app: keep-alive connections in a closed loop, and the reading of HTTP/1.1 that both
//! apps share.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// A slow reader takes so much, then rests: about 100 MiB/s.
const SIP: u64 = 256 << 10;
const REST: Duration = Duration::from_millis(2);

/// What a closed loop did in its time.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// Nanoseconds of each good call, sorted.
    pub(crate) latencies: Vec<u32>,
    /// Calls answered otherwise than by 200.
    pub(crate) failed: u64,
    pub(crate) elapsed: Duration,
}

/// Sends `request` on each of so many connections, again whenever it has been answered.
pub(crate) async fn closed_loop(
    port: u16,
    request: &[u8],
    connections: usize,
    length: Duration,
) -> io::Result<Measured> {
    let request: Arc<[u8]> = request.into();
    let mut opened = Vec::with_capacity(connections);
    for _ in 0..connections {
        opened.push(Connection::open(port).await?);
    }
    let mut loops = JoinSet::new();
    let start = Instant::now();
    for connection in opened {
        loops.spawn(one_loop(connection, Arc::clone(&request), start + length));
    }
    let mut all = Measured::default();
    while let Some(one) = loops.join_next().await {
        let one = one.map_err(io::Error::other)??;
        all.latencies.extend(one.latencies);
        all.failed += one.failed;
    }
    all.elapsed = start.elapsed();
    all.latencies.sort_unstable();
    Ok(all)
}

async fn one_loop(
    mut connection: Connection,
    request: Arc<[u8]>,
    until: Instant,
) -> io::Result<Measured> {
    let mut measured = Measured::default();
    let mut before = Instant::now();
    while before < until {
        let status = connection.call(&request).await?;
        let after = Instant::now();
        match status {
            200 => {
                let took = after.duration_since(before).as_nanos();
                measured
                    .latencies
                    .push(u32::try_from(took).unwrap_or(u32::MAX));
            }
            _ => measured.failed += 1,
        }
        before = after;
    }
    Ok(measured)
}

/// A keep-alive connection to a server on this machine.
pub(crate) struct Connection(Incoming);

impl Connection {
    pub(crate) async fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self(Incoming::new(stream)))
    }

    /// Sends a whole request; the status of its answer, whose body is read and forgotten.
    pub(crate) async fn call(&mut self, request: &[u8]) -> io::Result<u16> {
        self.0.stream.write_all(request).await?;
        self.answered(false).await
    }

    /// The same, reading the answer slowly.
    pub(crate) async fn call_slowly(&mut self, request: &[u8]) -> io::Result<u16> {
        self.0.stream.write_all(request).await?;
        self.answered(true).await
    }

    /// Sends a head and then a body of `length` bytes.
    pub(crate) async fn send_body(&mut self, head: &[u8], length: usize) -> io::Result<u16> {
        let piece = vec![b'x'; 64 << 10];
        self.0.stream.write_all(head).await?;
        let mut left = length;
        while left > 0 {
            let now = left.min(piece.len());
            self.0.stream.write_all(&piece[..now]).await?;
            left -= now;
        }
        self.answered(false).await
    }

    async fn answered(&mut self, slowly: bool) -> io::Result<u16> {
        let head = self.0.head().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let status = head
            .get(9..12)
            .and_then(|text| std::str::from_utf8(text).ok());
        let status = status.and_then(|text| text.parse().ok());
        let status: u16 = status.ok_or_else(|| malformed("status"))?;
        if let Some(length) = field(&head, "content-length") {
            let length = length.parse().map_err(|_| malformed("length"))?;
            self.0.take(length, slowly).await?;
        } else if field(&head, "transfer-encoding").is_some() {
            while self.0.chunk(slowly).await? > 0 {}
        }
        Ok(status)
    }
}

/// What comes in on a connection.
pub(crate) struct Incoming {
    pub(crate) stream: TcpStream,
    buffer: BytesMut,
    /// Taken since a slow reader rested, over all pieces of a body.
    since_rest: u64,
}

impl Incoming {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            buffer: BytesMut::with_capacity(16 << 10),
            since_rest: 0,
        }
    }

    /// The next head with its empty line; none if the peer closed.
    pub(crate) async fn head(&mut self) -> io::Result<Option<BytesMut>> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                return Ok(Some(self.buffer.split_to(end + 4)));
            }
            if self.fill().await? == 0 {
                return Ok(None);
            }
        }
    }

    pub(crate) async fn discard(&mut self, length: u64) -> io::Result<()> {
        self.take(length, false).await
    }

    pub(crate) async fn discard_slowly(&mut self, length: u64) -> io::Result<()> {
        self.take(length, true).await
    }

    async fn take(&mut self, mut left: u64, slowly: bool) -> io::Result<()> {
        while left > 0 {
            if self.buffer.is_empty() && self.fill().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let now = left.min(self.buffer.len() as u64);
            self.buffer
                .advance(usize::try_from(now).expect("no longer than the buffer"));
            left -= now;
            self.since_rest += now;
            if slowly && self.since_rest >= SIP {
                self.since_rest = 0;
                sleep(REST).await;
            }
        }
        Ok(())
    }

    /// Reads one chunk; 0 is the last one, after which no trailers are expected.
    async fn chunk(&mut self, slowly: bool) -> io::Result<u64> {
        let end = loop {
            match find(&self.buffer, b"\r\n") {
                Some(end) => break end,
                None if self.fill().await? == 0 => {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                None => {}
            }
        };
        let line = self.buffer.split_to(end + 2);
        let size = std::str::from_utf8(&line[..end]).ok();
        let size = size.and_then(|text| u64::from_str_radix(text, 16).ok());
        let size = size.ok_or_else(|| malformed("chunk size"))?;
        self.take(size, slowly).await?;
        self.take(2, false).await?;
        Ok(size)
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.reserve(16 << 10);
        self.stream.read_buf(&mut self.buffer).await
    }
}

/// The value of a header field.
pub(crate) fn field<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    let mut lines = head.split(|byte| *byte == b'\n');
    lines.find_map(|line| {
        let (start, value) = line.split_at_checked(name.len())?;
        let value = value.strip_prefix(b":")?;
        let value = std::str::from_utf8(value).ok()?;
        start
            .eq_ignore_ascii_case(name.as_bytes())
            .then(|| value.trim())
    })
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|it| it == wanted)
}

fn malformed(what: &str) -> io::Error {
    io::Error::other(format!("malformed {what} in an answer"))
}
