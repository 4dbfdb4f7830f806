//! Sign-ins at providers, through the pipelines of broker, identity, account and auth, with providers that answer from a table.

use super::world::{Begun, DISCOVERY, FORGE_TOKEN, FORGE_USER, HS, KEYS, NONCE, TOKEN, World, cookie, discovery, native, signed};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use tmcp_protocol::routes::INTERNAL_MAINTAIN_BROKER;
use tmcp_testkit::dies;
use url::Url;

#[tokio::test]
async fn a_person_signs_in_at_an_openid_provider_and_is_the_same_the_next_time() {
    let world = World::new().await;
    let page = world.page("").await;
    assert!(
        page.contains("href=\"/sign-in/work?continue=%2Faccount\"") && page.contains("Sign in with Work &#60;W&#62;"),
        "{page}"
    );
    let begun = world.begin("work", "").await;
    assert!(begun.cookie.starts_with("__Host-tmcp_sign_in="));
    let asked =
        ["response_type", "client_id", "redirect_uri", "scope", "code_challenge_method"].map(|name| begun.parameter(name));
    let callback = "https://tmcp.example/sign-in/callback/work";
    assert_eq!(asked, ["code", "tmcp", callback, "openid profile email", "S256"]);
    let answer = world.sign_in(&json!({})).await;
    assert_eq!((answer.status, answer.headers["location"].to_str().unwrap()), (303, "/account"), "{answer:?}");
    assert!(answer.headers["set-cookie"].to_str().unwrap().contains("HttpOnly; SameSite=Lax"));
    let shown = world.page(&cookie(&answer)).await;
    assert!(shown.contains("carol") && shown.contains("Tester/1"), "{shown}");
    // The secret went in a header, form-encoded before it was joined, and the verifier meets the challenge.
    let redeemed = world.platform.recorded().seen().into_iter().rfind(|request| request.url == TOKEN).unwrap();
    let basic = ("authorization".to_owned(), "Basic dG1jcDphJTI2Yg==".to_owned());
    assert!(redeemed.headers.contains(&basic), "{redeemed:?}");
    world.sign_in(&json!({})).await;
    let users = world.rows("SELECT email, (SELECT display_name FROM profiles p WHERE p.uid = u.uid) AS name FROM users u").await;
    assert_eq!(users, [json!({"email": "carol@example.org", "name": "Carol"})]);
    let actions = world.rows("SELECT action FROM audit WHERE action LIKE 'sign_in%' ORDER BY action DESC").await;
    assert_eq!(actions, [json!({"action": "sign_in.keycloak.first"}), json!({"action": "sign_in.keycloak"})]);
    assert!(world.platform.recorded().seen().iter().all(|request| !request.url.contains("picture")));
    let lines = world.platform.log_lines().concat();
    assert!(!lines.contains("code=c") && !lines.contains("a&b"), "{lines}");
}

#[tokio::test]
async fn an_unverified_address_is_not_taken() {
    let world = World::new().await;
    for (sub, other) in [("1", json!(false)), ("2", json!(null)), ("3", json!("false")), ("4", json!(1))] {
        assert_eq!(world.sign_in(&json!({"sub": sub, "email_verified": other})).await.status, 303);
    }
    assert_eq!(world.rows("SELECT uid FROM users WHERE email IS NOT NULL").await.len(), 0);
}

#[tokio::test]
async fn the_verifier_meets_the_challenge() {
    let world = World::new().await;
    let begun = world.begin("forge", "").await;
    assert_eq!(begun.url.query_pairs().next().unwrap().1, "1", "the endpoint's own parameter stays");
    world.back("forge", &begun.cookie, &format!("code=c&state={}", begun.parameter("state"))).await;
    let redeemed = world.platform.recorded().seen().into_iter().rfind(|request| request.url == FORGE_TOKEN).unwrap();
    let body = String::from_utf8(redeemed.body.to_vec()).unwrap();
    let verifier = body.split('&').find_map(|pair| pair.strip_prefix("code_verifier=")).unwrap();
    assert_eq!(URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)), begun.parameter("code_challenge"));
}

