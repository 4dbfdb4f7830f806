//! GET /oauth2/authorize and the authorization code grant, from a browser.

use serde_json::json;
use tmcp_e2e::browser::{BACK, Browser, authorize, field, location, parameter};
use tmcp_e2e::{Ask, Session, World, at_once, claims_of};

#[tokio::test]
async fn a_person_lets_an_app_in() {
    let world = World::new();
    let (person, app) = (world.person().await, world.web_app().await);
    let nobody = world.nobodys_browser().authorize(&app, "storage:read user:read").await;
    assert!(nobody.status == 200 && nobody.text.contains("Sign in"), "{}", nobody.text);
    let browser = world.browser(&person).await;
    let page = browser.authorize(&app, "storage:read storage:write user:read wallet:balance").await;
    for shown in [&person.matrix.user_id, "how much is in your wallet", "your name, picture and Matrix address"] {
        assert!(page.text.contains(shown), "{shown} in {}", page.text);
    }
    let back = browser.agree(&page).await;
    assert!(location(&back).starts_with(&format!("{BACK}&code=auth_")), "{:?}", back.headers);
    assert_eq!((parameter(&back, "state"), parameter(&back, "iss")), ("a state & more".to_owned(), world.up.base_url.clone()));
    let answer = world.redeem(&app, &parameter(&back, "code")).await;
    let session = Session::of(&answer);
    assert_eq!(answer.ok()["scope"], "user:read wallet:balance storage:read storage:write");
    let claims = claims_of(&session.access);
    assert_eq!((&claims["uid"], &claims["sub"]), (&json!(person.uid), &json!(person.matrix.user_id)));
    assert_eq!((&claims["aud"], claims.get("delegated_from")), (&json!(app.app_id), None));
    world.probe(&session.access).await.ok();
    let next = Session::of(&world.refresh(&app, &session.refresh).await);
    world.probe(&next.access).await.ok();
    // The second time nobody is asked.
    assert!(location(&browser.authorize(&app, "wallet:balance").await).contains("code="));
}

#[tokio::test]
async fn a_refusal_goes_back_to_the_app() {
    let world = World::new();
    let (person, app) = (world.person().await, world.web_app().await);
    let browser = world.browser(&person).await;
    let page = browser.authorize(&app, "wallet:balance").await;
    let back = browser.decide(&page, "refuse").await;
    assert_eq!((parameter(&back, "error"), parameter(&back, "state")), ("access_denied".into(), "a state & more".into()));
    assert_eq!(browser.authorize(&app, "wallet:balance").await.status, 200);
}

#[tokio::test]
async fn a_code_is_used_once_however_many_try_at_once() {
    let world = World::new();
    let (person, app) = (world.person().await, world.web_app().await);
    let browser = world.browser(&person).await;
    for _ in 0..3 {
        let code = parameter(&browser.authorize(&app, "storage:read").await, "code");
        let tries = (0..12).map(|_| {
            let (world, app, code) = (world.clone(), app.clone(), code.clone());
            async move { world.redeem(&app, &code).await }
        });
        let answers = at_once(12, tries).await;
        let granted: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
        assert!(granted.len() <= 1, "{} of one code", granted.len());
        answers.iter().filter(|answer| answer.status != 200).for_each(|answer| drop(answer.is_oauth_error(400, "invalid_grant")));
        // A second use ends what the first gave.
        for answer in granted {
            let session = Session::of(answer);
            world.probe(&session.access).await.is_refused(401, "INVALID_TOKEN");
            world.refresh(&app, &session.refresh).await.is_oauth_error(400, "invalid_grant");
        }
    }
}

