//! Parameters in the query of a request, read as Go's `net/url` reads them: what can't be unescaped
//! and what holds a semicolon is left out.

use std::borrow::Cow;

use outrider_core::path::query_unescape;
use outrider_state::Metadata;

/// The first value of that name.
pub(super) fn first(query: &str, name: &str) -> Option<String> {
    let mut pairs = pairs(query);
    let found = pairs.find(|(found, _)| found == name);
    found.map(|(_, value)| value.into_owned())
}

/// The first value of each name that begins with `metadata.`, under the rest of its name.
pub(super) fn metadata(query: &str) -> Metadata {
    let mut metadata = Metadata::new();
    for (name, value) in pairs(query) {
        if let Some(name) = name.strip_prefix("metadata.") {
            metadata
                .entry(name.to_owned())
                .or_insert_with(|| value.into_owned());
        }
    }
    metadata
}

fn pairs(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    let parts = query
        .split('&')
        .filter(|part| !part.is_empty() && !part.contains(';'));
    parts.filter_map(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        Some((unescape(name)?, unescape(value)?))
    })
}

fn unescape(text: &str) -> Option<Cow<'_, str>> {
    Some(match query_unescape(text.as_bytes()).ok()? {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_several_values_counts() {
        let query = "metadata.a=1&metadata.a=2&x=3&metadata.b+c=%26&metadata.=e&Metadata.d=4";
        let found: Vec<_> = metadata(query).into_iter().collect();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(found, [pair("", "e"), pair("a", "1"), pair("b c", "&")]);
        assert_eq!(first(query, "x").as_deref(), Some("3"));
        assert_eq!(first(query, "y"), None);
    }

    #[test]
    fn what_can_not_be_read_is_left_out() {
        assert!(metadata("metadata.a=%zz&metadata.b=1;metadata.c=2&&=").is_empty());
    }
}
