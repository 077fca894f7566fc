//! How long an item is to live, as request metadata says it. Each store has its own limits; here is
//! only the number.

use std::num::IntErrorKind;

use outrider_core::quote;

use crate::Metadata;

/// The name in request metadata, in exactly this case.
const NAME: &str = "ttlInSeconds";

/// The number that the metadata asks for, if any. The error is the text of Go's `function`.
pub(crate) fn parse(metadata: &Metadata, function: &str) -> Result<Option<i64>, String> {
    let Some(text) = metadata.get(NAME).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    text.parse()
        .map(Some)
        .map_err(|error: std::num::ParseIntError| {
            let why = match error.kind() {
                IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
                _ => "invalid syntax",
            };
            format!("strconv.{function}: parsing {}: {why}", quote::quote(text))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Option<i64>, String> {
        parse(&[(NAME.to_owned(), text.to_owned())].into(), "Atoi")
    }

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        assert_eq!(parse(&Metadata::new(), "Atoi"), Ok(None));
        for (text, number) in [
            ("", None),
            ("1", Some(1)),
            ("+600", Some(600)),
            ("0600", Some(600)),
            ("-1", Some(-1)),
        ] {
            assert_eq!(parsed(text), Ok(number), "{text}");
        }
        for (text, why) in [
            ("abc", r#"strconv.Atoi: parsing "abc": invalid syntax"#),
            ("1.5", r#"strconv.Atoi: parsing "1.5": invalid syntax"#),
            (" 1", r#"strconv.Atoi: parsing " 1": invalid syntax"#),
            ("+", r#"strconv.Atoi: parsing "+": invalid syntax"#),
            (
                "9223372036854775808",
                r#"strconv.Atoi: parsing "9223372036854775808": value out of range"#,
            ),
        ] {
            assert_eq!(parsed(text), Err(why.to_owned()));
        }
    }
}
