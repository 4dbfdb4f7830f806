//! Suspending a person and lifting it, over HTTP: every function says so from the next request on.

use serde_json::json;
use tmcp_e2e::{Answer, Ask, World};

async fn admin(world: &World, what: &str, body: serde_json::Value) -> Answer {
    let path = format!("/api/v1/admin/users/{what}");
    world.post(&path).bearer_auth(&world.up.admin_token).json(&body).ask().await
}

#[tokio::test]
async fn a_suspended_person_waits_on_every_function_and_goes_on_when_it_is_lifted() {
    let world = World::new();
    let (person, app) = (world.person().await, world.app().await);
    let session = world.session(&app, &person).await;
    let ask = async || {
        let info = world.get("/api/v1/storage-info").bearer_auth(&session.access).ask().await;
        let hand_over = world.post("/api/v1/auth/browser").bearer_auth(&person.token).json(&json!({})).ask().await;
        [info, hand_over, world.exchange(&app, &person.token, None).await]
    };
    for answer in ask().await {
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    let body = json!({"user": person.matrix.user_id, "reason": "spam", "appeal_url": "https://appeal.example/"});
    let said = admin(&world, "suspend", body).await;
    assert_eq!(said.status, 200, "{}", said.text);
    for answer in ask().await {
        assert_eq!(answer.status, 403, "{}", answer.text);
        assert!(answer.text.contains("spam") && answer.text.contains("https://appeal.example/"), "{}", answer.text);
    }
    assert_eq!(world.refresh(&app, &session.refresh).await.status, 403);
    let body = json!({"matrix_user_id": person.matrix.user_id, "access_token": person.matrix.access_token});
    let again = world.post("/api/v1/auth/matrix").json(&body).ask().await;
    assert_eq!((again.status, again.json()["error"]["code"].as_str()), (403, Some("ACCOUNT_SUSPENDED")), "{}", again.text);
    assert_eq!(admin(&world, "lift", json!({"user": person.matrix.user_id})).await.status, 200);
    for answer in ask().await {
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
}
