//! One public row of the route table: how it is asked, with which tokens, and what its refusals look like.

use crate::answer::Answer;
use crate::world::{ClientSpec, Session, World};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tmcp_protocol::routes::{Access, Body, ErrorForm, ROUTES, Route};
use tmcp_protocol::token::TokenKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Every row that the internet may reach.
pub fn public() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(|route| route.is_public_path())
}

/// A path that the row serves.
pub fn path(route: &Route) -> String {
    let named = [
        ("{key}", "a-key"),
        ("{provider}", "nobody"),
        ("{session}", "browser_none"),
        ("{org_id}", "org_none"),
        ("{invitation_id}", "inv_none"),
        ("{developer_id}", "developer_none"),
        ("{txn_id}", "1"),
        ("{user_id}", "%40_tmcp_nobody%3Alocalhost"),
        ("{room_alias}", "%23_tmcp_none%3Alocalhost"),
    ];
    named.iter().fold(route.path.to_owned(), |path, (name, value)| path.replace(name, value))
}

/// How a failing test calls the row.
pub fn name(route: &Route) -> String {
    format!("{} {}", route.method.as_str(), route.path)
}

/// A JSON body with one wrong member, and how its place is called. A row that takes JSON has to have one.
pub fn wrong_body(route: &Route) -> (Value, &'static str) {
    match route.path {
        "/api/v1/auth/matrix" => (json!({"matrix_user_id": 5}), "`matrix_user_id`"),
        "/api/v1/auth/oauth" => (json!({"provider": 5}), "`provider`"),
        "/api/v1/admin/users/suspend" | "/api/v1/admin/users/lift" => (json!({"user": 5, "reason": "r"}), "`user`"),
        "/api/v1/storage/batch/get" | "/api/v1/storage/batch/delete" => (json!({"keys": ["a", 5]}), "`keys[1]`"),
        "/api/v1/storage/batch/set" => {
            (json!({"items": [{"key": "a", "value": "b"}, {"key": "a", "value": 5}]}), "`items[1].value`")
        }
        "/api/v1/storage/sync" => {
            (json!({"operations": [{"op": "set", "key": "a", "value": 5, "client_timestamp": 1}]}), "`operations[0].value`")
        }
        "/api/v1/storage/{key}" => (json!({"value": 5}), "`value`"),
        "/oauth2/consent" => (json!({"session": 5}), "`session`"),
        "/api/v1/auth/browser" => (json!({"continue": 5}), "`continue`"),
        "/api/v1/auth/revoke" => (json!({"miniapp_id": 5}), "`miniapp_id`"),
        "/api/v1/profile" => (json!({"bio": 5}), "`bio`"),
        "/ops/clients" => (json!({"client_id": "c", "app_id": 5}), "`app_id`"),
        "/organizations/v1/create" => (json!({"name": 5}), "`name`"),
        "/organizations/v1/{org_id}/members" => (json!({"matrix_user_id": 5, "role": "viewer"}), "`matrix_user_id`"),
        "/organizations/v1/{org_id}/members/{developer_id}" => (json!({"role": 5}), "`role`"),
        "/admin/developers/whitelist" => (json!({"matrix_user_id": 5}), "`matrix_user_id`"),
        "/_matrix/app/v1/transactions/{txn_id}" => (json!({"events": 5}), "`events`"),
        "/_matrix/app/v1/ping" => (json!({"transaction_id": 5}), "`transaction_id`"),
        other => panic!("give {other} a wrong body here"),
    }
}

/// The parameter that a form lacks which has none of the right ones.
pub fn missing_parameter(route: &Route) -> &'static str {
    match route.path {
        "/oauth2/token" | "/oauth2/developer/token" => "grant_type",
        "/oauth2/developer/revoke" => "token",
        "/oauth2/revoke" | "/oauth2/introspect" => "client_id",
        "/account/continue" => "handle",
        "/oauth2/device" => "user_code",
        "/oauth2/device/authorization" => "client_id",
        "/account/revoke" => "app",
        "/account/end" | "/account/profile" | "/account/export" | "/account/leave" => "token",
        "/account/stay" => "handle",
        "/sign-in/email/{provider}" => "state",
        "/saml/acs/{provider}" => "SAMLResponse",
        "/account/link" => "provider",
        "/account/link/confirm" => "handle",
        "/account/unlink" | "/account/choose" => "identity",
        other => panic!("say here which parameter {other} misses first"),
    }
}

/// One token of every kind.
pub struct Tokens {
    /// The server.
    pub world: World,
    tep: String,
    /// A TEP with none of the scopes that any row asks for.
    pub weak: String,
    platform: String,
    developer: String,
    homeserver: String,
}

impl Tokens {
    /// Of a new person in a new app.
    pub async fn new() -> Self {
        let world = World::new();
        let (person, app) = (world.person().await, world.app().await);
        let official = world.client(ClientSpec { official: true, ..ClientSpec::default() }).await;
        let wide = world.exchange(&official, &person.token, Some("user:read storage:read storage:write")).await;
        let weak = world.agreed(&app, &person, "wallet:balance").await.access;
        let developer = world.developer(&person).await.access;
        let homeserver = world.up.matrix_hs_token.clone().expect("a homeserver");
        Self { tep: Session::of(&wide).access, weak, platform: person.token, developer, homeserver, world }
    }

