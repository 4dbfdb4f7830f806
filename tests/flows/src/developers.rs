//! Developers at the console, through account and auth: what ends what, and what dies on the way.

use super::world::{ADMIN, CONSOLE_BACK, World, cookie};
use http::header::LOCATION;
use serde_json::{Value as Json, json};
use tmcp_testkit::{Answer, dies};
use url::Url;

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

impl World {
    /// Signs somebody in with their Matrix token; gives the platform token.
    pub async fn sign_in_as(&self, name: &str) -> String {
        let hs = "http://hs:8008/_matrix/client/v3";
        let whoami = json!({"user_id": format!("@{name}:hs"), "device_id": "D"}).to_string();
        self.platform.recorded().answer("GET", &format!("{hs}/account/whoami"), 200, &whoami);
        self.platform.recorded().answer("GET", &format!("{hs}/profile/%40{name}%3Ahs"), 200, "{}");
        let body = json!({"matrix_user_id": format!("@{name}:hs"), "access_token": "syt"});
        let answer = self.auth.json("POST", "/api/v1/auth/matrix", "", body).await;
        answer.body["access_token"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
    }

    /// The cookie of a browser of theirs.
    pub async fn browser_of(&self, platform_token: &str) -> String {
        let answer = self.account.json("POST", "/api/v1/auth/browser", platform_token, json!({})).await;
        let url = Url::parse(answer.body["url"].as_str().unwrap_or_else(|| panic!("{answer:?}"))).unwrap();
        let page = Self::get(&self.account, "", &format!("{}?{}", url.path(), url.query().unwrap())).await;
        let field = |name: &str| {
            let start = format!("name=\"{name}\" value=\"");
            page.text.split_once(&start).unwrap_or_else(|| panic!("{page:?}")).1.split('"').next().unwrap().replace("&#38;", "&")
        };
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        for name in ["handle", "continue", "token"] {
            form.append_pair(name, &field(name));
        }
        let request = http::Request::builder().method("POST").uri("/account/continue").header("cookie", cookie(&page));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        cookie(&self.account.send(request.body(form.finish().into()).unwrap()).await)
    }

    pub async fn list_developer(&self, name: &str) {
        let body = json!({"matrix_user_id": format!("@{name}:hs")});
        let answer = self.developer.json("POST", "/admin/developers/whitelist", ADMIN, body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    pub async fn console_code(&self, browser: &str) -> String {
        let back = CONSOLE_BACK.replace(':', "%3A").replace('/', "%2F");
        let path = format!(
            "/oauth2/developer/authorize?response_type=code&client_id=console&redirect_uri={back}&state=s\
            &code_challenge={CHALLENGE}&code_challenge_method=S256"
        );
        let answer = Self::get(&self.developer, browser, &path).await;
        let to = Url::parse(answer.headers.get(LOCATION).unwrap_or_else(|| panic!("{answer:?}")).to_str().unwrap()).unwrap();
        to.query_pairs().find(|(name, _)| name == "code").unwrap_or_else(|| panic!("{to}")).1.into_owned()
    }

    pub async fn console_redeem(&self, code: &str) -> Answer {
        let secret = "s".repeat(32);
        let form = format!(
            "grant_type=authorization_code&client_id=console&client_secret={secret}&code={code}&redirect_uri={CONSOLE_BACK}&code_verifier={VERIFIER}"
        );
        self.developer.form("/oauth2/developer/token", &form).await
    }

    pub async fn console_refresh(&self, token: &str) -> Answer {
        let secret = "s".repeat(32);
        let form = format!("grant_type=refresh_token&client_id=console&client_secret={secret}&refresh_token={token}");
        self.developer.form("/oauth2/developer/token", &form).await
    }

    /// Somebody as a developer: access and refresh token.
    pub async fn developer_of(&self, name: &str) -> (String, String) {
        self.list_developer(name).await;
        let platform = self.sign_in_as(name).await;
        let code = self.console_code(&self.browser_of(&platform).await).await;
        tokens(&self.console_redeem(&code).await)
    }

    pub async fn own_organizations(&self, token: &str) -> Answer {
        self.developer.json("GET", "/organizations/v1", token, Json::Null).await
    }
}

fn tokens(answer: &Answer) -> (String, String) {
    let text = |name: &str| answer.body[name].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned();
    (text("access_token"), text("refresh_token"))
}

/// Wherever a grant dies, the code works still or what it gave ends with the next use; never are there two sessions of one code, nor two
/// organisations of somebody new.
#[tokio::test]
async fn a_grant_that_dies_leaves_one_session_at_most_and_one_organisation() {
    for step in 0.. {
        let world = World::new().await;
        world.list_developer("alice").await;
        let browser = world.browser_of(&world.sign_in_as("alice").await).await;
        let code = world.console_code(&browser).await;
        world.platform.faults().die_at(Some(step));
        let died = dies(world.console_redeem(&code)).is_none();
        world.platform.faults().die_at(None);
        if !died {
            assert!(step > 5, "{step} steps");
            return;
        }
        let again = world.console_redeem(&code).await;
        let sessions = world.rows("SELECT id FROM developer_sessions WHERE ended_at IS NULL").await.len();
        assert_eq!(sessions, usize::from(again.status == 200), "step {step}: {again:?}");
        // Whoever lost the answer begins again.
        let (access, _) = tokens(&world.console_redeem(&world.console_code(&browser).await).await);
        let own = world.own_organizations(&access).await;
        assert_eq!(own.body["organizations"].as_array().map(Vec::len), Some(1), "step {step}: {own:?}");
    }
}

/// Wherever a logout dies, once it is finished nothing of the console's lives on.
#[tokio::test]
async fn a_logout_that_dies_is_finished_for_the_console_too() {
    for step in 0.. {
        let world = World::new().await;
        world.list_developer("alice").await;
        let platform = world.sign_in_as("alice").await;
        let browser = world.browser_of(&platform).await;
        let (access, refresh) = tokens(&world.console_redeem(&world.console_code(&browser).await).await);
        let code = world.console_code(&browser).await;
        world.platform.faults().die_at(Some(step));
        let died = dies(world.account.json("POST", "/api/v1/auth/logout", &platform, Json::Null)).is_none();
        world.platform.faults().die_at(None);
        let is_begun = !world.rows("SELECT session FROM session_endings").await.is_empty();
        if died && !is_begun {
            continue;
        }
        world.platform.advance(61_000);
        let maintained = world.auth.internal(&tmcp_protocol::routes::INTERNAL_MAINTAIN_AUTH, json!({})).await;
        assert_eq!(maintained.status, 200, "{maintained:?}");
        assert_eq!(world.own_organizations(&access).await.status, 401, "step {step}");
        assert_eq!(world.console_refresh(&refresh).await.code(), "invalid_grant", "step {step}");
        assert_eq!(world.console_redeem(&code).await.code(), "invalid_grant", "step {step}");
        if !died {
            assert!(step > 5, "{step} steps");
            return;
        }
    }
}

#[tokio::test]
async fn who_is_signed_out_everywhere_is_signed_out_of_the_console() {
    let world = World::new().await;
    let (access, refresh) = world.developer_of("alice").await;
    let platform = world.sign_in_as("alice").await;
    let answer = world.account.json("DELETE", "/api/v1/privacy/account", &platform, Json::Null).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(world.own_organizations(&access).await.code(), "invalid_developer_token");
    assert_eq!(world.console_refresh(&refresh).await.code(), "invalid_grant");
}

#[tokio::test]
async fn a_session_that_is_over_is_forgotten_and_an_invitation_too() {
    let world = World::new().await;
    let (access, _) = world.developer_of("alice").await;
    let org = world.own_organizations(&access).await.body["organizations"][0]["org_id"].as_str().unwrap().to_owned();
    let body = json!({"matrix_user_id": "@bob:hs", "role": "developer"});
    let invited = world.developer.json("POST", &format!("/organizations/v1/{org}/members"), &access, body).await;
    assert_eq!(invited.status, 200, "{invited:?}");
    world.platform.advance(92 * 24 * 3_600_000);
    for _ in 0..2 {
        let answer = world.developer.internal(&tmcp_protocol::routes::INTERNAL_MAINTAIN_DEVELOPER, json!({})).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    for query in [
        "SELECT 1 AS n FROM developer_sessions",
        "SELECT 1 AS n FROM developer_tokens",
        "SELECT 1 AS n FROM developer_codes",
        "SELECT 1 AS n FROM organization_invitations",
    ] {
        assert_eq!(world.rows(query).await.len(), 0, "{query}");
    }
}

#[tokio::test]
async fn a_browser_of_before_a_cut_off_signs_in_though_the_subject_was_forgotten() {
    let world = World::new().await;
    world.list_developer("alice").await;
    let platform = world.sign_in_as("alice").await;
    let browser = world.browser_of(&platform).await;
    // As unlinking leaves it: the browser that stays is of the generation that begins; the subject itself is forgotten after a day.
    world.rows("UPDATE browser_sessions SET generation = 7").await;
    let answer = world.console_redeem(&world.console_code(&browser).await).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let (access, refresh) = tokens(&answer);
    assert_eq!(world.own_organizations(&access).await.status, 200);
    assert_eq!(world.console_refresh(&refresh).await.status, 200);
    let actions = world.rows("SELECT action FROM audit WHERE action LIKE 'developer.%' AND outcome = 'ok' ORDER BY id").await;
    assert!(actions.contains(&json!({"action": "developer.refresh"})), "{actions:?}");
}

#[tokio::test]
async fn where_developer_does_not_answer_a_logout_ends_everything_else() {
    let world = World::new().await;
    let platform = world.sign_in_as("alice").await;
    let browser = world.browser_of(&platform).await;
    world.platform.in_process().connect(tmcp_protocol::routes::Function::Developer, |_| async {
        http::Response::builder().status(500).body(bytes::Bytes::new()).unwrap()
    });
    assert_eq!(world.account.json("POST", "/api/v1/auth/logout", &platform, Json::Null).await.status, 503);
    assert_eq!(world.identity.json("GET", "/api/v1/profile", &platform, Json::Null).await.status, 401);
    assert!(world.page(&browser).await.contains("does not know you"));
    // Nor does it keep maintenance from what is behind it.
    world.platform.advance(61_000);
    let maintained = world.auth.internal(&tmcp_protocol::routes::INTERNAL_MAINTAIN_AUTH, json!({})).await;
    assert_eq!((maintained.status, &maintained.body["endings_finished"]), (200, &json!(0)), "{maintained:?}");
    assert_eq!(world.rows("SELECT session FROM session_endings").await.len(), 1, "it is tried again");
}

#[tokio::test]
async fn whoever_is_taken_off_the_list_has_invited_nobody() {
    let world = World::new().await;
    let (access, refresh) = world.developer_of("alice").await;
    let org = world.own_organizations(&access).await.body["organizations"][0]["org_id"].as_str().unwrap().to_owned();
    let body = json!({"matrix_user_id": "@bob:hs", "role": "admin"});
    let invited = world.developer.json("POST", &format!("/organizations/v1/{org}/members"), &access, body).await;
    assert_eq!(invited.status, 200, "{invited:?}");
    let ended = world.developer.json("DELETE", "/admin/developers/%40alice%3Ahs", ADMIN, Json::Null).await;
    assert_eq!(ended.status, 204, "{ended:?}");
    assert_eq!(world.rows("SELECT id FROM organization_invitations").await.len(), 0);
    assert_eq!(world.own_organizations(&access).await.status, 401);
    assert_eq!(world.console_refresh(&refresh).await.code(), "developer_not_whitelisted");
    let refused = world.rows("SELECT outcome FROM audit WHERE action = 'developer.refresh'").await;
    assert_eq!(refused, [json!({"outcome": "refused"})]);
}

/// A Matrix id that has passed to another account stays on the list when the account of before is erased.
#[tokio::test]
async fn who_is_erased_takes_nobody_else_off_the_list() {
    let world = World::new().await;
    let (bob, _) = world.developer_of("bob").await;
    world.developer_of("alice").await;
    let uid = world.rows("SELECT uid FROM developers WHERE matrix_user_id = '@alice:hs'").await[0]["uid"].clone();
    world.rows("UPDATE developers SET matrix_user_id = '@bob:hs' WHERE matrix_user_id = '@alice:hs'").await;
    let answer = world.developer.internal(&tmcp_protocol::routes::INTERNAL_ERASE_DEVELOPER, json!({ "uid": uid })).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    assert_eq!(world.own_organizations(&bob).await.status, 200);
    let listed = world.rows("SELECT matrix_user_id FROM developer_whitelist").await;
    assert_eq!(listed, [json!({"matrix_user_id": "@bob:hs"})]);
}

/// An organisation that its admin leaves with the account passes on to the oldest developer; one of viewers alone is dissolved.
#[tokio::test]
async fn an_organisation_is_inherited_or_dissolved() {
    let world = World::new().await;
    let (alice, _) = world.developer_of("alice").await;
    let (bob, _) = world.developer_of("bob").await;
    let (dora, _) = world.developer_of("dora").await;
    let own = world.own_organizations(&alice).await.body["organizations"][0]["org_id"].as_str().unwrap().to_owned();
    let ask = async |token: &str, method: &str, path: String, body: Json| {
        let answer = world.developer.json(method, &format!("/organizations/v1{path}"), token, body).await;
        assert!(answer.status < 300, "{answer:?}");
        answer.body
    };
    let mut orgs = Vec::new();
    for role in ["developer", "viewer"] {
        let org = ask(&alice, "POST", "/create".to_owned(), json!({"name": role})).await["org_id"].as_str().unwrap().to_owned();
        let invited = ask(&alice, "POST", format!("/{org}/members"), json!({"matrix_user_id": "@bob:hs", "role": role})).await;
        ask(&bob, "POST", format!("/invitations/{}/accept", invited["invitation_id"].as_str().unwrap()), Json::Null).await;
        orgs.push(org);
    }
    // Dora was a developer there before bob, and is off the list.
    let invited =
        ask(&alice, "POST", format!("/{own}/members"), json!({"matrix_user_id": "@dora:hs", "role": "developer"})).await;
    ask(&dora, "POST", format!("/invitations/{}/accept", invited["invitation_id"].as_str().unwrap()), Json::Null).await;
    let ended = world.developer.json("DELETE", "/admin/developers/%40dora%3Ahs", ADMIN, Json::Null).await;
    assert_eq!(ended.status, 204, "{ended:?}");
    world.platform.advance(1);
    // Bob is a developer of alice's own, too, which is called by her name; and somebody is invited to it.
    let invited = ask(&alice, "POST", format!("/{own}/members"), json!({"matrix_user_id": "@bob:hs", "role": "developer"})).await;
    ask(&bob, "POST", format!("/invitations/{}/accept", invited["invitation_id"].as_str().unwrap()), Json::Null).await;
    ask(&alice, "POST", format!("/{own}/members"), json!({"matrix_user_id": "@carol:hs", "role": "admin"})).await;
    let uid = world.rows("SELECT uid FROM developers WHERE matrix_user_id = '@alice:hs'").await[0]["uid"].clone();
    for _ in 0..2 {
        let answer = world.developer.internal(&tmcp_protocol::routes::INTERNAL_ERASE_DEVELOPER, json!({ "uid": uid })).await;
        assert_eq!(answer.status, 204, "{answer:?}");
    }
    let left = ask(&bob, "GET", String::new(), Json::Null).await["organizations"].clone();
    let of = |id: &str| left.as_array().unwrap().iter().find(|one| one["org_id"] == *id).map(|one| one["role"].clone());
    assert_eq!((of(&orgs[0]), of(&orgs[1])), (Some(json!("admin")), None), "{left}");
    let told = world.rows("SELECT target FROM audit WHERE action = 'organization.inherit'").await;
    let mut expected = [orgs[0].clone(), own.clone()].map(|org| json!({ "target": org }));
    expected.sort_by_key(Json::to_string);
    let mut told = told;
    told.sort_by_key(Json::to_string);
    let dissolved = world.rows("SELECT target FROM audit WHERE action = 'organization.dissolve'").await;
    assert_eq!(dissolved, [json!({ "target": orgs[1] })]);
    assert_eq!(told, expected, "each once");
    assert_eq!(of(&own), Some(json!("admin")));
    assert_eq!(world.rows("SELECT id FROM organization_invitations").await.len(), 0);
    assert_eq!(world.rows("SELECT id FROM organizations WHERE name = 'viewer' OR name = 'alice'").await.len(), 0);
}
