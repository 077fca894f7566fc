//! The request target of a call: `/v1.0/invoke/<id>/method/<method>`.

/// Id and method as the user wrote them, so that a method may have a query and an id may be a URL.
/// What cannot stand in a request line is percent-encoded.
pub(super) fn target(app_id: &str, method: &str) -> String {
    let method = method.strip_prefix('/').unwrap_or(method);
    let mut out = String::from("/v1.0/invoke/");
    // A question mark would begin the query too early.
    push(&mut out, app_id, b"?");
    out.push_str("/method/");
    push(&mut out, method, b"");
    out
}

fn push(out: &mut String, text: &str, also: &[u8]) {
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(&byte) && !also.contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_may_have_a_query_and_begin_with_a_slash() {
        for (id, method, expected) in [
            ("a", "m", "/v1.0/invoke/a/method/m"),
            ("a.ns", "/m/n?x=1&y", "/v1.0/invoke/a.ns/method/m/n?x=1&y"),
            ("http://h:1", "", "/v1.0/invoke/http://h:1/method/"),
            (
                "a b?",
                "é \r\n#",
                "/v1.0/invoke/a%20b%3F/method/%C3%A9%20%0D%0A%23",
            ),
            ("a", "x%20y", "/v1.0/invoke/a/method/x%20y"),
        ] {
            assert_eq!(target(id, method), expected);
        }
    }
}
