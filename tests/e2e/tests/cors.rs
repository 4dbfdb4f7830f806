//! Cross-origin requests: preflights for the origins of registered clients, answers for those whose answer it is, no credentials.

use serde_json::json;
use tmcp_e2e::{Answer, App, Ask, ClientSpec, Session, World, unique};
use tmcp_protocol::routes::ROUTES;

const ALLOW: &str = "access-control-allow-origin";

struct Origins {
    world: World,
    app: App,
    own: String,
    other: String,
    host: String,
    nobodys: String,
}

async fn register() -> Origins {
    let world = World::new();
    let origin = || format!("https://{}.example", unique("app"));
    let (own, other, host, nobodys) = (origin(), origin(), origin(), origin());
    let second = format!("{own}:8443");
    let app = world.client(ClientSpec { origins: &[&own, &second], ..ClientSpec::default() }).await;
    world.client(ClientSpec { origins: &[&other], ..ClientSpec::default() }).await;
    world.client(ClientSpec { origins: &[&host], host: true, ..ClientSpec::default() }).await;
    Origins { world, app, own, other, host, nobodys }
}

#[track_caller]
fn may_read(answer: &Answer, origin: &str, expected: bool) {
    assert_eq!(answer.header(ALLOW), if expected { origin } else { "" }, "{origin}: {} {:?}", answer.status, answer.headers);
    assert!(answer.header("vary").to_ascii_lowercase().contains("origin"), "{:?}", answer.headers);
    assert_eq!(answer.header("access-control-allow-credentials"), "");
    let exposed = answer.header("access-control-expose-headers").to_ascii_lowercase();
    assert_eq!(exposed.contains("x-request-id") && exposed.contains("retry-after"), expected);
}

#[tokio::test]
async fn a_preflight_is_answered_for_registered_origins_at_every_row() {
    let at = register().await;
    for route in ROUTES.iter().filter(|route| route.is_public_path()) {
        let path = route.path.replace("{key}", "a-key");
        for (origin, known) in [(&at.own, true), (&at.other, true), (&at.host, true), (&at.nobodys, false)] {
            let request = at.world.request("OPTIONS", &path).header("origin", origin);
            let answer = request.header("access-control-request-method", route.method.as_str()).ask().await;
            assert!(answer.status < 300, "{path}: {} {}", answer.status, answer.text);
            let methods: Vec<&str> = answer.header("access-control-allow-methods").split(", ").collect();
            assert_eq!(answer.header(ALLOW), if known { origin } else { "" }, "{path}");
            assert_eq!(methods.contains(&route.method.as_str()), known, "{path}: {methods:?}");
            let headers = answer.header("access-control-allow-headers").to_ascii_lowercase();
            assert_eq!(headers.contains("authorization") && headers.contains("content-type"), known, "{path}");
            assert!(answer.header("access-control-allow-credentials").is_empty() && answer.text.is_empty());
        }
    }
}

#[tokio::test]
async fn an_apps_answers_are_read_at_its_own_origins() {
    let at = register().await;
    let person = at.world.person().await;
    let session = at.world.session(&at.app, &person).await;
    let second = format!("{}:8443", at.own);
    let lookalikes = [
        format!("{}.evil.example", at.own),
        at.own.replace("https", "http"),
        format!("{}:444", at.own),
        at.own.to_uppercase(),
        format!("{}/", at.own),
        "null".to_owned(),
    ];
    let mut cases = vec![(&at.own, true), (&second, true), (&at.other, false), (&at.nobodys, false)];
    cases.extend(lookalikes.iter().map(|origin| (origin, false)));
    for (origin, expected) in cases {
        let get = |path: &str| at.world.get(path).header("origin", origin).bearer_auth(&session.access);
        may_read(&get("/api/v1/storage-info").ask().await, origin, expected);
        may_read(&get("/api/v1/storage/missing").ask().await, origin, expected);
        may_read(&get("/api/v1/storage?limit=0").ask().await, origin, expected);
    }
    let answer = at.world.get("/api/v1/storage-info").bearer_auth(&session.access).ask().await;
    assert_eq!(answer.header(ALLOW), "", "without an origin");
}

#[tokio::test]
async fn sign_in_and_exchange_are_read_at_host_origins_alone() {
    let at = register().await;
    let person = at.world.person().await;
    for (origin, expected) in [(&at.host, true), (&at.own, false), (&at.other, false), (&at.nobodys, false)] {
        for token in [person.matrix.access_token.as_str(), "wrong"] {
            let body = json!({"matrix_user_id": person.matrix.user_id, "access_token": token});
            let answer = at.world.post("/api/v1/auth/matrix").header("origin", origin).json(&body).ask().await;
            may_read(&answer, origin, expected);
        }
        for (token, scope) in [
            (person.token.as_str(), "storage:read"),
            (&person.token, "wallet:balance"),
            (&person.token, "root"),
            ("wrong", "storage:read"),
        ] {
            let form = [
                ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
                ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
                ("client_id", &at.app.client_id),
                ("subject_token", token),
                ("scope", scope),
            ];
            let answer = at.world.post("/oauth2/token").header("origin", origin).form(&form).ask().await;
            may_read(&answer, origin, expected);
        }
    }
}

#[tokio::test]
async fn a_refresh_is_read_at_the_clients_own_origin() {
    let at = register().await;
    let person = at.world.person().await;
    let mut session = at.world.session(&at.app, &person).await;
    for (origin, expected) in [(&at.own, true), (&at.other, false), (&at.nobodys, false)] {
        let form = [("grant_type", "refresh_token"), ("client_id", &at.app.client_id), ("refresh_token", &session.refresh)];
        let answer = at.world.post("/oauth2/token").header("origin", origin).form(&form).ask().await;
        may_read(&answer, origin, expected);
        session = Session::of(&answer);
    }
}

#[tokio::test]
async fn a_clients_origins_are_origins() {
    let world = World::new();
    let name = unique("ma_");
    for bad in [
        "*",
        "null",
        "app.example",
        "http://app.example",
        "https://app.example/",
        "https://app.example/path",
        "https://*.example",
        "https://user@app.example",
        "https://App.example",
        "tween-internal://ma_x",
    ] {
        let body = json!({"client_id": name, "app_id": name, "name": "e2e", "kind": "public", "origins": [bad]});
        let answer = world.post("/ops/clients").bearer_auth(&world.up.operator_token).json(&body).ask().await;
        assert_eq!(answer.status, 400, "{bad}: {}", answer.text);
        answer.is_refused(400, "INVALID_REQUEST");
    }
}
