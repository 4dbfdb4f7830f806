//! GET /oauth2/userinfo: what a mini-app may know, by its scopes.

use serde_json::{Value, json};
use tmcp_e2e::{Ask, ClientSpec, Session, World};

async fn told(world: &World, session: &Session) -> Value {
    world.get("/oauth2/userinfo").bearer_auth(&session.access).ask().await.ok()
}

#[tokio::test]
async fn an_app_knows_what_its_scopes_allow() {
    let world = World::new();
    let scopes = &["user:read", "user:read:extended", "user:read:contacts", "storage:read"];
    let (person, app) = (world.person().await, world.client(ClientSpec { scopes, ..ClientSpec::default() }).await);
    let id = &person.matrix.user_id;
    let (local, server) = id.trim_start_matches('@').split_once(':').unwrap();
    let basic = told(&world, &world.agreed(&app, &person, "user:read").await).await;
    assert_eq!((&basic["sub"], &basic["preferred_username"]), (&json!(id), &json!(local)));
    let members: Vec<&String> = basic.as_object().unwrap().keys().collect();
    assert_eq!(members, ["name", "picture", "preferred_username", "sub"], "{basic}");
    let more = told(&world, &world.agreed(&app, &person, "user:read:extended user:read:contacts").await).await;
    assert_eq!((&more["sub"], &more["homeserver"]), (&json!(id), &json!(server)));
    assert_eq!(more["contacts_status"], "no_source_configured");
    assert!(more["updated_at"].as_i64().unwrap() > 1_700_000_000 && more.get("name").is_none(), "{more}");
}

#[tokio::test]
async fn nobody_else_is_told_anything() {
    let world = World::new();
    let (person, app) = (world.person().await, world.app().await);
    let session = world.session(&app, &person).await;
    let answer = world.get("/oauth2/userinfo").bearer_auth(&session.access).ask().await;
    answer.is_refused(403, "INSUFFICIENT_PERMISSIONS");
    let platform = world.get("/oauth2/userinfo").bearer_auth(&person.token).ask().await;
    platform.is_refused(403, "INSUFFICIENT_PERMISSIONS");
    let nobody = world.get("/oauth2/userinfo").ask().await;
    nobody.is_refused(401, "INVALID_TOKEN");
    assert!(nobody.header("www-authenticate").starts_with("Bearer"));
}
