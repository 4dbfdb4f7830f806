//! Taking back what an app may do.

use super::{World, location, text};
use serde_json::{Value as Json, json};
use tmcp_testkit::{Answer, dies};

async fn agree(world: &World, token: &str, scope: &str) -> Answer {
    let question = text(&world.exchange(token, scope).await, "consent_ui_endpoint");
    let id = question.strip_prefix("/oauth2/consent?session=").unwrap();
    let answer = world.consent.json("POST", "/oauth2/consent", token, json!({"session": id, "approve": true})).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    let issued = world.exchange(token, scope).await;
    assert_eq!(issued.status, 200, "{issued:?}");
    issued
}

async fn take_back(world: &World, token: &str, body: Json) -> Answer {
    world.consent.json("POST", "/api/v1/auth/revoke", token, body).await
}

async fn is_over(world: &World, issued: &Answer) -> bool {
    !world.is_active(&text(issued, "access_token")).await
        && world.refresh(&text(issued, "refresh_token")).await.code() == "invalid_grant"
}

#[tokio::test]
async fn all_of_an_app_or_some_of_it_ends_its_sessions() {
    for (scopes, revoked, left) in
        [(Json::Null, json!(["wallet:balance", "wallet:pay"]), 0), (json!(["wallet:pay"]), json!(["wallet:pay"]), 1)]
    {
        let world = World::new().await;
        let token = world.sign_in("alice").await;
        let issued = agree(&world, &token, "wallet:pay%20wallet:balance").await;
        let body = json!({"miniapp_id": "ma_a", "scopes": scopes, "reason": "no longer wanted"});
        let answer = take_back(&world, &token, body).await;
        let mut named: Vec<_> = answer.body["revoked_scopes"].as_array().unwrap().clone();
        named.sort_by_key(Json::to_string);
        assert_eq!((answer.status, json!(named)), (200, revoked), "{answer:?}");
        assert!(is_over(&world, &issued).await);
        assert_eq!(world.exchange(&token, "wallet:pay").await.code(), "consent_required");
        assert_eq!(world.count("SELECT COUNT(*) AS n FROM consents").await, left);
        assert_eq!(world.count("SELECT COUNT(*) AS n FROM outbox WHERE content LIKE '%no longer wanted%'").await, 2);
        assert_eq!(world.count("SELECT COUNT(*) AS n FROM app_endings").await, 0);
        assert_eq!(world.exchange(&token, "storage:read").await.status, 200, "the app can be let in anew");
    }
}

#[tokio::test]
async fn an_app_may_give_up_what_is_its_own() {
    let world = World::new().await;
    let token = world.sign_in("alice").await;
    let issued = agree(&world, &token, "wallet:pay").await;
    let tep = text(&issued, "access_token");
    let other = take_back(&world, &tep, json!({"miniapp_id": "ma_o"})).await;
    assert_eq!((other.status, other.code()), (403, "INSUFFICIENT_PERMISSIONS"));
    let weak = take_back(&world, &world.weak().await, json!({"miniapp_id": "ma_a"})).await;
    assert_eq!((weak.status, weak.code()), (403, "INSUFFICIENT_PERMISSIONS"));
    for wrong in [json!({}), json!({"miniapp_id": "a"}), json!({"miniapp_id": "ma_a", "scopes": ["root"]})] {
        assert_eq!(take_back(&world, &token, wrong.clone()).await.code(), "INVALID_REQUEST", "{wrong}");
    }
    assert!(world.is_active(&tep).await);
    assert_eq!(take_back(&world, &tep, json!({"miniapp_id": "ma_a"})).await.status, 200);
    assert!(is_over(&world, &issued).await);
}

#[tokio::test]
async fn a_weak_session_cannot_take_back_by_way_of_an_app() {
    let world = World::new().await;
    let token = world.sign_in("alice").await;
    let issued = agree(&world, &token, "wallet:pay").await;
    let weak = world.exchange(&world.weak().await, "storage:read").await;
    let refreshed = world.refresh(&text(&weak, "refresh_token")).await;
    for answer in [weak, refreshed] {
        let refused = take_back(&world, &text(&answer, "access_token"), json!({"miniapp_id": "ma_a"})).await;
        assert_eq!((refused.status, refused.code()), (403, "INSUFFICIENT_PERMISSIONS"));
    }
    assert!(world.is_active(&text(&issued, "access_token")).await);
}

#[tokio::test]
async fn another_persons_sessions_and_other_apps_go_on() {
    let world = World::new().await;
    let (alice, bob) = (world.sign_in("alice").await, world.sign_in("bob").await);
    let bobs = agree(&world, &bob, "wallet:pay").await;
    agree(&world, &alice, "wallet:pay").await;
    take_back(&world, &alice, json!({"miniapp_id": "ma_a"})).await;
    take_back(&world, &alice, json!({"miniapp_id": "ma_unknown"})).await;
    assert!(world.is_active(&text(&bobs, "access_token")).await);
}

#[tokio::test]
async fn a_code_from_before_gives_nothing_after() {
    let world = World::new().await;
    let token = world.sign_in("alice").await;
    let cookie = world.browser(&token).await;
    agree(&world, &token, "wallet:pay").await;
    for scope in ["wallet:pay", "storage:read"] {
        let code = super::parameter(&world.authorize(&cookie, scope).await, "code");
        take_back(&world, &token, json!({"miniapp_id": "ma_a", "scopes": []})).await;
        assert_eq!(world.redeem(&code).await.code(), "invalid_grant", "{scope}");
    }
}

