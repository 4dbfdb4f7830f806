//! Questions and answers.

use super::{World, authorize, field, location, parameter, text};
use serde_json::{Value as Json, json};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::routes::INTERNAL_CLIENTS;
use tmcp_testkit::{Answer, dies};

/// The question of an exchange that needs consent: its path.
async fn asked(world: &World, token: &str, scope: &str) -> String {
    let refused = world.exchange(token, scope).await;
    assert_eq!((refused.status, refused.code()), (403, "consent_required"), "{refused:?}");
    text(&refused, "consent_ui_endpoint")
}

fn id(path: &str) -> String {
    path.strip_prefix("/oauth2/consent?session=").unwrap_or_else(|| panic!("{path}")).to_owned()
}

async fn answer(world: &World, token: &str, id: &str, approve: bool) -> Answer {
    world.consent.json("POST", "/oauth2/consent", token, json!({"session": id, "approve": approve})).await
}

#[tokio::test]
async fn a_page_asks_once_and_remembers() {
    let world = World::new().await;
    let cookie = world.browser(&world.sign_in("alice").await).await;
    let page = world.authorize(&cookie, "storage:read wallet:pay user:read").await;
    for shown in ["App &#60;A&#62;", "Dev &#38; Co", "@alice:hs", "Ask you to pay", "confirm each payment"] {
        assert!(page.text.contains(shown), "{shown} in {}", page.text);
    }
    assert!(!page.text.contains("Keep data"), "storage is not asked for");
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("form-action 'self' https://app.example;") && policy.contains("frame-ancestors 'none'"), "{policy}");
    let on = world.decide(&cookie, &page, "allow").await;
    assert!(location(&on).starts_with("/oauth2/authorize?response_type=code&"), "{on:?}");
    let back = world.page(&cookie, &location(&on)).await;
    let issued = world.redeem(&parameter(&back, "code")).await;
    assert_eq!(text(&issued, "scope"), "user:read wallet:pay storage:read");
    // The second time nobody is asked, also for less; for more, about the rest alone.
    assert!(location(&world.authorize(&cookie, "wallet:pay").await).contains("code="));
    let rest = world.authorize(&cookie, "wallet:pay wallet:balance").await;
    assert!(rest.text.contains("how much is in your wallet") && !rest.text.contains("Ask you to pay"), "{}", rest.text);
    // Another person is asked.
    let bob = world.browser(&world.sign_in("bob").await).await;
    assert_eq!(world.authorize(&bob, "wallet:pay").await.status, 200);
}

#[tokio::test]
async fn official_apps_have_what_is_basic_and_ask_for_what_is_theirs() {
    let world = World::new().await;
    let cookie = world.browser(&world.sign_in("alice").await).await;
    let official = |scope| authorize(&[("client_id", Some("ma_o")), ("scope", Some(scope))]);
    assert!(location(&world.page(&cookie, &official("user:read storage:read")).await).contains("code="));
    let page = world.page(&cookie, &official("wallet:admin")).await;
    assert!(page.text.contains("Manage your wallet") && page.text.contains("An official app"), "{}", page.text);
}

