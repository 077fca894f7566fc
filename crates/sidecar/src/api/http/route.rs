//! Which route a request takes (contract `http-api.md` 2).

use outrider_core::path::{clean, query_unescape_or_keep};

use super::{missing::is_missing, state::Wish};
use crate::plan::Routes;

/// The routes of the API port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Healthz,
    HealthzOutbound,
    Metadata,
    /// With the key, unescaped.
    PutMetadata(String),
    Shutdown,
    /// With the name of the store, unescaped.
    State(String, Wish),
    /// A building block that is not there.
    Missing,
    /// The invoke URL, and everything that matches nothing else.
    Invoke,
    /// A known path under another method than these, where nothing is invoked.
    WrongMethod(&'static [&'static str]),
    /// No such path, where nothing is invoked.
    Nothing,
}

/// The methods of RFC 9110 and RFC 5789.
fn is_standard(method: &str) -> bool {
    matches!(
        method,
        "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" | "TRACE" | "CONNECT"
    )
}

impl Route {
    /// Looks at the escaped path after lexical cleaning, as the reference's router does.
    pub(super) fn of(method: &str, raw_path: &str, routes: &Routes) -> Self {
        let path = clean(raw_path);
        if path.starts_with("/v1.0/invoke/") && routes.invoke {
            return Self::Invoke;
        }
        let path = path.trim_start_matches('/').trim_end_matches('/');
        let known = match path.split_once('/') {
            Some(("v1.0", path)) => v1(method, path, routes),
            Some(("v1.0-alpha1", path)) if routes.query => query(method, path),
            _ => None,
        };
        match known {
            Some(Ok(route)) => route,
            _ if is_missing(method, path, &routes.missing) => Self::Missing,
            _ if routes.invoke => Self::Invoke,
            // As the reference has it, only methods of HTTP are told what is allowed.
            Some(Err(_)) if !is_standard(method) => Self::WrongMethod(&[]),
            Some(Err(allowed)) => Self::WrongMethod(allowed),
            None => Self::Nothing,
        }
    }

    /// Its name in an obfuscated log; an invocation is named by its target.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Healthz => "Healthz",
            Self::HealthzOutbound => "HealthzOutbound",
            Self::Metadata => "GetMetadata",
            Self::PutMetadata(_) => "PutMetadata",
            Self::Shutdown => "Shutdown",
            Self::State(_, Wish::Save) => "SaveState",
            Self::State(_, Wish::Get(_)) => "GetState",
            Self::State(_, Wish::Delete(_)) => "DeleteState",
            Self::State(_, Wish::Bulk) => "GetBulkState",
            Self::State(_, Wish::Transaction) => "ExecuteStateTransaction",
            Self::State(_, Wish::Query) => "QueryStateAlpha1",
            Self::Missing => "Unimplemented",
            Self::Invoke | Self::WrongMethod(_) | Self::Nothing => "InvokeService",
        }
    }

    /// True for the health routes.
    pub(super) fn is_health(&self) -> bool {
        matches!(self, Self::Healthz | Self::HealthzOutbound)
    }
}

/// A route; the methods of a known path where the one asked for is none of them.
type Known = Option<Result<Route, &'static [&'static str]>>;

const GET: &[&str] = &["GET"];
const POST: &[&str] = &["POST"];
const PUT: &[&str] = &["PUT"];
const WRITE: &[&str] = &["POST", "PUT"];

/// Paths below `/v1.0/`.
fn v1(method: &str, path: &str, routes: &Routes) -> Known {
    let (methods, route) = match path {
        "healthz" => (GET, Route::Healthz),
        "healthz/outbound" => (GET, Route::HealthzOutbound),
        "metadata" if routes.metadata => (GET, Route::Metadata),
        "shutdown" if routes.shutdown => (POST, Route::Shutdown),
        _ => match path.split_once('/')? {
            ("metadata", key) if routes.metadata && is_segment(key) => {
                (PUT, Route::PutMetadata(unescaped(key)))
            }
            ("state", rest) if routes.state => return state(method, rest),
            _ => return None,
        },
    };
    Some(if methods.contains(&method) {
        Ok(route)
    } else {
        Err(methods)
    })
}

/// Paths below `/v1.0/state/`. Which of them are no keys is decided before they are unescaped.
fn state(method: &str, path: &str) -> Known {
    let is_write = WRITE.contains(&method);
    let (store, methods, wish) = match path.split_once('/') {
        None => (path, WRITE, is_write.then_some(Wish::Save)),
        Some((store, key)) if is_segment(key) => {
            let wish = match (method, key) {
                ("GET", _) => Some(Wish::Get(unescaped(key))),
                ("DELETE", _) => Some(Wish::Delete(unescaped(key))),
                (_, "bulk") if is_write => Some(Wish::Bulk),
                (_, "transaction") if is_write => Some(Wish::Transaction),
                _ => None,
            };
            let methods: &[_] = match key {
                "bulk" | "transaction" => &["POST", "PUT", "GET", "DELETE"],
                _ => &["GET", "DELETE"],
            };
            (store, methods, wish)
        }
        Some(_) => return None,
    };
    if !is_segment(store) {
        return None;
    }
    let route = wish.map(|wish| Route::State(unescaped(store), wish));
    Some(route.ok_or(methods))
}

/// Paths below `/v1.0-alpha1/`.
fn query(method: &str, path: &str) -> Known {
    let store = path.strip_prefix("state/")?.strip_suffix("/query")?;
    if !is_segment(store) {
        return None;
    }
    Some(if WRITE.contains(&method) {
        Ok(Route::State(unescaped(store), Wish::Query))
    } else {
        Err(WRITE)
    })
}