#[tokio::test]
async fn whatever_it_dies_at_the_sessions_end_or_nothing_was_taken() {
    let mut deaths = 0;
    for step in 0.. {
        let world = World::new().await;
        let token = world.sign_in("alice").await;
        let issued = agree(&world, &token, "wallet:pay").await;
        world.platform.faults().die_at(Some(step));
        let outcome = dies(take_back(&world, &token, json!({"miniapp_id": "ma_a"})));
        world.platform.faults().die_at(None);
        world.platform.lose_tasks();
        if let Some(answer) = outcome {
            assert_eq!(answer.status, 200);
            break;
        }
        deaths += 1;
        world.platform.advance(61_000);
        world.maintain().await;
        let taken = world.count("SELECT COUNT(*) AS n FROM consents").await == 0;
        assert_eq!(world.count("SELECT COUNT(*) AS n FROM outbox").await, if taken { 2 } else { 0 }, "step {step}");
        if taken {
            assert!(is_over(&world, &issued).await, "step {step}");
        } else {
            assert!(world.is_active(&text(&issued, "access_token")).await, "step {step}");
        }
        assert_eq!(world.count("SELECT COUNT(*) AS n FROM app_endings").await, 0, "step {step}");
    }
    assert!(deaths >= 4, "it never died");
}

#[tokio::test]
async fn grants_on_their_way_do_not_outlive_it() {
    let world = World::new().await;
    let token = world.sign_in("alice").await;
    for _ in 0..20 {
        agree(&world, &token, "wallet:pay").await;
        let grants: Vec<_> = (0..6)
            .map(|_| {
                tokio::spawn({
                    let (world, token) = (world.clone(), token.clone());
                    async move { world.exchange(&token, "wallet:pay").await }
                })
            })
            .collect();
        let taking = tokio::spawn({
            let (world, token) = (world.clone(), token.clone());
            async move { take_back(&world, &token, json!({"miniapp_id": "ma_a"})).await.status }
        });
        assert_eq!(taking.await.unwrap(), 200);
        for one in grants {
            let issued = one.await.unwrap();
            if issued.status == 200 {
                assert!(is_over(&world, &issued).await, "a session outlived it");
            }
        }
    }
}

#[tokio::test]
async fn the_accounts_page_lists_apps_that_nobody_had_to_be_asked_about() {
    let world = World::new().await;
    let cookie = world.browser(&world.sign_in("alice").await).await;
    let issued = world.redeem(&world.code(&cookie).await).await;
    let page = world.page(&cookie, "/account").await;
    assert!(page.text.contains("App &#60;A&#62;") && page.text.contains("keep data for you"), "{}", page.text);
    let revoke = page.text.split("action=\"/account/revoke\"").nth(1).unwrap();
    let form = revoke.split("value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    location(&world.post(&cookie, "/account/revoke", &[("token", &form), ("app", "ma_a")]).await);
    assert!(is_over(&world, &issued).await);
}

#[tokio::test]
async fn the_accounts_page_lists_apps_and_takes_back() {
    let world = World::new().await;
    let token = world.sign_in("alice").await;
    let issued = agree(&world, &token, "wallet:pay").await;
    let cookie = world.browser(&token).await;
    let page = world.page(&cookie, "/account").await;
    assert!(page.text.contains("App &#60;A&#62;") && page.text.contains("Ask you to pay"), "{}", page.text);
    let revoke = page.text.split("action=\"/account/revoke\"").nth(1).unwrap();
    let form = revoke.split("value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let end = page.text.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert_ne!(form, end);
    assert_eq!(world.post(&cookie, "/account/revoke", &[("token", &end), ("app", "ma_a")]).await.status, 400);
    location(&world.post(&cookie, "/account/revoke", &[("token", &form), ("app", "ma_a")]).await);
    assert!(is_over(&world, &issued).await);
    assert!(world.page(&cookie, "/account").await.text.contains("No app knows you"));
}

/// Whoever exceeds too many limits with an app's token is suspended there (TMCP 8.1): the log has one row, however it dies.
#[tokio::test]
async fn a_suspension_by_limits_is_in_the_audit_log_once() {
    let mut deaths = 0;
    for step in 0.. {
        let world = World::new().await;
        let token = world.sign_in("alice").await;
        let tep = text(&world.exchange(&token, "storage:read").await, "access_token");
        world
            .platform
            .set("LIMITS", r#"{"account":{"capacity":1,"burst":0,"window_s":1,"refill":0},"violations":{"capacity":2}}"#);
        let ask = async || take_back(&world, &tep, json!({"miniapp_id": "ma_other"})).await;
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.push(ask().await.status);
        }
        assert_eq!(seen, [403, 429, 429], "another app's is refused; then the limit, which is exceeded once");
        world.platform.advance(1000);
        world.platform.faults().die_at(Some(step));
        let answer = dies(ask());
        world.platform.faults().die_at(None);
        world.platform.lose_tasks();
        let done = answer.is_some();
        let answer = match answer {
            Some(answer) => answer,
            None => ask().await,
        };
        assert_eq!((answer.status, answer.code()), (403, "ACCOUNT_SUSPENDED"), "{answer:?}");
        assert!(answer.body["error"]["details"]["suspended_until"].is_string(), "{answer:?}");
        ask().await;
        assert_eq!(world.count("SELECT COUNT(*) AS n FROM audit WHERE action = 'user.suspend' AND actor = 'limits'").await, 1);
        // The platform has nothing to do with it.
        assert_eq!(world.account.json("GET", "/api/v1/auth/sessions", &token, serde_json::Value::Null).await.status, 200);
        if done {
            break;
        }
        deaths += 1;
    }
    assert!(deaths > 1, "{deaths}");
}
