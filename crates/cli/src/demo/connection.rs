//! HTTP/1.1 messages on one connection, each read whole. Bodies are small here; large ones are
//! refused.

use std::io;

use outrider_wire::{
    Fields,
    http1::{
        BadChunk, Decoder, Framing, RequestError, RequestHead, ResponseError, ResponseHead,
        parse_request, parse_response,
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A connection and what came in on it that nobody took yet.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// Why a message could not be sent or read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the connection closed before the whole message came")]
    Cut,
    #[error("the message is larger than {LARGEST} bytes")]
    TooLarge,
    #[error("{}", .0.answer().1)]
    Request(RequestError),
    #[error(transparent)]
    Response(#[from] ResponseError),
    #[error(transparent)]
    Chunk(#[from] BadChunk),
}

/// What follows a head.
trait Head: Sized {
    /// The head at the start of the bytes and its length, once it is all there.
    fn parse(input: &[u8]) -> Result<Option<(Self, usize)>, Error>;
    fn framing(&self) -> Framing;
}

impl Head for RequestHead {
    fn parse(input: &[u8]) -> Result<Option<(Self, usize)>, Error> {
        parse_request(input).map_err(Error::Request)
    }

    fn framing(&self) -> Framing {
        self.framing
    }
}

impl Head for ResponseHead {
    fn parse(input: &[u8]) -> Result<Option<(Self, usize)>, Error> {
        Ok(parse_response(input)?)
    }

    fn framing(&self) -> Framing {
        self.framing
    }
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        // Without it small messages may wait for an acknowledgement; a refusal costs only time.
        let _ = stream.set_nodelay(true);
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    /// Nothing came in since the last message, not even the end.
    pub(super) fn is_quiet(&self) -> bool {
        let peeked = self.stream.try_read(&mut [0]);
        self.unread.is_empty()
            && peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    pub(super) async fn send(&mut self, message: &[u8]) -> Result<(), Error> {
        Ok(self.stream.write_all(message).await?)
    }

    /// The next request and its body; nothing if the client is done.
    pub(super) async fn request(&mut self) -> Result<Option<(RequestHead, Vec<u8>)>, Error> {
        if self.unread.is_empty() && !self.fill().await? {
            return Ok(None);
        }
        self.message().await.map(Some)
    }

    /// The answer and its body.
    pub(super) async fn response(&mut self) -> Result<(ResponseHead, Vec<u8>), Error> {
        loop {
            let (head, body) = self.message::<ResponseHead>().await?;
            if !head.is_interim() {
                return Ok((head, body));
            }
        }
    }

    async fn message<H: Head>(&mut self) -> Result<(H, Vec<u8>), Error> {
        let head = loop {
            if let Some((head, length)) = H::parse(&self.unread)? {
                self.unread.drain(..length);
                break head;
            }
            self.fill_or_cut().await?;
        };
        let framing = head.framing();
        let body = self.body(framing).await?;
        Ok((head, body))
    }

    async fn body(&mut self, framing: Framing) -> Result<Vec<u8>, Error> {
        let mut decoder = Decoder::new(framing);
        let mut body = Vec::new();
        while !decoder.is_done() {
            let step = decoder.step(&self.unread)?;
            let used = step.skip + step.data;
            body.extend_from_slice(&self.unread[step.skip..used]);
            self.unread.drain(..used);
            if body.len() > LARGEST {
                return Err(Error::TooLarge);
            }
            if step.done || used > 0 {
                continue;
            }
            if framing == Framing::UntilClose {
                if !self.fill().await? {
                    break;
                }
            } else {
                self.fill_or_cut().await?;
            }
        }
        Ok(body)
    }

    async fn fill_or_cut(&mut self) -> Result<(), Error> {
        if self.unread.len() > LARGEST {
            return Err(Error::TooLarge);
        }
        match self.fill().await? {
            true => Ok(()),
            false => Err(Error::Cut),
        }
    }

    /// Reads what there is; false at the end.
    async fn fill(&mut self) -> io::Result<bool> {
        Ok(self.stream.read_buf(&mut self.unread).await? > 0)
    }
}

/// A field as text, if it is there and is text.
pub(super) fn text<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    std::str::from_utf8(fields.get(name)?).ok()
}

const LARGEST: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn read(sent: &'static [u8]) -> Result<(u16, Vec<u8>), Error> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (client, server) = tokio::join!(TcpStream::connect(addr), listener.accept());
        let mut server = server.unwrap().0;
        server.write_all(sent).await.unwrap();
        drop(server);
        let answer = Connection::new(client.unwrap()).response().await;
        answer.map(|(head, body)| (head.status, body))
    }

    #[tokio::test]
    async fn answers_are_read_in_every_framing() {
        let interim = b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
        let chunked =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n";
        for sent in [
            &interim[..],
            &chunked[..],
            &b"HTTP/1.1 200 OK\r\n\r\nhi"[..],
        ] {
            let (status, body) = read(sent).await.unwrap();
            assert_eq!((status, body.as_slice()), (200, &b"hi"[..]));
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_cut_or_garbage_is_an_error() {
        let cut = read(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi").await;
        assert!(matches!(cut, Err(Error::Cut)));
        assert!(matches!(read(b"").await, Err(Error::Cut)));
        assert!(matches!(
            read(b"SSH-2.0\r\n").await,
            Err(Error::Response(_))
        ));
        let chunk = read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n").await;
        assert!(matches!(chunk, Err(Error::Chunk(_))));
    }
}