/// Every way in which a provider's answer, or one that somebody made up, is not proof; what the audit log says of it.
#[tokio::test]
async fn what_proves_nothing_signs_nobody_in() {
    let good = json!({"alg": "RS256", "kid": "test-1"});
    let claims = [
        (json!({"iss": "https://evil.example"}), "another issuer"),
        (json!({"aud": "other"}), "somebody else"),
        (json!({"aud": ["tmcp", "other"]}), "another client"),
        (json!({"azp": "other"}), "another client"),
        (json!({"exp": 1}), "over"),
        (json!({"iat": 1}), "another time"),
        (json!({"nbf": 9_999_999_999_i64}), "future"),
        (json!({"nonce": "of another sign-in"}), "another sign-in"),
        (json!({"sub": ""}), "no sub"),
        (json!({"sub": 7}), "no sub"),
    ];
    let world = World::new().await;
    let mut reasons = Vec::new();
    for (other, reason) in claims {
        let answer = world.sign_in(&other).await;
        assert_eq!((answer.status, answer.headers.get("set-cookie")), (401, None), "{other}");
        reasons.push(reason);
    }
    let headers = [
        (json!({"alg": "none", "kid": "test-1"}), "another algorithm"),
        (json!({"alg": "HS256", "kid": "test-1"}), "another algorithm"),
        (json!({"alg": "RS256", "kid": "test-1", "crit": ["x"]}), "critical"),
        (json!({"alg": "RS256", "kid": "unknown"}), "no key"),
    ];
    for (header, reason) in headers {
        let begun = world.begin("work", "").await;
        world.answers(&signed(&header, &world.claims(&begun, &json!({}))));
        let answer = world.back("work", &begun.cookie, &format!("code=c&state={}", begun.parameter("state"))).await;
        assert_eq!(answer.status, 401, "{header}");
        reasons.push(reason);
    }
    let bodies = [
        (200, "changed", "wrong signature"),
        (200, "none", "no id token"),
        (400, "", "refused the code"),
        (401, "", "refused the code"),
    ];
    for (status, what, reason) in bodies {
        let begun = world.begin("work", "").await;
        let token = signed(&good, &world.claims(&begun, &json!({})));
        let changed = signed(&good, &world.claims(&begun, &json!({"sub": "f2"})));
        let mixed = [token.rsplit_once('.').unwrap().0, changed.rsplit_once('.').unwrap().1].join(".");
        let body = if what == "changed" { json!({ "id_token": mixed }) } else { json!({}) };
        world.platform.recorded().answer("POST", TOKEN, status, &body.to_string());
        let answer = world.back("work", &begun.cookie, &format!("code=c&state={}", begun.parameter("state"))).await;
        assert_eq!(answer.status, 401, "{what}");
        reasons.push(reason);
    }
    for (query, reason) in [
        ("state=S", "no code"),
        ("state=S&error=server_error", "did not work"),
        ("state=S&code=c&iss=https%3A%2F%2Fevil.example", "another issuer"),
    ] {
        let begun = world.begin("work", "").await;
        let answer = world.back("work", &begun.cookie, &query.replace('S', &begun.parameter("state"))).await;
        assert_eq!(answer.status, 401, "{query}");
        reasons.push(reason);
    }
    let mut told = world.rows("SELECT detail FROM audit WHERE action = 'sign_in.keycloak' AND outcome = 'refused'").await;
    for reason in reasons {
        let found = told.iter().position(|row| row["detail"].as_str().unwrap().contains(reason));
        told.remove(found.unwrap_or_else(|| panic!("{reason} is not in {told:?}")));
    }
    assert!(told.is_empty(), "{told:?}");
    assert_eq!(world.rows("SELECT uid FROM users").await.len() + world.rows("SELECT id FROM browser_sessions").await.len(), 0);
}

