//! Consent: asked of the person by a host client, answered once, remembered, and taken back.

use serde_json::{Value, json};
use tmcp_e2e::browser::{location, parameter};
use tmcp_e2e::{Answer, App, Ask, Session, World, at_once};

async fn take_back(world: &World, token: &str, body: Value) -> Answer {
    world.post("/api/v1/auth/revoke").bearer_auth(token).json(&body).ask().await
}

async fn is_over(world: &World, app: &App, session: &Session) -> bool {
    world.probe(&session.access).await.status == 401 && world.refresh(app, &session.refresh).await.status == 400
}

#[tokio::test]
async fn a_host_client_asks_and_the_exchange_goes_on() {
    let world = World::new();
    let (person, app) = (world.person().await, world.app().await);
    let path = world.asked(&app, &person.token, "storage:read wallet:balance user:read").await;
    for token in [&person.token, &person.matrix.access_token] {
        let shown = world.get(&path).bearer_auth(token).ask().await.ok();
        let miniapp = json!({"id": app.app_id, "name": "e2e", "developer": null, "icon_url": null, "verified": false});
        assert_eq!(shown["miniapp"], miniapp);
        let scopes: Vec<_> = shown["requested_scopes"].as_array().unwrap().iter().map(|one| one["scope"].clone()).collect();
        assert_eq!(scopes, ["user:read", "wallet:balance"]);
        assert!(shown["requested_scopes"][1]["description"].is_string() && shown["requested_scopes"][1]["sensitivity"] == "high");
    }
    world.answer(&person.token, &path, true).await.expect(204);
    let issued = world.exchange(&app, &person.token, Some("storage:read wallet:balance user:read")).await.ok();
    assert_eq!(issued["scope"], "user:read wallet:balance storage:read");
    // Another app asks anew, and a refusal is not remembered.
    let other = world.app().await;
    let path = world.asked(&other, &person.token, "wallet:balance").await;
    world.answer(&person.token, &path, false).await.expect(204);
    world.answer(&person.token, &path, true).await.is_refused(404, "NOT_FOUND");
    world.asked(&other, &person.token, "wallet:balance").await;
}

#[tokio::test]
async fn an_answer_is_the_persons_own() {
    let world = World::new();
    let (person, other, app) = (world.person().await, world.person().await, world.app().await);
    let tep = world.session(&app, &person).await.access;
    let path = world.asked(&app, &person.token, "wallet:balance").await;
    let openid = world.openid_token(&person.matrix).await;
    let body = json!({"matrix_user_id": person.matrix.user_id, "openid_token": openid});
    let weak = world.post("/api/v1/auth/matrix").json(&body).ask().await.ok()["access_token"].as_str().unwrap().to_owned();
    for (who, token, status, code) in [
        ("the app", tep.as_str(), 401, "INVALID_TOKEN"),
        ("nonsense", "nonsense", 401, "INVALID_TOKEN"),
        ("the operator", &world.up.operator_token, 401, "INVALID_TOKEN"),
        ("by OpenID token", &weak, 403, "INSUFFICIENT_PERMISSIONS"),
        ("somebody else", &other.token, 404, "NOT_FOUND"),
        ("somebody else by Matrix token", &other.matrix.access_token, 404, "NOT_FOUND"),
    ] {
        for given in [world.answer(token, &path, true).await, world.get(&path).bearer_auth(token).ask().await] {
            assert_eq!(given.status, status, "{who}: {}", given.text);
            given.is_refused(status, code);
        }
    }
    let browser = world.browser(&other).await;
    assert_eq!(browser.page(&path).await.status, 404, "in somebody else's browser");
    world.answer(&person.token, &path, true).await.expect(204);
    let handed = world.post("/api/v1/auth/browser").bearer_auth(&weak).json(&json!({})).ask().await;
    handed.is_refused(403, "INSUFFICIENT_PERMISSIONS");
}

#[tokio::test]
async fn many_answers_at_once_are_one() {
    let world = World::new();
    let (person, app) = (world.person().await, world.app().await);
    let path = world.asked(&app, &person.token, "wallet:balance user:read").await;
    let answers = (0..12).map(|n| {
        let (world, token, path) = (world.clone(), person.token.clone(), path.clone());
        async move { (n % 2 == 0, world.answer(&token, &path, n % 2 == 0).await.status) }
    });
    let won: Vec<_> = at_once(12, answers).await.into_iter().filter(|(_, status)| *status == 204).collect();
    assert_eq!(won.len(), 1, "{won:?}");
    let status = world.exchange(&app, &person.token, Some("wallet:balance")).await.status;
    assert_eq!(status, if won[0].0 { 200 } else { 403 }, "the one answer counts");
}

