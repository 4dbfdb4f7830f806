//! Linking identities and taking them away, through the pipelines of broker, identity, account and auth.

use super::world::{Begun, World, cookie};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tmcp_testkit::{Answer, dies};
use url::Url;

/// A hidden field of a page.
fn field(page: &str, before: &str, name: &str) -> String {
    let rest = page.split(before).nth(1).unwrap_or_else(|| panic!("no {before} in {page}"));
    let rest = rest.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap_or_else(|| panic!("no {name} in {page}"));
    rest.split('"').next().unwrap().to_owned()
}

impl World {
    async fn form(&self, cookie: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = http::Request::builder().method("POST").uri(path).header("cookie", cookie);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        self.account.send(request.body(form.into()).unwrap()).await
    }

    /// Begins to link at a provider from the account's page.
    async fn link(&self, session: &str, provider: &str) -> Begun {
        let token = field(&self.page(session).await, "action=\"/account/link\"", "token");
        let answer = self.form(session, "/account/link", &[("token", &token), ("provider", provider)]).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let to = answer.headers["refresh"].to_str().unwrap().strip_prefix("0; url=").unwrap().to_owned();
        Begun { cookie: cookie(&answer), url: Url::parse(&to).unwrap() }
    }

    /// Comes back from the forge; gives the address of the question.
    async fn proven(&self, begun: &Begun) -> String {
        let answer = self.back("forge", &begun.cookie, &format!("code=c&state={}", begun.parameter("state"))).await;
        assert_eq!((answer.status, answer.headers.get("set-cookie")), (303, None), "{answer:?}");
        answer.headers["location"].to_str().unwrap().to_owned()
    }

    /// Says that it is theirs.
    async fn say_yes(&self, session: &str, question: &str) -> Answer {
        let page = World::get(&self.account, session, question).await;
        if page.status != 200 {
            return page;
        }
        let (token, handle) =
            (field(&page.text, "/account/link/confirm", "token"), field(&page.text, "/account/link/confirm", "handle"));
        self.form(session, "/account/link/confirm", &[("token", &token), ("handle", &handle)]).await
    }

    async fn unlink(&self, session: &str, name: &str) -> Answer {
        let page = self.page(session).await;
        let (token, id) = (field(&page, &format!("<h3>{name}"), "token"), field(&page, &format!("<h3>{name}"), "identity"));
        self.form(session, "/account/unlink", &[("token", &token), ("identity", &id)]).await
    }

    /// Links @alice of a homeserver.
    async fn link_matrix(&self, session: &str, server: &str) {
        let answer = json!({"user_id": format!("@alice:{server}"), "access_token": "syt", "device_id": "D"});
        let login = format!("http://{server}:8008/_matrix/client/v3/login");
        self.platform.recorded().answer("POST", &login, 200, &answer.to_string());
        let begun = self.link(session, server).await;
        let back = Url::parse(&begun.parameter("redirectUrl")).unwrap();
        let answer = self.back(server, &begun.cookie, &format!("{}&loginToken=t", back.query().unwrap())).await;
        let question = answer.headers["location"].to_str().unwrap().to_owned();
        assert_eq!(self.say_yes(session, &question).await.status, 303);
    }

    /// Lets apps know the person by another of their identities.
    async fn choose(&self, session: &str, name: &str) -> Answer {
        let page = self.page(session).await;
        let (token, id) = (field(&page, &format!("<h3>{name}"), "token"), field(&page, &format!("<h3>{name}"), "identity"));
        self.form(session, "/account/choose", &[("token", &token), ("identity", &id)]).await
    }

