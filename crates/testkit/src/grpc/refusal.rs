//! Turning a stream away before anything of it is looked at, frame by frame.
//!
//! An HTTP/2 library covers with its GOAWAY what it has received; here it must not.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PREFACE: usize = 24;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const ACK: u8 = 1;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

/// How the first stream of a connection is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// GOAWAY whose last stream is 0, without an error.
    GoAway,
    /// The connection is closed before the settings are sent.
    Preface,
    /// The connection is reset once the head of the stream has arrived, which tells nothing.
    Close,
}

impl Refusal {
    pub(super) async fn act(self, mut stream: TcpStream) -> io::Result<()> {
        let mut preface = [0; PREFACE];
        stream.read_exact(&mut preface).await?;
        if self == Self::Preface {
            return Ok(());
        }
        stream.write_all(&frame(SETTINGS, 0, &[])).await?;
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await?;
            let len = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; len as usize];
            stream.read_exact(&mut payload).await?;
            match (head[3], self) {
                (SETTINGS, _) if head[4] & ACK == 0 => {
                    stream.write_all(&frame(SETTINGS, ACK, &[])).await?;
                }
                (PING, _) if head[4] & ACK == 0 => {
                    stream.write_all(&frame(PING, ACK, &payload)).await?;
                }
                (HEADERS, Self::GoAway) => {
                    stream.write_all(&frame(GOAWAY, 0, &[0; 8])).await?;
                }
                (HEADERS, Self::Close) => return Ok(()),
                _ => {}
            }
        }
    }
}

/// A frame of the connection itself.
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).expect("frames of tests are short");
    let mut out = len.to_be_bytes()[1..].to_vec();
    out.extend([kind, flags, 0, 0, 0, 0]);
    out.extend(payload);
    out
}
