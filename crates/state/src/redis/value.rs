//! Answers of a server, read from the bytes as they come (RESP, version 2).
//!
//! A value that is small is copied out of the buffer it came in, a large one keeps it. Whatever the
//! bytes are, they end in values or in an error, and no more room is taken than has arrived.

use bytes::{Buf, Bytes, BytesMut};

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// A word.
    Word(Bytes),
    /// A number.
    Int(i64),
    /// Bytes.
    Bulk(Bytes),
    /// Nothing.
    Nil,
    /// Several.
    Array(Vec<Value>),
    /// What the server says when it does not do what it was asked.
    Refused(Refusal),
}

/// A server's refusal in its own words, of which the first says what kind it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal(pub String);

impl Refusal {
    /// The first word.
    pub(super) fn code(&self) -> &str {
        self.0.split(' ').next().unwrap_or_default()
    }

    /// True for a server that can't do anything now but may soon, and has not done what it was
    /// asked.
    pub(super) fn is_passing(&self) -> bool {
        match self.code() {
            "LOADING" | "READONLY" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" => true,
            "ERR" => {
                self.0 == "ERR max number of clients reached" || {
                    // So up to version 6. Where a script may not write, it is its first write that
                    // fails.
                    self.0.starts_with("ERR Error running script ")
                        && self.0.contains(": -READONLY You can't write")
                }
            }
            _ => false,
        }
    }
}

/// Bytes that are no answer of a Redis server.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Garbage;

/// Reads answers piece by piece.
#[derive(Debug)]
pub(super) struct Decoder {
    /// Arrays that are not complete: what they have and how many they lack.
    open: Vec<(Vec<Value>, usize)>,
    /// How much more room the answer may take that is not complete.
    left: usize,
    /// How much room an answer may take.
    most: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            open: Vec::new(),
            left: MOST,
            most: MOST,
        }
    }
}

/// Below this size copying is cheaper than keeping the buffer for it.
const SMALL: usize = 2048;
/// Arrays in arrays.
const DEPTH: usize = 16;
/// The longest line that is no value.
const LINE: usize = 64 * 1024;
/// What a server may send at most as one value, which is what it takes at most.
const LONGEST: usize = 512 * 1024 * 1024;

/// The most room for one answer: a greatest value, and something about it.
const MOST: usize = 2 * LONGEST;

enum Part {
    Whole(Value),
    Array(usize),
}

impl Decoder {
    /// The next whole answer at the beginning of `input`, if it is there. What has been understood
    /// is taken out of `input`.
    pub(super) fn next(&mut self, input: &mut BytesMut) -> Result<Option<Value>, Garbage> {
        loop {
            let before = input.len();
            let Some(part) = part(input)? else {
                return Ok(None);
            };
            let room = size_of::<Value>().max(before - input.len());
            self.left = self.left.checked_sub(room).ok_or(Garbage)?;
            let mut value = match part {
                Part::Array(count) if count > 0 => {
                    if self.open.len() == DEPTH {
                        return Err(Garbage);
                    }
                    // No room for what has only been announced.
                    let room = Vec::with_capacity(count.min(64));
                    self.open.push((room, count));
                    continue;
                }
                Part::Array(_) => Value::Array(Vec::new()),
                Part::Whole(value) => value,
            };
            loop {
                let Some((values, missing)) = self.open.last_mut() else {
                    self.left = self.most;
                    return Ok(Some(value));
                };
                values.push(value);
                *missing -= 1;
                if *missing > 0 {
                    break;
                }
                value = Value::Array(std::mem::take(values));
                self.open.pop();
            }
        }
    }
}

fn part(input: &mut BytesMut) -> Result<Option<Part>, Garbage> {
    let Some(end) = input.iter().take(LINE).position(|byte| *byte == b'\n') else {
        return match input.len() < LINE {
            true => Ok(None),
            false => Err(Garbage),
        };
    };
    let Some((kind, text)) = input[..end]
        .strip_suffix(b"\r")
        .and_then(<[u8]>::split_first)
    else {
        return Err(Garbage);
    };
    let value = match kind {
        b'+' => Value::Word(Bytes::copy_from_slice(text)),
        b'-' => Value::Refused(Refusal(String::from_utf8_lossy(text).into_owned())),
        b':' => Value::Int(number(text)?),
        b'$' => {
            let length = number(text)?;
            return bulk(input, end + 1, length);
        }
        b'*' => {
            let count = number(text)?;
            input.advance(end + 1);
            return Ok(Some(match usize::try_from(count) {
                Ok(count) => Part::Array(count),
                Err(_) => Part::Whole(Value::Nil),
            }));
        }
        _ => return Err(Garbage),
    };
    input.advance(end + 1);
    Ok(Some(Part::Whole(value)))
}

