//! Taking one's data along, and leaving. That a person is erased in the end is shown by the browser's tests, whose server waits for
//! nobody to think it over.

use serde_json::{Value, json};
use tmcp_e2e::{Answer, Ask, Person, Storage, World};

async fn export(world: &World, person: &Person) -> Value {
    world.get("/api/v1/privacy/export").bearer_auth(&person.token).ask().await.ok()
}

async fn leave(world: &World, person: &Person) -> Answer {
    world.request("DELETE", "/api/v1/privacy/account").bearer_auth(&person.token).ask().await
}

#[tokio::test]
async fn a_person_takes_everything_along() {
    let world = World::new();
    let (person, app, other) = (world.person().await, world.app().await, world.app().await);
    world.agreed(&app, &person, "user:read").await;
    // More than one portion, of more than one app, and values that lie in pieces.
    let large: Vec<String> = (0..6).map(|n| format!("{n}{}", "é".repeat(500_000))).collect();
    let first = Storage::new(World::new(), world.session(&app, &person).await.access);
    for (n, value) in large.iter().enumerate() {
        first.put(&format!("large/{n}"), value).await.ok();
    }
    let second = Storage::new(World::new(), world.session(&other, &person).await.access);
    second.put("small \" key", "line\nbreak").await.ok();
    let document = export(&world, &person).await;
    assert_eq!(document["user_id"], json!(person.uid));
    let rows = document["storage"].as_array().unwrap();
    assert_eq!(rows.len(), 7);
    for (n, value) in large.iter().enumerate() {
        let key = format!("large/{n}");
        let row = rows.iter().find(|row| row["key"] == json!(key) && row["miniapp_id"] == json!(app.app_id)).unwrap();
        assert!(row["value"] == json!(value), "{key} came otherwise");
    }
    assert!(rows.iter().any(|row| row["key"] == "small \" key" && row["value"] == "line\nbreak"));
    let of = |what: &str| document["person"].as_array().unwrap().iter().find(|row| row["what"] == what).cloned().unwrap();
    assert_eq!(of("identity")["external_id"], json!(person.matrix.user_id));
    assert_eq!(of("profile")["profile"]["matrix_user_id"], json!(person.matrix.user_id));
    assert_eq!(document["consents"][0]["scope"], "user:read");
    assert_eq!(document["app_sessions"].as_array().unwrap().len(), 2);
    let text = document.to_string();
    for secret in [&person.token, &person.matrix.access_token] {
        assert!(!text.contains(secret.as_str()));
    }
    // What was decided, for the person's own eyes.
    world.post("/api/v1/auth/revoke").bearer_auth(&person.token).json(&json!({"miniapp_id": app.app_id})).ask().await.ok();
    let told = world.get("/api/v1/privacy/consents").bearer_auth(&person.token).ask().await.ok();
    assert_eq!(told["consents"], json!([]));
    let actions: Vec<&str> = told["history"].as_array().unwrap().iter().map(|row| row["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["consent.give", "consent.take_back"]);
    // It is theirs alone.
    let session = world.session(&app, &person).await;
    world.get("/api/v1/privacy/export").bearer_auth(&session.access).ask().await.is_refused(403, "INSUFFICIENT_PERMISSIONS");
    let nobody = export(&world, &world.person().await).await;
    assert_eq!((&nobody["storage"], &nobody["consents"], &nobody["app_sessions"]), (&json!([]), &json!([]), &json!([])));
}

#[tokio::test]
async fn who_leaves_is_signed_out_at_once_and_may_stay_until_their_day() {
    let world = World::new();
    let (person, app) = (world.person().await, world.app().await);
    let session = world.session(&app, &person).await;
    let storage = Storage::new(World::new(), session.access.clone());
    storage.put("key", "value").await.ok();
    let browser = world.browser(&person).await;
    let left = leave(&world, &person).await.expect(202);
    assert!(left["erased_at"].as_str().unwrap() > "2026", "{left}");
    leave(&world, &person).await.is_refused(401, "INVALID_TOKEN");
    storage.get("key").await.is_refused(401, "INVALID_TOKEN");
    world.refresh(&app, &session.refresh).await.is_oauth_error(400, "invalid_grant");
    assert!(!browser.is_signed_in().await);
    let credentials = json!({"matrix_user_id": person.matrix.user_id, "access_token": person.matrix.access_token});
    let refused = world.sign_in_with(&credentials).await.is_refused(403, "ACCOUNT_DELETION_PENDING");
    assert_eq!(refused["details"]["erased_at"], left["erased_at"]);
    let by_openid = world.sign_in_by_openid(&person.matrix).await;
    by_openid.is_refused(403, "ACCOUNT_DELETION_PENDING");
    // By OpenID token nobody decides that they stay.
    let weak = json!({"matrix_user_id": person.matrix.user_id, "openid_token": world.openid_token(&person.matrix).await, "cancel_deletion": true});
    world.sign_in_with(&weak).await.is_refused(403, "ACCOUNT_DELETION_PENDING");
    let mut stays = credentials.clone();
    stays["cancel_deletion"] = json!(true);
    let back = World::signed_in(person.matrix.clone(), &world.sign_in_with(&stays).await.ok());
    assert_eq!(back.uid, person.uid);
    world.sign_in_with(&credentials).await.ok();
    let storage = Storage::new(World::new(), world.session(&app, &back).await.access);
    assert_eq!(storage.value("key").await, "value", "nothing was lost");
}