#[tokio::test]
async fn a_provider_that_names_itself_must_do_so_always() {
    let world = World::new().await;
    let says = discovery(&json!({"authorization_response_iss_parameter_supported": true}));
    world.platform.recorded().answer("GET", DISCOVERY, 200, &says);
    assert_eq!(world.sign_in(&json!({})).await.status, 401);
    let begun = world.begin("work", "").await;
    world.answers(&signed(&json!({"alg": "RS256", "kid": "test-1"}), &world.claims(&begun, &json!({}))));
    let query = format!("code=c&state={}&iss=https%3A%2F%2Fid.example%2Frealms%2Fw", begun.parameter("state"));
    assert_eq!(world.back("work", &begun.cookie, &query).await.status, 303);
}

#[tokio::test]
async fn a_sign_in_counts_once_in_its_own_browser_at_its_own_provider_for_ten_minutes() {
    let world = World::new().await;
    let begun = world.begin("work", "").await;
    let other = world.begin("work", "").await;
    let query = format!("code=c&state={}", begun.parameter("state"));
    world.answers(&signed(&json!({"alg": "RS256", "kid": "test-1"}), &world.claims(&begun, &json!({}))));
    for (provider, cookie) in
        [("work", ""), ("work", "__Host-tmcp_sign_in=x"), ("work", other.cookie.as_str()), ("forge", &begun.cookie)]
    {
        let answer = world.back(provider, cookie, &query).await;
        assert_eq!((answer.status, answer.headers.get("set-cookie")), (400, None), "{provider} {cookie}");
    }
    for bad in ["code=c", "code=c&state=", "code=c&state=x", &format!("{query}&state=y"), &format!("{query}&code=d")] {
        assert_eq!(world.back("work", &begun.cookie, bad).await.status, 400, "{bad}");
    }
    assert_eq!(world.back("work", &begun.cookie, &query).await.status, 303);
    assert_eq!(world.back("work", &begun.cookie, &query).await.status, 400, "a second time");
    let late = world.begin("work", "").await;
    world.platform.advance(600_000);
    let query = format!("code=c&state={}", late.parameter("state"));
    assert_eq!(world.back("work", &late.cookie, &query).await.status, 400, "after ten minutes");
    world.broker.internal(&INTERNAL_MAINTAIN_BROKER, json!({})).await;
    assert_eq!(world.rows("SELECT state FROM sign_ins").await.len(), 0);
}

#[tokio::test]
async fn two_tabs_sign_in_at_once() {
    let world = World::new().await;
    let first = world.begin("forge", "").await;
    let second = world.begin("work", &first.cookie).await;
    assert_eq!(first.cookie, second.cookie);
    for (provider, begun) in [("forge", &first), ("work", &second)] {
        if provider == "work" {
            world.answers(&signed(&json!({"alg": "RS256", "kid": "test-1"}), &world.claims(begun, &json!({}))));
        }
        let query = format!("code=c&state={}", begun.parameter("state"));
        assert_eq!(world.back(provider, &begun.cookie, &query).await.status, 303, "{provider}");
    }
}

#[tokio::test]
async fn a_browser_is_led_to_our_pages_alone_and_back_where_it_was() {
    let world = World::new().await;
    for to in ["https://evil.example/", "//evil.example", "/api/v1/storage", "/account%23x", "%2F%5Cevil.example"] {
        let answer = World::get(&world.broker, "", &format!("/sign-in/work?continue={to}")).await;
        assert_eq!(answer.status, 400, "{to}");
    }
    assert_eq!(World::get(&world.broker, "", "/sign-in/nobody").await.status, 404);
    let there = "https://forge.example/auth";
    for (site, to) in [("cross-site", "/account"), ("same-site", "/account"), ("same-origin", there), ("none", there)] {
        let request = http::Request::builder().uri("/sign-in/forge").header("sec-fetch-site", site);
        let answer = world.broker.send(request.body(Bytes::new()).unwrap()).await;
        assert!(answer.headers["location"].to_str().unwrap().starts_with(to), "{site}: {answer:?}");
    }
    let path = "/oauth2/authorize?client_id=ma_a&redirect_uri=https%3A%2F%2Fapp.example%2Fback&response_type=code&state=s\
        &scope=storage:read&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";
    let page = World::get(world.at(path), "", path).await;
    let link = page.text.split("href=\"/sign-in/forge").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let answer = World::get(&world.broker, "", &format!("/sign-in/forge{link}")).await;
    let begun = Begun { cookie: cookie(&answer), url: Url::parse(answer.headers["location"].to_str().unwrap()).unwrap() };
    let refused = world.back("forge", &begun.cookie, &format!("error=access_denied&state={}", begun.parameter("state"))).await;
    assert_eq!(
        (refused.status, refused.headers["location"].to_str().unwrap(), refused.headers.get("set-cookie")),
        (303, path, None)
    );
}

