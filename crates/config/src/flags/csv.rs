//! One CSV record, read by the rules of Go's `encoding/csv`.
//!
//! Lists in flags are such records (contract, configuration 1.1): double quotes protect commas and
//! line ends, a doubled quote is a quote, and only the first record counts.

/// Splits the text at its commas. An empty text is an empty list.
pub(super) fn record(text: &str) -> Result<Vec<String>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    Reader {
        rest: text,
        line_number: 0,
    }
    .read()
}

struct Reader<'t> {
    rest: &'t str,
    line_number: usize,
}

/// Where the reader stands in its current line.
struct Cursor {
    /// What is left of the line; ends in `\n` unless the text ends here.
    line: String,
    first_line: usize,
    column: usize,
}

const BARE_QUOTE: &str = "bare \" in non-quoted-field";
const STRAY_QUOTE: &str = "extraneous or missing \" in quoted-field";

impl Reader<'_> {
    fn read(mut self) -> Result<Vec<String>, String> {
        let line = loop {
            match self.next_line() {
                None => return Err("EOF".to_owned()),
                Some(line) if line.is_empty() || line == "\n" => {}
                Some(line) => break line,
            }
        };
        let mut cursor = Cursor {
            line,
            first_line: self.line_number,
            column: 1,
        };
        let mut fields = Vec::new();
        loop {
            let (field, more) = if cursor.line.starts_with('"') {
                cursor.advance(1);
                self.quoted_field(&mut cursor)?
            } else {
                self.plain_field(&mut cursor)?
            };
            fields.push(field);
            if !more {
                return Ok(fields);
            }
        }
    }

    /// The next line with `\r\n` as `\n`; a `\r` at the end of the text is dropped.
    fn next_line(&mut self) -> Option<String> {
        if self.rest.is_empty() {
            return None;
        }
        self.line_number += 1;
        let end = self.rest.find('\n').map_or(self.rest.len(), |at| at + 1);
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(match line.strip_suffix("\r\n") {
            Some(body) => format!("{body}\n"),
            None => line.strip_suffix('\r').unwrap_or(line).to_owned(),
        })
    }

    /// Gives the field, and whether another one follows.
    fn plain_field(&self, cursor: &mut Cursor) -> Result<(String, bool), String> {
        let comma = cursor.line.find(',');
        let field = match comma {
            Some(at) => &cursor.line[..at],
            None => cursor.line.strip_suffix('\n').unwrap_or(&cursor.line),
        };
        if let Some(at) = field.find('"') {
            return Err(self.failure(cursor, cursor.column + at, BARE_QUOTE));
        }
        let field = field.to_owned();
        if let Some(at) = comma {
            cursor.advance(at + 1);
        }
        Ok((field, comma.is_some()))
    }

    fn quoted_field(&mut self, cursor: &mut Cursor) -> Result<(String, bool), String> {
        let mut field = String::new();
        loop {
            if let Some(at) = cursor.line.find('"') {
                field.push_str(&cursor.line[..at]);
                cursor.advance(at + 1);
                match cursor.line.as_bytes() {
                    [b'"', ..] => {
                        field.push('"');
                        cursor.advance(1);
                    }
                    [b',', ..] => {
                        cursor.advance(1);
                        return Ok((field, true));
                    }
                    [] | [b'\n'] => return Ok((field, false)),
                    _ => return Err(self.failure(cursor, cursor.column - 1, STRAY_QUOTE)),
                }
            } else {
                field.push_str(&cursor.line);
                cursor.advance(cursor.line.len());
                match self.next_line() {
                    Some(line) => {
                        cursor.line = line;
                        cursor.column = 1;
                    }
                    None => return Err(self.failure(cursor, cursor.column, STRAY_QUOTE)),
                }
            }
        }
    }

    fn failure(&self, cursor: &Cursor, column: usize, why: &str) -> String {
        let place = format!(
            "parse error on line {}, column {column}: {why}",
            self.line_number
        );
        if cursor.first_line == self.line_number {
            place
        } else {
            format!("record on line {}; {place}", cursor.first_line)
        }
    }
}

impl Cursor {
    fn advance(&mut self, bytes: usize) {
        self.line.drain(..bytes);
        self.column += bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_split_as_go_does() {
        for (text, fields) in [
            ("", &[] as &[&str]),
            ("a,b", &["a", "b"]),
            ("\"a,b\",c", &["a,b", "c"]),
            ("\"a\"\"b\"", &["a\"b"]),
            (" a , b ", &[" a ", " b "]),
            ("a\nb", &["a"]),
            ("\na", &["a"]),
            ("a,", &["a", ""]),
            (",", &["", ""]),
            ("\"\na\"", &["\na"]),
            ("a\r\nb", &["a"]),
            ("a\r", &["a"]),
            ("\"a\r\nb\"", &["a\nb"]),
            ("\"a\"\n", &["a"]),
        ] {
            assert_eq!(record(text).expect(text), fields, "{text:?}");
        }
    }

    #[test]
    fn stray_quotes_are_located() {
        for (text, error) in [
            (
                "a\"b",
                "parse error on line 1, column 2: bare \" in non-quoted-field",
            ),
            (
                "\"a",
                "parse error on line 1, column 3: extraneous or missing \" in quoted-field",
            ),
            (
                "\"a\"b",
                "parse error on line 1, column 3: extraneous or missing \" in quoted-field",
            ),
            (
                "a,\"b\"x",
                "parse error on line 1, column 5: extraneous or missing \" in quoted-field",
            ),
            (
                "é,\"x",
                "parse error on line 1, column 6: extraneous or missing \" in quoted-field",
            ),
            ("\n", "EOF"),
            ("\r", "EOF"),
        ] {
            assert_eq!(record(text).expect_err(text), error, "{text:?}");
        }
        let two_lines = record("\"a\nb\"c").expect_err("stray quote");
        assert!(two_lines.starts_with("record on line 1; parse error on line 2, column 2: "));
    }
}
