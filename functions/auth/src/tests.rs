//! The group through the whole pipeline, on host adapters, with identity answering in process.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::{Value as Json, json};
use tmcp_protocol::routes::{Function, INTERNAL_LOGOUT, INTERNAL_MAINTAIN_AUTH};
use tmcp_testkit::{Answer, Client, TestPlatform};

const SECRET: &str = "secret-secret-secret-secret-secret-";
const EXCHANGE: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange\
    &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token";

struct World {
    platform: TestPlatform,
    client: Client,
}

impl World {
    async fn new(limits: &str) -> Self {
        let platform = TestPlatform::new();
        platform.set("LIMITS", limits);
        // Identity, reduced to one person: @alice:hs with the token `alice`, and with an OpenID token.
        platform.in_process().connect(Function::Identity, |request| async move {
            let body: Json = serde_json::from_slice(request.body()).unwrap_or_default();
            let full = body["access_token"] == "alice";
            let weak = body["openid_token"]["access_token"] == "open";
            let answer = json!({
                "uid": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "names": {"sub": "@alice:hs", "wallet_id": "tw_1", "level": if weak { "openid" } else { "full" }}, "provider": "matrix", "generation": 0, "proven_at": 1_795_305_600_000_i64,
                "user": {"id": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "status": "active", "matrix_user_id": "@alice:hs", "matrix_username": "alice", "display_name": "Alice"},
            });
            let status = if full || weak { 200 } else { 401 };
            http::Response::builder().status(status).body(Bytes::from(answer.to_string())).unwrap()
        });
        // Account knows of no browser, developer of nobody, and consent of nobody who agreed to anything.
        for function in [Function::Account, Function::Developer] {
            platform.in_process().connect(function, |_| async { http::Response::new(Bytes::from_static(b"{}")) });
        }
        platform.in_process().connect(Function::Consent, |request| async move {
            let body: Json = serde_json::from_slice(request.body()).unwrap_or_default();
            let answer = json!({"missing": body["scopes"], "session": "consent_1"});
            http::Response::builder().status(200).body(Bytes::from(answer.to_string())).unwrap()
        });
        let world = Self { client: Client::new(crate::routes(), &platform), platform };
        for (id, app, kind) in
            [("ma_a", "ma_a", "public"), ("ma_a_backend", "ma_a", "confidential"), ("ma_b_backend", "ma_b", "confidential")]
        {
            let secret = if kind == "confidential" { json!(SECRET) } else { Json::Null };
            let scopes = ["user:read", "storage:read", "storage:write", "wallet:balance"];
            let body = json!({
                "client_id": id, "app_id": app, "name": id, "kind": kind, "client_secret": secret, "scopes": scopes,
                "origins": [format!("https://{}.example", id.replace('_', "-"))],
            });
            world.client.register(body).await;
        }
        let tween = json!({"client_id": "tween", "app_id": "ma_tween", "name": "Tween", "kind": "public", "host": true, "origins": ["https://tween.example"]});
        world.client.register(tween).await;
        world
    }

