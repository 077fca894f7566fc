//! Is this JSON? Looks at every byte once, in a loop, and says what Go's scanner would say.

use super::SyntaxError;

/// Arrays and objects inside one another that are still taken.
const DEPTH_LIMIT: usize = 10_000;

/// Finds the end of the first value in a text; what follows it is not looked at.
pub(super) fn first_value(text: &[u8]) -> Result<usize, SyntaxError> {
    let mut scanner = Scanner {
        text,
        at: 0,
        open: Vec::new(),
    };
    scanner.skip_space();
    if scanner.at == text.len() {
        return Err(SyntaxError::Nothing);
    }
    scanner.value()?;
    Ok(scanner.at)
}

/// Makes sure that a text is one value and nothing else.
///
/// # Errors
/// What is wrong, as Go tells it for a text (not a stream).
pub fn check_whole(text: &[u8]) -> Result<(), String> {
    let cut_off = || "unexpected end of JSON input".to_owned();
    let end = first_value(text).map_err(|error| match error {
        SyntaxError::Nothing | SyntaxError::CutOff => cut_off(),
        other => other.to_string(),
    })?;
    match text[end..].iter().find(|byte| !is_space(**byte)) {
        None => Ok(()),
        Some(&byte) => Err(unexpected(byte, "after top-level value").to_string()),
    }
}

pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// How many bytes at the beginning are neither a quote nor a backslash nor a control character: most
/// of what strings are made of, so eight are looked at together.
pub(super) fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    // The high bit of each byte that is below `limit`. A byte behind such a one may have it too.
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word & HIGH;
    let is = |word: u64, byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let mut at = 0;
    while let Some(eight) = bytes[at..].first_chunk() {
        let word = u64::from_le_bytes(*eight);
        let found = below(word, b' ') | is(word, b'"') | is(word, b'\\');
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let special = |byte: &u8| *byte < b' ' || matches!(byte, b'"' | b'\\');
    let rest = &bytes[at..];
    at + rest.iter().position(special).unwrap_or(rest.len())
}

fn unexpected(character: u8, place: impl Into<String>) -> SyntaxError {
    let place = place.into();
    SyntaxError::Character { character, place }
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    /// The brackets that are open.
    open: Vec<u8>,
}

const BEGIN: &str = "looking for beginning of value";

impl Scanner<'_> {
    fn value(&mut self) -> Result<(), SyntaxError> {
        loop {
            self.skip_space();
            match self.next()? {
                bracket @ (b'{' | b'[') => {
                    self.enter(bracket)?;
                    if self.peek()? != bracket + 2 {
                        if bracket == b'{' {
                            self.key()?;
                        }
                        continue;
                    }
                }
                b'"' => self.string()?,
                b't' => self.literal("true")?,
                b'f' => self.literal("false")?,
                b'n' => self.literal("null")?,
                first @ (b'-' | b'0'..=b'9') => self.number(first)?,
                other => return Err(unexpected(other, BEGIN)),
            }
            if !self.another()? {
                return Ok(());
            }
        }
    }

    /// Goes on to the next value, through all brackets that end here; false if that was all.
    fn another(&mut self) -> Result<bool, SyntaxError> {
        while let Some(&bracket) = self.open.last() {
            self.skip_space();
            match (self.next()?, bracket) {
                (b'}', b'{') | (b']', b'[') => {
                    self.open.pop();
                }
                (b',', b'[') => return Ok(true),
                (b',', _) => {
                    self.skip_space();
                    self.key()?;
                    return Ok(true);
                }
                (other, b'[') => return Err(unexpected(other, "after array element")),
                (other, _) => return Err(unexpected(other, "after object key:value pair")),
            }
        }
        Ok(false)
    }

    fn enter(&mut self, bracket: u8) -> Result<(), SyntaxError> {
        self.open.push(bracket);
        if self.open.len() > DEPTH_LIMIT {
            return Err(unexpected(bracket, "exceeded max depth"));
        }
        self.skip_space();
        Ok(())
    }

    fn key(&mut self) -> Result<(), SyntaxError> {
        match self.next()? {
            b'"' => self.string()?,
            other => {
                return Err(unexpected(
                    other,
                    "looking for beginning of object key string",
                ));
            }
        }
        self.skip_space();
        match self.next()? {
            b':' => Ok(()),
            other => Err(unexpected(other, "after object key")),
        }
    }

    fn string(&mut self) -> Result<(), SyntaxError> {
        loop {
            self.at += plain(&self.text[self.at..]);
            match self.next()? {
                b'"' => return Ok(()),
                b'\\' => self.escape()?,
                other => return Err(unexpected(other, "in string literal")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), SyntaxError> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => return Ok(()),
            b'u' => {}
            other => return Err(unexpected(other, "in string escape code")),
        }
        for _ in 0..4 {
            let digit = self.next()?;
            if !digit.is_ascii_hexdigit() {
                return Err(unexpected(digit, "in \\u hexadecimal character escape"));
            }
        }
        Ok(())
    }

    fn literal(&mut self, word: &str) -> Result<(), SyntaxError> {
        for expected in word.bytes().skip(1) {
            let found = self.next()?;
            if found != expected {
                let expected = char::from(expected);
                let place = format!("in literal {word} (expecting '{expected}')");
                return Err(unexpected(found, place));
            }
        }
        Ok(())
    }

    fn number(&mut self, first: u8) -> Result<(), SyntaxError> {
        let first = match first {
            b'-' => self.digit("in numeric literal")?,
            digit => digit,
        };
        if first != b'0' {
            self.skip_digits();
        }
        if self.takes(|byte| byte == b'.') {
            self.digit("after decimal point in numeric literal")?;
            self.skip_digits();
        }
        if self.takes(|byte| matches!(byte, b'e' | b'E')) {
            self.takes(|byte| matches!(byte, b'+' | b'-'));
            self.digit("in exponent of numeric literal")?;
            self.skip_digits();
        }
        Ok(())
    }

    fn digit(&mut self, place: &str) -> Result<u8, SyntaxError> {
        match self.next()? {
            digit @ b'0'..=b'9' => Ok(digit),
            other => Err(unexpected(other, place)),
        }
    }

    fn skip_digits(&mut self) {
        while self.takes(|byte| byte.is_ascii_digit()) {}
    }

    fn skip_space(&mut self) {
        while self.takes(is_space) {}
    }

    fn takes(&mut self, wanted: impl Fn(u8) -> bool) -> bool {
        let takes = self.text.get(self.at).is_some_and(|byte| wanted(*byte));
        self.at += usize::from(takes);
        takes
    }

    fn peek(&self) -> Result<u8, SyntaxError> {
        self.text.get(self.at).copied().ok_or(SyntaxError::CutOff)
    }

    fn next(&mut self) -> Result<u8, SyntaxError> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(byte)
    }
}
