//! HTTP/1.1 messages on one connection, read whole or the body in pieces. What is read whole is
//! small here; large ones are refused.

use std::io;

use outrider_wire::{
    Fields,
    http1::{
        BadChunk, Decoder, Framing, RequestError, RequestHead, ResponseError, ResponseHead,
        parse_request, parse_response,
    },
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

/// A connection and what came in on it that nobody took yet.
#[derive(Debug)]
pub(crate) struct Connection<S = TcpStream> {
    stream: S,
    unread: Vec<u8>,
}

/// Why a message could not be sent or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
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
pub(crate) trait Head: Sized {
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
    pub(crate) fn new(stream: TcpStream) -> Self {
        // Without it small messages may wait for an acknowledgement; a refusal costs only time.
        let _ = stream.set_nodelay(true);
        Self::over(stream)
    }

    /// Nothing came in since the last message, not even the end.
    pub(crate) fn is_quiet(&self) -> bool {
        let peeked = self.stream.try_read(&mut [0]);
        self.unread.is_empty()
            && peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, message: &[u8]) -> Result<(), Error> {
        Ok(self.stream.write_all(message).await?)
    }

    /// The next request and its body; nothing if the client is done.
    pub(crate) async fn request(&mut self) -> Result<Option<(RequestHead, Vec<u8>)>, Error> {
        if self.unread.is_empty() && !self.fill().await? {
            return Ok(None);
        }
        self.message().await.map(Some)
    }

    /// The answer and its body.
    pub(crate) async fn response(&mut self) -> Result<(ResponseHead, Vec<u8>), Error> {
        let head = self.response_head().await?;
        let body = self.body(head.framing).await?;
        Ok((head, body))
    }

    /// The answer without its body, which [`Connection::piece`] reads.
    pub(crate) async fn response_head(&mut self) -> Result<ResponseHead, Error> {
        loop {
            let head: ResponseHead = self.head().await?;
            if !head.is_interim() {
                return Ok(head);
            }
        }
    }

    async fn message<H: Head>(&mut self) -> Result<(H, Vec<u8>), Error> {
        let head: H = self.head().await?;
        let body = self.body(head.framing()).await?;
        Ok((head, body))
    }

    async fn head<H: Head>(&mut self) -> Result<H, Error> {
        loop {
            if let Some((head, length)) = H::parse(&self.unread)? {
                self.unread.drain(..length);
                return Ok(head);
            }
            self.fill_or_cut().await?;
        }
    }

    async fn body(&mut self, framing: Framing) -> Result<Vec<u8>, Error> {
        let mut decoder = Decoder::new(framing);
        let mut body = Vec::new();
        while let Some(piece) = self.piece(&mut decoder).await? {
            body.extend_from_slice(&piece);
            if body.len() > LARGEST {
                return Err(Error::TooLarge);
            }
        }
        Ok(body)
    }

    /// What came of the body; nothing at its end.
    pub(crate) async fn piece(&mut self, decoder: &mut Decoder) -> Result<Option<Vec<u8>>, Error> {
        let may_end_anywhere = matches!(decoder, Decoder::UntilClose);
        while !decoder.is_done() {
            let step = decoder.step(&self.unread)?;
            let used = step.skip + step.data;
            let data = self.unread[step.skip..used].to_vec();
            self.unread.drain(..used);
            if !data.is_empty() {
                return Ok(Some(data));
            }
            if step.done || used > 0 {
                continue;
            }
            if !may_end_anywhere {
                self.fill_or_cut().await?;
            } else if !self.fill().await? {
                break;
            }
        }
        Ok(None)
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
        self.unread.reserve(READ);
        Ok(self.stream.read_buf(&mut self.unread).await? > 0)
    }
}

/// A field as text, if it is there and is text.
pub(crate) fn text<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    std::str::from_utf8(fields.get(name)?).ok()
}

/// Far more than metadata has.
const LARGEST: usize = 1024 * 1024;
const READ: usize = 16 * 1024;

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
