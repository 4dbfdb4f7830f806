//! The authorization code grant, from the app's link to its tokens.

use super::{ISSUER, World, authorize, location, parameter, text};
use serde_json::json;

#[tokio::test]
async fn a_code_lets_an_app_in() {
    let world = World::new().await;
    let cookie = world.browser(&world.sign_in("alice").await).await;
    let answer = world.authorize(&cookie, "storage:read").await;
    assert!(location(&answer).starts_with("https://app.example/back?x=1&code=auth_"), "{answer:?}");
    assert_eq!((parameter(&answer, "state"), parameter(&answer, "iss")), ("a state & more".into(), ISSUER.into()));
    let issued = world.redeem(&parameter(&answer, "code")).await;
    assert_eq!(issued.status, 200, "{issued:?}");
    assert_eq!((text(&issued, "scope"), text(&issued, "user_id")), ("storage:read".into(), "@alice:hs".into()));
    assert!(issued.body.get("delegated_session").is_none());
    assert!(world.is_active(&text(&issued, "access_token")).await);
    assert_eq!(world.refresh(&text(&issued, "refresh_token")).await.status, 200);
}

#[tokio::test]
async fn a_second_use_of_a_code_ends_what_the_first_one_gave() {
    let world = World::new().await;
    let cookie = world.browser(&world.sign_in("alice").await).await;
    let code = world.code(&cookie).await;
    let issued = world.redeem(&code).await;
    let other = world.redeem(&world.code(&cookie).await).await;
    let again = world.redeem(&code).await;
    assert_eq!((again.status, again.code()), (400, "invalid_grant"));
    assert!(!world.is_active(&text(&issued, "access_token")).await);
    assert_eq!(world.refresh(&text(&issued, "refresh_token")).await.code(), "invalid_grant");
    assert!(world.is_active(&text(&other, "access_token")).await, "another session lives on");
}

#[tokio::test]
async fn of_many_uses_at_once_one_is_granted() {
    let world = World::new().await;
    let cookie = world.browser(&world.sign_in("alice").await).await;
    for _ in 0..5 {
        let code = world.code(&cookie).await;
        let uses: Vec<_> = (0..8)
            .map(|_| {
                tokio::spawn({
                    let (world, code) = (world.clone(), code.clone());
                    async move { world.redeem(&code).await.status }
                })
            })
            .collect();
        let mut granted = 0;
        for one in uses {
            granted += usize::from(one.await.unwrap() == 200);
        }
        assert!(granted <= 1, "{granted} uses of one code were granted");
    }
    assert_eq!(world.count("SELECT COUNT(*) AS n FROM refresh_families WHERE ended_at IS NULL").await, 0);
}

#[tokio::test]
async fn a_code_is_one_clients_for_one_address_one_verifier_and_one_minute() {
    let world = World::new().await;
    let cookie = world.browser(&world.sign_in("alice").await).await;
    let long = "a".repeat(129);
    for other in [
        ("client_id", "ma_o"),
        ("redirect_uri", "http://127.0.0.1:9/back"),
        ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl"),
        ("code_verifier", "short"),
        ("code_verifier", long.as_str()),
        ("code", "auth_unknown"),
    ] {
        let code = world.code(&cookie).await;
        let refused = world.redeem_with(&code, &[other]).await;
        assert_eq!((refused.status, refused.code()), (400, "invalid_grant"), "{other:?} {refused:?}");
        // A wrong try uses nothing up.
        assert_eq!(world.redeem(&code).await.status, 200, "{other:?}");
    }
    for missing in ["code", "redirect_uri", "code_verifier"] {
        let answer = world.redeem_with("x", &[(missing, "")]).await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_request"), "{missing}");
    }
    let code = world.code(&cookie).await;
    world.platform.advance(60_000);
    assert_eq!(world.redeem(&code).await.code(), "invalid_grant", "after a minute");
}

#[tokio::test]
async fn what_a_code_was_granted_on_may_be_gone_when_it_is_used() {
    let world = World::new().await;
    let token = world.sign_in("alice").await;
    let cookie = world.browser(&token).await;
    let code = world.code(&cookie).await;
    assert_eq!(world.account.json("POST", "/api/v1/auth/logout", &token, json!(null)).await.status, 204);
    assert_eq!(world.redeem(&code).await.code(), "invalid_grant");
    assert_eq!(world.count("SELECT COUNT(*) AS n FROM refresh_families WHERE ended_at IS NULL").await, 0);
}

#[tokio::test]
async fn nobody_is_redirected_to_an_address_that_is_not_the_clients() {
    let world = World::new().await;
    let cookie = world.browser(&world.sign_in("alice").await).await;
    for (name, value) in [
        ("client_id", None),
        ("client_id", Some("nobody")),
        ("client_id", Some("' OR 1=1")),
        ("redirect_uri", None),
        ("redirect_uri", Some("https://evil.example/")),
        ("redirect_uri", Some("https://app.example/back")),
    ] {
        for cookie in [cookie.as_str(), ""] {
            let answer = world.page(cookie, &authorize(&[(name, value)])).await;
            assert_eq!(answer.status, 400, "{name} {value:?} {answer:?}");
            assert!(!answer.headers.contains_key("location") && answer.text.contains("<h1>"), "{answer:?}");
        }
    }
    let twice = format!("{}&client_id=ma_o", authorize(&[]));
    assert_eq!(world.page(&cookie, &twice).await.status, 400);
}

#[tokio::test]
async fn every_other_mistake_goes_back_to_the_app_before_anybody_signs_in() {
    let world = World::new().await;
    for (name, value, error) in [
        ("response_type", Some("token"), "unsupported_response_type"),
        ("code_challenge", None, "invalid_request"),
        ("code_challenge_method", Some("plain"), "invalid_request"),
        ("scope", Some("root"), "invalid_scope"),
        ("scope", Some("messaging:send"), "invalid_scope"),
        ("scope", Some("wallet:admin"), "invalid_scope"),
        ("client_id", Some("ma_c"), "unauthorized_client"),
    ] {
        let answer = world.page("", &authorize(&[(name, value)])).await;
        assert_eq!((parameter(&answer, "error"), parameter(&answer, "iss")), (error.into(), ISSUER.into()), "{name} {value:?}");
        assert_eq!(parameter(&answer, "state"), "a state & more");
    }
    let without = world.page("", &authorize(&[("state", None)])).await;
    assert_eq!(parameter(&without, "error"), "invalid_request");
}

#[tokio::test]
async fn a_grant_is_for_clients_that_are_registered_for_it() {
    let world = World::new().await;
    let exchange = world.auth.form("/oauth2/token", "grant_type=authorization_code&client_id=ma_c&code=x").await;
    assert_eq!((exchange.status, exchange.code()), (400, "unauthorized_client"));
    let unknown = world.auth.form("/oauth2/token", "grant_type=password&client_id=ma_c").await;
    assert_eq!(unknown.code(), "unsupported_grant_type");
}

#[tokio::test]
async fn a_library_learns_what_it_needs() {
    let world = World::new().await;
    let answer = world.auth.json("GET", "/.well-known/oauth-authorization-server", "", json!(null)).await;
    assert_eq!(answer.body["issuer"], ISSUER);
    assert_eq!(answer.body["authorization_endpoint"], format!("{ISSUER}/oauth2/authorize"));
    assert_eq!(answer.body["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(answer.body["authorization_response_iss_parameter_supported"], json!(true));
}
