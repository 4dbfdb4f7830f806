//! From a path to a component, by Spin's own router and with the request headers that Spin adds.

use std::net::SocketAddr;

use anyhow::{Result, anyhow, ensure};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};

/// The public routes of the application.
pub struct Router(routefinder::Router<Target>);

struct Target {
    route: String,
    component: String,
}

/// A request's component, and what the match says about the request.
pub struct RouteMatch {
    /// The component that answers.
    pub component: String,
    /// The route as the manifest writes it.
    route: String,
    /// What the trailing wildcard stands for: empty, or beginning with a slash.
    path_info: String,
    /// Named segments and what they stand for.
    segments: Vec<(String, String)>,
}

impl Router {
    /// Builds the router from pairs of route and component.
    pub fn new<'a>(routes: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let mut router = routefinder::Router::new();
        for (route, component) in routes {
            // The router takes other places of the wildcard, and panics when it meets them.
            ensure!(
                route.starts_with('/') && !route.contains('*'),
                "route {route:?}: begins with '/', wildcard is a last \"/...\""
            );
            let target = Target { route: route.to_owned(), component: component.to_owned() };
            let pattern = match route.strip_suffix("/...") {
                Some(prefix) => format!("{prefix}/*"),
                None => route.strip_suffix('/').unwrap_or(route).to_owned(),
            };
            router.add(pattern, target).map_err(|error| anyhow!("route {route:?}: {error}"))?;
        }
        Ok(Self(router))
    }

    /// The match for `path`: an exact route beats a wildcard, and the longest prefix wins.
    pub fn find(&self, path: &str) -> Option<RouteMatch> {
        let best = self.0.best_match(path)?;
        let captures = best.captures();
        // Spin keeps a trailing slash, which its router drops.
        let path_info = match captures.wildcard() {
            None => String::new(),
            Some("") if path.ends_with('/') => "/".to_owned(),
            Some("") => String::new(),
            Some(rest) if path.ends_with('/') => format!("/{rest}/"),
            Some(rest) => format!("/{rest}"),
        };
        Some(RouteMatch {
            component: best.handler().component.clone(),
            route: best.handler().route.clone(),
            path_info,
            segments: captures.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        })
    }
}

impl RouteMatch {
    /// The match of a request that another component sends to `component`: as if its route were `/...`.
    pub fn chained(component: &str, path: &str) -> Self {
        Self { component: component.to_owned(), route: "/...".to_owned(), path_info: path.to_owned(), segments: Vec::new() }
    }

    /// Appends Spin's headers. Headers of the same names that the client sent stay, and stay first.
    ///
    /// `host` is the Host header (its absence makes Spin say `localhost`), `path` the path with the query.
    pub fn add_headers(&self, headers: &mut HeaderMap, host: &str, path: &str, client: SocketAddr) {
        let based_route = self.route.strip_suffix('/').unwrap_or(&self.route);
        let component_route = self.route.strip_suffix("/...").unwrap_or(&self.route);
        let mut append = |name: &str, value: &str| {
            // What is no header value cannot have come in as one; Spin drops it as well.
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                headers.append(name, value);
            }
        };
        append("spin-path-info", &self.path_info);
        append("spin-full-url", &format!("http://{host}{path}"));
        append("spin-matched-route", based_route);
        append("spin-base-path", "/");
        append("spin-raw-component-route", &self.route);
        append("spin-component-route", component_route);
        append("spin-client-addr", &client.to_string());
        for (name, value) in &self.segments {
            append(&format!("spin-path-match-{}", name.to_ascii_lowercase().replace('_', "-")), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router() -> Router {
        Router::new([
            ("/", "root"),
            ("/.well-known/jwks.json", "auth"),
            ("/api/...", "api"),
            ("/api/v1/storage/...", "storage"),
            ("/api/v1/storage/batch", "batch"),
            ("/apps/:app_id/events", "lifecycle"),
            ("/apps/:app_id/...", "store"),
            ("/exact/", "exact"),
        ])
        .unwrap()
    }

    #[test]
    fn paths_and_components() {
        let router = router();
        for (path, component, path_info) in [
            ("/", Some("root"), ""),
            ("/.well-known/jwks.json", Some("auth"), ""),
            ("/api", Some("api"), ""),
            ("/api/", Some("api"), "/"),
            ("/api/x", Some("api"), "/x"),
            ("/api/v1/storage", Some("storage"), ""),
            ("/api/v1/storage/a/b/", Some("storage"), "/a/b/"),
            ("/api/v1/storage/batch", Some("batch"), ""),
            ("/api/v1/storage/batch/x", Some("storage"), "/batch/x"),
            ("/apps/42/events", Some("lifecycle"), ""),
            ("/apps/42/reviews/7", Some("store"), "/reviews/7"),
            ("/exact", Some("exact"), ""),
            ("/apiary", None, ""),
            ("/nothing", None, ""),
            ("/internal/x", None, ""),
        ] {
            let found = router.find(path);
            assert_eq!(found.as_ref().map(|found| found.component.as_str()), component, "{path}");
            assert_eq!(found.map(|found| found.path_info).unwrap_or_default(), path_info, "{path}");
        }
    }

    #[test]
    fn malformed_routes() {
        for route in ["", "relative", "/a/*/b", "/a/*"] {
            assert!(Router::new([(route, "x")]).is_err(), "{route:?}");
        }
    }

    #[test]
    fn a_catch_all_takes_the_rest() {
        let router = Router::new([("/...", "all"), ("/one", "one")]).unwrap();
        for (path, component) in [("/", "all"), ("/one", "one"), ("/one/two", "all"), ("/x/", "all")] {
            assert_eq!(router.find(path).unwrap().component, component, "{path}");
        }
    }

    #[test]
    fn headers_are_appended_after_the_clients() {
        let mut headers = HeaderMap::new();
        headers.insert("spin-client-addr", HeaderValue::from_static("6.6.6.6:1"));
        let client: SocketAddr = "127.0.0.1:5000".parse().unwrap();
        let found = router().find("/apps/42/reviews").unwrap();
        found.add_headers(&mut headers, "edge.example", "/apps/42/reviews?page=2", client);
        let all = |name: &str| headers.get_all(name).iter().map(|v| v.to_str().unwrap().to_owned()).collect::<Vec<_>>();
        assert_eq!(all("spin-client-addr"), ["6.6.6.6:1", "127.0.0.1:5000"]);
        assert_eq!(all("spin-full-url"), ["http://edge.example/apps/42/reviews?page=2"]);
        assert_eq!(all("spin-path-info"), ["/reviews"]);
        assert_eq!(all("spin-matched-route"), ["/apps/:app_id/..."]);
        assert_eq!(all("spin-raw-component-route"), ["/apps/:app_id/..."]);
        assert_eq!(all("spin-component-route"), ["/apps/:app_id"]);
        assert_eq!(all("spin-base-path"), ["/"]);
        assert_eq!(all("spin-path-match-app-id"), ["42"]);
    }
}
