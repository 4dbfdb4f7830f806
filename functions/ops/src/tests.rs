//! The group through the whole pipeline, on host adapters, with other functions answering in process.

mod audit;

use bytes::Bytes;
use serde_json::{Value as Json, json};
use std::sync::{Arc, Mutex};
use tmcp_protocol::routes::Function;
use tmcp_testkit::{Client, TestPlatform};

const OPERATOR: &str = "operator-secret-operator-secret-";

fn answering(platform: &TestPlatform, function: Function, status: u16, body: Json) {
    platform.in_process().connect(function, move |_| {
        let body = Bytes::from(body.to_string());
        async move { http::Response::builder().status(status).body(body).unwrap() }
    });
}

fn world() -> (TestPlatform, Client) {
    let platform = TestPlatform::new();
    let client = Client::new(crate::routes(), &platform);
    (platform, client)
}

#[test]
fn every_route_has_a_handler() {
    assert!(crate::routes::<TestPlatform>().unbound().is_empty());
}

#[tokio::test]
async fn the_interface_is_told_to_everybody() {
    let (_, client) = world();
    let answer = client.json("GET", "/openapi.json", "", Json::Null).await;
    assert_eq!((answer.status, answer.headers["access-control-allow-origin"].to_str().unwrap()), (200, "*"));
    for route in tmcp_protocol::routes::ROUTES.iter().filter(|route| route.is_public_path()) {
        let method = route.method.as_str().to_lowercase();
        assert!(answer.body["paths"][route.path][&method]["summary"] == route.summary, "{method} {}", route.path);
    }
}

#[tokio::test]
async fn one_function_that_fails_does_not_keep_the_others_from_their_work() {
    let (platform, client) = world();
    answering(&platform, Function::Auth, 500, json!({}));
    answering(&platform, Function::Storage, 200, json!({"garbage": 3}));
    let answer = client.json("POST", "/ops/maintenance", OPERATOR, Json::Null).await;
    assert_eq!((answer.status, answer.code()), (503, "SERVICE_UNAVAILABLE"));
    let details = &answer.body["error"]["details"];
    assert_eq!((&details["auth"]["failed"], &details["storage"]["garbage"]), (&json!(500), &json!(3)));
    assert!(details["identity"]["failed"].is_string(), "{details}");
}

#[tokio::test]
async fn the_operator_alone_sees_the_keys() {
    let (platform, client) = world();
    answering(&platform, Function::Storage, 200, json!({"values": {"k1": 2}}));
    assert_eq!(client.json("GET", "/ops/keys", OPERATOR, Json::Null).await.body, json!({"values": {"k1": 2}}));
    for token in ["", "operator", "operator-secret-operator-secret-x"] {
        assert_eq!(client.json("GET", "/ops/keys", token, Json::Null).await.code(), "INVALID_TOKEN", "{token}");
    }
}

#[tokio::test]
async fn migrations_are_applied_once() {
    let (_, client) = world();
    // The test database has the schema already, so that the first migration cannot be applied a second time.
    let answer = client.json("POST", "/ops/migrate", OPERATOR, Json::Null).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(client.json("GET", "/ops/health", "", Json::Null).await.body["status"], "ok");
}

#[tokio::test]
async fn ready_only_when_everything_is_and_without_saying_why_not() {
    let (platform, client) = world();
    for function in [
        Function::Auth,
        Function::Account,
        Function::Broker,
        Function::Consent,
        Function::Developer,
        Function::Identity,
        Function::Lifecycle,
        Function::Saml,
        Function::Storage,
    ] {
        answering(&platform, function, 200, json!({"checks": [{"name": "database"}], "waiting": {"storage_garbage": 4}}));
    }
    let answer = client.json("GET", "/ops/ready", "", Json::Null).await;
    assert_eq!((answer.status, &answer.body["checks"]["identity"]["database"]), (200, &json!(true)), "{answer:?}");
    let down = json!({"name": "homeserver h.example", "problem": "postgres://secret@db refused"});
    answering(&platform, Function::Identity, 200, json!({"checks": [down], "waiting": {}}));
    answering(&platform, Function::Storage, 500, json!({}));
    let answer = client.json("GET", "/ops/ready", "", Json::Null).await;
    let expected = json!({
        "ops": {"schema": true}, "auth": {"database": true}, "account": {"database": true},
        "broker": {"database": true}, "consent": {"database": true}, "developer": {"database": true}, "identity": {"homeserver": false}, "lifecycle": {"database": true}, "saml": {"database": true}, "storage": {"function": false},
    });
    assert_eq!((answer.status, &answer.body["checks"]), (503, &expected));
    assert!(!answer.text.contains("postgres") && !answer.text.contains("h.example"), "{answer:?}");
}

#[tokio::test]
async fn the_operator_alone_sees_the_metrics() {
    let (platform, client) = world();
    answering(&platform, Function::Storage, 200, json!({"checks": [], "waiting": {"storage_garbage": 4}}));
    for _ in 0..3 {
        client.json("GET", "/ops/health", "", Json::Null).await;
    }
    assert_eq!(client.json("GET", "/ops/metrics", "guess", Json::Null).await.code(), "INVALID_TOKEN");
    platform.run_tasks().await;
    let page = client.json("GET", "/ops/metrics", OPERATOR, Json::Null).await.text;
    for line in [
        r#"tmcp_requests_total{function="ops",method="GET",route="/ops/health",status="200"} 3"#,
        r#"tmcp_errors_total{function="ops",code="INVALID_TOKEN"} 1"#,
        r#"tmcp_outbox_depth{queue="storage_garbage"} 4"#,
        r#"tmcp_up{function="auth"} 0"#,
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
}

#[tokio::test]
async fn a_clients_secret_is_made_shown_once_and_passed_on_by_its_hash() {
    let (platform, client) = world();
    let kept = Arc::new(Mutex::new(Json::Null));
    let seen = kept.clone();
    platform.in_process().connect(Function::Auth, move |request| {
        *seen.lock().unwrap() = serde_json::from_slice(request.body()).unwrap();
        async move { http::Response::builder().status(200).body(Bytes::from_static(b"{}")).unwrap() }
    });
    let body = json!({"client_id": "x", "app_id": "ma_x", "name": "X", "kind": "confidential", "scopes": ["storage:read"]});
    let answer = client.json("POST", "/ops/clients", OPERATOR, body.clone()).await;
    let secret = answer.body["client_secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("secret_") && answer.status == 200, "{answer:?}");
    let record = kept.lock().unwrap().clone();
    assert_eq!(record["secret_hash"], tmcp_http::sha256_hex(&secret));
    assert!(!record.to_string().contains(&secret), "{record}");
    assert!(platform.log_lines().iter().all(|line| !line.contains(&secret)));
    let mut wrong = body;
    wrong["redirect_uris"] = json!(["http://app.example/back"]);
    let answer = client.json("POST", "/ops/clients", OPERATOR, wrong).await;
    assert_eq!((answer.status, answer.code()), (400, "INVALID_REQUEST"));
}
