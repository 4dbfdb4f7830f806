//! The device grant (RFC 8628): the codes, the page, the polls.

use serde_json::{Value, json};
use std::time::Duration;
use tmcp_e2e::browser::{Browser, field};
use tmcp_e2e::{Answer, App, Session, World, at_once, remember};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

async fn begin(world: &World, app: &App, scope: &str) -> Value {
    let body = world.form("/oauth2/device/authorization", app, &[("scope", scope)]).await.ok();
    remember(body["device_code"].as_str().unwrap());
    body
}

async fn poll(world: &World, app: &App, device: &Value) -> Answer {
    let code = device["device_code"].as_str().unwrap();
    world.form("/oauth2/token", app, &[("grant_type", GRANT), ("device_code", code)]).await
}

async fn waited() {
    tokio::time::sleep(Duration::from_millis(5_200)).await;
}

async fn enter(browser: &Browser, device: &Value) -> Answer {
    let page = browser.page("/oauth2/device").await;
    let code = device["user_code"].as_str().unwrap();
    browser.post("/oauth2/device", &[("token", &field(&page, "token")), ("user_code", code)]).await
}

async fn decide(browser: &Browser, page: &Answer, decision: &str) -> Answer {
    let fields = ["token", "user_code"].map(|name| (name, field(page, name)));
    let mut fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    fields.push(("decision", decision));
    browser.post("/oauth2/device", &fields).await
}

#[tokio::test]
async fn a_device_is_let_in() {
    let world = World::new();
    let (person, app) = (world.person().await, world.app().await);
    let browser = world.browser(&person).await;
    let device = begin(&world, &app, "storage:read user:read").await;
    assert_eq!((&device["expires_in"], &device["interval"]), (&json!(900), &json!(5)));
    let user_code = device["user_code"].as_str().unwrap();
    assert!(user_code.len() == 9 && !user_code.contains(['A', 'E', 'I', 'O', 'U', 'Y']), "{user_code}");
    assert_eq!(device["verification_uri"], format!("{}/oauth2/device", world.up.base_url));
    poll(&world, &app, &device).await.is_oauth_error(400, "slow_down");
    let page = enter(&browser, &device).await;
    for told in [user_code, &person.matrix.user_id, "your name, picture", "127.0.0.0"] {
        assert!(page.text.contains(told), "{told} in {}", page.text);
    }
    tokio::time::sleep(Duration::from_secs(11)).await;
    poll(&world, &app, &device).await.is_oauth_error(400, "authorization_pending");
    assert!(decide(&browser, &page, "allow").await.text.contains("Agreed"));
    tokio::time::sleep(Duration::from_secs(11)).await;
    let answer = poll(&world, &app, &device).await;
    assert_eq!(answer.ok()["scope"], "user:read storage:read");
    let session = Session::of(&answer);
    world.probe(&session.access).await.ok();
    world.refresh(&app, &session.refresh).await.ok();
    assert_eq!(enter(&browser, &device).await.status, 404, "the code is used");
}

#[tokio::test]
async fn a_refusal_a_foreign_client_and_an_unknown_code_are_told() {
    let world = World::new();
    let (person, app, other) = (world.person().await, world.app().await, world.app().await);
    let browser = world.browser(&person).await;
    let device = begin(&world, &app, "storage:read").await;
    poll(&world, &other, &device).await.is_oauth_error(400, "invalid_grant");
    let page = enter(&browser, &device).await;
    assert!(decide(&browser, &page, "refuse").await.text.contains("Refused"));
    waited().await;
    poll(&world, &app, &device).await.is_oauth_error(400, "access_denied");
    poll(&world, &app, &json!({"device_code": "device_x"})).await.is_oauth_error(400, "invalid_grant");
    for scope in ["wallet:balance", "root", "messaging:send"] {
        world.form("/oauth2/device/authorization", &app, &[("scope", scope)]).await.is_oauth_error(400, "invalid_scope");
    }
}

#[tokio::test]
async fn many_decisions_at_once_are_one() {
    let world = World::new();
    let (person, app) = (world.person().await, world.app().await);
    let browser = world.browser(&person).await;
    let device = begin(&world, &app, "storage:read").await;
    let page = enter(&browser, &device).await;
    let decisions = (0..10).map(|n| {
        let (browser, page) = (browser.clone(), page.clone());
        async move { (n % 2 == 0, decide(&browser, &page, if n % 2 == 0 { "allow" } else { "refuse" }).await.status) }
    });
    let won: Vec<_> = at_once(10, decisions).await.into_iter().filter(|(_, status)| *status == 200).collect();
    assert_eq!(won.len(), 1, "{won:?}");
    waited().await;
    let answer = poll(&world, &app, &device).await;
    assert_eq!(answer.status == 200, won[0].0, "{}", answer.text);
    // However many polls come at once, one gets the tokens.
    if won[0].0 {
        let session = Session::of(&answer);
        waited().await;
        poll(&world, &app, &device).await.is_oauth_error(400, "invalid_grant");
        world.probe(&session.access).await.is_refused(401, "INVALID_TOKEN");
    }
}

#[tokio::test]
async fn many_polls_at_once_get_one_session() {
    let world = World::new();
    let (person, app) = (world.person().await, world.app().await);
    let browser = world.browser(&person).await;
    let device = begin(&world, &app, "storage:read").await;
    let page = enter(&browser, &device).await;
    decide(&browser, &page, "allow").await;
    waited().await;
    let polls = (0..10).map(|_| {
        let (world, app, device) = (world.clone(), app.clone(), device.clone());
        async move { poll(&world, &app, &device).await }
    });
    let answers = at_once(10, polls).await;
    let granted: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(granted.len(), 1);
    answers.iter().filter(|answer| answer.status != 200).for_each(|answer| drop(answer.is_oauth_error(400, "slow_down")));
    world.probe(&Session::of(granted[0]).access).await.ok();
}
