//! POST /api/v1/auth/matrix against a real Synapse: both ways in, and every way that must not lead in.
//!
//! Not here: a homeserver that is down (503), which would disturb the tests beside it; identity's own tests have it.

use serde_json::{Value, json};
use tmcp_e2e::{Answer, World, at_once, claims_of};

#[tokio::test]
async fn an_access_token_signs_in_for_an_hour() {
    let world = World::new();
    let user = world.matrix_user().await;
    let answer = world.sign_in(&user).await;
    let body = answer.ok();
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(3600)));
    assert_eq!((&body["user"]["status"], &body["user"]["matrix_user_id"]), (&json!("active"), &json!(user.user_id)));
    let local = user.user_id.trim_start_matches('@').split(':').next().unwrap();
    assert_eq!(body["user"]["matrix_username"], local);
    assert_eq!(body["user"]["display_name"], local, "Synapse names new users after their id");
    assert_eq!(answer.header("cache-control"), "no-store");

    let claims = claims_of(body["access_token"].as_str().unwrap());
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!(world.up.base_url), &json!(world.up.base_url)));
    assert_eq!((&claims["sub"], &claims["matrix_user_id"]), (&body["user"]["id"], &json!(user.user_id)));
    assert_eq!((&claims["provider"], &claims["level"]), (&json!("matrix"), &json!("full")));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
    assert!(claims["auth_time"].is_i64() && claims["session_id"].is_string(), "{claims}");
}

#[tokio::test]
async fn an_openid_token_signs_in_the_same_person_at_a_lower_level() {
    let world = World::new();
    let user = world.matrix_user().await;
    let full = world.sign_in(&user).await.ok();
    let openid = world.sign_in_by_openid(&user).await.ok();
    assert_eq!(full["user"], openid["user"]);
    let claims = claims_of(openid["access_token"].as_str().unwrap());
    assert_eq!(claims["level"], "openid");
    assert_ne!(claims["session_id"], claims_of(full["access_token"].as_str().unwrap())["session_id"]);
}

#[tokio::test]
async fn a_session_by_openid_gets_low_scopes_only() {
    let world = World::new();
    let (user, app) = (world.matrix_user().await, world.app().await);
    let person = World::signed_in(user.clone(), &world.sign_in_by_openid(&user).await.ok());
    world.session(&app, &person).await;
    for scope in ["user:read:extended", "wallet:balance", "storage:read wallet:balance"] {
        let answer = world.exchange(&app, &person.token, Some(scope)).await;
        answer.is_oauth_error(403, "insufficient_user_authentication");
    }
    // By access token the same scopes are a matter of consent.
    let person = World::signed_in(user.clone(), &world.sign_in(&user).await.ok());
    world.exchange(&app, &person.token, Some("wallet:balance")).await.is_oauth_error(403, "consent_required");
}