    async fn sign_in(&self) -> String {
        let body = json!({"matrix_user_id": "@alice:hs", "access_token": "alice"});
        let answer = self.client.json("POST", "/api/v1/auth/matrix", "", body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["access_token"].as_str().unwrap().to_owned()
    }

    async fn exchange(&self, subject: &str, more: &str) -> Answer {
        self.client.form("/oauth2/token", &format!("{EXCHANGE}&client_id=ma_a&subject_token={subject}{more}")).await
    }

    async fn refresh(&self, token: &str) -> Answer {
        let form = format!("grant_type=refresh_token&client_id=ma_a&refresh_token={token}");
        self.client.form("/oauth2/token", &form).await
    }

    async fn introspect(&self, client: &str, token: &str) -> Json {
        let form = format!("client_id={client}&client_secret={SECRET}&token={token}");
        let answer = self.client.form("/oauth2/introspect", &form).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }

    async fn is_active(&self, token: &str) -> bool {
        self.introspect("ma_a_backend", token).await["active"] == true
    }
}

fn text(answer: &Answer, name: &str) -> String {
    answer.body[name].as_str().unwrap_or_else(|| panic!("{name} in {answer:?}")).to_owned()
}

const WIDE: &str = r#"{"scale":1000}"#;

#[test]
fn every_route_has_a_handler() {
    assert!(crate::routes::<TestPlatform>().unbound().is_empty());
}

#[tokio::test]
async fn sign_in_exchange_and_refresh() {
    let world = World::new(WIDE).await;
    let platform_token = world.sign_in().await;
    let issued = world.exchange(&platform_token, "&scope=storage:read").await;
    assert_eq!(issued.status, 200, "{issued:?}");
    assert_eq!((text(&issued, "scope"), text(&issued, "user_id")), ("storage:read".into(), "@alice:hs".into()));
    assert_eq!((issued.body["expires_in"].as_i64(), issued.body["delegated_session"].as_bool()), (Some(3600), Some(true)));
    assert!(text(&issued, "access_token").starts_with("tep."));
    let next = world.refresh(&text(&issued, "refresh_token")).await;
    assert_eq!(next.status, 200, "{next:?}");
    assert!(world.is_active(&text(&next, "access_token")).await);
    let by_matrix = world.exchange("alice", "").await;
    assert_eq!(text(&by_matrix, "scope"), "storage:read storage:write");
}

#[tokio::test]
async fn wrong_matrix_credentials_are_one_answer() {
    let world = World::new(WIDE).await;
    let body = json!({"matrix_user_id": "@alice:hs", "access_token": "mallory"});
    let answer = world.client.json("POST", "/api/v1/auth/matrix", "", body).await;
    assert_eq!((answer.status, answer.code()), (401, "invalid_matrix_credentials"));
    let exchange = world.exchange("mallory", "").await;
    assert_eq!((exchange.status, exchange.code()), (401, "invalid_grant"));
}

#[tokio::test]
async fn refusals_of_the_exchange() {
    let world = World::new(WIDE).await;
    let token = world.sign_in().await;
    let tep = text(&world.exchange(&token, "").await, "access_token");
    let weak = json!({"matrix_user_id": "@alice:hs", "openid_token": {"access_token": "open", "matrix_server_name": "hs"}});
    let weak = text(&world.client.json("POST", "/api/v1/auth/matrix", "", weak).await, "access_token");
    let cases = [
        (token.as_str(), "&scope=messaging:send", 400, "invalid_scope"),
        (token.as_str(), "&scope=root", 400, "invalid_scope"),
        (token.as_str(), "&scope=storage:read%20wallet:balance", 403, "consent_required"),
        (token.as_str(), "&scope=user:read", 403, "consent_required"),
        (token.as_str(), "&miniapp_context=%5B%5D", 400, "invalid_request"),
        (token.as_str(), "&requested_token_type=x", 400, "invalid_request"),
        (token.as_str(), "&client_id=ma_a", 400, "invalid_request"),
        (tep.as_str(), "", 401, "invalid_grant"),
        (weak.as_str(), "&scope=wallet:balance", 403, "insufficient_user_authentication"),
        (&token[..token.len() - 2], "", 401, "invalid_grant"),
    ];
    for (subject, more, status, code) in cases {
        let answer = world.exchange(subject, more).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{more} {answer:?}");
    }
    assert_eq!(world.exchange(&weak, "&scope=storage:read").await.status, 200);
    let consent = world.exchange(&token, "&scope=storage:read%20wallet:balance").await.body;
    assert_eq!(
        (&consent["consent_required_scopes"], &consent["pre_approved_scopes"], &consent["consent_ui_endpoint"]),
        (&json!(["wallet:balance"]), &json!(["storage:read"]), &json!("/oauth2/consent?session=consent_1"))
    );
}

#[tokio::test]
async fn clients_authenticate_as_their_kind_demands() {
    let world = World::new(WIDE).await;
    let token = world.sign_in().await;
    let forms = [
        ("client_id=ma_a", 200),
        ("client_id=nobody", 401),
        ("client_id=ma_a&client_secret=x", 401),
        ("client_id=ma_a_backend", 401),
        ("client_id=ma_a_backend&client_secret=wrong", 401),
        (&format!("client_id=ma_a_backend&client_secret={SECRET}"), 200),
        ("", 400),
    ];
    for (client, status) in forms {
        let answer = world.client.form("/oauth2/token", &format!("{EXCHANGE}&subject_token={token}&{client}")).await;
        assert_eq!(answer.status, status, "{client} {answer:?}");
        if status == 401 {
            assert_eq!(answer.code(), "invalid_client");
        }
    }
}

#[tokio::test]
async fn a_second_use_at_once_harms_nothing() {
    let world = World::new(WIDE).await;
    let first = world.exchange("alice", "").await;
    let second = world.refresh(&text(&first, "refresh_token")).await;
    let again = world.refresh(&text(&first, "refresh_token")).await;
    assert_eq!((again.status, again.code()), (400, "invalid_grant"));
    assert!(world.is_active(&text(&second, "access_token")).await);
    assert_eq!(world.refresh(&text(&second, "refresh_token")).await.status, 200);
}

#[tokio::test]
async fn any_later_reuse_ends_the_family() {
    for late in [false, true] {
        let world = World::new(WIDE).await;
        let first = world.exchange("alice", "").await;
        let second = world.refresh(&text(&first, "refresh_token")).await;
        let live = if late {
            // More than ten seconds later, the successor still unused.
            world.platform.advance(10_001);
            second
        } else {
            // At once, but the successor was used already.
            world.refresh(&text(&second, "refresh_token")).await
        };
        assert_eq!(world.refresh(&text(&first, "refresh_token")).await.status, 400);
        assert!(!world.is_active(&text(&live, "access_token")).await, "late: {late}");
        assert_eq!(world.refresh(&text(&live, "refresh_token")).await.status, 400);
    }
}

#[tokio::test]
async fn refresh_tokens_and_families_end() {
    let world = World::new(WIDE).await;
    let day = 24 * 3_600_000;
    let mut token = text(&world.exchange("alice", "").await, "refresh_token");
    for _ in 0..4 {
        world.platform.advance(22 * day);
        let next = world.refresh(&token).await;
        assert_eq!(next.status, 200, "{next:?}");
        token = text(&next, "refresh_token");
    }
    world.platform.advance(3 * day);
    assert_eq!(world.refresh(&token).await.status, 400, "after ninety-one days");
    let unused = text(&world.exchange("alice", "").await, "refresh_token");
    world.platform.advance(30 * day);
    assert_eq!(world.refresh(&unused).await.status, 400, "after thirty days unused");
    world.platform.advance(70 * day);
    assert_eq!(world.client.internal(&INTERNAL_MAINTAIN_AUTH, json!({})).await.status, 200);
}

#[tokio::test]
async fn a_refresh_cannot_ask_for_more() {
    let world = World::new(WIDE).await;
    let issued = world.exchange("alice", "&scope=storage:read").await;
    let form = |scope: &str| {
        format!("grant_type=refresh_token&client_id=ma_a&scope={scope}&refresh_token={}", text(&issued, "refresh_token"))
    };
    assert_eq!(world.client.form("/oauth2/token", &form("storage:write")).await.code(), "invalid_scope");
    assert_eq!(world.client.form("/oauth2/token", &form("storage:read")).await.status, 200);
}

#[tokio::test]
async fn revoking_either_token_ends_the_session() {
    for which in ["access_token", "refresh_token"] {
        let world = World::new(WIDE).await;
        let issued = world.exchange("alice", "").await;
        let other = world.exchange("alice", "").await;
        let foreign = format!("client_id=ma_b_backend&client_secret={SECRET}&token={}", text(&issued, which));
        assert_eq!(world.client.form("/oauth2/revoke", &foreign).await.code(), "unauthorized_client");
        assert!(world.is_active(&text(&issued, "access_token")).await);
        let own = format!("client_id=ma_a&token={}", text(&issued, which));
        assert_eq!(world.client.form("/oauth2/revoke", &own).await.status, 200);
        assert!(!world.is_active(&text(&issued, "access_token")).await, "{which}");
        assert_eq!(world.refresh(&text(&issued, "refresh_token")).await.status, 400, "{which}");
        assert!(world.is_active(&text(&other, "access_token")).await, "another session lives on");
        assert_eq!(world.client.form("/oauth2/revoke", "client_id=ma_a&token=unknown").await.status, 200);
    }
}

#[tokio::test]
async fn logout_ends_everything_that_came_from_the_session() {
    let world = World::new(WIDE).await;
    let token = world.sign_in().await;
    let issued = world.exchange(&token, "").await;
    let claims = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok()).unwrap();
    let claims: Json = serde_json::from_slice(&claims).unwrap();
    let ending = json!({"uid": claims["sub"], "session": claims["session_id"]});
    assert_eq!(world.client.internal(&INTERNAL_LOGOUT, ending).await.status, 200);
    assert_eq!(world.exchange(&token, "").await.code(), "invalid_grant");
    assert!(!world.is_active(&text(&issued, "access_token")).await);
    assert_eq!(world.refresh(&text(&issued, "refresh_token")).await.status, 400);
    assert!(world.is_active(&text(&world.exchange("alice", "").await, "access_token")).await, "another session is not concerned");
}