#[tokio::test]
async fn discovery_of_another_issuer_leads_nowhere() {
    let world = World::new().await;
    let documents = [
        discovery(&json!({"issuer": "https://evil.example"})),
        discovery(&json!({"token_endpoint": "http://id.example/token"})),
        discovery(&json!({"authorization_endpoint": "javascript:alert(1)"})),
        discovery(&json!({"jwks_uri": null})),
        "no JSON".to_owned(),
    ];
    for document in documents {
        world.platform.recorded().answer("GET", DISCOVERY, 200, &document);
        assert_eq!(World::get(&world.broker, "", "/sign-in/work").await.status, 503, "{document}");
        world.platform.advance(60_000);
    }
    world.platform.recorded().answer("GET", DISCOVERY, 200, &discovery(&json!({})));
    assert_eq!(World::get(&world.broker, "", "/sign-in/work").await.status, 303, "a minute after it was mended");
    // At another origin than the issuer's it names public places alone.
    let private = discovery(&json!({"token_endpoint": "https://10.0.0.5/token"}));
    world.platform.recorded().answer("GET", DISCOVERY, 200, &private);
    world.platform.recorded().answer("POST", "https://10.0.0.5/token", 200, "{}");
    world.platform.advance(3_600_001);
    assert_eq!(world.sign_in(&json!({})).await.status, 503);
    assert!(world.platform.recorded().seen().iter().all(|request| !request.url.contains("10.0.0.5")));
}

#[tokio::test]
async fn keys_are_asked_for_once_an_hour_and_anew_for_an_unknown_name_once_a_minute() {
    let world = World::new().await;
    let asked = |url: &str| world.platform.recorded().seen().iter().filter(|request| request.url == url).count();
    for _ in 0..3 {
        assert_eq!(world.sign_in(&json!({})).await.status, 303);
    }
    assert_eq!((asked(KEYS), asked(DISCOVERY)), (1, 1));
    let rotated = tmcp_testkit::public_ring().replace("test-1", "test-2");
    world.platform.recorded().answer("GET", KEYS, 200, &rotated);
    let by = async |kid: &str| {
        let begun = world.begin("work", "").await;
        world.answers(&signed(&json!({"alg": "RS256", "kid": kid}), &world.claims(&begun, &json!({}))));
        world.back("work", &begun.cookie, &format!("code=c&state={}", begun.parameter("state"))).await.status
    };
    assert_eq!((by("test-2").await, asked(KEYS)), (401, 1), "a minute has not passed");
    world.platform.advance(60_000);
    assert_eq!((by("test-2").await, asked(KEYS)), (303, 2));
    for _ in 0..3 {
        assert_eq!((by("made-up").await, asked(KEYS)), (401, 2));
    }
}

