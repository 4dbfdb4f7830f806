//! The device grant: a code on a screen, a person in a browser, polls.

use super::{World, field, text};
use serde_json::{Value as Json, json};
use tmcp_testkit::{Answer, dies};

const DEVICE: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&client_id=ma_a&device_code=";

async fn begin(world: &World, scope: &str) -> Json {
    let answer = world.auth.form("/oauth2/device/authorization", &format!("client_id=ma_a&scope={scope}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

async fn poll(world: &World, device: &Json) -> Answer {
    world.platform.advance(5_000);
    world.auth.form("/oauth2/token", &format!("{DEVICE}{}", device["device_code"].as_str().unwrap())).await
}

/// The question of a code, as the person typed it.
async fn enter(world: &World, cookie: &str, code: &str) -> Answer {
    let page = world.page(cookie, "/oauth2/device").await;
    world.post(cookie, "/oauth2/device", &[("token", &field(&page, "token")), ("user_code", code)]).await
}

async fn decide(world: &World, cookie: &str, page: &Answer, decision: &str) -> Answer {
    let (token, code) = (field(page, "token"), field(page, "user_code"));
    world.post(cookie, "/oauth2/device", &[("token", &token), ("user_code", &code), ("decision", decision)]).await
}

fn code(device: &Json) -> &str {
    device["user_code"].as_str().unwrap()
}

#[tokio::test]
async fn a_device_is_let_in() {
    let world = World::new().await;
    let cookie = world.browser(&world.sign_in("alice").await).await;
    let device = begin(&world, "storage:read%20user:read").await;
    assert_eq!((&device["expires_in"], &device["interval"]), (&json!(900), &json!(5)));
    assert_eq!(device["verification_uri"], "https://tmcp.example/oauth2/device");
    assert_eq!(poll(&world, &device).await.code(), "authorization_pending");
    // With the code in the address, it is still confirmed by hand.
    let complete = device["verification_uri_complete"].as_str().unwrap().strip_prefix("https://tmcp.example").unwrap();
    let shown = world.page(&cookie, complete).await;
    assert!(shown.text.contains(&format!("value=\"{}\"", code(&device))), "{}", shown.text);
    assert_eq!(poll(&world, &device).await.code(), "authorization_pending");
    let page = enter(&world, &cookie, &code(&device).to_lowercase()).await;
    for told in [code(&device), "App &#60;A&#62;", "192.0.2.0", "@alice:hs", "your name, picture"] {
        assert!(page.text.contains(told), "{told} in {}", page.text);
    }
    assert!(decide(&world, &cookie, &page, "allow").await.text.contains("Agreed"));
    let issued = poll(&world, &device).await;
    assert_eq!((issued.status, text(&issued, "scope")), (200, "user:read storage:read".to_owned()), "{issued:?}");
    assert!(world.is_active(&text(&issued, "access_token")).await);
    assert_eq!(world.refresh(&text(&issued, "refresh_token")).await.status, 200);
    assert_eq!(enter(&world, &cookie, code(&device)).await.status, 404, "the code is used");
    // It is an app like any other: taken back, it is out.
    let token = world.sign_in("alice").await;
    assert_eq!(world.consent.json("POST", "/api/v1/auth/revoke", &token, json!({"miniapp_id": "ma_a"})).await.status, 200);
    assert!(!world.is_active(&text(&issued, "access_token")).await);
}

#[tokio::test]
async fn polls_are_told_what_is_so() {
    let world = World::new().await;
    let cookie = world.browser(&world.sign_in("alice").await).await;
    let device = begin(&world, "storage:read").await;
    let form = format!("{DEVICE}{}", device["device_code"].as_str().unwrap());
    assert_eq!(world.auth.form("/oauth2/token", &form).await.code(), "slow_down", "at once");
    assert_eq!(poll(&world, &device).await.code(), "slow_down", "now ten seconds are asked for");
    world.platform.advance(15_000);
    assert_eq!(world.auth.form("/oauth2/token", &form).await.code(), "authorization_pending", "after fifteen");
    let refused = begin(&world, "storage:read").await;
    let page = enter(&world, &cookie, code(&refused)).await;
    assert!(decide(&world, &cookie, &page, "refuse").await.text.contains("Refused"));
    assert_eq!(poll(&world, &refused).await.code(), "access_denied");
    let late = begin(&world, "storage:read").await;
    world.platform.advance(15 * 60_000);
    assert_eq!(poll(&world, &late).await.code(), "expired_token");
    assert_eq!(enter(&world, &cookie, code(&late)).await.status, 404);
    let foreign = format!("{}&client_id=ma_o", DEVICE.replace("&client_id=ma_a", ""));
    let foreign = foreign.replace("&device_code=", "") + "&device_code=" + refused["device_code"].as_str().unwrap();
    assert_eq!(world.auth.form("/oauth2/token", &foreign).await.code(), "invalid_grant");
    let unknown = world.auth.form("/oauth2/token", &format!("{DEVICE}device_x")).await;
    assert_eq!((unknown.status, unknown.code()), (400, "invalid_grant"));
}

#[tokio::test]
async fn no_device_spends_or_is_official() {
    let world = World::new().await;
    for (client, scope) in [
        ("ma_a", "wallet:pay"),
        ("ma_a", "wallet:balance"),
        ("ma_o", "wallet:admin"),
        ("ma_a", "root"),
        ("ma_a", "messaging:send"),
    ] {
        let answer = world.auth.form("/oauth2/device/authorization", &format!("client_id={client}&scope={scope}")).await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_scope"), "{client} {scope}");
    }
    let closed = world.auth.form("/oauth2/device/authorization", "client_id=ma_c&scope=storage:read").await;
    assert_eq!((closed.status, closed.code()), (400, "unauthorized_client"));
    assert_eq!(
        world.auth.form("/oauth2/device/authorization", "client_id=nobody&scope=storage:read").await.code(),
        "invalid_client"
    );
}

#[tokio::test]
async fn a_code_is_entered_by_a_person_in_their_own_browser() {
    let world = World::new().await;
    let (alice, bob) = (world.sign_in("alice").await, world.sign_in("bob").await);
    let (cookie, other) = (world.browser(&alice).await, world.browser(&bob).await);
    let device = begin(&world, "storage:read").await;
    assert!(world.page("", "/oauth2/device").await.text.contains("Sign in"));
    let page = enter(&world, &cookie, code(&device)).await;
    let token = field(&page, "token");
    let fields =
        |token: &str| [("user_code", code(&device).to_owned()), ("decision", "allow".to_owned()), ("token", token.to_owned())];
    for (cookie, token, status) in [("", token.as_str(), 401), (&other, &token, 400), (&cookie, "", 400), (&cookie, "x", 400)] {
        let fields = fields(token);
        let answer = world.post(cookie, "/oauth2/device", &fields.each_ref().map(|(n, v)| (*n, v.as_str()))).await;
        assert_eq!(answer.status, status, "{token} {answer:?}");
    }
    assert_eq!(poll(&world, &device).await.code(), "authorization_pending");
    for wrong in ["BCDF", "AAAA-AAAA", "BCDF-GHJK", "'; DROP TABLE"] {
        assert_eq!(enter(&world, &cookie, wrong).await.status, 404, "{wrong}");
    }
}

#[tokio::test]
async fn whoever_guesses_is_stopped_by_person_and_by_address() {
    let world = World::new().await;
    world.platform.set("LIMITS", r#"{"scale":1000,"device_guess":{"capacity":6,"burst":0,"refill":0}}"#);
    let cookie = world.browser(&world.sign_in("alice").await).await;
    let page = world.page(&cookie, "/oauth2/device").await;
    let token = field(&page, "token");
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(world.post(&cookie, "/oauth2/device", &[("token", &token), ("user_code", "BCDF-GHJK")]).await.status);
    }
    assert_eq!(statuses, [404, 404, 404, 404, 404, 429, 429, 429], "one was drawn by the page");
}

#[tokio::test]
async fn two_decisions_at_once_are_one() {
    let world = World::new().await;
    let cookie = world.browser(&world.sign_in("alice").await).await;
    for _ in 0..4 {
        let device = begin(&world, "storage:read").await;
        let page = enter(&world, &cookie, code(&device)).await;
        let decisions = ["allow", "refuse", "allow", "refuse"].map(|decision| {
            let (world, cookie) = (world.clone(), cookie.clone());
            let (token, code) = (field(&page, "token"), field(&page, "user_code"));
            tokio::spawn(async move {
                let fields = [("token", token.as_str()), ("user_code", &code), ("decision", decision)];
                (decision, world.post(&cookie, "/oauth2/device", &fields).await.status)
            })
        });
        let mut won = Vec::new();
        for decision in decisions {
            won.extend(Some(decision.await.unwrap()).filter(|(_, status)| *status == 200));
        }
        assert_eq!(won.len(), 1, "{won:?}");
        let answer = poll(&world, &device).await;
        assert_eq!(answer.status == 200, won[0].0 == "allow", "{answer:?}");
    }
}

#[tokio::test]
async fn a_decision_that_dies_counts_whole_or_not_at_all() {
    let mut deaths = 0;
    for step in 0.. {
        let world = World::new().await;
        let cookie = world.browser(&world.sign_in("alice").await).await;
        let device = begin(&world, "user:read").await;
        let page = enter(&world, &cookie, code(&device)).await;
        world.platform.faults().die_at(Some(step));
        let outcome = dies(decide(&world, &cookie, &page, "allow"));
        world.platform.faults().die_at(None);
        world.platform.lose_tasks();
        let answer = poll(&world, &device).await;
        if let Some(decided) = outcome {
            assert_eq!((decided.status, answer.status), (200, 200));
            break;
        }
        deaths += 1;
        if answer.status != 200 {
            assert_eq!(answer.code(), "authorization_pending", "step {step}");
            let page = enter(&world, &cookie, code(&device)).await;
            assert_eq!(decide(&world, &cookie, &page, "allow").await.status, 200, "step {step}: it can be repeated");
            assert_eq!(poll(&world, &device).await.status, 200, "step {step}");
        }
    }
    assert!(deaths >= 4, "it never died");
}
