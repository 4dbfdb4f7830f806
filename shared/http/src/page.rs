//! What every page is sent with, and the page that says what went wrong: any function may have to show it.

use http::{HeaderName, header};
use std::fmt::Write;
use tmcp_protocol::routes::{ACCOUNT, AUTHORIZE, CONSENT, DEVELOPER_AUTHORIZE, DEVICE_PAGE};

/// Where all pages have their style from.
pub const STYLE: &str = "/account/style.css";

/// Nothing is loaded but the stylesheet, nothing runs, no form goes elsewhere, and no page frames ours.
pub const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Longer addresses lead nowhere.
const MAX_ADDRESS: usize = 4000;

/// Whether an address leads to our pages: a path of ours, as a browser would send it. Where a browser goes on to comes through other
/// hands, which could lead it anywhere.
pub fn is_ours(to: &str) -> bool {
    let path = to.split('?').next().unwrap_or_default();
    let graphic = to.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#' && byte != b'\\');
    to.len() <= MAX_ADDRESS
        && graphic
        && [AUTHORIZE.path, CONSENT.path, DEVICE_PAGE.path, DEVELOPER_AUTHORIZE.path, ACCOUNT.path].contains(&path)
}

/// The headers of a page.
pub static HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Text as it may stand in an element or in a quoted attribute.
pub fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, letter| {
        match letter {
            '<' | '>' | '&' | '"' | '\'' => {
                let _ = write!(out, "&#{};", u32::from(letter));
            }
            other => out.push(other),
        }
        out
    })
}

/// A page that says what went wrong, and the id that the operator finds it by.
pub fn problem(message: &str, request_id: &str) -> String {
    let (message, request_id) = (escaped(message), escaped(request_id));
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>That did not work</title>\
        <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><link rel=\"stylesheet\" href=\"{STYLE}\"></head>\
        <body><main><h1>That did not work</h1><p role=\"alert\">{message}</p>\
        <p class=\"small\">Request <code>{request_id}</code></p></main></body></html>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_message_is_markup() {
        let page = problem("<script>alert('\"&')</script>", "req_1");
        assert!(page.contains("&#60;script&#62;alert(&#39;&#34;&#38;&#39;)&#60;/script&#62;"), "{page}");
        assert!(!page.contains("<script"));
    }

    #[test]
    fn a_browser_goes_on_to_our_pages_and_nowhere_else() {
        for (to, ours) in [
            ("/account", true),
            ("/oauth2/authorize?client_id=ma_a&state=a%20b", true),
            ("/oauth2/consent?session=consent_1", true),
            ("/oauth2/device?user_code=BCDF-GHJK", true),
            ("/oauth2/token", false),
            ("//evil.example/account", false),
            ("https://evil.example/account", false),
            ("/\\evil.example", false),
            ("/account\r\nset-cookie: a=b", false),
            ("/account#x", false),
            ("", false),
        ] {
            assert_eq!(is_ours(to), ours, "{to}");
        }
    }
}