fn bulk(input: &mut BytesMut, head: usize, length: i64) -> Result<Option<Part>, Garbage> {
    let Ok(length) = usize::try_from(length) else {
        input.advance(head);
        return Ok(Some(Part::Whole(Value::Nil)));
    };
    if length > LONGEST {
        return Err(Garbage);
    }
    let whole = head + length + 2;
    if input.len() < whole {
        return Ok(None);
    }
    if &input[whole - 2..whole] != b"\r\n" {
        return Err(Garbage);
    }
    input.advance(head);
    let value = match length < SMALL {
        true => {
            let copy = Bytes::copy_from_slice(&input[..length]);
            input.advance(length);
            copy
        }
        false => input.split_to(length).freeze(),
    };
    input.advance(2);
    Ok(Some(Part::Whole(Value::Bulk(value))))
}

fn number(text: &[u8]) -> Result<i64, Garbage> {
    let text = std::str::from_utf8(text).map_err(|_| Garbage)?;
    text.parse().map_err(|_| Garbage)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bulk(text: &str) -> Value {
        Value::Bulk(Bytes::copy_from_slice(text.as_bytes()))
    }

    /// All answers in `bytes`, which come in pieces of that size.
    fn answers(bytes: &[u8], piece: usize) -> Result<Vec<Value>, Garbage> {
        let (mut decoder, mut input) = (Decoder::default(), BytesMut::new());
        let mut answers = Vec::new();
        for piece in bytes.chunks(piece) {
            input.extend_from_slice(piece);
            while let Some(value) = decoder.next(&mut input)? {
                answers.push(value);
            }
        }
        Ok(answers)
    }

    #[test]
    fn answers_are_read_however_they_are_cut() {
        let long = "x".repeat(2 * SMALL);
        let bytes = format!(
            "+OK\r\n:-7\r\n$-1\r\n*-1\r\n*0\r\n$0\r\n\r\n*3\r\n$1\r\na\r\n*2\r\n:1\r\n*0\r\n$2\r\n\r\n\r\n\
             -WRONGTYPE Operation\r\n${}\r\n{long}\r\n",
            long.len()
        );
        let expected = [
            Value::Word(Bytes::from_static(b"OK")),
            Value::Int(-7),
            Value::Nil,
            Value::Nil,
            Value::Array(Vec::new()),
            bulk(""),
            Value::Array(vec![
                bulk("a"),
                Value::Array(vec![Value::Int(1), Value::Array(Vec::new())]),
                bulk("\r\n"),
            ]),
            Value::Refused(Refusal("WRONGTYPE Operation".into())),
            bulk(&long),
        ];
        for piece in [1, 2, 3, 7, 4096, bytes.len()] {
            assert_eq!(answers(bytes.as_bytes(), piece).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for bytes in [
            "HTTP/1.1 400 Bad Request\r\n",
            "\r\n",
            "\n",
            ":x\r\n",
            "$3\r\nabcd\r\n",
            "$99999999999999\r\n",
            "*99999999999999999999\r\n",
        ] {
            assert_eq!(answers(bytes.as_bytes(), 1024), Err(Garbage), "{bytes:?}");
        }
        assert_eq!(answers(&[b'+'; LINE], LINE), Err(Garbage));
        assert_eq!(answers(&b"*1\r\n".repeat(DEPTH + 1), 1024), Err(Garbage));
        // Announced, and not there.
        assert_eq!(answers(b"*4000000000\r\n:1\r\n", 1024), Ok(Vec::new()));
    }

    #[test]
    fn one_answer_does_not_fill_the_memory() {
        let most = 10 * size_of::<Value>();
        let mut decoder = Decoder {
            open: Vec::new(),
            left: most,
            most,
        };
        let mut input = BytesMut::from(&b":1\r\n".repeat(20)[..]);
        for _ in 0..20 {
            assert_eq!(decoder.next(&mut input), Ok(Some(Value::Int(1))));
        }
        input.extend_from_slice(b"*1000000\r\n");
        input.extend_from_slice(&b":1\r\n".repeat(20));
        assert_eq!(decoder.next(&mut input), Err(Garbage));
    }

    #[test]
    fn refusals_are_told_apart_by_their_first_word() {
        let passing = |text: &str| Refusal(text.into()).is_passing();
        assert!(passing(
            "READONLY You can't write against a read only replica."
        ));
        assert!(passing("TRYAGAIN"));
        assert!(!passing("ERR READONLY"));
        assert!(passing("ERR max number of clients reached"));
        assert!(passing(
            "ERR Error running script (call to f_6b1bf4): @user_script:6: @user_script: 6: \
             -READONLY You can't write against a read only replica."
        ));
        assert_eq!(Refusal("NOSCRIPT No such script".into()).code(), "NOSCRIPT");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), piece in 1usize..50) {
            drop(answers(&bytes, piece));
        }
    }
}