#[tokio::test]
async fn introspection_is_for_an_apps_own_backend() {
    let world = World::new(WIDE).await;
    let issued = world.exchange("alice", "").await;
    let own = world.introspect("ma_a_backend", &text(&issued, "access_token")).await;
    assert_eq!((own["active"].as_bool(), own["sub"].as_str()), (Some(true), Some("@alice:hs")));
    assert_eq!(world.introspect("ma_b_backend", &text(&issued, "access_token")).await, json!({"active": false}));
    assert_eq!(world.introspect("ma_a_backend", "nonsense").await, json!({"active": false}));
    let public = format!("client_id=ma_a&token={}", text(&issued, "access_token"));
    assert_eq!(world.client.form("/oauth2/introspect", &public).await.code(), "invalid_client");
}

#[tokio::test]
async fn limits_stop_exchanges_and_sign_ins() {
    let world = World::new(r#"{"refill":0}"#).await;
    let token = world.sign_in().await;
    let statuses = |answers: Vec<Answer>| answers.iter().filter(|answer| answer.status == 200).count();
    let mut answers = Vec::new();
    for _ in 0..20 {
        answers.push(world.exchange(&token, "").await);
    }
    assert_eq!(statuses(answers), 13);
    // A Matrix token is a sign-in, wherever it is shown.
    for _ in 0..10 {
        world.exchange("mallory", "").await;
    }
    let mut answers = Vec::new();
    for _ in 0..40 {
        let body = json!({"matrix_user_id": "@alice:hs", "access_token": "alice"});
        answers.push(world.client.json("POST", "/api/v1/auth/matrix", "", body).await);
    }
    let refused = answers.last().unwrap();
    assert_eq!((refused.status, refused.code()), (429, "RATE_LIMIT_EXCEEDED"));
    assert!(refused.headers.contains_key("retry-after") && refused.headers.contains_key("x-ratelimit-reset"));
    assert_eq!(statuses(answers), 19);
}

#[tokio::test]
async fn introspection_is_limited_per_client() {
    let world = World::new(r#"{"token_validation":{"capacity":2,"burst":1,"refill":0}}"#).await;
    let form = |client: &str| format!("client_id={client}&client_secret={SECRET}&token=nonsense");
    let mut statuses = Vec::new();
    for client in ["ma_a_backend"; 4].into_iter().chain(["ma_b_backend"]) {
        statuses.push(world.client.form("/oauth2/introspect", &form(client)).await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 429, 200]);
}

#[tokio::test]
async fn pages_of_registered_origins_may_call() {
    let world = World::new(WIDE).await;
    let request = |method: &str, origin: &str, preflight: bool| {
        let mut builder = http::Request::builder().method(method).uri("/oauth2/token").header("origin", origin);
        if preflight {
            builder = builder.header("access-control-request-method", "POST");
        }
        builder.header("content-type", "application/x-www-form-urlencoded")
    };
    let allowed = |answer: &Answer| answer.headers.contains_key("access-control-allow-origin");
    for (origin, expected) in [("https://ma-a.example", true), ("https://tween.example", true), ("https://evil.example", false)] {
        let answer = world.client.send(request("OPTIONS", origin, true).body(Bytes::new()).unwrap()).await;
        assert_eq!((answer.status, allowed(&answer)), (204, expected), "preflight from {origin}");
        assert!(!answer.headers.contains_key("access-control-allow-credentials"));
    }
    let exchange = format!("{EXCHANGE}&client_id=ma_a&subject_token=alice");
    let refresh = text(&world.exchange("alice", "").await, "refresh_token");
    let refresh = format!("grant_type=refresh_token&client_id=ma_a&refresh_token={refresh}");
    for (form, origin, expected) in [
        (&exchange, "https://tween.example", true),
        (&exchange, "https://ma-a.example", false),
        (&refresh, "https://ma-b-backend.example", false),
        (&refresh, "https://ma-a.example", true),
    ] {
        let answer = world.client.send(request("POST", origin, false).body(Bytes::from(form.clone())).unwrap()).await;
        assert_eq!(allowed(&answer), expected, "{origin} {form}");
    }
}

#[tokio::test]
async fn no_token_or_secret_is_ever_logged() {
    let world = World::new(WIDE).await;
    let platform_token = world.sign_in().await;
    let issued = world.exchange(&platform_token, "").await;
    let next = world.refresh(&text(&issued, "refresh_token")).await;
    world.refresh("rt_wrong-refresh-token").await;
    world.introspect("ma_a_backend", &text(&next, "access_token")).await;
    let (access, refresh) = (text(&issued, "access_token"), text(&issued, "refresh_token"));
    let secrets = [platform_token.as_str(), &access, &refresh, SECRET, "rt_wrong", "subject_token"];
    for line in world.platform.log_lines() {
        assert!(secrets.iter().all(|secret| !line.contains(secret)), "{line}");
    }
}

#[tokio::test]
async fn a_backend_gets_a_token_that_stands_for_nobody() {
    let world = World::new(WIDE).await;
    let form = format!("grant_type=client_credentials&client_id=ma_a_backend&client_secret={SECRET}");
    let issued = world.client.form("/oauth2/token", &form).await;
    assert_eq!((issued.status, &issued.body["scope"], issued.body.get("refresh_token")), (200, &json!(""), None), "{issued:?}");
    let token = text(&issued, "access_token");
    let told = world.introspect("ma_a_backend", &token).await;
    assert_eq!(
        (&told["active"], &told["sub"], &told["token_type"]),
        (&json!(true), &json!("ma_a_backend"), &json!("tep_client_token"))
    );
    assert!(told.get("wallet_id").is_none());
    assert_eq!(world.introspect("ma_b_backend", &token).await, json!({"active": false}));
    // It is nobody's subject token.
    assert_eq!(world.exchange(&token, "").await.code(), "invalid_grant");
    for (more, status, code) in [("&scope=storage:read", 400, "invalid_scope"), ("x", 401, "invalid_client")] {
        let answer = world.client.form("/oauth2/token", &format!("{form}{more}")).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{answer:?}");
    }
    let public = world.client.form("/oauth2/token", "grant_type=client_credentials&client_id=ma_a").await;
    assert_eq!((public.status, public.code()), (400, "unauthorized_client"));
    let foreign = format!("client_id=ma_b_backend&client_secret={SECRET}&token={token}");
    assert_eq!(world.client.form("/oauth2/revoke", &foreign).await.code(), "unauthorized_client");
    let other = text(&world.client.form("/oauth2/token", &form).await, "access_token");
    let own = format!("client_id=ma_a_backend&client_secret={SECRET}&token={token}");
    assert_eq!(world.client.form("/oauth2/revoke", &own).await.status, 200);
    assert!(!world.is_active(&token).await && world.is_active(&other).await);
}
