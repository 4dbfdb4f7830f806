//! POST /oauth2/token, the refresh grant: rotation, races, and what reuse costs (RFC 9700 section 4.14.2).

use serde_json::json;
use std::time::Duration;
use tmcp_e2e::{Answer, App, Session, World, at_once, claims_of, unique};

async fn begin(world: &World) -> (App, Session) {
    let (person, app) = (world.person().await, world.app().await);
    let session = world.session(&app, &person).await;
    (app, session)
}

async fn rotate(world: &World, app: &App, session: &Session) -> Session {
    Session::of(&world.refresh(app, &session.refresh).await)
}

fn is_invalid(answer: &Answer) {
    assert_eq!(answer.is_oauth_error(400, "invalid_grant")["error_description"], "the refresh token does not hold");
}

#[tokio::test]
async fn a_refresh_gives_a_new_pair_of_the_same_session() {
    let world = World::new();
    let (app, first) = begin(&world).await;
    let answer = world.refresh(&app, &first.refresh).await;
    let (body, second) = (answer.ok(), Session::of(&answer));
    assert_eq!(
        (&body["token_type"], &body["expires_in"], &body["scope"]),
        (&json!("Bearer"), &json!(3600), &json!("storage:read storage:write"))
    );
    assert!(body["user_id"].is_string() && body["wallet_id"].is_string() && body.get("delegated_session").is_none(), "{body}");
    assert!(first.refresh != second.refresh && first.access != second.access && second.refresh.len() > 40);
    let (old, new) = (claims_of(&first.access), claims_of(&second.access));
    for same in ["sub", "uid", "aud", "azp", "client_id", "session_id", "scope", "wallet_id"] {
        assert_eq!(old[same], new[same], "{same}");
    }
    assert_ne!(old["jti"], new["jti"]);
    world.probe(&second.access).await.ok();
    // An access token lives its hour; rotation is about the refresh token.
    world.probe(&first.access).await.ok();
    rotate(&world, &app, &second).await;
}

#[tokio::test]
async fn a_second_use_at_once_is_refused_and_the_family_lives() {
    let world = World::new();
    let (app, first) = begin(&world).await;
    let second = rotate(&world, &app, &first).await;
    is_invalid(&world.refresh(&app, &first.refresh).await);
    is_invalid(&world.refresh(&app, &first.refresh).await);
    world.probe(&second.access).await.ok();
    let third = rotate(&world, &app, &second).await;
    world.probe(&third.access).await.ok();
}

#[tokio::test]
async fn of_parallel_refreshes_one_succeeds_and_the_family_lives() {
    let world = World::new();
    for width in [2, 2, 2, 10] {
        let (app, session) = begin(&world).await;
        let answers = at_once(
            width,
            (0..width).map(|_| {
                let (world, app, token) = (world.clone(), app.clone(), session.refresh.clone());
                async move { world.refresh(&app, &token).await }
            }),
        );
        let (won, lost): (Vec<_>, Vec<_>) = answers.await.into_iter().partition(|answer| answer.status == 200);
        assert_eq!(won.len(), 1, "of {width}");
        lost.iter().for_each(is_invalid);
        let winner = Session::of(&won[0]);
        world.probe(&winner.access).await.ok();
        world.probe(&rotate(&world, &app, &winner).await.access).await.ok();
    }
}

#[tokio::test]
async fn reuse_after_the_successor_was_used_ends_the_family_and_its_access_tokens() {
    let world = World::new();
    let (person, app) = (world.person().await, world.app().await);
    let bystander = world.session(&app, &person).await;
    let first = world.session(&app, &person).await;
    let second = rotate(&world, &app, &first).await;
    let third = rotate(&world, &app, &second).await;
    is_invalid(&world.refresh(&app, &first.refresh).await);
    for token in [&first, &second, &third] {
        world.probe(&token.access).await.is_refused(401, "INVALID_TOKEN");
        is_invalid(&world.refresh(&app, &token.refresh).await);
    }
    // Another session of the same person in the same app is not concerned.
    world.probe(&bystander.access).await.ok();
    rotate(&world, &app, &bystander).await;
}

#[tokio::test]
async fn a_second_use_after_ten_seconds_ends_the_family() {
    let world = World::new();
    let (app, first) = begin(&world).await;
    let second = rotate(&world, &app, &first).await;
    tokio::time::sleep(Duration::from_millis(10_500)).await;
    world.probe(&second.access).await.ok();
    is_invalid(&world.refresh(&app, &first.refresh).await);
    world.probe(&second.access).await.is_refused(401, "INVALID_TOKEN");
    is_invalid(&world.refresh(&app, &second.refresh).await);
}

#[tokio::test]
async fn a_refresh_token_is_its_clients_own() {
    let world = World::new();
    let (app, session) = begin(&world).await;
    let (other, backend) = (world.app().await, world.backend_of(&app).await);
    is_invalid(&world.refresh(&other, &session.refresh).await);
    is_invalid(&world.refresh(&backend, &session.refresh).await);
    let nobody = App { client_id: unique("ma_unknown"), ..app.clone() };
    world.refresh(&nobody, &session.refresh).await.is_oauth_error(401, "invalid_client");
    // It was not used up by that.
    rotate(&world, &app, &session).await;
}

#[tokio::test]
async fn a_confidential_client_proves_itself_at_every_refresh() {
    let world = World::new();
    let (person, app) = (world.person().await, world.app().await);
    let backend = world.backend_of(&app).await;
    let session = world.session(&backend, &person).await;
    let bare = App { secret: None, ..backend.clone() };
    let wrong = App { secret: Some("x".repeat(40)), ..backend.clone() };
    world.refresh(&bare, &session.refresh).await.is_oauth_error(401, "invalid_client");
    world.refresh(&wrong, &session.refresh).await.is_oauth_error(401, "invalid_client");
    rotate(&world, &backend, &session).await;
}

#[tokio::test]
async fn a_refresh_asks_for_less_but_never_for_more() {
    let world = World::new();
    let (person, app) = (world.person().await, world.app().await);
    let session = Session::of(&world.exchange(&app, &person.token, Some("storage:read")).await);
    let ask = |scope: &'static str, token: String| {
        let (world, app) = (world.clone(), app.clone());
        async move {
            world
                .form("/oauth2/token", &app, &[("grant_type", "refresh_token"), ("refresh_token", &token), ("scope", scope)])
                .await
        }
    };
    for more in ["storage:write", "storage:read storage:write", "wallet:balance", "root"] {
        ask(more, session.refresh.clone()).await.is_oauth_error(400, "invalid_scope");
    }
    assert_eq!(ask("storage:read", session.refresh.clone()).await.ok()["scope"], "storage:read");
}

#[tokio::test]
async fn what_is_no_refresh_token_is_refused() {
    let world = World::new();
    let (app, session) = begin(&world).await;
    let tampered = format!("{}x", session.refresh);
    for token in ["rt_", "rt_made_up", "nonsense", &tampered, &session.access] {
        is_invalid(&world.refresh(&app, token).await);
    }
    let missing = world.form("/oauth2/token", &app, &[("grant_type", "refresh_token")]).await;
    assert!(missing.is_oauth_error(400, "invalid_request")["error_description"].as_str().unwrap().contains("refresh_token"));
}
