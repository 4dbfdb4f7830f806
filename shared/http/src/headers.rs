//! The headers of a request that are read. One that comes over costs a runtime's entry half a microsecond and more, and a browser's
//! request has twenty: only those come that the way of a request reads, or a function says it reads.

use crate::internal;
use http::HeaderValue;

/// Those of any request.
const ALWAYS: [&str; 4] = ["authorization", "origin", "traceparent", "x-request-id"];

/// Those of a request that is more than a plain GET: what its body is, what a preflight asks, and that another function sent it.
const SENDING: [&str; 4] = ["content-type", "content-length", "access-control-request-method", internal::HEADER];

/// A header's value as text; `None` where it is not ASCII. Looks at words, where `to_str` looks at each byte of what is long.
pub fn text(value: &HeaderValue) -> Option<&str> {
    std::str::from_utf8(value.as_bytes()).ok().filter(|value| value.is_ascii())
}

/// What one function reads.
#[derive(Debug, Clone)]
pub struct Headers(Vec<&'static str>);

impl Headers {
    /// Nothing beside what all read.
    pub(crate) fn new() -> Self {
        Self(ALWAYS.to_vec())
    }

    pub(crate) fn add(&mut self, names: &[&'static str]) {
        self.0.extend(names);
    }

    /// Those of any request, in lower case.
    pub fn of_any(&self) -> &[&'static str] {
        &self.0
    }

    /// Those of a request that has a body, or a method other than GET and HEAD, beside the others.
    pub fn of_sending(&self) -> &'static [&'static str] {
        &SENDING
    }

    /// Whether a header is read at all, in whatever case.
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().chain(&SENDING).any(|read| name.eq_ignore_ascii_case(read))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tmcp_protocol::routes::{Access, Method, ROUTES};

    #[test]
    fn another_function_never_sends_a_plain_get() {
        let of_services = ROUTES.iter().filter(|route| route.access == Access::Service);
        assert!(of_services.clone().count() > 10);
        assert!(of_services.clone().all(|route| route.method != Method::Get), "{}", internal::HEADER);
    }

    #[test]
    fn names_are_lower_case_and_found_in_any() {
        let mut headers = Headers::new();
        assert!(!headers.contains("cookie"));
        headers.add(&["cookie"]);
        assert!(headers.contains("Cookie") && headers.contains("Content-Type") && !headers.contains("accept"));
        let all = headers.of_any().iter().chain(headers.of_sending());
        assert!(all.clone().all(|name| **name == name.to_ascii_lowercase()));
    }
}
