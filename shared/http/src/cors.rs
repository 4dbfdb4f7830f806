//! Cross-origin requests from browsers: answered for the origins of registered clients, never with credentials.

use http::{HeaderMap, HeaderValue, header};
use serde::{Deserialize, Serialize};

/// How long origins are remembered.
pub const REMEMBER_MS: i64 = 60_000;

/// What is known about an origin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginInfo {
    /// The active clients that registered it.
    pub clients: Vec<String>,
    /// Whether it is a host client's.
    pub host: bool,
}

/// Whose answer it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Reader {
    /// Not known: an error before the caller was known. Any registered origin may read it.
    #[default]
    Unknown,
    /// A client's: its own origins may read it.
    Client(String),
    /// The platform's: host clients' origins may read it.
    Host,
}

impl OriginInfo {
    /// Whether pages of this origin may read an answer.
    pub fn may_read(&self, reader: &Reader) -> bool {
        match reader {
            Reader::Unknown => self.host || !self.clients.is_empty(),
            Reader::Client(id) => self.host || self.clients.contains(id),
            Reader::Host => self.host,
        }
    }
}

/// Response headers that a page may read.
const EXPOSED: &str = "X-Request-Id, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, X-RateLimit-Reset-After, \
    X-RateLimit-Burst, X-RateLimit-Burst-Remaining, Retry-After";

/// Lets pages of `origin` read the answer.
pub fn allow(headers: &mut HeaderMap, origin: &HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
}

/// Answers a preflight: these methods, our request headers, remembered for ten minutes.
pub fn preflight(headers: &mut HeaderMap, origin: &HeaderValue, methods: &str) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    if let Ok(methods) = HeaderValue::from_str(methods) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    }
    let allowed = "Authorization, Content-Type, X-Matrix-Access-Token, X-Request-Id, Traceparent";
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(allowed));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_read_what() {
        let app = OriginInfo { clients: vec!["ma_a".into()], host: false };
        let host = OriginInfo { clients: vec![], host: true };
        let stranger = OriginInfo::default();
        let a = Reader::Client("ma_a".into());
        let b = Reader::Client("ma_b".into());
        let table =
            [(&app, [true, true, false, false]), (&host, [true, true, true, true]), (&stranger, [false, false, false, false])];
        for (origin, expected) in table {
            let found = [&Reader::Unknown, &a, &b, &Reader::Host].map(|reader| origin.may_read(reader));
            assert_eq!(found, expected, "{origin:?}");
        }
    }
}
