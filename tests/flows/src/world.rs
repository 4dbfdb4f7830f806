//! Broker, identity, account and auth on one platform, with providers that answer from a table, and a browser's way through them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::{Value as Json, json};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::jwk::KeySet;
use tmcp_protocol::routes::{Function, function_for};
use tmcp_testkit::{Answer, Client, TestPlatform};
use url::Url;

pub const ISSUER: &str = "https://id.example/realms/w";
pub const DISCOVERY: &str = "https://id.example/realms/w/.well-known/openid-configuration";
pub const TOKEN: &str = "https://id.example/realms/w/token";
pub const KEYS: &str = "https://id.example/realms/w/keys";
pub const FORGE_TOKEN: &str = "https://forge.example/token";
pub const FORGE_USER: &str = "https://forge.example/user";
pub const MAIL: &str = "https://mail.example/send";
pub const MAS: &str = "https://mas.example/";
pub const HS: &str = "http://hs:8008/_matrix/client/v3";

pub const ADMIN: &str = "admin-secret-admin-secret-admin-";
pub const CONSOLE_BACK: &str = "https://console.example/back";
pub const HS_TOKEN: &str = "hs_token-of-the-tests-of-flows-00";

#[derive(Clone)]
pub struct World {
    pub platform: TestPlatform,
    pub broker: Client,
    pub identity: Client,
    pub account: Client,
    pub consent: Client,
    pub auth: Client,
    pub storage: Client,
    pub developer: Client,
    pub lifecycle: Client,
}

/// What a browser has of a sign-in that is under way.
pub struct Begun {
    pub cookie: String,
    pub url: Url,
}

impl Begun {
    pub fn parameter(&self, name: &str) -> String {
        let found = self.url.query_pairs().find(|(found, _)| found == name);
        found.unwrap_or_else(|| panic!("no {name} in {}", self.url)).1.into_owned()
    }
}

pub fn cookie(answer: &Answer) -> String {
    let set = answer.headers.get("set-cookie").unwrap_or_else(|| panic!("no cookie in {answer:?}")).to_str().unwrap();
    set.split(';').next().unwrap().to_owned()
}

pub fn discovery(more: &Json) -> String {
    let mut document = json!({
        "issuer": ISSUER, "authorization_endpoint": format!("{ISSUER}/auth"), "token_endpoint": TOKEN, "jwks_uri": KEYS,
    });
    document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    document.to_string()
}

