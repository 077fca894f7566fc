//! Where a body ends: a decoder that is shown bytes and says which of them are content.

use super::Framing;

/// A chunked body that does not follow RFC 9112 7.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadChunk;

impl std::fmt::Display for BadChunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("malformed chunked encoding")
    }
}

impl std::error::Error for BadChunk {}

/// What to do with the bytes just shown: drop `skip`, then take `data` as content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Framing bytes to drop.
    pub skip: usize,
    /// Content bytes that follow them.
    pub data: usize,
    /// The body ends behind these bytes.
    pub done: bool,
}

/// Decodes one message body.
#[derive(Clone, Debug)]
pub enum Decoder {
    /// Everything has been taken.
    Done,
    /// That many bytes are still to come.
    Length(u64),
    /// Chunked coding.
    Chunked(Chunked),
    /// All bytes until the connection ends.
    UntilClose,
}

/// Chunk extensions and trailers are dropped, and may together not be longer than this.
const MAX_DROPPED: usize = 64 * 1024;

/// State of a chunked body.
#[derive(Clone, Debug)]
pub struct Chunked {
    state: State,
    /// Bytes left in the current chunk, or the size being read.
    left: u64,
    /// Bytes of extensions and trailers seen so far.
    dropped: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first digit of a size.
    SizeStart,
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the start of a trailer line or of the final empty line.
    TrailerStart,
    Trailer,
    TrailerLf,
    EndLf,
}

impl Decoder {
    /// A decoder for a body of that framing.
    pub fn new(framing: Framing) -> Self {
        match framing {
            Framing::Empty | Framing::Length(0) => Self::Done,
            Framing::Length(n) => Self::Length(n),
            Framing::Chunked => Self::Chunked(Chunked {
                state: State::SizeStart,
                left: 0,
                dropped: 0,
            }),
            Framing::UntilClose => Self::UntilClose,
        }
    }

    /// True if no byte of the body is missing any more.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// Looks at the next bytes of the connection. `skip + data` of them are used up; if that is
    /// less than there is, and the body is not done, look again at the rest.
    pub fn step(&mut self, input: &[u8]) -> Result<Step, BadChunk> {
        let step = match self {
            Self::Done => Step {
                done: true,
                ..Step::default()
            },
            Self::UntilClose => Step {
                data: input.len(),
                ..Step::default()
            },
            Self::Length(left) => {
                let data = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
                *left -= data as u64;
                Step {
                    skip: 0,
                    data,
                    done: *left == 0,
                }
            }
            Self::Chunked(chunked) => chunked.step(input)?,
        };
        if step.done {
            *self = Self::Done;
        }
        Ok(step)
    }
}

impl Chunked {
    fn step(&mut self, input: &[u8]) -> Result<Step, BadChunk> {
        let mut skip = 0;
        while let Some(&byte) = input.get(skip) {
            if self.state == State::Data {
                let rest = input.len() - skip;
                let data = usize::try_from(self.left).map_or(rest, |left| left.min(rest));
                self.left -= data as u64;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
                return Ok(Step {
                    skip,
                    data,
                    done: false,
                });
            }
            skip += 1;
            if self.framing_byte(byte)? {
                return Ok(Step {
                    skip,
                    data: 0,
                    done: true,
                });
            }
        }
        Ok(Step {
            skip,
            data: 0,
            done: false,
        })
    }

    /// Takes one byte that is not content; true if the body ends with it.
    fn framing_byte(&mut self, byte: u8) -> Result<bool, BadChunk> {
        self.state = match (self.state, byte) {
            (State::SizeStart | State::Size, b) if b.is_ascii_hexdigit() => {
                self.push_digit(b)?;
                State::Size
            }
            (State::Size, b'\r') => State::SizeLf,
            (State::Size, b';' | b' ' | b'\t') => State::Extension,
            (State::Extension, b'\r') => State::SizeLf,
            (State::Extension, b) if b != b'\n' => {
                self.drop_byte()?;
                State::Extension
            }
            (State::SizeLf, b'\n') if self.left == 0 => State::TrailerStart,
            (State::SizeLf, b'\n') => State::Data,
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::SizeStart,
            (State::TrailerStart, b'\r') => State::EndLf,
            (State::EndLf, b'\n') => return Ok(true),
            (State::Trailer, b'\r') => State::TrailerLf,
            (State::TrailerStart | State::Trailer, b) if b != b'\n' => {
                self.drop_byte()?;
                State::Trailer
            }
            (State::TrailerLf, b'\n') => State::TrailerStart,
            _ => return Err(BadChunk),
        };
        Ok(false)
    }