    /// The TEP of a session in an app, as `sub` and token.
    async fn tep(&self, session: &str) -> (String, String) {
        let query = "client_id=ma_a&redirect_uri=https%3A%2F%2Fapp.example%2Fback&response_type=code&state=s&scope=storage:read\
            &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";
        let granted = World::get(&self.consent, session, &format!("/oauth2/authorize?{query}")).await;
        let back = Url::parse(granted.headers["location"].to_str().unwrap()).unwrap();
        let code = back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
        let form = format!(
            "grant_type=authorization_code&code={code}&redirect_uri=https%3A%2F%2Fapp.example%2Fback&client_id=ma_a\
            &code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        );
        let answer = self.auth.form("/oauth2/token", &form).await;
        let token = answer.body["access_token"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned();
        let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth_back(1).unwrap()).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
        (claims["sub"].as_str().unwrap().to_owned(), token)
    }

    async fn at_work_as(&self, sub: &str) -> Answer {
        use tmcp_ports::{Clock, Platform};
        let auth_time = self.platform.clock().now().seconds();
        let answer = self.sign_in(&json!({"sub": sub, "auth_time": auth_time})).await;
        assert_eq!(answer.status, 303, "{answer:?}");
        answer
    }

    /// A session of somebody at the OpenID provider.
    async fn at_work(&self) -> String {
        cookie(&self.at_work_as("f1").await)
    }
}

#[tokio::test]
async fn a_person_links_an_identity_and_is_the_same_by_both() {
    let world = World::new().await;
    let session = world.at_work().await;
    let begun = world.link(&session, "forge").await;
    let question = world.proven(&begun).await;
    let page = World::get(&world.account, &session, &question).await;
    assert!(page.text.contains("carol (Forge)") && page.text.contains("carol (Work &#60;W&#62;)"), "{}", page.text);
    assert_eq!(world.rows("SELECT uid FROM identities").await.len(), 1, "nothing before they said so");
    assert_eq!(world.say_yes(&session, &question).await.status, 303);
    assert_eq!(world.say_yes(&session, &question).await.status, 404, "a second time");
    assert_eq!(world.forge().await.status, 303);
    assert_eq!(world.rows("SELECT DISTINCT uid FROM users").await.len(), 1);
    let shown = world.page(&session).await;
    assert!(shown.contains("<h3>carol (Forge)") && shown.contains("<h3>carol (Work"), "{shown}");
    let told = world.rows("SELECT outcome, target FROM audit WHERE action = 'identity.link'").await;
    assert_eq!(told[0]["outcome"], "ok");
    let target = told[0]["target"].as_str().unwrap();
    assert!(told.len() == 1 && target.starts_with("oauth:") && !target.contains("4711"), "the log names no identity: {told:?}");
    // What is theirs already is theirs.
    let again = world.proven(&world.link(&session, "forge").await).await;
    assert_eq!(world.say_yes(&session, &again).await.status, 303);
    assert_eq!(world.rows("SELECT uid FROM identities").await.len(), 2);
}

#[tokio::test]
async fn an_openid_provider_has_to_ask_anew() {
    let world = World::new().await;
    let session = cookie(&world.forge().await);
    let begun = world.link(&session, "work").await;
    assert_eq!((begun.parameter("prompt").as_str(), begun.parameter("max_age").as_str()), ("login", "0"));
    let now = {
        use tmcp_ports::{Clock, Platform};
        world.platform.clock().now().seconds()
    };
    for (auth_time, status) in [(json!(now - 3600), 401), (json!(null), 401), (json!(now), 303)] {
        let begun = world.link(&session, "work").await;
        world.answers_with(&begun, &json!({ "auth_time": auth_time }));
        let answer = world.back("work", &begun.cookie, &format!("code=c&state={}", begun.parameter("state"))).await;
        assert_eq!(answer.status, status, "{auth_time}: {answer:?}");
    }
}

#[tokio::test]
async fn an_identity_of_somebody_else_stays_theirs() {
    let world = World::new().await;
    assert_eq!(world.forge().await.status, 303);
    let session = world.at_work().await;
    let question = world.proven(&world.link(&session, "forge").await).await;
    let answer = world.say_yes(&session, &question).await;
    assert_eq!(answer.status, 409, "{}", answer.text);
    assert!(answer.text.contains("belongs to another account"));
    assert_eq!(world.rows("SELECT uid FROM users").await.len(), 2);
    assert_eq!(world.rows("SELECT id FROM audit WHERE action = 'identity.link' AND outcome = 'refused'").await.len(), 1);
    assert_eq!(world.rows("SELECT hash FROM links").await.len(), 0);
}

#[tokio::test]
async fn of_two_people_who_link_one_identity_one_gets_it() {
    let world = World::new().await;
    let first = world.at_work().await;
    let second = cookie(&world.at_work_as("f2").await);
    let mut tasks = Vec::new();
    for session in [first, second] {
        let question = world.proven(&world.link(&session, "forge").await).await;
        let world = world.clone();
        tasks.push(tokio::spawn(async move { world.say_yes(&session, &question).await.status }));
    }
    let mut statuses = Vec::new();
    for task in tasks {
        statuses.push(task.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 409]);
}

#[tokio::test]
async fn it_is_decided_in_the_session_that_began_it_and_by_our_own_form() {
    let world = World::new().await;
    let session = world.at_work().await;
    let same_person = world.at_work().await;
    let somebody = cookie(&world.sign_in(&json!({"sub": "f2"})).await);
    let begun = world.link(&session, "forge").await;
    let query = format!("code=c&state={}", begun.parameter("state"));
    assert_eq!(world.back("forge", "", &query).await.status, 400, "another browser");
    let question = world.proven(&begun).await;
    for (other, status) in [("", 401), (same_person.as_str(), 404), (&somebody, 404)] {
        assert_eq!(World::get(&world.account, other, &question).await.status, status, "{other}");
    }
    let handle = question.split("handle=").nth(1).unwrap();
    for token in ["", "x"] {
        let answer = world.form(&session, "/account/link/confirm", &[("token", token), ("handle", handle)]).await;
        assert_eq!(answer.status, 400, "{token}");
    }
    assert_eq!(world.form(&session, "/account/link", &[("token", "x"), ("provider", "forge")]).await.status, 400);
    world.platform.advance(600_000);
    assert_eq!(world.say_yes(&session, &question).await.status, 404, "after ten minutes");
}

#[tokio::test]
async fn a_sign_in_of_long_ago_changes_nothing() {
    let world = World::new().await;
    let session = world.at_work().await;
    let token = field(&world.page(&session).await, "action=\"/account/link\"", "token");
    world.platform.advance(600_000);
    let page = world.page(&session).await;
    assert!(page.contains("prove once more") && page.contains("Sign in with Work"), "{page}");
    assert!(!page.contains("Sign in with Forge") && !page.contains("Link Forge"), "it is none of theirs: {page}");
    for (path, name) in [("/account/link", "provider"), ("/account/unlink", "identity")] {
        let answer = world.form(&session, path, &[("token", &token), (name, "forge")]).await;
        assert_eq!(answer.status, 403, "{path}: {}", answer.text);
    }
}

/// Proving once more who one is: by what is one's own, at a provider that was made to ask.
#[tokio::test]
async fn a_session_becomes_one_of_a_moment_ago_by_signing_in_anew_as_the_same_person() {
    let world = World::new().await;
    // The provider knew them already, and did not ask.
    let session = cookie(&world.sign_in(&json!({})).await);
    let prove = async |session: &str, provider: &str| {
        let token = field(&world.page(session).await, "action=\"/account/link\"", "token");
        let fields = [("token", token.as_str()), ("provider", provider), ("purpose", "prove")];
        let answer = world.form(session, "/account/link", &fields).await;
        let to = answer.headers["refresh"].to_str().unwrap().strip_prefix("0; url=").unwrap().to_owned();
        Begun { cookie: cookie(&answer), url: Url::parse(&to).unwrap() }
    };
    let now = {
        use tmcp_ports::{Clock, Platform};
        world.platform.clock().now().seconds()
    };
    for (claims, status) in [
        (json!({}), 401),
        (json!({"auth_time": now - 3600}), 401),
        (json!({"auth_time": now, "sub": "f2"}), 403),
        (json!({"auth_time": now}), 303),
    ] {
        let begun = prove(&session, "work").await;
        assert_eq!(begun.parameter("prompt"), "login");
        world.answers_with(&begun, &claims);
        let both = format!("{}; {session}", begun.cookie);
        let answer = world.back("work", &both, &format!("code=c&state={}", begun.parameter("state"))).await;
        assert_eq!(answer.status, status, "{claims}: {answer:?}");
        if status == 303 {
            assert!(world.page(&cookie(&answer)).await.contains("Link Forge"));
            assert!(world.page(&session).await.contains("does not know you"), "the old session is over");
        }
    }
    // Nobody came to be by it.
    assert_eq!(world.rows("SELECT uid FROM users").await.len(), 1);
    let session = cookie(&world.sign_in(&json!({})).await);
    let begun = prove(&session, "forge").await;
    let answer = world.back("forge", &begun.cookie, &format!("code=c&state={}", begun.parameter("state"))).await;
    assert_eq!((answer.status, world.rows("SELECT uid FROM users").await.len()), (403, 1), "none of theirs");
}

#[tokio::test]
async fn whoever_takes_an_identity_away_is_signed_out_everywhere_else() {
    for step in 0.. {
        let world = World::new().await;
        let (session, other) = (world.at_work().await, world.at_work().await);
        let question = world.proven(&world.link(&session, "forge").await).await;
        assert_eq!(world.say_yes(&session, &question).await.status, 303);
        let native = world.native_token().await;
        let page = world.page(&session).await;
        let (token, id) = (field(&page, "<h3>carol (Forge)", "token"), field(&page, "<h3>carol (Forge)", "identity"));
        let fields = [("token", token.as_str()), ("identity", id.as_str())];
        let unlink = || world.form(&session, "/account/unlink", &fields);
        world.platform.faults().die_at(Some(step));
        let died = dies(unlink()).is_none();
        world.platform.faults().die_at(None);
        // Pressed once more: whatever that comes to, the first one is finished. This browser may have been signed out with the others.
        let again = died && step % 2 == 0;
        if again {
            unlink().await;
        }
        let gone = world.rows("SELECT uid FROM identities").await.len() == 1;
        world.platform.advance(60_001);
        let maintain = tmcp_protocol::routes::INTERNAL_MAINTAIN_ACCOUNT;
        assert_eq!(world.account.internal(&maintain, json!({})).await.status, 200);
        assert_eq!(world.rows("SELECT uid FROM cut_offs").await.len(), 0, "step {step}");
        if gone {
            assert!(world.page(&other).await.contains("does not know you"), "step {step}");
            assert!(again || world.page(&session).await.contains("carol (Work"), "step {step}");
            let handed = world.account.json("POST", "/api/v1/auth/browser", &native, json!({})).await;
            assert_eq!(handed.status, 401, "step {step}: {handed:?}");
        }
        if !died {
            assert!(gone && step > 8, "{step} steps");
            return;
        }
    }
}

#[tokio::test]
async fn whoever_links_a_homeserver_has_a_matrix_id_everywhere() {
    let world = World::new().await;
    let (session, other) = (world.at_work().await, world.at_work().await);
    world.link_matrix(&session, "hs").await;
    for session in [&session, &other] {
        assert!(world.page(session).await.contains("signed in as <strong>@alice:hs"));
    }
    let query = "client_id=ma_a&redirect_uri=https%3A%2F%2Fapp.example%2Fback&response_type=code&state=s&scope=storage:read\
        &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";
    let granted = World::get(&world.consent, &other, &format!("/oauth2/authorize?{query}")).await;
    assert!(granted.headers["location"].to_str().unwrap().contains("code="), "{granted:?}");
    // Apps know them by it: it stays, and what they came by can go.
    let page = world.page(&session).await;
    assert!(!page.split("<h3>@alice:hs").nth(1).unwrap().split("<h3>").next().unwrap().contains("/account/unlink"), "{page}");
    assert_eq!(world.unlink(&session, "carol (Work").await.status, 303);
    assert!(world.page(&other).await.contains("does not know you"), "signed out elsewhere");
    assert!(world.page(&session).await.contains("@alice:hs"));
}

/// Wherever it dies, nothing that was granted in the old name lives on once the new one counts, and data stays: the person is the same.
#[tokio::test]
async fn a_person_says_which_matrix_id_apps_know_them_by() {
    for step in 0.. {
        let world = World::new().await;
        let session = world.at_work().await;
        world.link_matrix(&session, "hs").await;
        world.link_matrix(&session, "two").await;
        let (sub, old) = world.tep(&session).await;
        assert_eq!(sub, "@alice:hs", "the first one, before any choice");
        world.platform.faults().die_at(Some(step));
        let died = dies(world.choose(&session, "@alice:two")).is_none();
        world.platform.faults().die_at(None);
        world.platform.advance(60_001);
        let maintain = tmcp_protocol::routes::INTERNAL_MAINTAIN_ACCOUNT;
        assert_eq!(world.account.internal(&maintain, json!({})).await.status, 200);
        if world.rows("SELECT uid FROM identities WHERE chosen_at > 0").await.len() == 1 {
            assert!(world.page(&session).await.contains("does not know you"), "step {step}: signed out");
            let answer = world.consent.json("POST", "/api/v1/auth/revoke", &old, json!({"miniapp_id": "ma_a"})).await;
            assert_eq!(answer.status, 401, "step {step}: {answer:?}");
            let (sub, _) = world.tep(&world.at_work().await).await;
            assert_eq!(sub, "@alice:two", "step {step}");
        } else {
            assert!(died, "step {step}");
        }
        assert_eq!(world.rows("SELECT uid FROM users").await.len(), 1, "step {step}");
        if !died {
            assert!(step > 8, "{step} steps");
            // Now the other one, which may have been a mistake, can go.
            let session = world.at_work().await;
            assert_eq!(world.unlink(&session, "@alice:hs").await.status, 303);
            assert_eq!(world.rows("SELECT id FROM audit WHERE action = 'identity.choose'").await.len(), 1);
            return;
        }
    }
}

#[tokio::test]
async fn a_wallet_and_a_stranger_to_matrix_keep_the_name() {
    let world = World::new().await;
    let session = world.at_work().await;
    world.link_matrix(&session, "hs").await;
    world.link_matrix(&session, "two").await;
    let page = world.page(&session).await;
    let (token, id) = (field(&page, "<h3>@alice:two", "token"), field(&page, "<h3>carol (Work", "identity"));
    let answer = world.form(&session, "/account/choose", &[("token", &token), ("identity", &id)]).await;
    assert_eq!(answer.status, 409, "no Matrix id");
    world.rows("UPDATE users SET wallet_opened_at = 1").await;
    let answer = world.choose(&session, "@alice:two").await;
    assert!(answer.status == 409 && answer.text.contains("while a wallet pays"), "{}", answer.text);
    assert!(world.page(&session).await.contains("@alice:two"), "nobody was signed out");
    assert_eq!(world.rows("SELECT id FROM audit WHERE action = 'identity.choose'").await.len(), 0);
    assert_eq!(world.rows("SELECT uid FROM cut_offs").await.len(), 0);
}

#[tokio::test]
async fn the_last_identity_stays() {
    let world = World::new().await;
    let session = world.at_work().await;
    let question = world.proven(&world.link(&session, "forge").await).await;
    assert_eq!(world.say_yes(&session, &question).await.status, 303);
    let page = world.page(&session).await;
    let token = field(&page, "<h3>carol (Forge)", "token");
    let ids = ["<h3>carol (Forge)", "<h3>carol (Work"].map(|name| field(&page, name, "identity"));
    let mut tasks = Vec::new();
    for id in ids {
        let (world, session, token) = (world.clone(), session.clone(), token.clone());
        tasks.push(tokio::spawn(async move {
            world.form(&session, "/account/unlink", &[("token", &token), ("identity", &id)]).await.status
        }));
    }
    let mut statuses = Vec::new();
    for task in tasks {
        statuses.push(task.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!((statuses, world.rows("SELECT uid FROM identities").await.len()), (vec![303, 409], 1));
    let answer = world.form(&session, "/account/unlink", &[("token", &token), ("identity", "x")]).await;
    assert_eq!(answer.status, 404);
    assert_eq!(world.rows("SELECT id FROM audit WHERE action = 'identity.unlink'").await.len(), 1);
}

/// Wherever it dies, the identity is theirs or nobody's, and the next time it is theirs.
#[tokio::test]
async fn a_link_that_dies_is_begun_again() {
    for step in 0.. {
        let world = World::new().await;
        let session = world.at_work().await;
        let question = world.proven(&world.link(&session, "forge").await).await;
        world.platform.faults().die_at(Some(step));
        let died = dies(world.say_yes(&session, &question)).is_none();
        world.platform.faults().die_at(None);
        let again = world.proven(&world.link(&session, "forge").await).await;
        assert_eq!(world.say_yes(&session, &again).await.status, 303, "step {step}");
        assert_eq!(world.rows("SELECT uid FROM identities").await.len(), 2, "step {step}");
        assert_eq!(world.rows("SELECT DISTINCT uid FROM identities").await.len(), 1, "step {step}");
        if !died {
            assert!(step > 5, "{step} steps");
            return;
        }
    }
}
