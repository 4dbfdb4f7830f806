//! A homeserver that leaves sign-ins to an OAuth 2.0 server, both of which answer from a table.

use super::world::{Begun, MAS, World};
use serde_json::{Value as Json, json};
use tmcp_testkit::{Answer, dies};

const METADATA: &str = "http://two:8008/_matrix/client/v1/auth_metadata";
const WHOAMI: &str = "http://two:8008/_matrix/client/v3/account/whoami";
const TOKEN: &str = "https://mas.example/oauth2/token";
const REVOKE: &str = "https://mas.example/oauth2/revoke";

fn ready(world: &World, more: &Json) {
    let mut metadata = json!({
        "issuer": MAS, "authorization_endpoint": "https://mas.example/authorize", "token_endpoint": TOKEN,
        "revocation_endpoint": REVOKE, "authorization_response_iss_parameter_supported": true,
    });
    metadata.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let recorded = world.platform.recorded();
    recorded.answer("GET", METADATA, 200, &metadata.to_string());
    recorded.answer("POST", TOKEN, 200, r#"{"access_token":"mat_token","token_type":"Bearer","expires_in":300}"#);
    recorded.answer("POST", REVOKE, 200, "{}");
    recorded.answer("GET", WHOAMI, 200, r#"{"user_id":"@erin:two","device_id":"D"}"#);
}

async fn back(world: &World, begun: &Begun, iss: &str) -> Answer {
    let iss = iss.replace(':', "%3A").replace('/', "%2F");
    world.back("mas", &begun.cookie, &format!("code=c&state={}&iss={iss}", begun.parameter("state"))).await
}

fn taken_back(world: &World) -> usize {
    let seen = world.platform.recorded().seen();
    let is_ours = |body: &[u8]| String::from_utf8_lossy(body).contains("token=mat_token");
    seen.iter().filter(|request| request.url == REVOKE && is_ours(&request.body)).count()
}

#[tokio::test]
async fn a_person_signs_in_where_their_homeserver_says_and_no_token_is_kept() {
    let world = World::new().await;
    ready(&world, &json!({}));
    let begun = world.begin("mas", "").await;
    assert_eq!(begun.url.host_str(), Some("mas.example"));
    let scope = begun.parameter("scope");
    assert!(
        scope.starts_with("openid urn:matrix:org.matrix.msc2967.client:api:* urn:matrix:org.matrix.msc2967.client:device:"),
        "{scope}"
    );
    assert_eq!((begun.parameter("code_challenge_method").as_str(), begun.parameter("client_id").as_str()), ("S256", "tmcp"));
    let answer = back(&world, &begun, MAS).await;
    assert_eq!(answer.status, 303, "{answer:?}");
    assert_eq!(taken_back(&world), 1);
    let identities = world.rows("SELECT provider, external_id, kind FROM identities").await;
    assert_eq!(identities, [json!({"provider": "matrix:two", "external_id": "@erin:two", "kind": "matrix"})]);
    let asked = world.platform.recorded().seen().into_iter().find(|request| request.url == WHOAMI).unwrap();
    assert!(asked.headers.contains(&("authorization".to_owned(), "Bearer mat_token".to_owned())));
    assert!(!world.platform.log_lines().concat().contains("mat_token"));
    assert_eq!(world.rows("SELECT 1 AS n FROM provider_documents WHERE body LIKE '%mat_token%'").await.len(), 0);
}

#[tokio::test]
async fn what_proves_nothing_signs_nobody_in_and_the_token_goes_back_all_the_same() {
    // Another issuer's answer: the code goes nowhere.
    for iss in ["https://evil.example/", ""] {
        let world = World::new().await;
        ready(&world, &json!({}));
        let begun = world.begin("mas", "").await;
        assert_eq!(back(&world, &begun, iss).await.status, 401, "{iss}");
        assert!(world.platform.recorded().seen().iter().all(|request| request.url != TOKEN), "{iss}");
    }
    for whoami in [
        r#"{"user_id":"@erin:other","device_id":"D"}"#,
        r#"{"user_id":"@erin:two"}"#,
        r#"{"user_id":"@erin:two","device_id":"D","is_guest":true}"#,
        r#"{"user_id":"@_tmcp_x:two","device_id":"D"}"#,
    ] {
        let world = World::new().await;
        ready(&world, &json!({}));
        world.platform.recorded().answer("GET", WHOAMI, 200, whoami);
        let begun = world.begin("mas", "").await;
        assert_eq!((back(&world, &begun, MAS).await.status, taken_back(&world)), (401, 1), "{whoami}");
    }
    // The homeserver is out of order: no proof, and no token left behind.
    let world = World::new().await;
    ready(&world, &json!({}));
    world.platform.recorded().answer("GET", WHOAMI, 500, "");
    let begun = world.begin("mas", "").await;
    assert_eq!((back(&world, &begun, MAS).await.status, taken_back(&world)), (503, 1));
}

#[tokio::test]
async fn a_homeserver_that_names_another_issuer_leads_nobody_there() {
    for more in [
        json!({"issuer": "https://evil.example/"}),
        json!({"token_endpoint": "http://mas.example/token"}),
        json!({"issuer": null}),
    ] {
        let world = World::new().await;
        ready(&world, &more);
        let answer = World::get(&world.broker, "", "/sign-in/mas?continue=%2Faccount").await;
        assert_eq!(answer.status, 503, "{more}: {answer:?}");
    }
}

/// Wherever it dies, the next sign-in is theirs.
#[tokio::test]
async fn a_sign_in_that_dies_is_begun_again() {
    for step in 0.. {
        let world = World::new().await;
        ready(&world, &json!({}));
        let begun = world.begin("mas", "").await;
        world.platform.faults().die_at(Some(step));
        let died = dies(back(&world, &begun, MAS)).is_none();
        world.platform.faults().die_at(None);
        let begun = world.begin("mas", "").await;
        assert_eq!(back(&world, &begun, MAS).await.status, 303, "step {step}");
        assert_eq!(world.rows("SELECT uid FROM users").await.len(), 1, "step {step}");
        if !died {
            assert!(step > 5, "{step} steps");
            return;
        }
    }
}