#[tokio::test]
async fn parallel_questions_about_the_same_are_all_good() {
    let world = World::new();
    let (person, app) = (world.person().await, world.app().await);
    let mut paths = Vec::new();
    for _ in 0..4 {
        paths.push(world.asked(&app, &person.token, "wallet:balance").await);
    }
    let answers = paths.into_iter().map(|path| {
        let (world, token) = (world.clone(), person.token.clone());
        async move { world.answer(&token, &path, true).await.status }
    });
    assert_eq!(at_once(4, answers).await, [204; 4]);
    world.exchange(&app, &person.token, Some("wallet:balance")).await.ok();
}

#[tokio::test]
async fn taking_back_is_felt_everywhere_at_once() {
    let world = World::new();
    let (person, app, other) = (world.person().await, world.app().await, world.app().await);
    for scopes in [json!(null), json!(["wallet:balance"])] {
        let session = world.agreed(&app, &person, "storage:read wallet:balance").await;
        let (again, elsewhere) = (world.session(&app, &person).await, world.session(&other, &person).await);
        let answer = take_back(&world, &person.token, json!({"miniapp_id": app.app_id, "scopes": scopes})).await.ok();
        assert_eq!((&answer["success"], &answer["revoked_scopes"]), (&json!(true), &json!(["wallet:balance"])));
        assert!(is_over(&world, &app, &session).await && is_over(&world, &app, &again).await);
        world.probe(&elsewhere.access).await.ok();
        world.asked(&app, &person.token, "wallet:balance").await;
        world.probe(&world.session(&app, &person).await.access).await.ok();
    }
}

#[tokio::test]
async fn an_app_gives_up_what_is_its_own_and_nothing_else() {
    let world = World::new();
    let (person, app, other) = (world.person().await, world.app().await, world.app().await);
    let (session, others) = (world.session(&app, &person).await, world.session(&other, &person).await);
    let foreign = take_back(&world, &session.access, json!({"miniapp_id": other.app_id})).await;
    foreign.is_refused(403, "INSUFFICIENT_PERMISSIONS");
    take_back(&world, &person.token, json!({"miniapp_id": app.app_id, "scopes": ["root"]}))
        .await
        .is_refused(400, "INVALID_REQUEST");
    world.probe(&session.access).await.ok();
    take_back(&world, &session.access, json!({"miniapp_id": app.app_id})).await.ok();
    assert!(is_over(&world, &app, &session).await);
    world.probe(&others.access).await.ok();
}

#[tokio::test]
async fn no_grant_on_its_way_outlives_taking_back() {
    let world = World::new();
    let (person, app) = (world.person().await, world.web_app().await);
    let browser = world.browser(&person).await;
    for _ in 0..4 {
        world.agreed(&app, &person, "wallet:balance").await;
        let code = parameter(&browser.authorize(&app, "wallet:balance").await, "code");
        let work = (0..10).map(|n| {
            let (world, app, token, code) = (world.clone(), app.clone(), person.token.clone(), code.clone());
            async move {
                match n {
                    4 => take_back(&world, &token, json!({"miniapp_id": app.app_id})).await,
                    7 => world.redeem(&app, &code).await,
                    _ => world.exchange(&app, &token, Some("wallet:balance")).await,
                }
            }
        });
        for answer in at_once(10, work).await {
            if answer.status == 200 && answer.json()["access_token"].is_string() {
                assert!(is_over(&world, &app, &Session::of(&answer)).await, "a session outlived it");
            }
        }
    }
}

#[tokio::test]
async fn the_accounts_page_takes_back_too() {
    let world = World::new();
    let (person, app) = (world.person().await, world.app().await);
    let session = world.agreed(&app, &person, "storage:read wallet:balance").await;
    let browser = world.browser(&person).await;
    let page = browser.page("/account").await;
    let form = page.text.split("action=\"/account/revoke\"").nth(1).unwrap_or_else(|| panic!("no form in {}", page.text));
    let token = form.split("value=\"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(browser.post("/account/revoke", &[("app", &app.app_id), ("token", "x")]).await.status, 400);
    location(&browser.post("/account/revoke", &[("app", &app.app_id), ("token", token)]).await);
    assert!(is_over(&world, &app, &session).await);
    assert!(!browser.page("/account").await.text.contains("/account/revoke"));
}
