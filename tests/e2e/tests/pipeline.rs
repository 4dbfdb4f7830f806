//! What holds at every public row of the route table: the loops run over the table itself, so a new row is covered by being in it.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tmcp_e2e::{Answer, Ask, ClientSpec, Session, World};
use tmcp_protocol::limits::Limits;
use tmcp_protocol::routes::{Access, Body, ErrorForm, ROUTES, Route};
use tmcp_protocol::token::TokenKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

fn public() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(|route| route.is_public_path())
}

fn path(route: &Route) -> String {
    route.path.replace("{key}", "a-key")
}

fn name(route: &Route) -> String {
    format!("{} {}", route.method.as_str(), route.path)
}

/// A JSON body with one wrong member, and how its place is called. A row that takes JSON has to have one.
fn wrong_body(route: &Route) -> (Value, &'static str) {
    match route.path {
        "/api/v1/auth/matrix" => (json!({"matrix_user_id": 5}), "`matrix_user_id`"),
        "/api/v1/storage/batch/get" | "/api/v1/storage/batch/delete" => (json!({"keys": ["a", 5]}), "`keys[1]`"),
        "/api/v1/storage/batch/set" => {
            (json!({"items": [{"key": "a", "value": "b"}, {"key": "a", "value": 5}]}), "`items[1].value`")
        }
        "/api/v1/storage/sync" => {
            (json!({"operations": [{"op": "set", "key": "a", "value": 5, "client_timestamp": 1}]}), "`operations[0].value`")
        }
        "/api/v1/storage/{key}" => (json!({"value": 5}), "`value`"),
        "/ops/clients" => (json!({"client_id": "c", "app_id": 5}), "`app_id`"),
        other => panic!("give {other} a wrong body here"),
    }
}

/// The parameter that a form lacks which has none of the right ones.
fn missing_parameter(route: &Route) -> &'static str {
    match route.path {
        "/oauth2/token" => "grant_type",
        "/oauth2/revoke" | "/oauth2/introspect" => "client_id",
        other => panic!("say here which parameter {other} misses first"),
    }
}

/// One token of every kind.
struct Tokens {
    world: World,
    tep: String,
    /// A TEP with none of the scopes that any row asks for.
    weak: String,
    platform: String,
}

impl Tokens {
    async fn new() -> Self {
        let world = World::new();
        let (person, app) = (world.person().await, world.app().await);
        let official = world.client(ClientSpec { official: true, ..ClientSpec::default() }).await;
        let weak = Session::of(&world.exchange(&official, &person.token, Some("user:read")).await).access;
        Self { tep: world.session(&app, &person).await.access, weak, platform: person.token, world }
    }

    /// The token that the row takes.
    fn right(&self, route: &Route) -> Option<&str> {
        match route.access {
            Access::Public => None,
            Access::Tokens(kinds) if kinds.contains(&TokenKind::Tep) => Some(&self.tep),
            Access::Tokens(_) => Some(&self.platform),
            Access::Operator => Some(&self.world.up.operator_token),
            Access::Service => panic!("{} is not public", route.path),
        }
    }

    /// Tokens that hold, of other kinds, and what they are answered.
    fn wrong(&self, route: &Route) -> Vec<(&str, u16)> {
        match route.access {
            Access::Tokens([TokenKind::Tep]) => vec![(&self.platform, 403), (&self.world.up.operator_token, 401)],
            Access::Tokens([TokenKind::Platform]) => vec![(&self.tep, 403), (&self.world.up.operator_token, 401)],
            Access::Operator => vec![(&self.platform, 401), (&self.tep, 401), (&self.world.up.admin_token, 401)],
            _ => Vec::new(),
        }
    }

