//! `HttpClient`: outbound requests with a time-out and a size limit.

use bytes::Bytes;
use std::future::Future;

/// Where the URL of a request comes from, and so what it may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// From configuration: private addresses are allowed.
    Configured,
    /// From anybody: https on usual ports, public names only, no redirects (see [`crate::guard`]).
    Untrusted,
}

/// An outbound request.
#[derive(Debug, Clone)]
pub struct OutboundRequest {
    /// `GET`, `POST`, `PUT`, `DELETE`.
    pub method: http::Method,
    /// Absolute.
    pub url: String,
    /// Headers; secrets among them never reach a log.
    pub headers: Vec<(String, String)>,
    /// The body; empty for none.
    pub body: Bytes,
    /// Milliseconds until the whole exchange is given up.
    pub timeout_ms: u32,
    /// Bytes of the response's body at most.
    pub max_bytes: usize,
}

impl OutboundRequest {
    /// A GET with a ten-second time-out and a limit of 256 KiB.
    pub fn get(url: impl Into<String>) -> Self {
        Self {
            method: http::Method::GET,
            url: url.into(),
            headers: Vec::new(),
            body: Bytes::new(),
            timeout_ms: 10_000,
            max_bytes: 256 * 1024,
        }
    }

    /// The same with one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// What came back. Redirects are not followed: a 3xx comes back as it is.
#[derive(Debug, Clone)]
pub struct OutboundResponse {
    /// The status.
    pub status: u16,
    /// The whole body.
    pub body: Bytes,
}

impl Trust {
    /// What of a response may be used: an untrusted party's redirect is refused, since it could lead anywhere.
    pub fn judge(self, response: OutboundResponse) -> Result<OutboundResponse, HttpError> {
        match self {
            Trust::Untrusted if (300..400).contains(&response.status) => Err(crate::guard::Refused::Redirect.into()),
            _ => Ok(response),
        }
    }
}

/// Why nothing came back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The URL is not one that may be reached.
    #[error("outbound request refused: {0}")]
    Refused(#[from] crate::guard::Refused),
    /// The time was up.
    #[error("outbound request timed out")]
    TimedOut,
    /// The response was larger than the limit.
    #[error("outbound response too large")]
    TooLarge,
    /// No connection, or a broken one; the text is for the log.
    #[error("outbound request failed: {0}")]
    Unreachable(String),
}

/// Outbound requests.
pub trait HttpClient: Send + Sync {
    /// Sends a request and reads the whole response.
    fn send(&self, trust: Trust, request: OutboundRequest) -> impl Future<Output = Result<OutboundResponse, HttpError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::Refused;

    #[test]
    fn only_an_untrusted_redirect_is_refused() {
        let answer = |status| OutboundResponse { status, body: Bytes::new() };
        for status in [301, 302, 303, 307, 308, 399] {
            assert_eq!(Trust::Untrusted.judge(answer(status)).err(), Some(HttpError::Refused(Refused::Redirect)), "{status}");
            assert!(Trust::Configured.judge(answer(status)).is_ok(), "{status}");
        }
        for status in [200, 299, 400, 404, 500] {
            assert!(Trust::Untrusted.judge(answer(status)).is_ok(), "{status}");
        }
    }
}
