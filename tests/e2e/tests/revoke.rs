//! Revocation holds from the next request on, at every function: /oauth2/revoke, logout, introspection.

use serde_json::json;
use tmcp_e2e::{App, Ask, Session, World, at_once};

/// That nothing of a session works any more, at storage and at auth.
async fn is_over(world: &World, app: &App, session: &Session) {
    world.probe(&session.access).await.is_refused(401, "INVALID_TOKEN");
    world
        .request("PUT", "/api/v1/storage/k")
        .bearer_auth(&session.access)
        .json(&json!({"value": "v"}))
        .ask()
        .await
        .is_refused(401, "INVALID_TOKEN");
    world.refresh(app, &session.refresh).await.is_oauth_error(400, "invalid_grant");
}

async fn lives(world: &World, app: &App, session: &Session) {
    world.probe(&session.access).await.ok();
    world.refresh(app, &session.refresh).await.ok();
}

async fn logout(world: &World, token: &str) -> u16 {
    world.post("/api/v1/auth/logout").bearer_auth(token).ask().await.status
}

#[tokio::test]
async fn a_client_gives_back_either_token_and_the_session_is_over() {
    let world = World::new();
    let (person, app) = (world.person().await, world.app().await);
    let (by_access, by_refresh, other) =
        (world.session(&app, &person).await, world.session(&app, &person).await, world.session(&app, &person).await);
    for (session, token) in [(&by_access, &by_access.access), (&by_refresh, &by_refresh.refresh)] {
        world.probe(&session.access).await.ok();
        world.form("/oauth2/revoke", &app, &[("token", token)]).await.ok();
        is_over(&world, &app, session).await;
        // Again, it is no error (RFC 7009 section 2.2).
        world.form("/oauth2/revoke", &app, &[("token", token)]).await.ok();
    }
    lives(&world, &app, &other).await;
    assert_eq!(logout(&world, &person.token).await, 204, "the platform session is another matter");
}

#[tokio::test]
async fn giving_back_an_older_refresh_token_ends_its_family() {
    let world = World::new();
    let (person, app) = (world.person().await, world.app().await);
    let first = world.session(&app, &person).await;
    let second = Session::of(&world.refresh(&app, &first.refresh).await);
    world.form("/oauth2/revoke", &app, &[("token", &first.refresh), ("token_type_hint", "refresh_token")]).await.ok();
    is_over(&world, &app, &second).await;
}

#[tokio::test]
async fn nobody_gives_back_a_token_of_somebody_else() {
    let world = World::new();
    let (person, app) = (world.person().await, world.app().await);
    let (other, backend) = (world.app().await, world.backend_of(&app).await);
    let session = world.session(&app, &person).await;
    for client in [&other, &backend] {
        for token in [&session.access, &session.refresh] {
            world.form("/oauth2/revoke", client, &[("token", token)]).await.is_oauth_error(400, "unauthorized_client");
        }
    }
    let impostor = App { secret: Some("x".repeat(40)), ..backend.clone() };
    world.form("/oauth2/revoke", &impostor, &[("token", &session.access)]).await.is_oauth_error(401, "invalid_client");
    world.form("/oauth2/revoke", &app, &[]).await.is_oauth_error(400, "invalid_request");
    for nothing in ["nonsense", "rt_made_up", "tep.a.b.c", &person.token] {
        world.form("/oauth2/revoke", &app, &[("token", nothing)]).await.ok();
    }
    lives(&world, &app, &session).await;
    assert_eq!(logout(&world, &person.token).await, 204);
}