    fn request(&self, route: &Route, token: Option<&str>) -> reqwest::RequestBuilder {
        let request = self.world.request(route.method.as_str(), &path(route));
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// A request that gets as far as the body; `kind` is its content type.
    fn with_body(&self, route: &Route, kind: &str, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
        self.request(route, self.right(route)).header("content-type", kind).body(body)
    }
}

impl Tokens {
    /// The answer to a request whose body is announced and does not come.
    async fn announce(&self, route: &Route, length: usize) -> String {
        let address = self.world.up.base_url.strip_prefix("http://").expect("plain HTTP");
        let token = self.right(route).unwrap_or("none");
        let head = format!(
            "{} {} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\ncontent-type: {}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n",
            route.method.as_str(),
            path(route),
            content_type(route),
        );
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let (mut bytes, began) = (Vec::new(), Instant::now());
        let mut piece = [0; 4096];
        while began.elapsed() < Duration::from_secs(10) && !bytes.ends_with(b"}") && !bytes.ends_with(b"0\r\n\r\n") {
            match timeout(Duration::from_secs(10), stream.read(&mut piece)).await {
                Ok(Ok(read @ 1..)) => bytes.extend_from_slice(&piece[..read]),
                _ => break,
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn content_type(route: &Route) -> &'static str {
    if matches!(route.body, Body::Form(_)) { "application/x-www-form-urlencoded" } else { "application/json" }
}

/// That the refusal has the form of its row, and every header that an answer has.
#[track_caller]
fn is_refused(route: &Route, answer: &Answer, status: u16, code: &str) -> String {
    is_dressed(&name(route), answer);
    assert_eq!(answer.status, status, "{}: {}", name(route), answer.text);
    match route.errors {
        ErrorForm::Tmcp => answer.is_refused(status, code)["message"].as_str().unwrap_or_default().to_owned(),
        ErrorForm::OAuth => {
            answer.is_oauth_error(status, "invalid_request")["error_description"].as_str().unwrap_or_default().to_owned()
        }
    }
}

#[track_caller]
fn is_dressed(what: &str, answer: &Answer) {
    let age = answer.header("strict-transport-security").strip_prefix("max-age=").unwrap_or_default();
    let age: u64 = age.split(';').next().unwrap_or_default().parse().unwrap_or(0);
    assert!(age >= 31_536_000, "{what}: HSTS in {:?}", answer.headers);
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{what}");
    assert!(answer.header("x-request-id").len() >= 8, "{what}: X-Request-Id in {:?}", answer.headers);
    if !what.contains("jwks") {
        assert_eq!(answer.header("cache-control"), "no-store", "{what}");
    }
    for trace in ["panicked", "stack", ".rs:", "SELECT", "SQLITE"] {
        assert!(!answer.text.contains(trace), "{what} shows its inside: {}", answer.text);
    }
}

#[tokio::test]
async fn a_row_that_takes_a_token_refuses_none_and_nonsense() {
    let tokens = Tokens::new().await;
    for route in public().filter(|route| route.access != Access::Public) {
        for token in [None, Some("nonsense"), Some("tep.a.b.c"), Some("a.b.c"), Some(&"x".repeat(9000))] {
            let answer = tokens.request(route, token).ask().await;
            is_refused(route, &answer, 401, "INVALID_TOKEN");
            assert!(answer.header("www-authenticate").starts_with("Bearer"), "{}", name(route));
        }
    }
}

#[tokio::test]
async fn a_row_refuses_tokens_of_other_kinds_and_scopes() {
    let tokens = Tokens::new().await;
    for route in public() {
        for (token, status) in tokens.wrong(route) {
            let code = if status == 403 { "INSUFFICIENT_PERMISSIONS" } else { "INVALID_TOKEN" };
            is_refused(route, &tokens.request(route, Some(token)).ask().await, status, code);
        }
        if route.scopes.is_empty() {
            continue;
        }
        let answer = tokens.request(route, Some(&tokens.weak)).ask().await;
        is_refused(route, &answer, 403, "INSUFFICIENT_PERMISSIONS");
        let needed: Vec<&str> = route.scopes.iter().map(|scope| scope.as_str()).collect();
        assert_eq!(answer.json()["error"]["details"]["required_scopes"], json!(needed), "{}", name(route));
    }
}

#[tokio::test]
async fn one_of_the_storage_scopes_does_not_do_for_the_other() {
    let world = World::new();
    let (person, app) = (world.person().await, world.app().await);
    for scope in ["storage:read", "storage:write"] {
        let token = Session::of(&world.exchange(&app, &person.token, Some(scope)).await).access;
        for route in public().filter(|route| !route.scopes.is_empty()) {
            let mut request = world.request(route.method.as_str(), &path(route)).bearer_auth(&token);
            if route.body != Body::None {
                request = request.header("content-type", content_type(route)).body("{");
            }
            let status = request.ask().await.status;
            let granted = route.scopes.iter().any(|needed| needed.as_str() == scope);
            assert_eq!(status == 403, !granted, "{} with {scope}: {status}", name(route));
        }
    }
}

#[tokio::test]
async fn a_body_that_is_wrong_is_told_where() {
    let tokens = Tokens::new().await;
    for route in public() {
        match route.body {
            Body::None => continue,
            Body::Form(_) => {
                let message = is_refused(route, &tokens.with_body(route, content_type(route), "x=1").ask().await, 400, "");
                assert!(message.contains(missing_parameter(route)), "{}: {message}", name(route));
            }
            Body::Json(_) => {
                let (body, place) = wrong_body(route);
                let answer = tokens.with_body(route, "application/json; charset=utf-8", body.to_string()).ask().await;
                let message = is_refused(route, &answer, 400, "INVALID_REQUEST");
                assert!(message.contains(place), "{}: {message:?} does not name {place}", name(route));
                let deep = "[".repeat(10_000);
                for malformed in [&b""[..], b"{", b"{]", b"null", b"[]", b"{} x", b"\xff\xfe", b"{\"\xff\": 1}", deep.as_bytes()]
                {
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
        let other = if matches!(route.body, Body::Form(_)) { "application/json" } else { "application/x-www-form-urlencoded" };
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
        let (Body::Json(limit) | Body::Form(limit)) = route.body else { continue };
        // Refused by its announced length, before it is sent: who sends on into a refusal may lose the answer (RFC 9112 section 9.6).
        let answer = tokens.announce(route, limit + 1).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{}: {answer}", name(route));
        let code = if route.errors == ErrorForm::OAuth { "invalid_request" } else { "PAYLOAD_TOO_LARGE" };
        assert!(
            answer.contains(code) && answer.to_ascii_lowercase().contains("strict-transport-security"),
            "{}: {answer}",
            name(route)
        );
        let answer = tokens.with_body(route, content_type(route), "x".repeat(limit)).ask().await;
        is_refused(route, &answer, 400, "INVALID_REQUEST");
    }
}

#[tokio::test]
async fn a_path_tells_which_methods_it_takes() {
    let world = World::new();
    let serves = |route: &Route, path: &str| {
        route.path == path
            || (route.path.ends_with("{key}")
                && path.strip_prefix(route.prefix()).is_some_and(|key| !key.is_empty() && !key.contains('/')))
    };
    let paths: BTreeSet<String> = public().map(path).collect();
    for path in paths {
        let mut allowed: BTreeSet<&str> =
            public().filter(|route| serves(route, &path)).map(|route| route.method.as_str()).collect();
        if allowed.contains("GET") {
            allowed.insert("HEAD");
        }
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"].into_iter().filter(|method| !allowed.contains(method))
        {
            let answer = world.request(method, &path).ask().await;
            assert_eq!(answer.status, 405, "{method} {path}: {}", answer.text);
            is_dressed(&format!("{method} {path}"), &answer);
            if path.starts_with("/oauth2/") {
                answer.is_oauth_error(405, "invalid_request");
            } else {
                answer.is_refused(405, "METHOD_NOT_ALLOWED");
            }
            let told: BTreeSet<&str> = answer.header("allow").split(',').map(str::trim).collect();
            assert_eq!(told, allowed, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn every_row_draws_from_the_bucket_of_its_class() {
    let tokens = Tokens::new().await;
    let limits = Limits::parse(r#"{"scale":1000}"#).unwrap();
    for route in public() {
        // A logout ends the token, so it gets one of its own.
        let own = tokens.world.person().await.token;
        let token = match route.access {
            Access::Tokens([TokenKind::Platform]) => Some(own.as_str()),
            // Guesses at the operator's token are counted, the operator is not.
            Access::Operator => None,
            _ => tokens.right(route),
        };
        let mut request = tokens.request(route, token);
        if route.body != Body::None {
            request = request.header("content-type", content_type(route)).body("");
        }
        let answer = request.ask().await;
        assert!(answer.status != 404 || answer.json()["error"]["code"] == "KEY_NOT_FOUND", "{} is not served", name(route));
        assert!(answer.status < 500, "{}: {}", name(route), answer.text);
        is_dressed(&name(route), &answer);
        let Some(class) = route.limit else {
            assert_eq!(answer.header("x-ratelimit-limit"), "", "{} has no limit", name(route));
            continue;
        };
        let figure = |header: &str| {
            answer.header(header).parse::<u32>().unwrap_or_else(|_| panic!("{}: {header} in {:?}", name(route), answer.headers))
        };
        let limit = limits.get(class);
        assert_eq!((figure("x-ratelimit-limit"), figure("x-ratelimit-burst")), (limit.capacity, limit.burst), "{}", name(route));
        assert!(figure("x-ratelimit-remaining") < limit.capacity + limit.burst, "{}", name(route));
        assert!(figure("x-ratelimit-burst-remaining") <= limit.burst && figure("x-ratelimit-reset") > 1_700_000_000);
        figure("x-ratelimit-reset-after");
    }
}
