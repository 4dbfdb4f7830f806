//! What broker makes of `saml`: it reads responses, and broker knows the browser. What a response proves is tested in its crate.

use super::world::{World, cookie};
use bytes::Bytes;
use serde_json::{Value as Json, json};
use tmcp_ports::Clock;
use tmcp_ports::Platform;
use tmcp_protocol::routes::Function;

/// Broker's world with a `saml` that vouches for carol, who signed in there `ago` seconds ago; it notes what it was asked.
async fn world(ago: i64) -> (World, std::sync::Arc<std::sync::Mutex<Vec<Json>>>) {
    let world = World::new().await;
    let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let (notes, platform) = (asked.clone(), world.platform.clone());
    world.platform.in_process().connect(Function::Saml, move |request| {
        let body: Json = serde_json::from_slice(request.body()).unwrap();
        notes.lock().unwrap().push(body.clone());
        let answer = match request.uri().path() {
            "/internal/saml/request" => {
                json!({"url": format!("https://corp.example/sso?RelayState={}", body["state"].as_str().unwrap())})
            }
            _ if body["handle"] == "h" => {
                json!({"proven": {"instance": "saml corp urn:corp", "external_id": "carol-7", "kind": "saml",
                "username": "Carol", "display_name": "Carol", "email": "carol@corp.example",
                "proven_at": platform.clock().now().plus(-ago * 1000)}})
            }
            _ => json!({"proven": null}),
        };
        async move { http::Response::new(Bytes::from(answer.to_string())) }
    });
    (world, asked)
}

#[tokio::test]
async fn a_handle_signs_in_in_the_browser_that_began() {
    let (world, asked) = world(30).await;
    let begun = world.begin("corp", "").await;
    let state = begun.parameter("RelayState");
    assert_eq!(asked.lock().unwrap()[0], json!({"provider": "corp", "state": state, "anew": false}));
    let elsewhere = world.back("corp", "", &format!("code=h&state={state}")).await;
    assert_eq!(elsewhere.status, 400, "no cookie, no sign-in: {elsewhere:?}");
    let nothing = world.back("corp", &begun.cookie, &format!("code=other&state={state}")).await;
    assert_eq!(nothing.status, 401, "{nothing:?}");
    let begun = world.begin("corp", &begun.cookie).await;
    let state = begun.parameter("RelayState");
    let answer = world.back("corp", &begun.cookie, &format!("code=h&state={state}")).await;
    // A form of the provider's led here: a page goes on, and no redirect that the policy of the form could hold.
    assert_eq!((answer.status, answer.headers["refresh"].to_str().unwrap()), (200, "0; url=/account"), "{answer:?}");
    assert_eq!(asked.lock().unwrap().last(), Some(&json!({"provider": "corp", "state": state, "handle": "h"})));
    assert!(world.page(&cookie(&answer)).await.contains("Carol"));
    let identities = world.rows("SELECT provider, external_id, kind FROM identities").await;
    assert_eq!(identities, [json!({"provider": "saml corp urn:corp", "external_id": "carol-7", "kind": "saml"})]);
}

#[tokio::test]
async fn whoever_links_it_signs_in_anew_there() {
    for (ago, expected) in [(30, 303), (90, 401)] {
        let (world, asked) = world(ago).await;
        let session = cookie(&world.sign_in(&json!({"auth_time": world.platform.clock().now().seconds()})).await);
        let page = world.page(&session).await;
        let token = page.split("action=\"/account/link\"").nth(1).and_then(|form| form.split("name=\"token\" value=\"").nth(1));
        let token = token.and_then(|rest| rest.split('"').next()).unwrap_or_else(|| panic!("{page}"));
        let form = format!("token={token}&provider=corp");
        let request = http::Request::builder().method("POST").uri("/account/link").header("cookie", &session);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let begun = world.account.send(request.body(Bytes::from(form)).unwrap()).await;
        let question = asked.lock().unwrap().last().cloned().unwrap_or_else(|| panic!("{begun:?}"));
        assert_eq!(question["anew"], true);
        let cookies = format!("{session}; {}", cookie(&begun));
        let state = question["state"].as_str().unwrap();
        let answer = world.back("corp", &cookies, &format!("code=h&state={state}")).await;
        assert_eq!(answer.status, expected, "signed in {ago} seconds ago: {answer:?}");
    }
}