#[tokio::test]
async fn a_code_is_one_clients_for_one_address_and_one_verifier() {
    let world = World::new();
    let (person, app, other) = (world.person().await, world.web_app().await, world.web_app().await);
    let browser = world.browser(&person).await;
    let code = parameter(&browser.authorize(&app, "storage:read").await, "code");
    let form = |redirect_uri: &'static str, verifier: &'static str| {
        [("grant_type", "authorization_code"), ("redirect_uri", redirect_uri), ("code_verifier", verifier)]
    };
    let wrong = [
        (&other, form(BACK, tmcp_e2e::browser::VERIFIER)),
        (&app, form("http://127.0.0.1:9/back", tmcp_e2e::browser::VERIFIER)),
        (&app, form(BACK, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl")),
        (&app, form(BACK, "short")),
    ];
    for (client, form) in wrong {
        let form: Vec<_> = form.into_iter().chain([("code", code.as_str())]).collect();
        world.form("/oauth2/token", client, &form).await.is_oauth_error(400, "invalid_grant");
    }
    world.redeem(&app, &code).await.ok();
    world.redeem(&app, "auth_unknown").await.is_oauth_error(400, "invalid_grant");
}

#[tokio::test]
async fn nobody_is_sent_to_an_address_that_is_not_the_clients() {
    let world = World::new();
    let (person, app) = (world.person().await, world.web_app().await);
    let plain = world.app().await;
    let browser = world.browser(&person).await;
    for (app, other) in [
        (&app, ("client_id", "ma_nobody")),
        (&app, ("client_id", "")),
        (&app, ("redirect_uri", "https://evil.example/")),
        (&app, ("redirect_uri", "http://127.0.0.1:9/back")),
        (&app, ("redirect_uri", "javascript:alert(1)")),
        (&app, ("redirect_uri", "")),
        (&plain, ("redirect_uri", BACK)),
    ] {
        let answer = browser.page(&authorize(app, "storage:read", &[other])).await;
        assert_eq!((answer.status, answer.header("location")), (400, ""), "{other:?} {}", answer.text);
        assert!(answer.header("content-type").starts_with("text/html") && answer.text.contains("<h1>"), "{}", answer.text);
    }
    for (other, error) in [
        (("response_type", "token"), "unsupported_response_type"),
        (("state", ""), "invalid_request"),
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("scope", "messaging:send"), "invalid_scope"),
        (("scope", "root"), "invalid_scope"),
    ] {
        let answer = browser.page(&authorize(&app, "storage:read", &[other])).await;
        assert_eq!(
            (parameter(&answer, "error"), parameter(&answer, "iss")),
            (error.to_owned(), world.up.base_url.clone()),
            "{other:?}"
        );
    }
}

#[tokio::test]
async fn pages_run_nothing_and_are_framed_by_nobody() {
    let world = World::new();
    let (person, app) = (world.person().await, world.web_app().await);
    let browser = world.browser(&person).await;
    let handed = world.hand_over(&person).await;
    let pages = [
        browser.page("/account").await,
        browser.authorize(&app, "wallet:balance").await,
        world.nobodys_browser().page("/account").await,
        world.nobodys_browser().page(&handed).await,
        browser.page("/oauth2/authorize").await,
    ];
    for page in pages {
        let policy = page.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; style-src 'self';") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert_eq!((page.header("x-frame-options"), page.header("cache-control")), ("DENY", "no-store"));
        assert_eq!((page.header("referrer-policy"), page.header("x-content-type-options")), ("no-referrer", "nosniff"));
        assert!(!page.text.contains("<script") && !page.text.contains("style="), "{}", page.text);
        assert!(page.text.contains("<html lang=\"en\">") && page.text.contains("<main>"), "{}", page.text);
    }
    let style = browser.page("/account/style.css").await;
    assert!(style.status == 200 && style.header("content-type").starts_with("text/css"), "{:?}", style.headers);
}

#[tokio::test]
async fn one_browser_is_signed_in_by_one_address() {
    let world = World::new();
    let person = world.person().await;
    let path = world.hand_over(&person).await;
    let page = world.nobodys_browser().page(&path).await;
    // From another page it counts for nothing.
    let (handle, token) = (field(&page, "handle"), field(&page, "token"));
    let forged = [("handle", handle.as_str()), ("continue", "/account"), ("token", &token)];
    let answer = world.nobodys_browser().post("/account/continue", &forged).await;
    assert_eq!((answer.status, answer.header("set-cookie")), (400, ""));
    let mut pages = vec![page];
    for _ in 0..11 {
        pages.push(world.nobodys_browser().page(&path).await);
    }
    let tries = pages.into_iter().map(|page| {
        let browser = Browser::of(&world, &page);
        async move { browser.go_on(&page).await }
    });
    let mut begun: Vec<_> = at_once(12, tries).await.into_iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(begun.len(), 1);
    let cookie = begun[0].header("set-cookie").to_owned();
    assert!(cookie.contains("; HttpOnly; SameSite=Lax") && cookie.contains("; Path=/;"), "{cookie}");
    let browser = Browser::of(&world, &begun.remove(0));
    let page = browser.page("/account").await.text;
    assert!(page.contains("<h3>This browser") && !page.contains("<h3>Another browser"), "one browser in the list: {page}");
    assert!(page.contains(&format!("<h3>{}", person.matrix.user_id)), "and where they come from: {page}");
    assert_eq!(world.nobodys_browser().page(&path).await.status, 404);
}

#[tokio::test]
async fn logging_out_ends_the_browser_and_what_it_let_in() {
    let world = World::new();
    let (person, app) = (world.person().await, world.web_app().await);
    let browser = world.browser(&person).await;
    let session = Session::of(&world.redeem(&app, &parameter(&browser.authorize(&app, "storage:read").await, "code")).await);
    let late = parameter(&browser.authorize(&app, "storage:read").await, "code");
    assert!(browser.is_signed_in().await);
    world.post("/api/v1/auth/logout").bearer_auth(&person.token).ask().await.expect(204);
    assert!(!browser.is_signed_in().await);
    world.probe(&session.access).await.is_refused(401, "INVALID_TOKEN");
    world.refresh(&app, &session.refresh).await.is_oauth_error(400, "invalid_grant");
    world.redeem(&app, &late).await.is_oauth_error(400, "invalid_grant");
}

#[tokio::test]
async fn a_person_signs_a_browser_out() {
    let world = World::new();
    let person = world.person().await;
    let (here, there) = (world.browser(&person).await, world.browser(&person).await);
    let page = here.page("/account").await;
    let (token, other) = (field(&page, "token"), field(&page, "session"));
    assert_eq!(here.post("/account/end", &[("token", "x"), ("session", &other)]).await.status, 400);
    location(&here.post("/account/end", &[("token", &token), ("session", &other)]).await);
    assert!(here.is_signed_in().await && !there.is_signed_in().await);
    let out = here.post("/account/end", &[("token", &token)]).await;
    assert!(out.header("set-cookie").contains("Max-Age=0"), "{:?}", out.headers);
    assert!(!here.is_signed_in().await);
}

#[tokio::test]
async fn a_library_finds_what_it_needs() {
    let world = World::new();
    let body = world.get("/.well-known/oauth-authorization-server").ask().await.ok();
    assert_eq!(body["issuer"], world.up.base_url);
    for name in ["authorization_endpoint", "token_endpoint", "revocation_endpoint", "introspection_endpoint", "jwks_uri"] {
        let path = body[name].as_str().unwrap().strip_prefix(&world.up.base_url).unwrap().to_owned();
        assert_ne!(world.get(&path).ask().await.status, 404, "{name}");
    }
}