#[tokio::test]
async fn an_oauth_provider_names_people_by_what_never_changes() {
    let world = World::new().await;
    assert_eq!(world.forge().await.status, 303);
    world.platform.recorded().answer("GET", FORGE_USER, 200, r#"{"id":4711,"login":"another-name"}"#);
    assert_eq!(world.forge().await.status, 303);
    world.platform.recorded().answer("GET", FORGE_USER, 200, r#"{"id":4712,"login":"carol"}"#);
    assert_eq!(world.forge().await.status, 303);
    let rows = world.rows("SELECT external_id, kind, username FROM identities ORDER BY external_id").await;
    assert_eq!(rows[0], json!({"external_id": "4711", "kind": "oauth", "username": "carol"}));
    assert_eq!((rows.len(), world.rows("SELECT uid FROM users WHERE email IS NULL").await.len()), (2, 2));
    for document in ["{}", r#"{"id":null}"#, r#"{"id":1.5}"#, r#"{"id":-1}"#, r#"{"id":""}"#, r#"{"id":true}"#, "[]"] {
        world.platform.recorded().answer("GET", FORGE_USER, 200, document);
        assert_eq!(world.forge().await.status, 401, "{document}");
    }
    world.platform.recorded().answer("GET", FORGE_USER, 502, "");
    assert_eq!(world.forge().await.status, 503);
}

#[tokio::test]
async fn a_homeservers_sign_in_is_the_same_person_and_leaves_no_device() {
    let world = World::new().await;
    let recorded = world.platform.recorded();
    recorded.answer("POST", &format!("{HS}/login"), 200, r#"{"user_id":"@alice:hs","access_token":"syt","device_id":"D"}"#);
    recorded.answer("POST", &format!("{HS}/logout"), 200, "{}");
    recorded.answer("GET", &format!("{HS}/account/whoami"), 200, r#"{"user_id":"@alice:hs","device_id":"E"}"#);
    let begun = world.begin("hs", "").await;
    assert!(begun.url.as_str().starts_with(&format!("{HS}/login/sso/redirect?redirectUrl=")));
    let back = Url::parse(&begun.parameter("redirectUrl")).unwrap();
    assert_eq!((back.path(), back.query_pairs().count()), ("/sign-in/callback/hs", 1));
    let answer = world.back("hs", &begun.cookie, &format!("{}&loginToken=t", back.query().unwrap())).await;
    assert_eq!(answer.status, 303, "{answer:?}");
    assert!(world.page(&cookie(&answer)).await.contains("@alice:hs"));
    let out = recorded.seen().into_iter().find(|request| request.url.ends_with("/logout")).unwrap();
    assert!(out.headers.contains(&("authorization".to_owned(), "Bearer syt".to_owned())));
    let body = json!({"matrix_user_id": "@alice:hs", "access_token": "own"});
    let own = world.auth.json("POST", "/api/v1/auth/matrix", "", body).await;
    assert_eq!((own.status, world.rows("SELECT uid FROM users").await.len()), (200, 1), "{own:?}");
    // Another server's person, a service's, and a token that the homeserver does not take.
    for (status, user) in [(200, "@alice:evil"), (200, "@_tmcp_bot:hs"), (200, "nobody"), (403, "@alice:hs")] {
        let answer = json!({"user_id": user, "access_token": "syt"});
        recorded.answer("POST", &format!("{HS}/login"), status, &answer.to_string());
        let begun = world.begin("hs", "").await;
        let state = Url::parse(&begun.parameter("redirectUrl")).unwrap().query().unwrap().to_owned();
        assert_eq!(world.back("hs", &begun.cookie, &format!("{state}&loginToken=t")).await.status, 401, "{user}");
    }
}

#[tokio::test]
async fn of_many_first_sign_ins_of_one_identity_one_makes_the_user_and_two_identities_are_two() {
    let world = World::new().await;
    let tries: Vec<_> = (0..16)
        .map(|n| {
            let world = world.clone();
            tokio::spawn(async move {
                match n {
                    0 => world.sign_in(&json!({})).await.status,
                    _ => world.forge().await.status,
                }
            })
        })
        .collect();
    for one in tries {
        assert_eq!(one.await.unwrap(), 303);
    }
    assert_eq!(world.rows("SELECT uid FROM users").await.len(), 2);
    assert_eq!(world.rows("SELECT uid FROM profiles").await.len(), 2);
    assert_eq!(world.rows("SELECT id FROM audit WHERE action LIKE '%.first'").await.len(), 2);
}

#[tokio::test]
async fn a_new_session_replaces_the_browsers_own_and_nobody_elses() {
    let world = World::new().await;
    let (first, other) = (cookie(&world.forge().await), cookie(&world.forge().await));
    let begun = world.begin("work", "").await;
    world.answers(&signed(&json!({"alg": "RS256", "kid": "test-1"}), &world.claims(&begun, &json!({}))));
    let both = format!("{}; {first}", begun.cookie);
    let answer = world.back("work", &both, &format!("code=c&state={}", begun.parameter("state"))).await;
    assert_ne!(cookie(&answer), first);
    assert!(world.page(&first).await.contains("does not know you"));
    assert!(!world.page(&other).await.contains("does not know you"));
}

#[tokio::test]
async fn without_a_matrix_identity_no_app_gets_in() {
    let world = World::new().await;
    let session = cookie(&world.forge().await);
    let query = "client_id=ma_a&redirect_uri=https%3A%2F%2Fapp.example%2Fback&response_type=code&state=s&scope=storage:read\
        &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";
    let answer = World::get(&world.consent, &session, &format!("/oauth2/authorize?{query}")).await;
    assert!(
        answer.status == 403 && answer.text.contains("needs a Matrix identity") && answer.text.contains("carol (Forge)"),
        "{answer:?}"
    );
    let back = answer.text.split("class=\"button\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    assert!(back.starts_with("https://app.example/back?error=access_denied") && back.contains("state=s"), "{back}");
}

#[tokio::test]
async fn a_native_app_brings_a_code_itself() {
    let world = World::new().await;
    let sign_in = async |body: Json| world.auth.json("POST", "/api/v1/auth/oauth", "", body).await;
    let answer = sign_in(native(&world, "app.example:/back", NONCE)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let (user, token) = (&answer.body["user"], answer.body["access_token"].as_str().unwrap());
    assert_eq!((&user["matrix_user_id"], user["matrix_username"].as_str()), (&Json::Null, Some("Carol")));
    // It is a platform token: it hands over to a browser, and is exchanged for nothing.
    let handed = world.account.json("POST", "/api/v1/auth/browser", token, json!({})).await;
    let url = handed.body["url"].as_str().unwrap().strip_prefix("https://tmcp.example").unwrap().to_owned();
    let asked = World::get(&world.account, "", &url).await;
    assert!(asked.text.contains("You were sent here as <strong>Carol (Work &#60;W&#62;)</strong>"), "{}", asked.text);
    let form = format!(
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&client_id=ma_a&subject_token={token}\
        &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token&scope=storage:read"
    );
    let exchanged = world.auth.form("/oauth2/token", &form).await;
    assert_eq!((exchanged.status, exchanged.code()), (403, "matrix_identity_required"), "{exchanged:?}");
    let mut short = native(&world, "app.example:/back", NONCE);
    short["code_verifier"] = json!("v");
    for (body, status, code) in [
        (native(&world, "https://tmcp.example/sign-in/callback/work", NONCE), 401, "INVALID_CREDENTIALS"),
        (native(&world, "evil:/back", NONCE), 401, "INVALID_CREDENTIALS"),
        (native(&world, "app.example:/back", "another-nonce-of-many-letters"), 401, "INVALID_CREDENTIALS"),
        (json!({"provider": "nobody", "code": "c", "code_verifier": "v", "redirect_uri": "x", "nonce": "n"}), 404, "NOT_FOUND"),
        (short, 401, "INVALID_CREDENTIALS"),
        (json!({"provider": "work"}), 400, "INVALID_REQUEST"),
    ] {
        let answer = sign_in(body.clone()).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{body}: {answer:?}");
    }
}

/// Wherever it dies, the next sign-in works, and there is one user.
#[tokio::test]
async fn a_sign_in_that_dies_is_begun_again() {
    for step in 0.. {
        let world = World::new().await;
        let begun = world.begin("forge", "").await;
        world.platform.faults().die_at(Some(step));
        let query = format!("code=c&state={}", begun.parameter("state"));
        let died = dies(world.back("forge", &begun.cookie, &query)).is_none();
        world.platform.faults().die_at(None);
        assert_eq!(world.forge().await.status, 303, "step {step}");
        assert_eq!(world.rows("SELECT uid FROM users").await.len(), 1, "step {step}");
        assert_eq!(world.rows("SELECT uid FROM profiles").await.len(), 1, "step {step}");
        if !died {
            assert!(step > 5, "{step} steps");
            return;
        }
    }
}