#[tokio::test]
async fn logout_ends_the_platform_token_and_everything_that_came_from_it() {
    let world = World::new();
    let person = world.person().await;
    let (app, other) = (world.app().await, world.app().await);
    let elsewhere = World::signed_in(person.matrix.clone(), &world.sign_in(&person.matrix).await.ok());
    let (a, b) = (world.session(&app, &person).await, world.session(&other, &person).await);
    let rotated = Session::of(&world.refresh(&app, &a.refresh).await);
    let survivor = world.session(&app, &elsewhere).await;

    assert_eq!(logout(&world, &person.token).await, 204);
    assert_eq!(logout(&world, &person.token).await, 401);
    world.exchange(&app, &person.token, None).await.is_oauth_error(401, "invalid_grant");
    is_over(&world, &app, &a).await;
    is_over(&world, &app, &rotated).await;
    is_over(&world, &other, &b).await;
    // The same person's other sign-in goes on.
    lives(&world, &app, &survivor).await;
    assert_eq!(logout(&world, &elsewhere.token).await, 204);
}

#[tokio::test]
async fn an_exchange_that_races_a_logout_leaves_nothing_behind() {
    let world = World::new();
    let app = world.app().await;
    for _ in 0..5 {
        let person = world.person().await;
        let exchanges = (0..6).map(|n| {
            let (world, app, token) = (world.clone(), app.clone(), person.token.clone());
            async move {
                if n == 3 {
                    assert_eq!(logout(&world, &token).await, 204);
                    return None;
                }
                Some(world.exchange(&app, &token, None).await)
            }
        });
        for answer in at_once(6, exchanges).await.into_iter().flatten() {
            if answer.status == 200 {
                is_over(&world, &app, &Session::of(&answer)).await;
            } else {
                answer.is_oauth_error(401, "invalid_grant");
            }
        }
    }
}

#[tokio::test]
async fn a_confidential_client_learns_about_its_own_apps_tokens_alone() {
    let world = World::new();
    let (person, app) = (world.person().await, world.app().await);
    let (backend, stranger) = (world.backend_of(&app).await, world.backend_of(&world.app().await).await);
    let session = world.session(&app, &person).await;
    let ask = |client: &App, token: &str| {
        let (world, client, token) = (world.clone(), client.clone(), token.to_owned());
        async move { world.form("/oauth2/introspect", &client, &[("token", &token)]).await.ok() }
    };

    let tep = ask(&backend, &session.access).await;
    assert_eq!((&tep["active"], &tep["client_id"], &tep["aud"]), (&json!(true), &json!(app.client_id), &json!(app.app_id)));
    assert_eq!((&tep["sub"], &tep["scope"]), (&json!(person.matrix.user_id), &json!("storage:read storage:write")));
    assert!(tep["exp"].is_i64());
    let refresh = ask(&backend, &session.refresh).await;
    assert_eq!((&refresh["active"], &refresh["aud"]), (&json!(true), &json!(app.app_id)));

    let inactive = json!({"active": false});
    assert_eq!(ask(&stranger, &session.access).await, inactive, "another app's TEP");
    assert_eq!(ask(&stranger, &session.refresh).await, inactive, "another app's refresh token");
    for token in [&person.token, &person.matrix.access_token, "nonsense", "rt_made_up", &format!("{}x", session.access)] {
        assert_eq!(ask(&backend, token).await, inactive, "not a token of the app");
    }
    world.form("/oauth2/introspect", &app, &[("token", &session.access)]).await.is_oauth_error(401, "invalid_client");
    let impostor = App { secret: Some("x".repeat(40)), ..backend.clone() };
    world.form("/oauth2/introspect", &impostor, &[("token", &session.access)]).await.is_oauth_error(401, "invalid_client");
    world.form("/oauth2/introspect", &backend, &[]).await.is_oauth_error(400, "invalid_request");

    let next = Session::of(&world.refresh(&app, &session.refresh).await);
    assert_eq!(ask(&backend, &session.refresh).await, inactive, "a refresh token that was used");
    world.form("/oauth2/revoke", &app, &[("token", &next.refresh)]).await.ok();
    for token in [&session.access, &next.access, &next.refresh] {
        assert_eq!(ask(&backend, token).await, inactive, "revoked");
    }
}
