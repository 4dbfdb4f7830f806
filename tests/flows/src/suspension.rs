//! Suspending people, through the pipelines of identity, account and auth.

use super::world::{World, cookie};
use serde_json::{Value as Json, json};
use tmcp_protocol::routes::INTERNAL_MAINTAIN_IDENTITY;
use tmcp_testkit::{Answer, dies};

const ADMIN: &str = "admin-secret-admin-secret-admin-";
const ALICE: &str = "@alice:hs";

impl World {
    async fn admin(&self, what: &str, body: Json) -> Answer {
        self.identity.json("POST", &format!("/api/v1/admin/users/{what}"), ADMIN, body).await
    }

    async fn suspend(&self) -> Answer {
        let body = json!({"user": ALICE, "reason": "spam", "appeal_url": "https://hs.example/appeal"});
        self.admin("suspend", body).await
    }

    async fn alice(&self) -> Answer {
        let whoami = r#"{"user_id":"@alice:hs","device_id":"D"}"#;
        self.platform.recorded().answer("GET", "http://hs:8008/_matrix/client/v3/account/whoami", 200, whoami);
        let body = json!({"matrix_user_id": ALICE, "access_token": "alice"});
        self.auth.json("POST", "/api/v1/auth/matrix", "", body).await
    }

    async fn exchange(&self, subject: &str) -> Answer {
        let form = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&client_id=ma_a&subject_token={subject}\
            &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token&scope=storage:read"
        );
        self.auth.form("/oauth2/token", &form).await
    }

    async fn refresh(&self, token: &str) -> Answer {
        self.auth.form("/oauth2/token", &format!("grant_type=refresh_token&client_id=ma_a&refresh_token={token}")).await
    }
}

fn text(answer: &Answer, name: &str) -> String {
    answer.body[name].as_str().unwrap_or_else(|| panic!("{name} in {answer:?}")).to_owned()
}

/// Everything that alice holds, and what each is answered.
struct Alice {
    platform: String,
    tep: String,
    refresh: String,
    browser: String,
}

impl Alice {
    async fn new(world: &World) -> Self {
        let platform = text(&world.alice().await, "access_token");
        let granted = world.exchange(&platform).await;
        let handed = world.account.json("POST", "/api/v1/auth/browser", &platform, json!({})).await;
        let url = text(&handed, "url");
        let page = World::get(&world.account, "", url.strip_prefix("https://tmcp.example").unwrap()).await;
        let field = |name: &str| {
            let rest = page.text.rsplit_once(&format!("name=\"{name}\" value=\"")).unwrap().1;
            rest.split('"').next().unwrap().to_owned()
        };
        let form = format!("handle={}&continue=/account&token={}", field("handle"), field("token"));
        let request = http::Request::builder().method("POST").uri("/account/continue").header("cookie", cookie(&page));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let begun = world.account.send(request.body(form.into()).unwrap()).await;
        Self { platform, tep: text(&granted, "access_token"), refresh: text(&granted, "refresh_token"), browser: cookie(&begun) }
    }

    /// Statuses of: handing over, userinfo's route, refresh, exchange, sign-in, the account's page.
    async fn ask(&self, world: &World) -> [u16; 6] {
        [
            world.account.json("POST", "/api/v1/auth/browser", &self.platform, json!({})).await.status,
            world.consent.json("POST", "/api/v1/auth/revoke", &self.tep, json!({"miniapp_id": "ma_b"})).await.status,
            world.refresh(&self.refresh).await.status,
            world.exchange(&self.platform).await.status,
            world.alice().await.status,
            World::get(&world.account, &self.browser, "/account").await.status,
        ]
    }
}