fn is_segment(text: &str) -> bool {
    !text.is_empty() && !text.contains('/')
}

fn unescaped(segment: &str) -> String {
    query_unescape_or_keep(segment).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::http::missing::FAMILIES;

    const ALL: Routes = Routes {
        invoke: true,
        metadata: true,
        shutdown: true,
        state: true,
        query: true,
        missing: [true; FAMILIES.len()],
    };

    #[test]
    fn routes_are_found_on_the_cleaned_escaped_path() {
        for (method, path, route) in [
            ("GET", "/v1.0/healthz", Route::Healthz),
            ("GET", "//v1.0/./healthz/", Route::Healthz),
            ("GET", "/v1.0/healthz/outbound", Route::HealthzOutbound),
            ("GET", "/v1.0/metadata", Route::Metadata),
            (
                "PUT",
                "/v1.0/metadata/a%2Bb+c",
                Route::PutMetadata("a+b c".into()),
            ),
            ("POST", "/v1.0/shutdown", Route::Shutdown),
            ("POST", "/v1.0/healthz", Route::Invoke),
            ("HEAD", "/v1.0/healthz", Route::Invoke),
            ("PUT", "/v1.0/metadata/a/b", Route::Invoke),
            ("GET", "/v1.0/invoke/a/method/b", Route::Invoke),
            ("GET", "/x", Route::Invoke),
            ("GET", "/v1.0/invoke/../healthz", Route::Healthz),
            ("GET", "/v1.0%2Fhealthz", Route::Invoke),
            ("POST", "/v1.0/publish/p/t/", Route::Missing),
            ("GET", "/v1.0/publish/p/t", Route::Invoke),
        ] {
            assert_eq!(Route::of(method, path, &ALL), route, "{method} {path}");
        }
    }

    #[test]
    fn a_denied_invoke_takes_the_catch_all_with_it() {
        let routes = Routes {
            invoke: false,
            ..ALL
        };
        assert_eq!(
            Route::of("GET", "/v1.0/invoke/a/method/b", &routes),
            Route::Nothing
        );
        assert_eq!(
            Route::of("POST", "/v1.0/healthz", &routes),
            Route::WrongMethod(&["GET"])
        );
        let routes = Routes {
            metadata: false,
            ..ALL
        };
        assert_eq!(Route::of("GET", "/v1.0/metadata", &routes), Route::Invoke);
    }

    #[test]
    fn stores_and_keys_are_single_segments_unescaped_once() {
        let state = |wish| Route::State("s t".into(), wish);
        let get = |key: &str| state(Wish::Get(key.into()));
        for (method, path, route) in [
            ("POST", "/v1.0/state/s+t", state(Wish::Save)),
            ("PUT", "/v1.0/state/s%20t/", state(Wish::Save)),
            ("GET", "/v1.0/state/s+t/a%2Fb+c%2Bd", get("a/b c+d")),
            ("GET", "/v1.0/state/s+t/a%2541", get("a%41")),
            ("GET", "/v1.0/state/s+t/%2E%2E", get("..")),
            ("GET", "/v1.0/state/s+t/bulk", get("bulk")),
            (
                "DELETE",
                "/v1.0/state/s+t/transaction",
                state(Wish::Delete("transaction".into())),
            ),
            ("POST", "/v1.0/state/s+t/bulk", state(Wish::Bulk)),
            (
                "PUT",
                "/v1.0/state/s+t/transaction",
                state(Wish::Transaction),
            ),
            ("PUT", "/v1.0-alpha1/state/s+t/query", state(Wish::Query)),
            ("POST", "/v1.0/state/s+t/b%75lk", Route::Invoke),
            ("POST", "/v1.0/state/s+t/key", Route::Invoke),
            ("GET", "/v1.0/state/s+t", Route::Invoke),
            ("HEAD", "/v1.0/state/s+t/key", Route::Invoke),
            ("GET", "/v1.0/state/s+t/a/b", Route::Invoke),
            ("POST", "/v1.0/state", Route::Invoke),
            ("GET", "/v1.0-alpha1/state/s+t/query", Route::Invoke),
            ("POST", "/v1.0-alpha1/state/query", Route::Invoke),
        ] {
            assert_eq!(Route::of(method, path, &ALL), route, "{method} {path}");
        }
    }

    #[test]
    fn denied_state_is_nothing_of_ours() {
        let routes = Routes {
            state: false,
            query: false,
            ..ALL
        };
        for path in ["/v1.0/state/s", "/v1.0-alpha1/state/s/query"] {
            assert_eq!(Route::of("POST", path, &routes), Route::Invoke);
        }
        let routes = Routes {
            invoke: false,
            ..ALL
        };
        for (method, path, allowed) in [
            ("GET", "/v1.0/state/s", &["POST", "PUT"][..]),
            ("PATCH", "/v1.0/state/s/k", &["GET", "DELETE"]),
            (
                "HEAD",
                "/v1.0/state/s/bulk",
                &["POST", "PUT", "GET", "DELETE"],
            ),
            ("GET", "/v1.0/shutdown", &["POST"]),
            ("GET", "/v1.0-alpha1/state/s/query", &["POST", "PUT"]),
            ("GET", "/v1.0/metadata/k", &["PUT"]),
            ("FOO", "/v1.0/metadata/k", &[]),
        ] {
            let route = Route::of(method, path, &routes);
            assert_eq!(route, Route::WrongMethod(allowed), "{method} {path}");
        }
        assert_eq!(
            Route::of("GET", "/v1.0/state/s/a/b", &routes),
            Route::Nothing
        );
    }
}