    /// The token that the row takes.
    pub fn right(&self, route: &Route) -> Option<&str> {
        match route.access {
            Access::Public => None,
            Access::Tokens(kinds) if kinds.contains(&TokenKind::Tep) => Some(&self.tep),
            Access::Tokens(kinds) if kinds.contains(&TokenKind::Developer) => Some(&self.developer),
            Access::Tokens(_) => Some(&self.platform),
            Access::Operator => Some(&self.world.up.operator_token),
            Access::Administrator | Access::Management => Some(&self.world.up.admin_token),
            Access::Homeserver => Some(&self.homeserver),
            Access::Service => panic!("{} is not public", route.path),
        }
    }

    /// Tokens that hold, of other kinds, and what they are answered.
    pub fn wrong(&self, route: &Route) -> Vec<(&str, u16)> {
        match route.access {
            Access::Tokens([TokenKind::Tep]) => vec![(&self.platform, 403), (&self.world.up.operator_token, 401)],
            Access::Tokens([TokenKind::Platform]) => vec![(&self.tep, 403), (&self.world.up.operator_token, 401)],
            Access::Tokens([TokenKind::Developer]) => {
                vec![(&self.platform, 403), (&self.tep, 403), (&self.world.up.operator_token, 401)]
            }
            Access::Homeserver => vec![(&self.platform, 403), (&self.world.up.admin_token, 403)],
            Access::Operator => vec![(&self.platform, 401), (&self.tep, 401), (&self.world.up.admin_token, 401)],
            Access::Administrator | Access::Management => {
                vec![(&self.platform, 401), (&self.tep, 401), (&self.world.up.operator_token, 401)]
            }
            _ => Vec::new(),
        }
    }

    /// A request to the row.
    pub fn request(&self, route: &Route, token: Option<&str>) -> reqwest::RequestBuilder {
        let request = self.world.request(route.method.as_str(), &path(route));
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// A request that gets as far as the body; `kind` is its content type.
    pub fn with_body(&self, route: &Route, kind: &str, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
        self.request(route, self.right(route)).header("content-type", kind).body(body)
    }
}

impl Tokens {
    /// The answer to a request whose body is announced and does not come.
    pub async fn announce(&self, route: &Route, length: usize) -> String {
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

/// The type of body that the row takes.
pub fn content_type(route: &Route) -> &'static str {
    match route.body {
        Body::Form(_) => "application/x-www-form-urlencoded",
        Body::Image(_) => "image/png",
        _ => "application/json",
    }
}

/// That the refusal has the form of its row, and every header that an answer has.
#[track_caller]
pub fn is_refused(route: &Route, answer: &Answer, status: u16, code: &str) -> String {
    is_dressed(&name(route), answer);
    assert_eq!(answer.status, status, "{}: {}", name(route), answer.text);
    match route.errors {
        ErrorForm::Tmcp => answer.is_refused(status, code)["message"].as_str().unwrap_or_default().to_owned(),
        ErrorForm::OAuth => {
            let name = match (route.access, status) {
                (Access::Tokens([TokenKind::Developer]), 401) => "invalid_developer_token",
                (Access::Tokens([TokenKind::Developer]), 403) => "forbidden_platform_endpoint",
                (Access::Management, 401) => "invalid_token",
                _ => "invalid_request",
            };
            answer.is_oauth_error(status, name)["error_description"].as_str().unwrap_or_default().to_owned()
        }
        ErrorForm::Matrix => {
            let code = match status {
                400 => "M_BAD_JSON",
                401 => "M_UNAUTHORIZED",
                403 => "M_FORBIDDEN",
                413 => "M_TOO_LARGE",
                _ => "M_NOT_JSON",
            };
            assert_eq!(answer.json()["errcode"], code, "{}: {}", name(route), answer.text);
            answer.json()["error"].as_str().unwrap_or_default().to_owned()
        }
        ErrorForm::Page => {
            assert!(answer.header("content-type").starts_with("text/html"), "{}: {}", name(route), answer.text);
            answer.text.clone()
        }
    }
}

/// That an answer has the headers that every answer has, and shows nothing of the inside.
#[track_caller]
pub fn is_dressed(what: &str, answer: &Answer) {
    let age = answer.header("strict-transport-security").strip_prefix("max-age=").unwrap_or_default();
    let age: u64 = age.split(';').next().unwrap_or_default().parse().unwrap_or(0);
    assert!(age >= 31_536_000, "{what}: HSTS in {:?}", answer.headers);
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{what}");
    assert!(answer.header("x-request-id").len() >= 8, "{what}: X-Request-Id in {:?}", answer.headers);
    let public = ["jwks", "oauth-authorization-server", "style.css", "openapi.json"];
    if answer.status >= 400 || !public.iter().any(|name| what.contains(name)) {
        assert_eq!(answer.header("cache-control"), "no-store", "{what}");
    }
    for trace in ["panicked", "stack", ".rs:", "SELECT", "SQLITE"] {
        assert!(!answer.text.contains(trace), "{what} shows its inside: {}", answer.text);
    }
}
