//! Which route a request takes (contract `http-api.md` 2).

use outrider_core::path::{clean, query_unescape_or_keep};

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
    /// The invoke URL, and everything that matches nothing else.
    Invoke,
    /// A known path under another method, where nothing is invoked.
    WrongMethod,
    /// No such path, where nothing is invoked.
    Nothing,
}

impl Route {
    /// Looks at the escaped path after lexical cleaning, as the reference's router does.
    pub(super) fn of(method: &str, raw_path: &str, routes: &Routes) -> Self {
        let path = clean(raw_path);
        if path.starts_with("/v1.0/invoke/") && routes.invoke {
            return Self::Invoke;
        }
        let path = path.trim_start_matches('/').trim_end_matches('/');
        let known = match path.strip_prefix("v1.0/") {
            Some("healthz") => Some(("GET", Self::Healthz)),
            Some("healthz/outbound") => Some(("GET", Self::HealthzOutbound)),
            Some("metadata") if routes.metadata => Some(("GET", Self::Metadata)),
            Some("shutdown") if routes.shutdown => Some(("POST", Self::Shutdown)),
            Some(rest) if routes.metadata => rest
                .strip_prefix("metadata/")
                .filter(|key| !key.is_empty() && !key.contains('/'))
                .map(|key| {
                    (
                        "PUT",
                        Self::PutMetadata(query_unescape_or_keep(key).into_owned()),
                    )
                }),
            _ => None,
        };
        match known {
            Some((expected, route)) if expected == method => route,
            _ if routes.invoke => Self::Invoke,
            Some(_) => Self::WrongMethod,
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
            Self::Invoke | Self::WrongMethod | Self::Nothing => "InvokeService",
        }
    }

    /// True for the health routes.
    pub(super) fn is_health(&self) -> bool {
        matches!(self, Self::Healthz | Self::HealthzOutbound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Routes = Routes {
        invoke: true,
        metadata: true,
        shutdown: true,
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
            Route::WrongMethod
        );
        let routes = Routes {
            metadata: false,
            ..ALL
        };
        assert_eq!(Route::of("GET", "/v1.0/metadata", &routes), Route::Invoke);
    }
}