#[tokio::test]
async fn what_is_for_official_apps_goes_when_an_app_is_none_any_more() {
    let world = World::new().await;
    let cookie = world.browser(&world.sign_in("alice").await).await;
    let request = authorize(&[("client_id", Some("ma_o")), ("scope", Some("wallet:admin storage:read"))]);
    let page = world.page(&cookie, &request).await;
    let back = world.page(&cookie, &location(&world.decide(&cookie, &page, "allow").await)).await;
    let as_official = [("client_id", "ma_o")];
    let issued = world.redeem_with(&parameter(&back, "code"), &as_official).await;
    assert_eq!(text(&issued, "scope"), "storage:read wallet:admin");
    assert_eq!((&issued.body["privileged"], issued.body.get("refresh_token")), (&json!(true), None), "nothing renews it");
    // A refresh token of before privileged ones had none.
    let known = stmt!("UPDATE refresh_tokens SET hash = ?1", tmcp_http::sha256_hex("rt_known"));
    world.platform.sql().query(known).await.unwrap();
    let form = "grant_type=refresh_token&client_id=ma_o&refresh_token=rt_known";
    let renewed = world.auth.form("/oauth2/token", form).await;
    assert_eq!((text(&renewed, "scope"), &renewed.body["privileged"]), ("storage:read".to_owned(), &json!(false)));
    let late = parameter(&world.page(&cookie, &request).await, "code");
    // As an older registration may say, which nobody checked.
    let record = json!({"client_id": "ma_o", "app_id": "ma_o", "name": "Own", "kind": "public", "secret_hash": null, "origins": [],
        "scopes": "storage:read wallet:admin", "redirect_uris": [super::BACK], "official": false, "host": false,
        "grants": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:token-exchange"]});
    let asks = async || {
        let token = text(&issued, "access_token");
        world.consent.json("POST", "/api/v1/auth/revoke", &token, json!({"miniapp_id": "ma_a"})).await.status
    };
    assert_eq!(asks().await, 403, "the token holds, and is another app's");
    // The operator is not answered where it dies, and registers once more.
    for step in 0.. {
        world.platform.faults().die_at(Some(step));
        let outcome = dies(world.auth.internal(&INTERNAL_CLIENTS, record.clone()));
        world.platform.faults().die_at(None);
        if let Some(answer) = outcome {
            assert_eq!(answer.status, 200);
            assert!(step > 2, "{step}");
            break;
        }
    }
    assert_eq!(asks().await, 401, "what only official apps may do ends now, not in a day");
    assert_eq!(parameter(&world.page(&cookie, &request).await, "error"), "invalid_scope");
    assert_eq!(world.redeem_with(&late, &as_official).await.code(), "invalid_grant");
    let exchange = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&client_id=ma_o&subject_token=alice\
        &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token&scope=wallet:admin";
    assert_eq!(world.auth.form("/oauth2/token", exchange).await.code(), "invalid_scope");
}

#[tokio::test]
async fn who_has_logged_out_learns_nothing_of_what_they_agreed_to() {
    let world = World::new().await;
    let token = world.sign_in("alice").await;
    asked(&world, &token, "wallet:pay").await;
    assert_eq!(world.account.json("POST", "/api/v1/auth/logout", &token, Json::Null).await.status, 204);
    let refused = world.exchange(&token, "wallet:pay").await;
    assert_eq!((refused.status, refused.code()), (401, "invalid_grant"), "{refused:?}");
}

#[tokio::test]
async fn a_refusal_goes_back_to_the_app() {
    let world = World::new().await;
    let cookie = world.browser(&world.sign_in("alice").await).await;
    let page = world.authorize(&cookie, "wallet:pay").await;
    let back = world.decide(&cookie, &page, "refuse").await;
    assert_eq!((parameter(&back, "error"), parameter(&back, "state")), ("access_denied".into(), "a state & more".into()));
    assert_eq!(world.authorize(&cookie, "wallet:pay").await.status, 200, "it is not remembered");
}

#[tokio::test]
async fn a_form_counts_with_the_sessions_own_token_once_and_in_time() {
    let world = World::new().await;
    let alice = world.sign_in("alice").await;
    let (cookie, other) = (world.browser(&alice).await, world.browser(&alice).await);
    let bob = world.browser(&world.sign_in("bob").await).await;
    let page = world.authorize(&cookie, "wallet:pay").await;
    let (session, token) = (field(&page, "session"), field(&page, "token"));
    let fields = |token: &str| [("session", session.clone()), ("decision", "allow".to_owned()), ("token", token.to_owned())];
    let post = |cookie: String, fields: [(&'static str, String); 3]| {
        let world = world.clone();
        async move {
            let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
            world.post(&cookie, "/oauth2/consent", &fields).await
        }
    };
    let bobs = field(&world.authorize(&bob, "wallet:pay").await, "token");
    let account = field(&world.page(&cookie, "/account").await, "token");
    for (cookie, token, status) in [
        (cookie.as_str(), "", 400),
        (&cookie, "0", 400),
        (&cookie, &account, 400),
        (&other, &token, 400),
        (&bob, &token, 400),
        (&bob, &bobs, 404),
        ("", &token, 401),
    ] {
        let answer = post(cookie.to_owned(), fields(token)).await;
        assert_eq!(answer.status, status, "{cookie} {token} {answer:?}");
        assert!(answer.text.contains("<h1>"), "a person sees a page: {answer:?}");
    }
    assert_eq!(world.count("SELECT COUNT(*) AS n FROM consents").await, 0);
    let done = post(cookie.clone(), fields(&token)).await;
    assert!(done.text.contains("Agreed"), "{done:?}");
    assert_eq!(post(cookie.clone(), fields(&token)).await.status, 404, "answered already");
    let page = world.authorize(&cookie, "wallet:balance").await;
    world.platform.advance(10 * 60_000);
    assert_eq!(world.decide(&cookie, &page, "allow").await.status, 404, "its ten minutes are over");
}

#[tokio::test]
async fn a_native_client_shows_the_question_and_sends_the_answer() {
    let world = World::new().await;
    let token = world.sign_in("alice").await;
    let path = asked(&world, &token, "storage:read%20wallet:pay").await;
    let shown = world.consent.json("GET", &path, &token, Json::Null).await;
    let expected = json!({
        "miniapp": {"id": "ma_a", "name": "App <A>", "developer": "Dev & Co", "icon_url": null, "verified": false},
        "requested_scopes": [{
            "scope": "wallet:pay", "description": "Ask you to pay", "sensitivity": "critical",
            "note": "You will be asked to confirm each payment",
        }],
    });
    assert_eq!((shown.status, &shown.body), (200, &expected));
    assert_eq!(answer(&world, &token, &id(&path), true).await.status, 204);
    let issued = world.exchange(&token, "storage:read%20wallet:pay").await;
    assert_eq!(text(&issued, "scope"), "wallet:pay storage:read");
    assert_eq!(answer(&world, &token, &id(&path), true).await.code(), "NOT_FOUND", "once");
    // By the Matrix token as well, and the other way: refused.
    let path = asked(&world, "alice", "wallet:balance").await;
    assert_eq!(answer(&world, "alice", &id(&path), false).await.status, 204);
    asked(&world, &token, "wallet:balance").await;
}

#[tokio::test]
async fn an_answer_is_the_persons_own() {
    let world = World::new().await;
    let token = world.sign_in("alice").await;
    let tep = text(&world.exchange(&token, "storage:read").await, "access_token");
    let question = id(&asked(&world, &token, "wallet:pay").await);
    let ended = world.sign_in("alice").await;
    assert_eq!(world.account.json("POST", "/api/v1/auth/logout", &ended, Json::Null).await.status, 204);
    let (bob, weak) = (world.sign_in("bob").await, world.weak().await);
    for (who, token, status, code) in [
        ("nobody", "", 401, "INVALID_TOKEN"),
        ("the app", tep.as_str(), 401, "INVALID_TOKEN"),
        ("nonsense", "mallory", 401, "INVALID_TOKEN"),
        ("after logout", &ended, 401, "INVALID_TOKEN"),
        ("by OpenID token", &weak, 403, "INSUFFICIENT_PERMISSIONS"),
        ("bob", &bob, 404, "NOT_FOUND"),
        ("bob by Matrix token", "bob", 404, "NOT_FOUND"),
    ] {
        let given = answer(&world, token, &question, true).await;
        assert_eq!((given.status, given.code()), (status, code), "{who} {given:?}");
        let path = format!("/oauth2/consent?session={question}");
        let shown = world.consent.json("GET", &path, token, Json::Null).await;
        assert_eq!((shown.status, shown.code()), (status, code), "{who} {shown:?}");
    }
    assert_eq!(answer(&world, &token, &question, true).await.status, 204);
}

#[tokio::test]
async fn two_answers_at_once_are_one() {
    let world = World::new().await;
    let token = world.sign_in("alice").await;
    let question = id(&asked(&world, &token, "wallet:pay%20wallet:balance").await);
    let answers: Vec<_> = (0..8)
        .map(|_| {
            tokio::spawn({
                let (world, token, question) = (world.clone(), token.clone(), question.clone());
                async move { answer(&world, &token, &question, true).await.status }
            })
        })
        .collect();
    let mut statuses = Vec::new();
    for one in answers {
        statuses.push(one.await.unwrap());
    }
    assert_eq!(statuses.iter().filter(|status| **status == 204).count(), 1, "{statuses:?}");
    assert_eq!(world.count("SELECT COUNT(*) AS n FROM consents").await, 2);
}

#[tokio::test]
async fn an_agreement_after_a_refusal_counts_for_nothing_not_even_at_the_same_moment() {
    let world = World::new().await;
    let token = world.sign_in("alice").await;
    for _ in 0..10 {
        let question = id(&asked(&world, &token, "wallet:pay").await);
        let both = [false, true].map(|approve| {
            tokio::spawn({
                let (world, token, question) = (world.clone(), token.clone(), question.clone());
                async move { answer(&world, &token, &question, approve).await.status }
            })
        });
        let [refused, agreed] = both;
        let (refused, agreed) = (refused.await.unwrap(), agreed.await.unwrap());
        let given = world.count("SELECT COUNT(*) AS n FROM consents").await == 1;
        let told = world.count("SELECT COUNT(*) AS n FROM audit WHERE action = 'consent.give'").await == 1;
        assert_eq!(told, given, "the log tells of what counted");
        assert_eq!((refused == 204, agreed == 204), (!given, given));
        if given {
            return;
        }
    }
}

#[tokio::test]
async fn a_browser_session_can_answer_a_native_question() {
    let world = World::new().await;
    let token = world.sign_in("alice").await;
    let cookie = world.browser(&token).await;
    let path = asked(&world, &token, "wallet:pay").await;
    let page = world.page(&cookie, &path).await;
    assert!(page.text.contains("Ask you to pay"), "{page:?}");
    assert!(world.decide(&cookie, &page, "allow").await.text.contains("Agreed"));
    assert_eq!(world.exchange(&token, "wallet:pay").await.status, 200);
}
