//! Browser sessions, and how they begin and end.

use super::{World, cookie, field, location, text};
use serde_json::{Value as Json, json};
use tmcp_protocol::routes::INTERNAL_MAINTAIN_AUTH;

async fn handle(world: &World, token: &str, on: &str) -> String {
    text(&world.account.json("POST", "/api/v1/auth/browser", token, json!({ "continue": on })).await, "url")
}

#[tokio::test]
async fn a_hand_over_asks_who_it_is_and_works_once() {
    let world = World::new().await;
    let token = world.sign_in("alice").await;
    let url = handle(&world, &token, "/account").await;
    let shown = world.page("", url.strip_prefix("https://tmcp.example").unwrap()).await;
    assert!(shown.text.contains("Go on as @alice:hs") && cookie(&shown).starts_with("__Host-tmcp_hand_over="), "{shown:?}");
    let begun = world.go_on(&url).await;
    assert_eq!((begun.status, begun.headers["refresh"].to_str().unwrap()), (200, "0; url=/account"));
    let set = begun.headers["set-cookie"].to_str().unwrap();
    assert!(
        set.starts_with("__Host-tmcp_session=") && set.ends_with("; Path=/; HttpOnly; SameSite=Lax; Max-Age=1209600; Secure")
    );
    assert!(world.page(&cookie(&begun), "/account").await.text.contains("@alice:hs"));
    assert_eq!(world.go_on(&url).await.status, 404, "a second time");
    let late = handle(&world, &token, "/account").await;
    world.platform.advance(60_000);
    assert_eq!(world.go_on(&late).await.status, 404, "after a minute");
}

#[tokio::test]
async fn nobody_is_signed_in_as_somebody_else_by_another_page() {
    let world = World::new().await;
    let url = handle(&world, &world.sign_in("bob").await, "/account").await;
    let shown = world.page("", url.strip_prefix("https://tmcp.example").unwrap()).await;
    let (own, handle, token) = (cookie(&shown), field(&shown, "handle"), field(&shown, "token"));
    let other = cookie(&world.page("", url.strip_prefix("https://tmcp.example").unwrap()).await);
    let fields = |token: &str| [("handle", handle.clone()), ("continue", "/account".to_owned()), ("token", token.to_owned())];
    for (cookie, token) in [("", ""), ("", token.as_str()), (&other, &token), (&own, ""), (&own, "x")] {
        let fields = fields(token);
        let answer = world.post(cookie, "/account/continue", &fields.each_ref().map(|(n, v)| (*n, v.as_str()))).await;
        assert_eq!((answer.status, answer.headers.get("set-cookie")), (400, None), "{cookie} {token} {answer:?}");
    }
    let fields = fields(&token);
    let answer = world.post(&own, "/account/continue", &fields.each_ref().map(|(n, v)| (*n, v.as_str()))).await;
    assert!(is_known(&world, &cookie(&answer)).await);
}

#[tokio::test]
async fn of_many_browsers_with_one_handle_one_is_signed_in() {
    let world = World::new().await;
    let url = handle(&world, &world.sign_in("alice").await, "/account").await;
    let tries: Vec<_> = (0..8)
        .map(|_| {
            tokio::spawn({
                let (world, url) = (world.clone(), url.clone());
                async move { world.go_on(&url).await.status }
            })
        })
        .collect();
    let mut begun = 0;
    for one in tries {
        begun += usize::from(one.await.unwrap() == 200);
    }
    assert_eq!((begun, world.count("SELECT COUNT(*) AS n FROM browser_sessions").await), (1, 1));
}

#[tokio::test]
async fn a_hand_over_leads_to_our_pages_and_needs_a_strong_session() {
    let world = World::new().await;
    let token = world.sign_in("alice").await;
    for on in ["https://evil.example/", "//evil.example", "/api/v1/storage", "/account#x", ""] {
        let answer = world.account.json("POST", "/api/v1/auth/browser", &token, json!({ "continue": on })).await;
        assert_eq!((answer.status, answer.code()), (400, "INVALID_REQUEST"), "{on}");
    }
    let url = handle(&world, &token, "/account").await;
    let elsewhere = url.replace("continue=%2Faccount", "continue=https%3A%2F%2Fevil.example");
    assert_eq!(world.go_on(&elsewhere).await.status, 400);
    let weak = world.account.json("POST", "/api/v1/auth/browser", &world.weak().await, json!({})).await;
    assert_eq!((weak.status, weak.code()), (403, "INSUFFICIENT_PERMISSIONS"));
    let tep = text(&world.exchange(&token, "storage:read").await, "access_token");
    assert_eq!(world.account.json("POST", "/api/v1/auth/browser", &tep, json!({})).await.status, 403);
}

