//! Requests to a function in process, through the whole pipeline, and tokens to make them with.

use crate::TestPlatform;
use axum_core::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::Value as Json;
use tmcp_http::group::Service;
use tmcp_http::{Address, Callers, Group, internal};
use tmcp_ports::{Clock, Platform};
use tmcp_protocol::client::Registration;
use tmcp_protocol::jwk::KeySet;
use tmcp_protocol::routes::{Function, INTERNAL_CLIENTS, Route};
use tmcp_protocol::service::ServiceKeys;
use tmcp_protocol::token::{AuthLevel, Kind, TepClaims, TokenKind, Unsigned};
use tmcp_protocol::{AppId, ClientId, MatrixUserId, ScopeSet, Uid};

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The body; null where it is none or no JSON.
    pub body: Json,
    /// The body as it came.
    pub text: String,
}

impl Answer {
    /// The error code of the body.
    pub fn code(&self) -> &str {
        self.body.pointer("/error/code").or(self.body.get("error")).and_then(Json::as_str).unwrap_or_default()
    }
}

/// A function in process.
#[derive(Clone)]
pub struct Client {
    service: Service<TestPlatform>,
    platform: TestPlatform,
}

#[allow(clippy::expect_used)]
impl Client {
    /// A function's routes on a platform.
    pub fn new<C: Callers>(group: Group<TestPlatform, C>, platform: &TestPlatform) -> Self {
        Self { service: group.build(), platform: platform.clone() }
    }

    /// Lets other functions reach this one by its `/internal/` interface.
    pub fn connect(&self, function: Function) {
        let client = self.clone();
        self.platform.in_process().connect(function, move |request| {
            let client = client.clone();
            async move {
                let (parts, body) = client.serve(request, Address::parse("")).await.into_parts();
                let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
                http::Response::from_parts(parts, body)
            }
        });
    }

    /// As the runtimes' entries do: with the headers that are read, and no others.
    async fn serve(&self, mut request: http::Request<Bytes>, address: Address) -> http::Response<Body> {
        let (all, read) = (std::mem::take(request.headers_mut()), self.service.headers());
        let plain = matches!(*request.method(), http::Method::GET | http::Method::HEAD) && request.body().is_empty();
        let is_read = |name: &str| if plain { read.of_any().contains(&name) } else { read.contains(name) };
        let named = all.iter().filter(|(name, _)| is_read(name.as_str()));
        request.headers_mut().extend(named.map(|(name, value)| (name.clone(), value.clone())));
        tmcp_http::serve(&self.service, self.platform.clone(), request.map(Body::from), address).await
    }

    /// Sends a request as it is.
    ///
    /// # Panics
    /// When the body cannot be read.
    pub async fn send(&self, request: http::Request<Bytes>) -> Answer {
        let (parts, body) = self.serve(request, Address::parse("192.0.2.1")).await.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body, text }
    }

    /// A JSON request with a bearer token; null sends no body.
    ///
    /// # Panics
    /// When the request cannot be built.
    pub async fn json(&self, method: &str, path: &str, token: &str, body: Json) -> Answer {
        let mut builder = http::Request::builder().method(method).uri(path);
        if !token.is_empty() {
            builder = builder.header("authorization", format!("Bearer {token}"));
        }
        let bytes = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let builder = if body.is_null() { builder } else { builder.header("content-type", "application/json") };
        self.send(builder.body(bytes).expect("a request")).await
    }

    /// A form.
    ///
    /// # Panics
    /// When the request cannot be built.
    pub async fn form(&self, path: &str, form: &str) -> Answer {
        let builder =
            http::Request::builder().method("POST").uri(path).header("content-type", "application/x-www-form-urlencoded");
        self.send(builder.body(Bytes::from(form.to_owned())).expect("a request")).await
    }

    /// Registers an OAuth client with auth, as ops does for the operator.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn register(&self, body: Json) {
        let registration: Registration = serde_json::from_value(body).expect("a registration");
        let (record, _) = registration.record(|secret| tmcp_http::sha256_hex(secret), String::new).expect("a record");
        let answer = self.internal(&INTERNAL_CLIENTS, serde_json::json!(record)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// A call by another function.
    ///
    /// # Panics
    /// When the request cannot be built.
    pub async fn internal(&self, route: &Route, body: Json) -> Answer {
        let keys = ServiceKeys::parse("c2VydmljZS1rZXktb2YtdGhpcnR5LXR3by1ieXRlcyE=").expect("a service key");
        let body = body.to_string();
        let token = internal::sign(&keys, route.method.as_str(), route.path, body.as_bytes(), self.platform.clock().now());
        let builder = http::Request::builder()
            .method(route.method.as_str())
            .uri(route.path)
            .header("content-type", "application/json")
            .header(internal::HEADER, token.expect("a token"));
        self.send(builder.body(Bytes::from(body)).expect("a request")).await
    }
}

/// A TEP of user number `n` in an app, signed with the test ring.
///
/// # Panics
/// When an id is malformed.
#[allow(clippy::expect_used)]
pub fn tep(platform: &TestPlatform, n: u8, app: &str, scope: &str) -> String {
    let app_id = AppId::parse(app).expect("an app id");
    let claims = TepClaims {
        iss: "https://tmcp.example".to_owned(),
        sub: MatrixUserId::parse(format!("@user{n}:localhost")).expect("a Matrix id"),
        aud: app_id.clone(),
        client_id: ClientId::parse(app).expect("a client id"),
        azp: app_id,
        jti: "jti".to_owned(),
        token_type: TokenKind::Tep.token_type().to_owned(),
        scope: ScopeSet::parse(scope).expect("scopes"),
        wallet_id: "tw_1".to_owned(),
        session_id: format!("session_{n}"),
        uid: Uid::new(tmcp_protocol::Millis(0), [n; 16]),
        generation: 0,
        level: AuthLevel::Full,
        privileged_until: None,
        privileged: None,
        delegated_from: None,
        miniapp_context: None,
    };
    sign(platform, &claims)
}

#[allow(clippy::expect_used)]
fn sign<K: Kind>(platform: &TestPlatform, claims: &K) -> String {
    let ring = KeySet::parse_private(crate::private_ring()).expect("a ring");
    let key = ring.keys.first().expect("a key");
    let unsigned = Unsigned::encode(claims, &key.public.kid, platform.clock().now(), 3600).expect("claims");
    let signature = crate::keys::sign(key, unsigned.signing_input()).expect("a signature");
    unsigned.finish(&signature)
}
