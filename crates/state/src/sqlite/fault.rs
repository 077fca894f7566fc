//! SQLite's errors in the words of the reference's driver: what kind, what exactly, which number.

/// The text of an error.
pub(super) fn text(error: &rusqlite::Error) -> String {
    let rusqlite::Error::SqliteFailure(code, message) = error else {
        return error.to_string();
    };
    let number = code.extended_code;
    let busy = if number == 5 { " (SQLITE_BUSY)" } else { "" };
    match (kind(number & 0xff), message.as_deref()) {
        (Some(kind), Some(message)) if kind != message => {
            format!("{kind}: {message} ({number}){busy}")
        }
        (_, Some(text)) | (Some(text), None) => format!("{text} ({number}){busy}"),
        (None, None) => error.to_string(),
    }
}

/// True if the file can't be opened or made.
pub(super) fn is_no_file(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::CannotOpen)
}

/// True if others use the file at the moment.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy)
}

/// SQLite's own words for the kinds of errors that a file can give.
fn kind(number: i32) -> Option<&'static str> {
    Some(match number {
        1 => "SQL logic error",
        5 => "database is locked",
        6 => "database table is locked",
        8 => "attempt to write a readonly database",
        10 => "disk I/O error",
        11 => "database disk image is malformed",
        13 => "database or disk is full",
        14 => "unable to open database file",
        18 => "string or blob too big",
        19 => "constraint failed",
        26 => "file is not a database",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(number: i32, message: Option<&str>) -> String {
        let code = rusqlite::ffi::Error::new(number);
        text(&rusqlite::Error::SqliteFailure(
            code,
            message.map(str::to_owned),
        ))
    }

    #[test]
    fn errors_read_as_those_of_the_reference() {
        for (number, message, expected) in [
            (
                1,
                Some("no such table: x"),
                "SQL logic error: no such table: x (1)",
            ),
            (
                5,
                Some("database is locked"),
                "database is locked (5) (SQLITE_BUSY)",
            ),
            (5, None, "database is locked (5) (SQLITE_BUSY)"),
            (2067, Some("UNIQUE"), "constraint failed: UNIQUE (2067)"),
            (17, Some("changed"), "changed (17)"),
        ] {
            assert_eq!(failure(number, message), expected);
        }
    }
}