#[tokio::test]
async fn whatever_a_logout_dies_at_everything_ends() {
    let mut deaths = 0;
    for step in 0.. {
        let world = World::new().await;
        let token = world.sign_in("alice").await;
        let browser = world.browser(&token).await;
        let issued = world.redeem(&world.code(&browser).await).await;
        world.platform.faults().die_at(Some(step));
        let outcome = tmcp_testkit::dies(world.account.json("POST", "/api/v1/auth/logout", &token, Json::Null));
        world.platform.faults().die_at(None);
        world.platform.lose_tasks();
        let ended = outcome.is_some();
        if !ended {
            deaths += 1;
            world.platform.advance(61_000);
            assert_eq!(world.auth.internal(&INTERNAL_MAINTAIN_AUTH, json!({})).await.status, 200);
        }
        let begun = world.count("SELECT COUNT(*) AS n FROM audit WHERE action = 'session.end'").await == 1;
        assert_eq!(is_known(&world, &browser).await, !begun, "step {step}");
        assert_eq!(world.is_active(&text(&issued, "access_token")).await, !begun, "step {step}");
        assert_eq!(world.count("SELECT COUNT(*) AS n FROM session_endings").await, 0, "step {step}");
        if ended {
            break;
        }
    }
    assert!(deaths >= 6, "it never died");
}

async fn is_known(world: &World, cookie: &str) -> bool {
    world.page(cookie, "/account").await.text.contains("You are signed in as")
}

#[tokio::test]
async fn a_logout_ends_the_browsers_that_came_from_the_session() {
    let world = World::new().await;
    let (token, other) = (world.sign_in("alice").await, world.sign_in("alice").await);
    let (cookie, others) = (world.browser(&token).await, world.browser(&other).await);
    let pending = handle(&world, &token, "/account").await;
    assert!(is_known(&world, &cookie).await);
    assert_eq!(world.account.json("POST", "/api/v1/auth/logout", &token, Json::Null).await.status, 204);
    assert!(!is_known(&world, &cookie).await);
    assert!(is_known(&world, &others).await);
    assert_eq!(world.go_on(&pending).await.status, 404, "a handle from before");
    world.platform.advance(2 * 24 * 3_600_000);
    assert!(!is_known(&world, &cookie).await, "when the subject has forgotten the ended session");
}

#[tokio::test]
async fn a_session_ends_after_a_day_unused_and_after_two_weeks() {
    let world = World::new().await;
    let token = world.sign_in("alice").await;
    let (idle, busy) = (world.browser(&token).await, world.browser(&token).await);
    let hour = 3_600_000;
    for _ in 0..14 {
        world.platform.advance(23 * hour);
        assert!(is_known(&world, &busy).await);
    }
    assert!(!is_known(&world, &idle).await);
    world.platform.advance(14 * hour);
    assert!(!is_known(&world, &busy).await, "after two weeks");
    world.maintain().await;
    assert_eq!(world.count("SELECT COUNT(*) AS n FROM browser_sessions").await, 0);
    world.platform.advance(24 * hour);
    world.maintain().await;
    assert_eq!(world.count("SELECT COUNT(*) AS n FROM hand_overs").await, 0);
}

#[tokio::test]
async fn a_person_ends_browsers_of_their_own() {
    let world = World::new().await;
    let token = world.sign_in("alice").await;
    let (here, there) = (world.browser(&token).await, world.browser(&token).await);
    let bob = world.browser(&world.sign_in("bob").await).await;
    let page = world.page(&here, "/account").await;
    assert!(page.text.contains("192.0.2.0"), "an address is shown truncated: {}", page.text);
    let (form, id) = (field(&page, "token"), field(&page, "session"));
    let bobs = field(&world.page(&bob, "/account").await, "token");
    let end = [("token", bobs.as_str()), ("session", id.as_str())];
    assert_eq!(world.post(&bob, "/account/end", &end).await.status, 303);
    assert!(is_known(&world, &there).await, "bob ended nothing of hers");
    assert_eq!(world.post(&here, "/account/end", &[("session", &id)]).await.status, 400, "without the form's token");
    location(&world.post(&here, "/account/end", &[("token", &form), ("session", &id)]).await);
    assert!(!is_known(&world, &there).await && is_known(&world, &here).await);
    let out = world.post(&here, "/account/end", &[("token", &form)]).await;
    assert!(out.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    assert!(!is_known(&world, &here).await);
}

#[tokio::test]
async fn no_handle_cookie_or_code_is_ever_logged() {
    let world = World::new().await;
    let token = world.sign_in("alice").await;
    let url = handle(&world, &token, "/account").await;
    let secret = url.split("handle=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let cookie = cookie(&world.go_on(&url).await);
    let code = world.code(&cookie).await;
    world.redeem(&code).await;
    world.redeem(&code).await;
    let secrets = [secret.as_str(), cookie.split_once('=').unwrap().1, &code, super::VERIFIER, &token];
    for line in world.platform.log_lines() {
        assert!(secrets.iter().all(|secret| !line.contains(secret)), "{line}");
    }
}
