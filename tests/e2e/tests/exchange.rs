//! POST /oauth2/token, the token exchange grant: who may turn what into a TEP.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tmcp_e2e::{App, Ask, ClientSpec, DemoClient, Session, World, claims_of, unique};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";

#[tokio::test]
async fn a_platform_token_becomes_a_tep() {
    let world = World::new();
    let (person, app) = (world.person().await, world.app().await);
    let answer = world.exchange(&app, &person.token, Some("storage:write storage:read")).await;
    let body = answer.ok();
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(3600)));
    assert_eq!((&body["scope"], &body["user_id"]), (&json!("storage:read storage:write"), &json!(person.matrix.user_id)));
    assert_eq!((&body["delegated_session"], &body["issued_token_type"]), (&json!(true), &json!(ACCESS)));
    assert!(body["wallet_id"].as_str().unwrap().starts_with("tw_"));
    assert!(body["refresh_token"].as_str().unwrap().starts_with("rt_"));
    assert_eq!((answer.header("cache-control"), answer.header("pragma")), ("no-store", ""));
    world.probe(&Session::of(&answer).access).await.ok();
}

#[tokio::test]
async fn a_matrix_access_token_becomes_a_tep_of_the_same_person() {
    let world = World::new();
    let (person, app) = (world.person().await, world.app().await);
    let token = person.matrix.access_token.as_str();
    let by_platform = claims_of(&world.session(&app, &person).await.access);
    let by_matrix = claims_of(&Session::of(&world.exchange(&app, token, None).await).access);
    assert_eq!((&by_platform["uid"], &by_platform["sub"]), (&by_matrix["uid"], &by_matrix["sub"]));
    // Without a list: what the app registered and nobody has to be asked about.
    assert_eq!(by_matrix["scope"], "storage:read storage:write");

    let claim = |id: &str| {
        [("grant_type", GRANT), ("subject_token", token), ("subject_token_type", ACCESS), ("matrix_user_id", id)]
            .map(|(n, v)| (n, v.to_owned()))
    };
    let send = |form: [(&'static str, String); 4]| {
        let (world, app) = (world.clone(), app.clone());
        async move { world.form("/oauth2/token", &app, &form.each_ref().map(|(n, v)| (*n, v.as_str()))).await }
    };
    send(claim(&person.matrix.user_id)).await.ok();
    send(claim(&world.up.users["alice"].user_id)).await.is_oauth_error(401, "invalid_grant");
    send(claim("nobody")).await.is_oauth_error(400, "invalid_request");
}

#[tokio::test]
async fn what_up_seeded_is_ready_for_use() {
    let world = World::new();
    let demo = |client: &DemoClient| App {
        client_id: client.client_id.clone(),
        app_id: world.up.demo_app.client_id.clone(),
        secret: client.client_secret.clone(),
    };
    let (app, backend) = (demo(&world.up.demo_app), demo(&world.up.demo_backend));
    assert!(backend.secret.is_some() && app.secret.is_none() && backend.client_id == format!("{}_backend", app.client_id));
    for user in ["alice", "bob"] {
        let user = &world.up.users[user];
        let person = World::signed_in(user.clone(), &world.sign_in(user).await.ok());
        let session = world.session(&app, &person).await;
        world.probe(&session.access).await.ok();
        let told = world.form("/oauth2/introspect", &backend, &[("token", &session.access)]).await.ok();
        assert_eq!((&told["active"], &told["sub"]), (&json!(true), &json!(user.user_id)));
    }
}

#[tokio::test]
async fn a_subject_token_that_does_not_hold_is_refused() {
    let world = World::new();
    let (person, app) = (world.person().await, world.app().await);
    let session = world.session(&app, &person).await;
    let gone = world.matrix_user().await;
    world.matrix_logout(&gone).await;
    let (guest, bot) = (world.guest().await, world.service_user().await);
    let ended = world.person().await;
    world.post("/api/v1/auth/logout").bearer_auth(&ended.token).ask().await.expect(204);
    let tampered = format!("{}x", person.token);
    let openid = world.openid_token(&person.matrix).await["access_token"].as_str().unwrap().to_owned();
    let cases = [
        ("a TEP", session.access.as_str()),
        ("a TEP without its prefix", session.access.trim_start_matches("tep.")),
        ("a refresh token", &session.refresh),
        ("a platform token that was changed", &tampered),
        ("a platform token after its logout", &ended.token),
        ("a Matrix token after its logout", &gone.access_token),
        ("a Matrix OpenID token", &openid),
        ("a guest's token", &guest.access_token),
        ("a bot's token", &bot.access_token),
        ("the Application Service's token", world.service_token()),
        ("the operator's token", &world.up.operator_token),
        ("nonsense", "nonsense"),
    ];
    for (name, token) in cases {
        let answer = world.exchange(&app, token, None).await;
        assert_eq!(answer.status, 401, "{name}: {}", answer.text);
        assert_eq!(answer.is_oauth_error(401, "invalid_grant")["error_description"], "the subject token does not hold", "{name}");
    }
}

#[tokio::test]
async fn a_client_must_be_known_and_prove_itself() {
    let world = World::new();
    let (person, app) = (world.person().await, world.app().await);
    let backend = world.backend_of(&app).await;
    let secret = backend.secret.clone().unwrap();
    let subject = [("grant_type", GRANT), ("subject_token", person.token.as_str()), ("subject_token_type", ACCESS)];
    let send = |basic: Option<String>, extra: Vec<(&'static str, String)>| {
        let mut form: Vec<(&str, String)> = subject.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        form.extend(extra);
        let mut request = world.post("/oauth2/token").form(&form);
        if let Some(pair) = basic {
            request = request.header("authorization", format!("Basic {}", STANDARD.encode(pair)));
        }
        request.ask()
    };
    let id = |id: &str| ("client_id", id.to_owned());
    let with = |secret: &str| ("client_secret", secret.to_owned());

    let by_post = send(None, vec![id(&backend.client_id), with(&secret)]).await;
    let claims = claims_of(&Session::of(&by_post).access);
    assert_eq!(
        (&claims["client_id"], &claims["aud"], &claims["azp"]),
        (&json!(backend.client_id), &json!(app.app_id), &json!(app.app_id))
    );
    send(Some(format!("{}:{secret}", backend.client_id)), vec![]).await.ok();
    send(Some(format!("{}:{secret}", backend.client_id)), vec![id(&backend.client_id)]).await.ok();

    let unknown = unique("ma_unknown");
    let refused = [
        ("unknown", None, vec![id(&unknown)]),
        ("not a client id", None, vec![id("ma_x' OR '1'='1")]),
        ("a wrong secret", None, vec![id(&backend.client_id), with(&format!("{secret}x"))]),
        (
            "another client's secret",
            None,
            vec![id(&backend.client_id), with(world.up.demo_backend.client_secret.as_deref().unwrap())],
        ),
        ("no secret", None, vec![id(&backend.client_id)]),
        ("a public client with a secret", None, vec![id(&app.client_id), with(&secret)]),
        ("a wrong secret by Basic", Some(format!("{}:wrong", backend.client_id)), vec![]),
        ("no secret by Basic", Some(backend.client_id.clone()), vec![]),
        ("unknown by Basic", Some(format!("{unknown}:{secret}")), vec![]),
    ];
    for (name, basic, form) in refused {
        let answer = send(basic, form).await;
        assert_eq!(answer.status, 401, "{name}: {}", answer.text);
        answer.is_oauth_error(401, "invalid_client");
        assert!(answer.header("www-authenticate").starts_with("Basic"), "{name}");
    }
    let twice = [
        send(Some(format!("{}:{secret}", backend.client_id)), vec![with(&secret)]).await,
        send(Some(format!("{}:{secret}", backend.client_id)), vec![id(&app.client_id)]).await,
        send(None, vec![]).await,
    ];
    twice.iter().for_each(|answer| drop(answer.is_oauth_error(400, "invalid_request")));
}

#[tokio::test]
async fn scopes_are_registered_automatic_or_a_matter_of_consent() {
    let world = World::new();
    let person = world.person().await;
    let app = world.app().await;
    let small = world.client(ClientSpec { scopes: &["storage:read"], ..ClientSpec::default() }).await;
    let official = world.client(ClientSpec { official: true, ..ClientSpec::default() }).await;

    for scope in [
        "storage:write",
        "storage:read storage:write",
        "wallet:balance",
        "root",
        "storage:*",
        "STORAGE:READ",
        "storage:read,storage:write",
    ] {
        world.exchange(&small, &person.token, Some(scope)).await.is_oauth_error(400, "invalid_scope");
    }
    assert_eq!(world.exchange(&small, &person.token, None).await.ok()["scope"], "storage:read");
    assert_eq!(
        world.exchange(&official, &person.token, Some("user:read storage:read")).await.ok()["scope"],
        "user:read storage:read"
    );

    for (asked, missing, approved) in [
        ("wallet:balance", json!(["wallet:balance"]), json!([])),
        ("storage:read wallet:balance", json!(["wallet:balance"]), json!(["storage:read"])),
        ("user:read", json!(["user:read"]), json!([])),
    ] {
        let body = world.exchange(&app, &person.token, Some(asked)).await.is_oauth_error(403, "consent_required");
        assert_eq!((&body["consent_required_scopes"], &body["pre_approved_scopes"]), (&missing, &approved), "{asked}");
        assert!(body["access_token"].is_null());
    }
}

#[tokio::test]
async fn parameters_are_there_once_and_right() {
    let world = World::new();
    let (person, app) = (world.person().await, world.app().await);
    let good = [
        ("grant_type", GRANT),
        ("client_id", app.client_id.as_str()),
        ("subject_token", person.token.as_str()),
        ("subject_token_type", ACCESS),
    ];
    world.post("/oauth2/token").form(&good).ask().await.ok();
    for (name, _) in good {
        let without: Vec<_> = good.into_iter().filter(|(other, _)| *other != name).collect();
        let empty: Vec<_> = good.into_iter().map(|(other, value)| (other, if other == name { "" } else { value })).collect();
        let twice: Vec<_> = good.into_iter().chain(good.into_iter().filter(|(other, _)| *other == name)).collect();
        for form in [without, empty, twice] {
            let body = world.post("/oauth2/token").form(&form).ask().await.is_oauth_error(400, "invalid_request");
            assert!(body["error_description"].as_str().unwrap().contains(name), "{body} does not name {name}");
        }
    }
    let deep = format!("{{\"a\":\"{}\"}}", "x".repeat(1100));
    let wrong = [
        ("grant_type", "password", "unsupported_grant_type"),
        ("grant_type", "client_credentials", "unauthorized_client"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token", "invalid_request"),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token", "invalid_request"),
        ("miniapp_context", "[]", "invalid_request"),
        ("miniapp_context", "{", "invalid_request"),
        ("miniapp_context", &deep, "invalid_request"),
    ];
    for (name, value, error) in wrong {
        let mut form: Vec<_> = good.into_iter().filter(|(other, _)| *other != name).collect();
        form.push((name, value));
        world.post("/oauth2/token").form(&form).ask().await.is_oauth_error(400, error);
    }
}

#[tokio::test]
async fn a_backend_gets_a_token_that_stands_for_nobody() {
    let world = World::new();
    let app = world.app().await;
    let (backend, other) = (world.backend_of(&app).await, world.backend_of(&world.app().await).await);
    let grant = [("grant_type", "client_credentials")];
    let issued = world.form("/oauth2/token", &backend, &grant).await.ok();
    let token = issued["access_token"].as_str().unwrap().to_owned();
    assert_eq!((&issued["token_type"], &issued["scope"], issued.get("refresh_token")), (&json!("Bearer"), &json!(""), None));
    let claims = claims_of(&token);
    assert_eq!((&claims["sub"], &claims["token_type"]), (&json!(backend.client_id), &json!("tep_client_token")));
    assert!(claims.get("uid").is_none() && claims.get("wallet_id").is_none(), "{claims}");
    let told = |client: App| {
        let (world, token) = (world.clone(), token.clone());
        async move { world.form("/oauth2/introspect", &client, &[("token", &token)]).await.ok() }
    };
    assert_eq!(told(backend.clone()).await["active"], json!(true));
    assert_eq!(told(other.clone()).await, json!({"active": false}));
    for path in ["/api/v1/storage-info", "/api/v1/storage"] {
        world.get(path).bearer_auth(&token).ask().await.is_refused(403, "INSUFFICIENT_PERMISSIONS");
    }
    world.post("/api/v1/auth/logout").bearer_auth(&token).ask().await.is_refused(403, "INSUFFICIENT_PERMISSIONS");
    world.exchange(&app, &token, None).await.is_oauth_error(401, "invalid_grant");
    world.form("/oauth2/token", &app, &grant).await.is_oauth_error(400, "unauthorized_client");
    world.form("/oauth2/token", &backend, &[grant[0], ("scope", "storage:read")]).await.is_oauth_error(400, "invalid_scope");
    world.form("/oauth2/revoke", &backend, &[("token", &token)]).await.ok();
    assert_eq!(told(backend.clone()).await, json!({"active": false}));
}