    fn push_digit(&mut self, byte: u8) -> Result<(), BadChunk> {
        let digit = char::from(byte).to_digit(16).ok_or(BadChunk)?;
        if self.left >> 58 != 0 {
            return Err(BadChunk);
        }
        self.left = self.left << 4 | u64::from(digit);
        Ok(())
    }

    fn drop_byte(&mut self) -> Result<(), BadChunk> {
        self.dropped += 1;
        if self.dropped > MAX_DROPPED {
            return Err(BadChunk);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Decodes `input` shown in pieces of at most `piece` bytes; also says how much was used.
    fn decode(
        framing: Framing,
        input: &[u8],
        piece: usize,
    ) -> Result<(Vec<u8>, bool, usize), BadChunk> {
        let mut decoder = Decoder::new(framing);
        let (mut body, mut at) = (Vec::new(), 0);
        while at < input.len() && !decoder.is_done() {
            let shown = &input[at..input.len().min(at + piece)];
            let step = decoder.step(shown)?;
            body.extend_from_slice(&shown[step.skip..step.skip + step.data]);
            at += step.skip + step.data;
        }
        Ok((body, decoder.is_done(), at))
    }

    #[test]
    fn chunked_content_extensions_and_trailers() {
        let input = b"5;x=y\r\nhello\r\n1 \r\n!\r\n0\r\nA: b\r\n\r\nGET";
        for piece in 1..input.len() {
            let (body, done, used) = decode(Framing::Chunked, input, piece).unwrap();
            assert_eq!(
                (&body[..], done, used),
                (&b"hello!"[..], true, input.len() - 3)
            );
        }
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for bad in [
            &b"5\nhello\r\n0\r\n\r\n"[..],
            b"5\r\nhelloX\r\n",
            b"\r\n",
            b"-1\r\n",
            b"0x5\r\nhello",
            b"fffffffffffffffff\r\n",
            b"0\r\n\nGET",
            b"5;a\nb\r\nhello",
        ] {
            assert_eq!(decode(Framing::Chunked, bad, 99), Err(BadChunk), "{bad:?}");
        }
    }

    #[test]
    fn a_cut_chunked_body_is_not_done() {
        for cut in [&b"5\r\nhel"[..], b"5\r\nhello\r\n", b"5\r\nhello\r\n0\r\n"] {
            assert!(!decode(Framing::Chunked, cut, 3).unwrap().1);
        }
    }

    #[test]
    fn endless_extensions_end_in_an_error() {
        let mut input = b"1;".to_vec();
        input.resize(MAX_DROPPED + 10, b'a');
        assert_eq!(decode(Framing::Chunked, &input, 4096), Err(BadChunk));
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_decode_alike(input: Vec<u8>, piece in 1usize..20) {
            prop_assert_eq!(decode(Framing::Chunked, &input, piece), decode(Framing::Chunked, &input, 1));
        }

        #[test]
        fn what_is_written_is_read(pieces: Vec<Vec<u8>>, piece in 1usize..50) {
            let mut wire = Vec::new();
            for data in pieces.iter().filter(|p| !p.is_empty()) {
                super::super::push_chunk(&mut wire, data);
            }
            wire.extend_from_slice(b"0\r\n\r\n");
            let (body, done, used) = decode(Framing::Chunked, &wire, piece).unwrap();
            prop_assert!(done);
            prop_assert_eq!(used, wire.len());
            prop_assert_eq!(body, pieces.concat());
        }

        #[test]
        fn length_takes_exactly_its_bytes(n in 0u64..100, extra in 0usize..10, piece in 1usize..20) {
            let input = vec![7u8; n as usize + extra];
            let (body, done, used) = decode(Framing::Length(n), &input, piece).unwrap();
            prop_assert!(done);
            prop_assert_eq!((body.len(), used), (n as usize, n as usize));
        }
    }
}