pub fn signed(header: &Json, claims: &Json) -> String {
    let ring = KeySet::parse_private(tmcp_testkit::private_ring()).unwrap();
    let encoded = |value: &Json| URL_SAFE_NO_PAD.encode(value.to_string());
    let input = format!("{}.{}", encoded(header), encoded(claims));
    let signature = tmcp_testkit::sign(&ring.keys[0], input.as_bytes()).unwrap();
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

impl World {
    pub async fn new() -> Self {
        let platform = TestPlatform::new();
        platform.set("LIMITS", r#"{"scale":1000,"invitation":{"capacity":10,"burst":0}}"#);
        platform.set(
            "HOMESERVERS",
            r#"[{"server_name":"hs","client_url":"http://hs:8008"},{"server_name":"two","client_url":"http://two:8008"}]"#,
        );
        let providers = json!([
            {"id": "work", "kind": "keycloak", "name": "Work <W>", "issuer": ISSUER, "client_id": "tmcp", "client_secret": "a&b",
                "redirect_uris": ["app.example:/back"]},
            {"id": "forge", "kind": "oauth", "name": "Forge", "client_id": "f", "client_secret": "s", "id_member": "id",
                "name_member": "login", "authorization_endpoint": "https://forge.example/auth?x=1", "token_endpoint": FORGE_TOKEN,
                "userinfo_endpoint": FORGE_USER, "scopes": ["read:user"]},
            {"id": "hs", "kind": "matrix", "name": "Matrix", "server_name": "hs"},
            {"id": "two", "kind": "matrix", "name": "Two", "server_name": "two"},
            {"id": "mas", "kind": "matrix", "name": "Delegated", "server_name": "two", "issuer": MAS, "client_id": "tmcp", "client_secret": "m&s"},
            {"id": "corp", "kind": "saml", "name": "Corp", "entity_id": "urn:corp", "sso_url": "https://corp.example/sso",
                "certificates": ["MIIC"]},
            {"id": "mail", "kind": "email", "name": "E-mail", "endpoint": MAIL, "token": "mail-secret", "from": "us@tmcp.example"},
        ]);
        platform.set("PROVIDERS", &providers.to_string());
        let console = json!({"client_id": "console", "client_secret": "s".repeat(32), "redirect_uris": [CONSOLE_BACK]});
        platform.set("DEVELOPER_CONSOLE", &console.to_string());
        let known = json!([{"server_name": "hs", "hs_token": HS_TOKEN, "as_token": "a".repeat(32)}]);
        platform.set("APPSERVICES", &known.to_string());
        let recorded = platform.recorded();
        recorded.answer("POST", MAIL, 202, "");
        recorded.answer("GET", DISCOVERY, 200, &discovery(&json!({})));
        recorded.answer("GET", KEYS, 200, &tmcp_testkit::public_ring());
        recorded.answer("POST", FORGE_TOKEN, 200, r#"{"access_token":"forge-token","token_type":"bearer"}"#);
        recorded.answer("GET", FORGE_USER, 200, r#"{"id":4711,"login":"carol","name":"Carol","email":"c@forge.example"}"#);
        let world = Self {
            broker: Client::new(tmcp_broker::routes(), &platform),
            identity: Client::new(tmcp_identity::routes(), &platform),
            account: Client::new(tmcp_account::routes(), &platform),
            consent: Client::new(tmcp_consent::routes(), &platform),
            auth: Client::new(tmcp_auth::routes(), &platform),
            storage: Client::new(tmcp_storage::routes(), &platform),
            developer: Client::new(tmcp_developer::routes(), &platform),
            lifecycle: Client::new(tmcp_lifecycle::routes(), &platform),
            platform,
        };
        world.broker.connect(Function::Broker);
        world.identity.connect(Function::Identity);
        world.account.connect(Function::Account);
        world.consent.connect(Function::Consent);
        world.auth.connect(Function::Auth);
        world.storage.connect(Function::Storage);
        world.developer.connect(Function::Developer);
        world
            .auth
            .register(json!({"client_id": "ma_a", "app_id": "ma_a", "name": "A", "kind": "public",
            "scopes": ["storage:read", "storage:write", "user:read"], "redirect_uris": ["https://app.example/back"]}))
            .await;
        world
    }

    pub async fn get(client: &Client, cookie: &str, path: &str) -> Answer {
        let request = http::Request::builder().uri(path).header("cookie", cookie).header("user-agent", "Tester/1");
        client.send(request.body(Bytes::new()).unwrap()).await
    }

    /// Whoever serves a page.
    pub fn at(&self, path: &str) -> &Client {
        match function_for(path.split('?').next().unwrap_or_default()) {
            Some(Function::Consent) => &self.consent,
            Some(Function::Broker) => &self.broker,
            _ => &self.account,
        }
    }

    pub async fn begin(&self, provider: &str, cookie: &str) -> Begun {
        let answer = Self::get(&self.broker, cookie, &format!("/sign-in/{provider}?continue=%2Faccount")).await;
        assert_eq!(answer.status, 303, "{answer:?}");
        Begun { cookie: self::cookie(&answer), url: Url::parse(answer.headers["location"].to_str().unwrap()).unwrap() }
    }

    pub async fn back(&self, provider: &str, cookie: &str, query: &str) -> Answer {
        Self::get(&self.broker, cookie, &format!("/sign-in/callback/{provider}?{query}")).await
    }

    /// What the provider says for a sign-in, with some claims changed (null: left out).
    pub fn claims(&self, begun: &Begun, other: &Json) -> Json {
        use tmcp_ports::Clock;
        let now = self.platform.clock().now().seconds();
        let mut claims = json!({
            "iss": ISSUER, "sub": "f1", "aud": "tmcp", "exp": now + 300, "iat": now, "nonce": begun.parameter("nonce"),
            "preferred_username": "carol", "name": "Carol", "email": "carol@example.org", "email_verified": true,
            "picture": "http://169.254.169.254/picture.png",
        });
        claims.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        claims
    }

    pub fn answers(&self, id_token: &str) {
        let body = json!({"access_token": "x", "token_type": "Bearer", "id_token": id_token});
        self.platform.recorded().answer("POST", TOKEN, 200, &body.to_string());
    }

    /// The OpenID provider says so for a sign-in.
    pub fn answers_with(&self, begun: &Begun, other: &Json) {
        self.answers(&signed(&json!({"alg": "RS256", "kid": "test-1"}), &self.claims(begun, other)));
    }

    /// A whole sign-in at the OpenID provider.
    pub async fn sign_in(&self, other: &Json) -> Answer {
        let begun = self.begin("work", "").await;
        self.answers(&signed(&json!({"alg": "RS256", "kid": "test-1"}), &self.claims(&begun, other)));
        self.back("work", &begun.cookie, &format!("code=c&state={}", begun.parameter("state"))).await
    }

    pub async fn forge(&self) -> Answer {
        let begun = self.begin("forge", "").await;
        self.back("forge", &begun.cookie, &format!("code=c&state={}", begun.parameter("state"))).await
    }

    /// A platform token of the person at the OpenID provider, by a native app.
    pub async fn native_token(&self) -> String {
        let answer = self.auth.json("POST", "/api/v1/auth/oauth", "", native(self, "app.example:/back", NONCE)).await;
        answer.body["access_token"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
    }

    pub async fn rows(&self, query: &'static str) -> Vec<Json> {
        let rows = self.platform.sql().query(stmt!(query)).await.unwrap();
        rows.into_iter().map(|row| row.decode().unwrap()).collect()
    }

    pub async fn page(&self, cookie: &str) -> String {
        Self::get(&self.account, cookie, "/account").await.text
    }
}

pub const NONCE: &str = "nonce-of-many-letters";

pub fn native(world: &World, redirect_uri: &str, nonce: &str) -> Json {
    use tmcp_ports::Clock;
    let now = world.platform.clock().now().seconds();
    let claims =
        json!({"iss": ISSUER, "sub": "f1", "aud": "tmcp", "exp": now + 300, "iat": now, "nonce": NONCE, "name": "Carol"});
    world.answers(&signed(&json!({"alg": "RS256", "kid": "test-1"}), &claims));
    json!({"provider": "work", "code": "c", "code_verifier": "v".repeat(43), "redirect_uri": redirect_uri, "nonce": nonce})
}
