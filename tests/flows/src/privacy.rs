//! Taking one's data along, and leaving, through the pipelines of every function that holds something about people.

use super::world::{World, cookie};
use bytes::Bytes;
use serde_json::{Value as Json, json};
use tmcp_ports::{Platform, Sql, Value, stmt};
use tmcp_protocol::routes::{INTERNAL_BEGIN_BROWSER, INTERNAL_MAINTAIN_ACCOUNT, INTERNAL_MAINTAIN_IDENTITY, INTERNAL_VERIFY};
use tmcp_testkit::{Answer, dies};

const ALICE: &str = "@alice:hs";
const DAY_MS: i64 = 24 * 3_600_000;

/// Alice, with something in every room.
struct Alice {
    world: World,
    uid: String,
    platform: String,
    tep: String,
    browser: String,
}

impl World {
    async fn sign_in_at(&self, more: &Json) -> Answer {
        let hs = "http://hs:8008/_matrix/client/v3";
        self.platform.recorded().answer(
            "GET",
            &format!("{hs}/account/whoami"),
            200,
            r#"{"user_id":"@alice:hs","device_id":"D"}"#,
        );
        let profile = r#"{"displayname":"Alice in Wonderland"}"#;
        self.platform.recorded().answer("GET", &format!("{hs}/profile/%40alice%3Ahs"), 200, profile);
        let mut body = json!({"matrix_user_id": ALICE, "access_token": "syt"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.auth.json("POST", "/api/v1/auth/matrix", "", body).await
    }

    /// Comes back from the homeserver's own sign-in.
    async fn in_browser(&self) -> Answer {
        let answer = r#"{"user_id":"@alice:hs","access_token":"syt","device_id":"D"}"#;
        self.platform.recorded().answer("POST", "http://hs:8008/_matrix/client/v3/login", 200, answer);
        let begun = self.begin("hs", "").await;
        let back = url::Url::parse(&begun.parameter("redirectUrl")).unwrap();
        self.back("hs", &begun.cookie, &format!("{}&loginToken=t", back.query().unwrap())).await
    }

    async fn maintain(&self) {
        for (client, route) in [(&self.account, &INTERNAL_MAINTAIN_ACCOUNT), (&self.identity, &INTERNAL_MAINTAIN_IDENTITY)] {
            let answer = client.internal(route, json!({})).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    }

    /// Every column of every table in which a text stands.
    async fn places_of(&self, text: &str) -> Vec<String> {
        let tables = self.rows("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").await;
        let mut places = Vec::new();
        for table in tables.iter().map(|row| row["name"].as_str().unwrap()) {
            let columns = format!("SELECT name FROM pragma_table_info('{table}')");
            for column in self.rows(columns.leak()).await.iter().map(|row| row["name"].as_str().unwrap().to_owned()) {
                let query: &'static str =
                    format!("SELECT 1 AS n FROM {table} WHERE instr(CAST({column} AS TEXT), ?1) > 0 LIMIT 1").leak();
                let found = self.platform.sql().query(stmt!(query, Value::from(text))).await.unwrap();
                if !found.is_empty() {
                    places.push(format!("{table}.{column}"));
                }
            }
        }
        places
    }
}

impl Alice {
    async fn new() -> Self {
        let world = World::new().await;
        let answer = world.sign_in_at(&json!({})).await;
        let text = |answer: &Answer, name: &str| answer.body[name].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned();
        let (platform, uid) = (text(&answer, "access_token"), answer.body["user"]["id"].as_str().unwrap().to_owned());
        let exchange = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&client_id=ma_a\
            &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token";
        let asked = world.auth.form("/oauth2/token", &format!("{exchange}&subject_token={platform}&scope=user:read")).await;
        let at = asked.body["consent_ui_endpoint"].as_str().unwrap_or_else(|| panic!("{asked:?}"));
        let session = at.split("session=").nth(1).unwrap();
        let agreed = world.consent.json("POST", "/oauth2/consent", &platform, json!({"session": session, "approve": true})).await;
        assert_eq!(agreed.status, 204, "{agreed:?}");
        let scope = "storage:read%20storage:write%20user:read";
        let tep = text(
            &world.auth.form("/oauth2/token", &format!("{exchange}&subject_token={platform}&scope={scope}")).await,
            "access_token",
        );
        for (key, value) in [("small", "diary".to_owned()), ("large", "x".repeat(700_000)), ("other", "more".to_owned())] {
            let put = world.storage.json("PUT", &format!("/api/v1/storage/{key}"), &tep, json!({ "value": value })).await;
            assert_eq!(put.status, 200, "{put:?}");
        }
        let browser = cookie(&world.in_browser().await);
        let bio = world.identity.json("PATCH", "/api/v1/profile", &platform, json!({"bio": "Down the hole"})).await;
        assert_eq!(bio.status, 200, "{bio:?}");
        world.list_developer("alice").await;
        let developing = world.console_redeem(&world.console_code(&browser).await).await;
        assert_eq!(developing.status, 200, "{developing:?}");
        Self { world, uid, platform, tep, browser }
    }

    async fn leave(&self) -> Answer {
        self.world.account.json("DELETE", "/api/v1/privacy/account", &self.platform, Json::Null).await
    }

    /// What her tokens get: on account, identity, consent, storage, and in the browser.
    async fn tokens_get(&self) -> [u16; 5] {
        let world = &self.world;
        [
            world.account.json("POST", "/api/v1/auth/browser", &self.platform, json!({})).await.status,
            world.identity.json("GET", "/api/v1/profile", &self.platform, Json::Null).await.status,
            world.consent.json("GET", "/api/v1/privacy/consents", &self.platform, Json::Null).await.status,
            world.storage.json("GET", "/api/v1/storage/small", &self.tep, Json::Null).await.status,
            if world.page(&self.browser).await.contains("does not know you") { 401 } else { 200 },
        ]
    }
}

/// The columns of every table, as docs/data.md names them.
#[tokio::test]
async fn the_page_about_data_names_every_column() {
    let page = include_str!("../../../docs/data.md");
    let mut told = std::collections::BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [table, personal, why, until, rest] = cells[..] else { panic!("{line}") };
        assert_eq!(
            personal.is_empty(),
            why.is_empty() || until.is_empty(),
            "what is about a person has a reason and an end: {line}"
        );
        let names = [personal, rest].join(",");
        let mut columns: Vec<String> = names.split(',').map(|name| name.trim().trim_matches('`').to_owned()).collect();
        columns.retain(|name| !name.is_empty());
        columns.sort();
        told.insert(table.trim_matches('`').to_owned(), columns);
    }
    let world = World::new().await;
    let query = "SELECT m.name AS t, group_concat(c.name) AS c FROM sqlite_schema m JOIN pragma_table_info(m.name) c \
        WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' GROUP BY m.name";
    let tables = world.rows(query).await;
    assert!(tables.len() > 25, "{}", tables.len());
    for table in tables {
        let mut columns: Vec<String> = table["c"].as_str().unwrap().split(',').map(str::to_owned).collect();
        columns.sort();
        assert_eq!(told.remove(table["t"].as_str().unwrap()), Some(columns), "{table}");
    }
    assert_eq!(told.len(), 0, "tables that are not there any more: {told:?}");
}

#[tokio::test]
async fn an_export_holds_everything_and_no_secret() {
    let alice = Alice::new().await;
    let world = &alice.world;
    let answer = world.account.json("GET", "/api/v1/privacy/export", &alice.platform, Json::Null).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let document = &answer.body;
    assert_eq!(document["user_id"], alice.uid);
    let person = document["person"].as_array().unwrap();
    let of = |what: &str| person.iter().filter(|row| row["what"] == what).collect::<Vec<_>>();
    assert_eq!(
        (of("profile")[0]["profile"]["bio"].as_str(), of("identity")[0]["external_id"].as_str()),
        (Some("Down the hole"), Some(ALICE))
    );
    assert!(of("action").iter().any(|row| row["action"] == "sign_in.matrix.first"), "{person:?}");
    assert_eq!(
        (&document["consents"][0]["scope"], &document["consents"][0]["miniapp_id"]),
        (&json!("user:read"), &json!("ma_a"))
    );
    assert_eq!(document["app_sessions"][0]["app_id"], "ma_a");
    assert_eq!(document["browsers"].as_array().unwrap().len(), 1);
    let storage = document["storage"].as_array().unwrap();
    let values: Vec<(&str, usize)> =
        storage.iter().map(|row| (row["key"].as_str().unwrap(), row["value"].as_str().unwrap().len())).collect();
    assert_eq!(values, [("large", 700_000), ("other", 4), ("small", 5)]);
    for secret in [&alice.platform, &alice.tep, alice.browser.split('=').nth(1).unwrap(), "syt"] {
        assert!(!answer.text.contains(secret), "{secret}");
    }
    // Somebody with nothing has a document, too.
    let other = World::new().await;
    let session = cookie(&other.forge().await);
    let page = other.page(&session).await;
    let token =
        page.split("action=\"/account/export\"").nth(1).unwrap().split("value=\"").nth(1).unwrap().split('"').next().unwrap();
    let request = http::Request::builder().method("POST").uri("/account/export").header("cookie", &session);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let answer = other.account.send(request.body(Bytes::from(format!("token={token}"))).unwrap()).await;
    let document: Json = serde_json::from_str(&answer.text).unwrap();
    assert_eq!((&document["storage"], &document["consents"]), (&json!([]), &json!([])), "{document}");
    assert!(answer.headers["content-disposition"].to_str().unwrap().starts_with("attachment"));
}

#[tokio::test]
async fn both_need_a_sign_in_of_a_moment_ago() {
    let alice = Alice::new().await;
    let world = &alice.world;
    let page = world.page(&alice.browser).await;
    let token =
        page.split("action=\"/account/export\"").nth(1).unwrap().split("value=\"").nth(1).unwrap().split('"').next().unwrap();
    world.platform.advance(10 * 60_000 + 1);
    assert_eq!(world.account.json("GET", "/api/v1/privacy/export", &alice.platform, Json::Null).await.status, 403);
    assert_eq!(alice.leave().await.status, 403);
    for path in ["/account/export", "/account/leave"] {
        let request = http::Request::builder().method("POST").uri(path).header("cookie", &alice.browser);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = world.account.send(request.body(Bytes::from(format!("token={token}"))).unwrap()).await;
        assert!(answer.status == 403 && answer.text.contains("sign in once more"), "{path}: {}", answer.text);
    }
    assert_eq!(World::get(&world.account, &alice.browser, "/account/leave").await.status, 403);
    assert!(world.page(&alice.browser).await.contains("sign in once more"));
    assert_eq!(alice.world.rows("SELECT uid FROM users WHERE leaving_at IS NOT NULL").await.len(), 0);
}

#[tokio::test]
async fn who_leaves_is_signed_out_and_can_only_say_that_they_stay() {
    let alice = Alice::new().await;
    let world = &alice.world;
    assert_eq!(alice.tokens_get().await, [200; 5]);
    let left = alice.leave().await;
    assert_eq!((left.status, left.body["erased_at"].as_str()), (202, Some("2026-12-06T00:00:00.000Z")), "{left:?}");
    assert_eq!(alice.tokens_get().await, [401; 5]);
    // Whatever she signs in with says so.
    let refused = world.sign_in_at(&json!({})).await;
    assert_eq!((refused.status, refused.code()), (403, "ACCOUNT_DELETION_PENDING"), "{refused:?}");
    assert_eq!(refused.body["error"]["details"]["erased_at"], "2026-12-06T00:00:00.000Z");
    let exchange = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&client_id=ma_a&subject_token=syt\
        &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token&scope=storage:read&matrix_user_id=%40alice%3Ahs";
    let refused = world.auth.form("/oauth2/token", exchange).await;
    assert_eq!((refused.status, refused.body["error"].as_str()), (403, Some("account_deletion_pending")), "{refused:?}");
    // In a browser she is asked.
    let asked = world.in_browser().await;
    assert_eq!((asked.status, asked.headers.get("set-cookie")), (303, None), "{asked:?}");
    let to = asked.headers["location"].to_str().unwrap().to_owned();
    let page = World::get(&world.account, "", &to).await;
    assert!(page.status == 200 && page.text.contains("2026-12-06"), "{}", page.text);
    let handle = to.split("handle=").nth(1).unwrap();
    let stay = || async {
        let request = http::Request::builder().method("POST").uri("/account/stay");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        world.account.send(request.body(Bytes::from(format!("handle={handle}"))).unwrap()).await.status
    };
    assert_eq!((stay().await, stay().await), (303, 404), "once");
    assert_eq!(world.sign_in_at(&json!({})).await.status, 200);
    assert_eq!(alice.tokens_get().await, [401; 5], "what was ended stays so");
    // By her client she says it with the sign-in.
    let again = world.sign_in_at(&json!({})).await.body["access_token"].as_str().unwrap().to_owned();
    assert_eq!(world.account.json("DELETE", "/api/v1/privacy/account", &again, Json::Null).await.status, 202);
    assert_eq!(world.sign_in_at(&json!({"cancel_deletion": true})).await.status, 200);
    world.platform.advance(15 * DAY_MS);
    world.maintain().await;
    let known = world.sign_in_at(&json!({})).await;
    assert_eq!(known.body["user"]["id"], alice.uid, "still her");
    let told: Vec<Json> = world.rows("SELECT action FROM audit WHERE action LIKE 'account.%' ORDER BY action").await;
    let told: Vec<&str> = told.iter().map(|row| row["action"].as_str().unwrap()).collect();
    assert_eq!(told, ["account.leave", "account.leave", "account.stay", "account.stay"]);
}

/// Who signed in at the moment when they left has a session that ended before it began.
#[tokio::test]
async fn a_sign_in_on_its_way_does_not_outlive_leaving() {
    let alice = Alice::new().await;
    let world = &alice.world;
    let credentials = json!({"matrix_user_id": ALICE, "access_token": "syt"});
    let on_its_way = world.identity.internal(&INTERNAL_VERIFY, credentials).await.body;
    assert_eq!(alice.leave().await.status, 202);
    let body = json!({"uid": on_its_way["uid"], "names": on_its_way["names"], "generation": on_its_way["generation"],
        "agent": "", "address": "", "proven_at": on_its_way["proven_at"], "replaces": null});
    let begun = world.account.internal(&INTERNAL_BEGIN_BROWSER, body).await.body;
    let late = format!("__Host-tmcp_session={}", begun["secret"].as_str().unwrap());
    assert!(world.page(&late).await.contains("does not know you"));
}

/// An erasure without any time to think it over ends what it finds.
#[tokio::test]
async fn no_token_outlives_its_person() {
    let alice = Alice::new().await;
    let world = &alice.world;
    // As if nobody had signed her out.
    world.rows("UPDATE users SET leaving_at = 1").await;
    world.maintain().await;
    assert_eq!(world.rows("SELECT uid FROM users").await.len(), 0);
    let put = world.storage.json("PUT", "/api/v1/storage/late", &alice.tep, json!({"value": "x"})).await;
    assert_eq!((put.status, world.rows("SELECT uid FROM storage_entries").await.len()), (401, 0), "{put:?}");
    let handed = world.account.json("POST", "/api/v1/auth/browser", &alice.platform, json!({})).await;
    assert_eq!(handed.status, 401);
}

#[tokio::test]
async fn who_is_suspended_does_not_leave_it_behind() {
    let alice = Alice::new().await;
    let world = &alice.world;
    assert_eq!(alice.leave().await.status, 202);
    // A cut-off that nobody finished, of somebody who is suspended, keeps nobody else's from being finished.
    world.rows("INSERT INTO cut_offs (note, uid, browser, created_at) SELECT 'n', uid, 'b', 0 FROM users").await;
    let admin = "admin-secret-admin-secret-admin-";
    let suspend = json!({"user": ALICE, "reason": "spam"});
    assert_eq!(world.identity.json("POST", "/api/v1/admin/users/suspend", admin, suspend).await.status, 200);
    world.platform.advance(15 * DAY_MS);
    world.maintain().await;
    assert_eq!(world.rows("SELECT note FROM cut_offs").await.len(), 0);
    let back = world.sign_in_at(&json!({"cancel_deletion": true})).await;
    assert_eq!((back.status, back.code()), (403, "ACCOUNT_SUSPENDED"), "{back:?}");
    let lift = world.identity.json("POST", "/api/v1/admin/users/lift", admin, json!({"user": ALICE})).await;
    assert_eq!(lift.status, 200);
    world.maintain().await;
    assert_eq!(world.rows("SELECT uid FROM users").await.len(), 0, "then they are erased");
    assert_eq!(world.rows("SELECT id FROM entities WHERE state LIKE '%spam%'").await.len(), 0, "and no subject knows why");
}

#[tokio::test]
async fn a_code_of_an_old_session_is_no_sign_in_of_a_moment_ago() {
    let world = World::new().await;
    let token = world.native_token().await;
    let answer = world.account.json("GET", "/api/v1/privacy/export", &token, Json::Null).await;
    assert_eq!(answer.status, 403, "the provider does not say when they signed in there: {answer:?}");
    let answer = world.account.json("DELETE", "/api/v1/privacy/account", &token, Json::Null).await;
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn one_value_that_cannot_be_read_keeps_nobody_from_the_others() {
    let alice = Alice::new().await;
    let world = &alice.world;
    world.rows("UPDATE storage_entries SET key_id = 'retired' WHERE key = 'small'").await;
    let answer = world.account.json("GET", "/api/v1/privacy/export", &alice.platform, Json::Null).await;
    let rows = answer.body["storage"].as_array().unwrap_or_else(|| panic!("{answer:?}")).clone();
    let told: Vec<(&str, bool)> = rows.iter().map(|row| (row["key"].as_str().unwrap(), row["unreadable"] == true)).collect();
    assert_eq!(told, [("large", false), ("other", false), ("small", true)]);
}

#[tokio::test]
async fn a_client_lists_sessions_and_ends_a_browsers() {
    let (alice, world) = {
        let alice = Alice::new().await;
        (alice.platform.clone(), alice.world.clone())
    };
    let listed = world.account.json("GET", "/api/v1/auth/sessions", &alice, Json::Null).await.body;
    assert_eq!((listed["browsers"].as_array().unwrap().len(), &listed["apps"][0]["miniapp_id"]), (1, &json!("ma_a")), "{listed}");
    let path = format!("/api/v1/auth/sessions/{}", listed["browsers"][0]["id"].as_str().unwrap());
    let other = cookie(&world.forge().await);
    let theirs = world.native_token().await;
    assert_eq!(world.account.json("DELETE", &path, &theirs, Json::Null).await.status, 404, "somebody else's");
    let ended = world.account.json("DELETE", &path, &alice, Json::Null).await.status;
    assert_eq!((ended, world.account.json("DELETE", &path, &alice, Json::Null).await.status), (204, 404));
    let listed = world.account.json("GET", "/api/v1/auth/sessions", &alice, Json::Null).await.body;
    assert_eq!(listed["browsers"], json!([]));
    assert!(world.page(&other).await.contains("carol (Forge)"), "another person's stays");
}

#[tokio::test]
async fn the_pages_profile_is_changed_by_its_own_form() {
    let alice = Alice::new().await;
    let world = &alice.world;
    let page = world.page(&alice.browser).await;
    assert!(page.contains("Alice in Wonderland") && page.contains("Down the hole"), "{page}");
    let token =
        |action: &str| page.split(action).nth(1).unwrap().split("value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let send = |token: String, more: &'static str| {
        let request = http::Request::builder().method("POST").uri("/account/profile").header("cookie", &alice.browser);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        world.account.send(request.body(Bytes::from(format!("token={token}&{more}"))).unwrap())
    };
    assert_eq!(send(token("/account/export"), "display_name=Mallory").await.status, 400, "another form's");
    let long = send(token("/account/profile"), "display_name=a%0Ab").await;
    assert!(long.status == 400 && long.text.contains("display_name must be"), "{}", long.text);
    assert_eq!(send(token("/account/profile"), "display_name=&bio=%3Cscript%3E%0D%0Ax").await.status, 303);
    let page = world.page(&alice.browser).await;
    assert!(page.contains("&#60;script&#62;\nx</textarea>") && !page.contains("Wonderland"), "{page}");
}

#[tokio::test]
async fn a_wallet_keeps_the_account() {
    let alice = Alice::new().await;
    alice.world.rows("UPDATE users SET wallet_opened_at = 1").await;
    let answer = alice.leave().await;
    assert_eq!((answer.status, answer.code()), (409, "CONFLICT"), "{answer:?}");
    assert_eq!(alice.tokens_get().await, [200; 5], "nobody was signed out");
}

/// Wherever leaving or erasing dies, maintenance finishes it; afterwards nothing of the person stands anywhere.
#[tokio::test]
async fn nothing_of_a_person_is_left() {
    let (mut leaving, mut erasing) = (Some(0), None);
    loop {
        let alice = Alice::new().await;
        let world = &alice.world;
        world.platform.faults().die_at(leaving);
        let died = dies(alice.leave()).is_none();
        world.platform.faults().die_at(None);
        if leaving.is_some() {
            let step = leaving.unwrap_or_default();
            world.platform.advance(60_001);
            world.maintain().await;
            let left = world.rows("SELECT uid FROM users WHERE leaving_at IS NOT NULL").await.len() == 1;
            if left {
                assert_eq!(alice.tokens_get().await, [401; 5], "step {step}");
            }
            assert!(left || died, "step {step}");
            (leaving, erasing) = if died { (Some(step + 1), None) } else { (None, Some(0)) };
            assert!(died || step > 8, "{step} steps");
            continue;
        }
        let step: usize = erasing.unwrap_or_default();
        world.platform.advance(14 * DAY_MS + 1);
        world.platform.faults().die_at(Some(step));
        let died = dies(world.identity.internal(&INTERNAL_MAINTAIN_IDENTITY, json!({}))).is_none();
        world.platform.faults().die_at(None);
        if !world.rows("SELECT uid FROM users WHERE erasing_at IS NOT NULL").await.is_empty() {
            let late = world.sign_in_at(&json!({"cancel_deletion": true})).await;
            assert_eq!(late.code(), "ACCOUNT_DELETION_PENDING", "step {step}: nobody changes their mind half-way");
        }
        world.maintain().await;
        // Subjects, which keep her tokens dead, are forgotten a day after their last use.
        assert_eq!(world.places_of(&alice.uid).await, ["entities.id", "audit.actor"], "step {step}");
        for text in ["Wonderland", "Down the hole", "diary"] {
            assert_eq!(world.places_of(text).await, [] as [&str; 0], "step {step}: {text}");
        }
        assert_eq!(world.places_of(ALICE).await, [] as [&str; 0], "step {step}: what was tried meanwhile names nobody");
        let anew = world.sign_in_at(&json!({})).await;
        assert!(anew.status == 200 && anew.body["user"]["id"] != alice.uid, "step {step}: {anew:?}");
        if !died {
            assert!(step > 12, "{step} steps");
            return;
        }
        erasing = Some(step + 1);
    }
}