#[tokio::test]
async fn from_the_next_request_on_everything_says_so_until_it_is_lifted() {
    let world = World::new().await;
    let alice = Alice::new(&world).await;
    let told = world.suspend().await;
    assert_eq!((told.status, told.body["status"].as_str()), (200, Some("suspended")), "{told:?}");
    assert_eq!(alice.ask(&world).await, [403; 6]);
    let answer = world.account.json("POST", "/api/v1/auth/browser", &alice.platform, json!({})).await;
    let details = json!({"suspended_until": null, "reason": "spam", "appeal_url": "https://hs.example/appeal"});
    assert_eq!((answer.code(), &answer.body["error"]["details"]), ("ACCOUNT_SUSPENDED", &details));
    let signed_in = world.alice().await;
    assert_eq!((signed_in.code(), &signed_in.body["error"]["details"]), ("ACCOUNT_SUSPENDED", &details));
    let refused = world.refresh(&alice.refresh).await;
    assert_eq!((refused.code(), refused.body["reason"].as_str()), ("account_suspended", Some("spam")), "{refused:?}");
    let page = World::get(&world.account, &alice.browser, "/account").await;
    assert!(page.text.contains("spam") && page.text.contains("https://hs.example/appeal"), "{}", page.text);
    // Nothing was ended.
    assert_eq!(world.admin("lift", json!({"user": ALICE})).await.status, 200);
    assert_eq!(alice.ask(&world).await, [200, 403, 200, 200, 200, 200], "the TEP may take back for its own app alone");
    let rows = world.rows("SELECT action, actor, outcome FROM audit WHERE action LIKE 'user.%' ORDER BY at, action").await;
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row["actor"] == "administrator" && row["outcome"] == "ok"), "{rows:?}");
}

#[tokio::test]
async fn a_suspension_ends_by_itself() {
    let world = World::new().await;
    let alice = Alice::new(&world).await;
    let until = tmcp_protocol::Millis({
        use tmcp_ports::{Clock, Platform};
        world.platform.clock().now().0 + 60_000
    });
    let body = json!({"user": ALICE, "reason": "spam", "until": until.rfc3339()});
    assert_eq!(world.admin("suspend", body).await.body["suspended_until"], json!(until.rfc3339()));
    world.platform.advance(59_999);
    assert_eq!(alice.ask(&world).await, [403; 6]);
    world.platform.advance(1);
    assert_eq!(alice.ask(&world).await, [200, 403, 200, 200, 200, 200]);
}

#[tokio::test]
async fn a_person_of_a_provider_is_named_by_our_own_id() {
    let world = World::new().await;
    let session = cookie(&world.forge().await);
    let uid = world.rows("SELECT uid FROM users").await[0]["uid"].as_str().unwrap().to_owned();
    assert_eq!(world.admin("suspend", json!({"user": uid, "reason": "spam"})).await.status, 200);
    let again = world.forge().await;
    assert_eq!((again.status, again.headers.get("set-cookie")), (403, None));
    assert!(again.text.contains("spam"), "{}", again.text);
    assert_eq!(World::get(&world.account, &session, "/account").await.status, 403);
}

#[tokio::test]
async fn what_cannot_be_said_is_refused() {
    let world = World::new().await;
    world.alice().await;
    let long = "x".repeat(501);
    let bodies = [
        (json!({"user": ALICE}), 400),
        (json!({"user": ALICE, "reason": " "}), 400),
        (json!({"user": ALICE, "reason": long}), 400),
        (json!({"user": ALICE, "reason": "r", "until": "2001-01-01T00:00:00Z"}), 400),
        (json!({"user": ALICE, "reason": "r", "until": "tomorrow"}), 400),
        (json!({"user": ALICE, "reason": "r", "appeal_url": "javascript:alert(1)"}), 400),
        (json!({"user": "@nobody:hs", "reason": "r"}), 404),
        (json!({"user": "", "reason": "r"}), 404),
    ];
    for (body, status) in bodies {
        assert_eq!(world.admin("suspend", body.clone()).await.status, status, "{body}");
    }
    for token in ["", "operator-secret-operator-secret-", "x"] {
        let answer =
            world.identity.json("POST", "/api/v1/admin/users/suspend", token, json!({"user": ALICE, "reason": "r"})).await;
        assert_eq!((answer.status, answer.code()), (401, "INVALID_TOKEN"), "{token}");
    }
    assert_eq!(world.alice().await.status, 200);
}

