//! Bodies at every public row of the route table: wrong, of another type, too large, unexpected.

use tmcp_e2e::Ask;
use tmcp_e2e::rows::{Tokens, content_type, is_refused, missing_parameter, name, public, wrong_body};
use tmcp_protocol::routes::{Access, Body, ErrorForm};
use tmcp_protocol::token::TokenKind;

#[tokio::test]
async fn a_body_that_is_wrong_is_told_where() {
    let tokens = Tokens::new().await;
    for route in public() {
        match route.body {
            Body::None => continue,
            Body::Image(_) => {
                let answer = tokens.with_body(route, content_type(route), "GIF89a").ask().await;
                is_refused(route, &answer, 415, "UNSUPPORTED_MEDIA_TYPE");
            }
            Body::Form(_) => {
                let message = is_refused(route, &tokens.with_body(route, content_type(route), "x=1").ask().await, 400, "");
                assert!(message.contains(missing_parameter(route)), "{}: {message}", name(route));
            }
            Body::Json(_) | Body::JsonOrForm(_) => {
                let (body, place) = wrong_body(route);
                let answer = tokens.with_body(route, "application/json; charset=utf-8", body.to_string()).ask().await;
                let message = is_refused(route, &answer, 400, "INVALID_REQUEST");
                assert!(message.contains(place), "{}: {message:?} does not name {place}", name(route));
                let deep = "[".repeat(10_000);
                let within = format!("{{\"nobody-reads-this\":{deep}");
                let malformed = [
                    &b""[..],
                    b"{",
                    b"{]",
                    b"null",
                    b"[]",
                    b"{} x",
                    b"\xff\xfe",
                    b"{\"\xff\": 1}",
                    deep.as_bytes(),
                    within.as_bytes(),
                ];
                for malformed in malformed {
                    let answer = tokens.with_body(route, "application/json", malformed.to_vec()).ask().await;
                    is_refused(route, &answer, 400, "INVALID_REQUEST");
                }
                let answer = tokens.with_body(route, "application/json", "{\n  \"a\": }").ask().await;
                let message = is_refused(route, &answer, 400, "INVALID_REQUEST");
                assert!(message.contains("line 2 column"), "{}: {message}", name(route));
            }
        }
    }
}

#[tokio::test]
async fn a_body_of_another_type_is_refused() {
    let tokens = Tokens::new().await;
    for route in public().filter(|route| route.body != Body::None) {
        let other = match route.body {
            Body::Form(_) => "application/json",
            Body::JsonOrForm(_) => "text/html",
            _ => "application/x-www-form-urlencoded",
        };
        for kind in [other, "text/plain", "multipart/form-data; boundary=x", "application/jsonx", "nonsense", ""] {
            is_refused(route, &tokens.with_body(route, kind, "{}").ask().await, 415, "UNSUPPORTED_MEDIA_TYPE");
        }
        let answer = tokens.request(route, tokens.right(route)).body("{}").ask().await;
        is_refused(route, &answer, 415, "UNSUPPORTED_MEDIA_TYPE");
    }
}

#[tokio::test]
async fn a_body_where_none_is_expected_does_no_harm() {
    let tokens = Tokens::new().await;
    for route in public().filter(|route| route.body == Body::None && route.access != Access::Tokens(&[TokenKind::Platform])) {
        let without = tokens.request(route, tokens.right(route)).ask().await;
        let with = tokens.with_body(route, "application/json", "{\"value\": \"x\"").ask().await;
        assert_eq!(with.status, without.status, "{}: {}", name(route), with.text);
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_one_at_it_is_read() {
    let tokens = Tokens::new().await;
    for route in public() {
        let (Body::Json(limit) | Body::Form(limit) | Body::JsonOrForm(limit) | Body::Image(limit)) = route.body else { continue };
        // Refused by its announced length, before it is sent: who sends on into a refusal may lose the answer (RFC 9112 section 9.6).
        let answer = tokens.announce(route, limit + 1).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{}: {answer}", name(route));
        let code = match route.errors {
            ErrorForm::Tmcp => "PAYLOAD_TOO_LARGE",
            ErrorForm::OAuth => "invalid_request",
            ErrorForm::Matrix => "M_TOO_LARGE",
            ErrorForm::Page => "the body may have at most",
        };
        assert!(
            answer.contains(code) && answer.to_ascii_lowercase().contains("strict-transport-security"),
            "{}: {answer}",
            name(route)
        );
        let answer = tokens.with_body(route, content_type(route), "x".repeat(limit)).ask().await;
        match route.body {
            Body::Image(_) => is_refused(route, &answer, 415, "UNSUPPORTED_MEDIA_TYPE"),
            _ => is_refused(route, &answer, 400, "INVALID_REQUEST"),
        };
    }
}
