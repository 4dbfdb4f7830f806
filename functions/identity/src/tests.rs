//! The group through the whole pipeline, on host adapters, with a homeserver that answers from a table.

use serde_json::{Value as Json, json};
use tmcp_protocol::routes::{INTERNAL_MAINTAIN_IDENTITY, INTERNAL_VERIFY};
use tmcp_testkit::{Answer, Client, TestPlatform};

const WHOAMI: &str = "http://hs:8008/_matrix/client/v3/account/whoami";
const USERINFO: &str = "http://hs:8448/_matrix/federation/v1/openid/userinfo?access_token=open";
const HOMESERVERS: &str = r#"[{"server_name":"hs","client_url":"http://hs:8008/","federation_url":"http://hs:8448"}]"#;

fn world() -> (TestPlatform, Client) {
    let platform = TestPlatform::new();
    platform.set("HOMESERVERS", HOMESERVERS);
    platform.set("LIMITS", r#"{"scale":1000}"#);
    let client = Client::new(crate::routes(), &platform);
    (platform, client)
}

async fn verify(client: &Client, body: Json) -> Answer {
    client.internal(&INTERNAL_VERIFY, body).await
}

fn by_token(id: &str) -> Json {
    json!({"matrix_user_id": id, "access_token": "syt_token"})
}

#[test]
fn every_route_has_a_handler() {
    assert!(crate::routes::<TestPlatform>().unbound().is_empty());
}

#[tokio::test]
async fn whoami_decides_and_the_user_stays_the_same() {
    let (platform, client) = world();
    platform.recorded().answer("GET", WHOAMI, 200, r#"{"user_id":"@alice:hs","device_id":"D"}"#);
    let profile = "http://hs:8008/_matrix/client/v3/profile/%40alice%3Ahs";
    platform.recorded().answer("GET", profile, 200, r#"{"displayname":"Alice","avatar_url":"mxc://hs/a"}"#);
    let first = verify(&client, by_token("@alice:hs")).await;
    assert_eq!(first.status, 200, "{first:?}");
    assert_eq!((first.body["user"]["display_name"].as_str(), &first.body["names"]["level"]), (Some("Alice"), &Json::Null));
    let again = verify(&client, by_token("@alice:hs")).await;
    assert_eq!((&again.body["uid"], &again.body["names"]), (&first.body["uid"], &first.body["names"]));
    let traced = |request: &tmcp_ports::OutboundRequest| request.headers.iter().any(|(name, _)| name == "traceparent");
    assert!(platform.recorded().seen().iter().all(traced), "the trace is passed on");
    let unclaimed = verify(&client, json!({"access_token": "syt_token"})).await;
    assert_eq!(unclaimed.body["uid"], first.body["uid"]);
}

#[tokio::test]
async fn everything_else_is_refused_with_one_message() {
    let answers = [
        (200, r#"{"user_id":"@bob:hs","device_id":"D"}"#, "another user's token"),
        (200, r#"{"user_id":"@Alice:hs","device_id":"D"}"#, "an id that differs in case"),
        (200, r#"{"user_id":"@alice:hs","device_id":"D","is_guest":true}"#, "a guest"),
        (200, r#"{"user_id":"@alice:hs"}"#, "a service's token"),
        (401, r#"{"errcode":"M_UNKNOWN_TOKEN"}"#, "an unknown token"),
        (403, r#"{"errcode":"M_FORBIDDEN"}"#, "a forbidden one"),
    ];
    let mut messages = std::collections::BTreeSet::new();
    for (status, body, what) in answers {
        let (platform, client) = world();
        platform.recorded().answer("GET", WHOAMI, status, body);
        let answer = verify(&client, by_token("@alice:hs")).await;
        assert_eq!((answer.status, answer.code()), (401, "invalid_matrix_credentials"), "{what}");
        messages.insert(answer.body["error"]["message"].to_string());
    }
    for id in ["@alice:elsewhere", "@_tmcp_payments:hs", "@ma_demo_bot:hs"] {
        let (platform, client) = world();
        let answer = verify(&client, by_token(id)).await;
        assert_eq!((answer.status, answer.code()), (401, "invalid_matrix_credentials"), "{id}");
        assert!(platform.recorded().seen().is_empty(), "nobody is asked about {id}");
        messages.insert(answer.body["error"]["message"].to_string());
    }
    assert_eq!(messages.len(), 1);
}

#[tokio::test]
async fn what_cannot_be_a_token_is_not_sent_anywhere() {
    let (platform, client) = world();
    for token in ["", "a b", "line\nbreak", "é", &"x".repeat(5000)] {
        let answer = verify(&client, json!({"matrix_user_id": "@alice:hs", "access_token": token})).await;
        assert_eq!((answer.status, answer.code()), (401, "invalid_matrix_credentials"), "{token:?}");
    }
    assert!(platform.recorded().seen().is_empty());
}

#[tokio::test]
async fn a_homeserver_out_of_order_is_no_refusal() {
    for (status, body) in [(500, "{}"), (502, "gateway"), (200, "not json"), (404, "{}")] {
        let (platform, client) = world();
        platform.recorded().answer("GET", WHOAMI, status, body);
        assert_eq!(verify(&client, by_token("@alice:hs")).await.status, 503, "{status}");
    }
    let (_, client) = world();
    assert_eq!(verify(&client, by_token("@alice:hs")).await.status, 503, "unreachable");
}

#[tokio::test]
async fn an_openid_token_is_accepted_once() {
    let (platform, client) = world();
    platform.recorded().answer("GET", USERINFO, 200, r#"{"sub":"@alice:hs"}"#);
    let body = json!({"matrix_user_id": "@alice:hs", "openid_token": {"access_token": "open", "matrix_server_name": "hs"}});
    let first = verify(&client, body.clone()).await;
    assert_eq!((first.status, first.body["names"]["level"].as_str()), (200, Some("openid")));
    assert_eq!(verify(&client, body.clone()).await.status, 401);
    // It is remembered for longer than the homeserver knows it, and then forgotten.
    platform.advance(23 * 3_600_000);
    client.internal(&INTERNAL_MAINTAIN_IDENTITY, json!({})).await;
    assert_eq!(verify(&client, body.clone()).await.status, 401);
}

#[tokio::test]
async fn an_openid_token_of_somebody_else_proves_nothing() {
    let (platform, client) = world();
    platform.recorded().answer("GET", USERINFO, 200, r#"{"sub":"@bob:hs"}"#);
    for server in ["hs", "elsewhere"] {
        let token = json!({"access_token": "open", "matrix_server_name": server});
        let body = json!({"matrix_user_id": "@alice:hs", "openid_token": token});
        assert_eq!(verify(&client, body).await.status, 401, "{server}");
    }
}

#[tokio::test]
async fn open_federation_asks_only_public_places() {
    let (platform, client) = world();
    platform.set("FEDERATION", "open");
    let recorded = platform.recorded();
    recorded.answer(
        "GET",
        "https://open.example.org/.well-known/matrix/client",
        200,
        r#"{"m.homeserver":{"base_url":"https://hs.open.example.org"}}"#,
    );
    recorded.answer("GET", "https://open.example.org/.well-known/matrix/server", 404, "{}");
    recorded.answer(
        "GET",
        "https://hs.open.example.org/_matrix/client/v3/account/whoami",
        200,
        r#"{"user_id":"@carol:open.example.org","device_id":"D"}"#,
    );
    let answer = verify(&client, by_token("@carol:open.example.org")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    recorded.answer(
        "GET",
        "https://evil.example.org/.well-known/matrix/client",
        200,
        r#"{"m.homeserver":{"base_url":"https://169.254.169.254"}}"#,
    );
    recorded.answer("GET", "https://evil.example.org/.well-known/matrix/server", 404, "{}");
    for id in ["@x:evil.example.org", "@x:127.0.0.1", "@x:localhost", "@x:[::1]", "@x:identity.spin.internal"] {
        assert_eq!(verify(&client, by_token(id)).await.status, 401, "{id}");
    }
    assert!(recorded.seen().iter().all(|request| !request.url.contains("169.254")));
}

#[tokio::test]
async fn refusals_leave_an_audit_row_and_no_token_in_the_log() {
    let (platform, client) = world();
    platform.recorded().answer("GET", WHOAMI, 401, "{}");
    verify(&client, by_token("@alice:hs")).await;
    let rows: Vec<Json> = {
        use tmcp_ports::{Platform, Sql, stmt};
        let statement = stmt!("SELECT action, outcome, target, detail FROM audit");
        platform.sql().query(statement).await.unwrap().into_iter().map(|row| row.decode().unwrap()).collect()
    };
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0]["outcome"].as_str(), rows[0]["target"].as_str()), (Some("refused"), Some("@alice:hs")));
    assert!(platform.log_lines().iter().all(|line| !line.contains("syt_token")));
}