#[tokio::test]
async fn credentials_that_prove_nothing_get_one_answer() {
    let world = World::new();
    let (alice, bob) = (world.matrix_user().await, world.matrix_user().await);
    let server = world.up.server_name.clone().unwrap();
    let (guest, bot) = (world.guest().await, world.service_user().await);
    let gone = world.matrix_user().await;
    world.matrix_logout(&gone).await;
    let (used, foreign, bobs) =
        (world.openid_token(&alice).await, world.openid_token(&alice).await, world.openid_token(&bob).await);
    world.sign_in_with(&json!({"matrix_user_id": alice.user_id, "openid_token": used})).await.ok();
    let mut elsewhere = foreign.clone();
    elsewhere["matrix_server_name"] = json!("matrix.example.org");

    let by_access = |id: &str, token: &str| json!({"matrix_user_id": id, "access_token": token});
    let by_openid = |id: &str, token: &Value| json!({"matrix_user_id": id, "openid_token": token});
    let openid = |token: &str| json!({"access_token": token, "matrix_server_name": server});
    let service = format!("@_tmcp:{server}");
    let cases = [
        ("alice's token with bob's id", by_access(&bob.user_id, &alice.access_token)),
        ("an id that nobody has", by_access(&format!("@nobody:{server}"), &alice.access_token)),
        ("another case of the same id", by_access(&alice.user_id.replace("@e2e", "@E2e"), &alice.access_token)),
        ("a token that was never one", by_access(&alice.user_id, "syt_made_up")),
        ("a token with a line break", by_access(&alice.user_id, "syt\r\nx-forged: 1")),
        ("a token with a control character", by_access(&alice.user_id, "syt\u{7f}")),
        ("a token that is no ASCII", by_access(&alice.user_id, "sýt")),
        ("an OpenID token that is no ASCII", by_openid(&alice.user_id, &openid("é"))),
        ("an empty token", by_access(&alice.user_id, "")),
        ("a token after its logout", by_access(&gone.user_id, &gone.access_token)),
        ("a foreign server", by_access("@alice:matrix.example.org", &alice.access_token)),
        ("the same server with a port", by_access(&format!("{}:8448", alice.user_id), &alice.access_token)),
        ("a guest", by_access(&guest.user_id, &guest.access_token)),
        ("a user of the Application Service", by_access(&bot.user_id, &bot.access_token)),
        ("the Application Service", by_access(&service, world.service_token())),
        ("the Application Service for alice", by_access(&alice.user_id, world.service_token())),
        ("an OpenID token twice", by_openid(&alice.user_id, &used)),
        ("bob's OpenID token", by_openid(&alice.user_id, &bobs)),
        ("an OpenID token of another server", by_openid(&alice.user_id, &elsewhere)),
        ("an OpenID token for a foreign id", by_openid("@alice:matrix.example.org", &elsewhere)),
        ("an OpenID token that was never one", by_openid(&alice.user_id, &openid("made up"))),
        ("an access token as an OpenID token", by_openid(&alice.user_id, &openid(&alice.access_token))),
        ("an OpenID token as an access token", by_access(&alice.user_id, foreign["access_token"].as_str().unwrap())),
    ];
    let mut answers: Vec<(&str, Answer)> = Vec::new();
    for (name, body) in cases {
        let answer = world.sign_in_with(&body).await;
        assert_eq!(answer.status, 401, "{name}: {}", answer.text);
        answer.is_refused(401, "invalid_matrix_credentials");
        answers.push((name, answer));
    }
    let names = |answer: &Answer| -> Vec<String> { answer.headers.keys().map(|name| name.as_str().to_owned()).collect() };
    let (_, first) = &answers[0];
    for (name, answer) in &answers {
        assert_eq!(answer.nameless(), first.nameless(), "{name}");
        assert_eq!(names(answer), names(first), "{name}");
    }
    // Being presented for somebody else did not use it up.
    world.sign_in_with(&by_openid(&bob.user_id, &bobs)).await.ok();
    world.sign_in(&alice).await.ok();
}

#[tokio::test]
async fn one_openid_token_presented_at_once_is_accepted_once() {
    let world = World::new();
    let user = world.matrix_user().await;
    let token = world.openid_token(&user).await;
    let answers = at_once(
        10,
        (0..10).map(|_| {
            let (world, body) = (world.clone(), json!({"matrix_user_id": user.user_id, "openid_token": token}));
            async move { world.sign_in_with(&body).await.status }
        }),
    );
    let mut statuses = answers.await;
    statuses.sort_unstable();
    assert_eq!(statuses, [[200].as_slice(), &[401; 9]].concat());
}

#[tokio::test]
async fn fifty_first_sign_ins_at_once_make_one_user() {
    let world = World::new();
    let user = world.matrix_user().await;
    let answers = at_once(
        50,
        (0..50).map(|_| {
            let (world, user) = (world.clone(), user.clone());
            async move { world.sign_in(&user).await.ok() }
        }),
    );
    let answers = answers.await;
    let first = &answers[0]["user"];
    assert!(answers.iter().all(|answer| answer["user"] == *first), "more than one user: {answers:?}");
    let wallets = answers.iter().map(|answer| claims_of(answer["access_token"].as_str().unwrap())["wallet_id"].clone());
    let mut wallets: Vec<String> = wallets.map(|wallet| wallet.to_string()).collect();
    wallets.dedup();
    assert_eq!(wallets.len(), 1);
}

#[tokio::test]
async fn malformed_sign_ins_are_told_what_is_wrong() {
    let world = World::new();
    let openid = json!({"access_token": "a", "matrix_server_name": "localhost"});
    let cases = [
        (json!({}), "matrix_user_id"),
        (json!({"matrix_user_id": "alice", "access_token": "a"}), "matrix_user_id"),
        (json!({"matrix_user_id": "@alice:local host", "access_token": "a"}), "matrix_user_id"),
        (json!({"matrix_user_id": "@alice:localhost/../x", "access_token": "a"}), "matrix_user_id"),
        (json!({"matrix_user_id": "@alice:localhost", "access_token": 5}), "access_token"),
        (json!({"matrix_user_id": "@alice:localhost"}), "access_token"),
        (json!({"matrix_user_id": "@alice:localhost", "access_token": "a", "openid_token": openid}), "openid_token"),
        (json!({"matrix_user_id": "@alice:localhost", "openid_token": {"access_token": "a"}}), "matrix_server_name"),
    ];
    for (body, field) in cases {
        let error = world.sign_in_with(&body).await.is_refused(400, "INVALID_REQUEST");
        assert!(error["message"].as_str().unwrap().contains(field), "{error} does not name {field}");
    }
}
