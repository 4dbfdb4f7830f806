//! Our cookies. Any function that answers a browser may have to set or read one.

use crate::call::Call;
use crate::headers::text;
use http::header;
use std::fmt::Write;
use tmcp_ports::Platform;

/// The header that a function reads ([`Group::reading`](crate::Group::reading)) whose handlers read a cookie, or ask who sits at the browser.
pub const HEADER: &str = "cookie";

/// A cookie of ours.
#[derive(Debug, Clone, Copy)]
pub enum Cookie {
    /// A browser session. Lax: a link of an app's leads here with it.
    Session,
    /// The browser that a hand-over's question was shown in. Strict: only our page's own form comes with it.
    HandOver,
    /// The browser that a sign-in at a provider began in. Lax: the provider sends it back here.
    SignIn,
}

impl Cookie {
    /// The name. The prefix holds the browser to the attributes, and needs https; over http, which is for development on one machine,
    /// there is none.
    fn name(self, issuer: &str) -> &'static str {
        match (self, is_https(issuer)) {
            (Cookie::Session, true) => "__Host-tmcp_session",
            (Cookie::Session, false) => "tmcp_session",
            (Cookie::HandOver, true) => "__Host-tmcp_hand_over",
            (Cookie::HandOver, false) => "tmcp_hand_over",
            (Cookie::SignIn, true) => "__Host-tmcp_sign_in",
            (Cookie::SignIn, false) => "tmcp_sign_in",
        }
    }

    /// A `Set-Cookie` that puts it into the browser, or takes it out where it lives for no second.
    pub fn set(self, issuer: &str, secret: &str, seconds: i64) -> String {
        let site = match self {
            Cookie::Session | Cookie::SignIn => "Lax",
            Cookie::HandOver => "Strict",
        };
        let mut text = format!("{}={secret}; Path=/; HttpOnly; SameSite={site}; Max-Age={seconds}", self.name(issuer));
        if is_https(issuer) {
            let _ = write!(text, "; Secure");
        }
        text
    }
}

fn is_https(issuer: &str) -> bool {
    issuer.starts_with("https://")
}

/// What the browser sent of a cookie.
pub fn sent<P: Platform>(call: &Call<P>, cookie: Cookie) -> Option<String> {
    let name = cookie.name(&call.settings.issuer);
    let cookies = call.headers.get_all(header::COOKIE).iter().filter_map(text);
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_for_this_host_and_no_script() {
        let set = |cookie: Cookie, issuer: &str| cookie.set(issuer, "s", 60);
        let (https, http) = ("https://tmcp.example", "http://127.0.0.1:8080");
        assert_eq!(set(Cookie::Session, https), "__Host-tmcp_session=s; Path=/; HttpOnly; SameSite=Lax; Max-Age=60; Secure");
        assert_eq!(
            set(Cookie::HandOver, https),
            "__Host-tmcp_hand_over=s; Path=/; HttpOnly; SameSite=Strict; Max-Age=60; Secure"
        );
        assert_eq!(set(Cookie::SignIn, https), "__Host-tmcp_sign_in=s; Path=/; HttpOnly; SameSite=Lax; Max-Age=60; Secure");
        assert_eq!(set(Cookie::Session, http), "tmcp_session=s; Path=/; HttpOnly; SameSite=Lax; Max-Age=60");
    }
}
