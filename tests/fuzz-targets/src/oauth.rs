//! The forms of `/oauth2/*` and the body of sign-in, through auth's whole pipeline on host adapters.
//!
//! In an input `$P` stands for a platform token that holds, `$T` for a TEP, `$R` for its refresh token and `$S` for the client's
//! secret. Promises: no input makes an error of ours, refusals have the form of RFC 6749, nobody gets a scope that the app has not
//! registered, and no answer shows a secret that the request did not bring.

use crate::input::{Input, done};
use bytes::Bytes;
use serde_json::{Value, json};
use std::cell::RefCell;
use tmcp_protocol::routes::Function;
use tmcp_testkit::{Answer, Client, Lease, TestPlatform};

const SECRET: &str = "secret-secret-secret-secret-secret-";
const EXCHANGE: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange\
    &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token&client_id=ma_a&subject_token=";
const REGISTERED: [&str; 3] = ["storage:read", "storage:write", "user:read"];
const USES: usize = 100;

struct World {
    client: Client,
    platform_token: String,
    access: String,
    refresh: String,
    uses: usize,
    _lease: Lease,
}

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap_or_else(|| panic!("no {name} in {body}")).to_owned()
}

impl World {
    fn new() -> Self {
        let platform = TestPlatform::new();
        platform.set("LIMITS", r#"{"scale":1000000}"#);
        platform.in_process().connect(Function::Identity, |request| async move {
            let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
            let (full, weak) = (body["access_token"] == "alice", body["openid_token"]["access_token"] == "open");
            let answer = json!({
                "uid": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "names": {"sub": "@alice:hs", "wallet_id": "tw_1", "level": if weak { "openid" } else { "full" }}, "provider": "matrix", "generation": 0, "proven_at": 1_795_305_600_000_i64,
                "user": {"id": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "status": "active", "matrix_user_id": "@alice:hs", "matrix_username": "alice", "display_name": "Alice"},
            });
            let status = if full || weak { 200 } else { 401 };
            http::Response::builder().status(status).body(Bytes::from(answer.to_string())).expect("an answer")
        });
        Client::new(tmcp_account::routes(), &platform).connect(Function::Account);
        Client::new(tmcp_consent::routes(), &platform).connect(Function::Consent);
        let client = Client::new(tmcp_auth::routes(), &platform);
        for (id, kind, secret) in [("ma_a", "public", Value::Null), ("ma_a_b", "confidential", json!(SECRET))] {
            let body = json!({"client_id": id, "app_id": "ma_a", "name": id, "kind": kind, "client_secret": secret,
                "scopes": REGISTERED, "origins": [], "redirect_uris": ["https://app.example/back"]});
            done(client.register(body));
        }
        let body = json!({"matrix_user_id": "@alice:hs", "access_token": "alice"});
        let platform_token = text(&done(client.json("POST", "/api/v1/auth/matrix", "", body)).body, "access_token");
        let (access, refresh, lease) = (String::new(), String::new(), platform.until_dropped());
        let world = Self { client, platform_token, access, refresh, uses: 0, _lease: lease };
        world.renewed()
    }

    /// With a session that no input before has touched.
    fn renewed(self) -> Self {
        let answer = done(self.client.form("/oauth2/token", &format!("{EXCHANGE}{}", self.platform_token)));
        assert_eq!(answer.status, 200, "an exchange: {}", answer.body);
        Self {
            access: text(&answer.body, "access_token"),
            refresh: text(&answer.body, "refresh_token"),
            uses: self.uses + 1,
            ..self
        }
    }

    fn filled(&self, template: &str) -> String {
        let filled = template.replace("$P", &self.platform_token).replace("$T", &self.access);
        filled.replace("$R", &self.refresh).replace("$S", SECRET)
    }

    fn judge(&self, path: &str, body: &str, answer: &Answer) {
        assert!(answer.status < 500, "{path} answered {}: {}", answer.status, answer.body);
        let shown = answer.body.to_string();
        for secret in [SECRET, &self.refresh, &self.platform_token] {
            assert!(!shown.contains(secret) || body.contains(secret), "{path} shows a secret: {shown}");
        }
        if path.starts_with("/oauth2/") && answer.status >= 400 {
            assert!(answer.body["error"].is_string() || answer.body["error"]["code"].is_string(), "{path}: {shown}");
        }
        if path == "/oauth2/token" && answer.status == 200 {
            let scope = text(&answer.body, "scope");
            assert!(scope.split(' ').all(|one| scope.is_empty() || REGISTERED.contains(&one)), "not registered: {scope}");
            let (access, refresh) = (text(&answer.body, "access_token"), text(&answer.body, "refresh_token"));
            assert!(access.starts_with("tep.") && refresh.starts_with("rt_") && refresh != self.refresh, "{shown}");
        }
        assert_eq!(answer.headers["cache-control"], "no-store", "{path}");
    }
}

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let choice = input.choice(5);
    let world = WORLD.take().filter(|world| world.uses < USES).unwrap_or_else(World::new);
    let body = world.filled(&input.text());
    let path = match choice {
        0 | 1 => "/oauth2/token",
        2 => "/oauth2/revoke",
        3 => "/oauth2/introspect",
        _ => "/api/v1/auth/matrix",
    };
    let answer = if choice == 4 {
        let request = http::Request::builder().method("POST").uri(path).header("content-type", "application/json");
        done(world.client.send(request.body(Bytes::from(body.clone())).expect("a request")))
    } else {
        done(world.client.form(path, &body))
    };
    world.judge(path, &body, &answer);
    // Twice the same: a refresh or a subject token that was used up is refused, and never is an error of ours.
    if choice < 4 {
        world.judge(path, &body, &done(world.client.form(path, &body)));
    }
    // The input may have ended the session that the next one is to use; a platform token stays, since nothing here logs out.
    WORLD.set(Some(if body.contains(&world.refresh) || body.contains(&world.access) { world.renewed() } else { used(world) }));
}

fn used(world: World) -> World {
    World { uses: world.uses + 1, ..world }
}
