//! Official apps: what they have without asking, and tokens that may do what no other may.

use serde_json::{Value, json};
use tmcp_e2e::{Ask, ClientSpec, World, claims_of};

const SCOPES: &[&str] = &["user:read", "storage:read", "storage:write", "wallet:admin"];

#[tokio::test]
async fn an_official_app_is_told_what_nobody_was_asked_about() {
    let world = World::new();
    let (person, app) = (world.person().await, world.app().await);
    let official = world.client(ClientSpec { official: true, scopes: SCOPES, ..ClientSpec::default() }).await;
    let body = world.exchange(&official, &person.token, Some("user:read storage:read")).await.ok();
    assert_eq!(body["preapproved_scopes"], json!(["user:read", "storage:read"]));
    assert_eq!((&body["privileged"], &body["privileged_until"]), (&json!(false), &Value::Null));
    assert!(body["refresh_token"].is_string());
    let refreshed = world.refresh(&official, body["refresh_token"].as_str().unwrap()).await.ok();
    assert_eq!(refreshed["preapproved_scopes"], body["preapproved_scopes"]);
    let usual = world.exchange(&app, &person.token, Some("storage:read")).await.ok();
    for name in ["preapproved_scopes", "privileged", "privileged_until"] {
        assert!(usual.get(name).is_none(), "{name}");
    }
}

#[tokio::test]
async fn a_privileged_token_is_agreed_to_lasts_a_day_and_every_use_is_noted() {
    let world = World::new();
    let person = world.person().await;
    let official = world.client(ClientSpec { official: true, scopes: SCOPES, ..ClientSpec::default() }).await;
    let scope = "storage:read wallet:admin";
    let path = world.asked(&official, &person.token, scope).await;
    world.answer(&person.token, &path, true).await.expect(204);
    let body = world.exchange(&official, &person.token, Some(scope)).await.ok();
    assert_eq!((&body["expires_in"], &body["privileged"]), (&json!(86_400), &json!(true)));
    assert_eq!(body["preapproved_scopes"], json!(["storage:read"]));
    assert!(body.get("refresh_token").is_none(), "nothing renews it");
    let token = body["access_token"].as_str().unwrap();
    let claims = claims_of(token);
    assert_eq!((&claims["privileged"], &claims["privileged_until"]), (&json!(true), &claims["exp"]));
    assert_eq!(body["privileged_until"], claims["exp"]);

    // Two that go through, and one that does not.
    world.probe(token).await.ok();
    world.probe(token).await.ok();
    world.get("/oauth2/userinfo").bearer_auth(token).ask().await.is_refused(403, "INSUFFICIENT_PERMISSIONS");
    let plain = world.exchange(&official, &person.token, Some("storage:read")).await.ok();
    world.probe(plain["access_token"].as_str().unwrap()).await.ok();
    let uses: Vec<_> = world.audit_log().await.into_iter().filter(|row| row.action == "privileged.use").collect();
    let ours = uses.iter().filter(|row| row.target.as_deref() == Some(official.app_id.as_str()));
    let told = ours.map(|row| {
        let detail: Value = serde_json::from_str(row.detail.as_deref().unwrap()).unwrap();
        assert_eq!((row.actor.as_deref(), &detail["jti"]), (Some(person.uid.as_str()), &claims["jti"]));
        format!("{} {}", row.outcome, detail["path"].as_str().unwrap())
    });
    let mut outcomes: Vec<String> = told.collect();
    outcomes.sort();
    assert_eq!(outcomes, ["ok /api/v1/storage-info", "ok /api/v1/storage-info", "refused /oauth2/userinfo"]);

    // Taken back, it is refused from the next request on.
    let back = json!({"miniapp_id": official.app_id, "scopes": ["wallet:admin"]});
    world.post("/api/v1/auth/revoke").bearer_auth(&person.token).json(&back).ask().await.ok();
    world.probe(token).await.is_refused(401, "INVALID_TOKEN");
    world.exchange(&official, &person.token, Some(scope)).await.is_oauth_error(403, "consent_required");
}