#[tokio::test]
async fn a_lift_finds_apps_whose_sessions_ended_meanwhile() {
    let world = World::new().await;
    let alice = Alice::new(&world).await;
    assert_eq!(world.suspend().await.status, 200);
    let ended = world.auth.form("/oauth2/revoke", &format!("client_id=ma_a&token={}", alice.refresh)).await;
    assert_eq!(ended.status, 200, "{ended:?}");
    assert_eq!(world.admin("lift", json!({"user": ALICE})).await.status, 200);
    assert_eq!(world.exchange(&alice.platform).await.status, 200);
    assert_eq!(world.rows("SELECT uid FROM standings_told").await.len(), 0);
    // Nor is an app missed whose session ended before, while its access token lives.
    let granted = world.exchange(&alice.platform).await;
    world.auth.form("/oauth2/revoke", &format!("client_id=ma_a&token={}", text(&granted, "refresh_token"))).await;
    assert_eq!(world.suspend().await.status, 200);
    assert_eq!(world.rows("SELECT app_id FROM standings_told").await, [json!({"app_id": "ma_a"})]);
}

#[tokio::test]
async fn every_use_of_the_secret_leaves_a_row() {
    let world = World::new().await;
    for (what, body) in [
        ("suspend", json!({"user": "@nobody:hs", "reason": "r"})),
        ("suspend", json!({"user": "@nobody:hs", "reason": ""})),
        ("lift", json!({"user": "@nobody:hs"})),
    ] {
        assert!(world.admin(what, body).await.status >= 400);
    }
    let rows = world.rows("SELECT action, target FROM audit WHERE actor = 'administrator' AND outcome = 'refused'").await;
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert!(rows.iter().all(|row| row["target"] == "@nobody:hs"));
}

/// Wherever it dies, maintenance finishes what was said; before the batch nothing was.
#[tokio::test]
async fn a_suspension_that_dies_is_finished() {
    for step in 0.. {
        let world = World::new().await;
        let alice = Alice::new(&world).await;
        world.platform.faults().die_at(Some(step));
        let died = dies(world.suspend()).is_none();
        world.platform.faults().die_at(None);
        let said = world.rows("SELECT uid FROM users WHERE status = 'suspended'").await.len() == 1;
        world.platform.advance(60_001);
        world.identity.internal(&INTERNAL_MAINTAIN_IDENTITY, json!({})).await;
        let expected = if said { [403; 6] } else { [200, 403, 200, 200, 200, 200] };
        assert_eq!(alice.ask(&world).await, expected, "step {step}");
        assert_eq!(world.rows("SELECT uid FROM standings_to_tell").await.len(), 0, "step {step}");
        if !died {
            assert!(step > 5, "{step} steps");
            return;
        }
    }
}

/// Many who suspend and lift at once: in the end the subjects stand as the row says.
#[tokio::test]
async fn of_two_administrators_the_later_one_counts() {
    for _ in 0..10 {
        let world = World::new().await;
        let alice = Alice::new(&world).await;
        let tasks: Vec<_> = (0..6)
            .map(|n| {
                let world = world.clone();
                tokio::spawn(async move {
                    match n % 2 {
                        0 => world.suspend().await.status,
                        _ => world.admin("lift", json!({"user": ALICE})).await.status,
                    }
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), 200);
        }
        let suspended = world.rows("SELECT uid FROM users WHERE status = 'suspended'").await.len() == 1;
        assert_eq!(alice.ask(&world).await[0], if suspended { 403 } else { 200 });
        assert_eq!(alice.ask(&world).await[2] == 403, suspended);
    }
}
