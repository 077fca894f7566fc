//! Cross-origin requests, as the reference answers them (contract `http-api.md` 13).

use outrider_wire::Fields;

/// Origins that may read answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origins {
    all: bool,
    /// Text before and behind the one wildcard, lower case; no wildcard: `None`.
    patterns: Vec<(String, Option<String>)>,
}

impl Origins {
    /// Reads the comma list of `--allowed-origins`; an empty one means that CORS is off.
    pub fn parse(list: &str) -> Option<Self> {
        if list.is_empty() {
            return None;
        }
        let lower = list.to_lowercase();
        let patterns = lower.split(',').map(|origin| match origin.split_once('*') {
            None => (origin.to_owned(), None),
            Some((before, behind)) => (before.to_owned(), Some(behind.to_owned())),
        });
        Some(Self {
            all: lower.split(',').any(|origin| origin == "*"),
            patterns: patterns.collect(),
        })
    }

    fn allows(&self, origin: &[u8]) -> bool {
        let origin = String::from_utf8_lossy(origin).to_lowercase();
        self.all
            || self.patterns.iter().any(|(before, behind)| match behind {
                None => origin == *before,
                Some(behind) => {
                    origin.len() >= before.len() + behind.len()
                        && origin.starts_with(before)
                        && origin.ends_with(behind)
                }
            })
    }

    fn value<'a>(&self, origin: &'a [u8]) -> &'a [u8] {
        if self.all { b"*" } else { origin }
    }

    /// The answer's fields for a preflight.
    pub fn preflight(&self, request: &Fields) -> Fields {
        let mut fields = Fields::default();
        for name in [
            "Origin",
            "Access-Control-Request-Method",
            "Access-Control-Request-Headers",
        ] {
            fields.push(b"Vary", name.as_bytes());
        }
        let origin = request.get("origin").unwrap_or_default();
        let method = request
            .get("access-control-request-method")
            .unwrap_or_default();
        let method = method.to_ascii_uppercase();
        if origin.is_empty() || !self.allows(origin) || !is_allowed_method(&method) {
            return fields;
        }
        fields.push(b"Access-Control-Allow-Origin", self.value(origin));
        fields.push(b"Access-Control-Allow-Methods", &method);
        let wanted = request
            .get("access-control-request-headers")
            .unwrap_or_default();
        let names = header_names(wanted);
        if !names.is_empty() {
            fields.push(b"Access-Control-Allow-Headers", names.join(", ").as_bytes());
        }
        fields
    }

    /// Adds what an actual answer says.
    pub fn answer(&self, request: &Fields, method: &str, fields: &mut Fields) {
        fields.push(b"Vary", b"Origin");
        let origin = request.get("origin").unwrap_or_default();
        if !origin.is_empty() && self.allows(origin) && is_allowed_method(method.as_bytes()) {
            fields.push(b"Access-Control-Allow-Origin", self.value(origin));
        }
    }
}

fn is_allowed_method(method: &[u8]) -> bool {
    const ALLOWED: [&str; 7] = ["HEAD", "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    ALLOWED.iter().any(|allowed| allowed.as_bytes() == method)
}

/// The requested names in canonical case.
fn header_names(list: &[u8]) -> Vec<String> {
    let words = list
        .split(|b| matches!(b, b',' | b' '))
        .filter(|word| !word.is_empty());
    words
        .map(|word| {
            let mut name = word.to_vec();
            outrider_wire::headers::canonicalize_in_place(&mut name);
            String::from_utf8_lossy(&name).into_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(fields: &[(&str, &str)]) -> Fields {
        fields
            .iter()
            .map(|(n, v)| (n.as_bytes(), v.as_bytes()))
            .collect()
    }

    fn values(fields: &Fields, name: &str) -> Vec<String> {
        let values = fields.get_all(name.as_bytes());
        values
            .map(|v| String::from_utf8_lossy(v).into_owned())
            .collect()
    }

    #[test]
    fn off_unless_named() {
        assert_eq!(Origins::parse(""), None);
    }

    #[test]
    fn preflight_of_an_allowed_origin() {
        let origins = Origins::parse("https://*.x.com,http://a").unwrap();
        let fields = origins.preflight(&request(&[
            ("Origin", "https://Www.x.com"),
            ("Access-Control-Request-Method", "put"),
            ("Access-Control-Request-Headers", "x-a, X-b"),
        ]));
        assert_eq!(values(&fields, "Vary").len(), 3);
        assert_eq!(
            values(&fields, "Access-Control-Allow-Origin"),
            ["https://Www.x.com"]
        );
        assert_eq!(values(&fields, "Access-Control-Allow-Methods"), ["PUT"]);
        assert_eq!(
            values(&fields, "Access-Control-Allow-Headers"),
            ["X-A, X-B"]
        );
    }

    #[test]
    fn other_origins_get_vary_only() {
        let origins = Origins::parse("https://*.x.com").unwrap();
        let asked = request(&[
            ("Origin", "https://y.com"),
            ("Access-Control-Request-Method", "GET"),
        ]);
        assert_eq!(origins.preflight(&asked).len(), 3);
        let mut fields = Fields::default();
        origins.answer(&asked, "GET", &mut fields);
        assert_eq!(fields.len(), 1);
    }

    #[test]
    fn a_bare_star_allows_all() {
        let origins = Origins::parse("http://a,*").unwrap();
        let mut fields = Fields::default();
        origins.answer(&request(&[("Origin", "null")]), "POST", &mut fields);
        assert_eq!(values(&fields, "Access-Control-Allow-Origin"), ["*"]);
    }
}
