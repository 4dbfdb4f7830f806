//! What leads a browser somewhere: authorization requests, answers to questions, hand-overs, the account's forms. Through the whole
//! pipelines of account and consent on host adapters, with the real auth beside them.
//!
//! In an input `$Q` stands for an open question of alice's, `$F` for the token of its form, `$H` for a handle of a hand-over. Promises:
//! no input makes an error of ours; nobody is led to an address but the client's own and our pages; a code is given for registered
//! scopes alone; whatever is sent back to a page is escaped.

use crate::input::{Input, done};
use bytes::Bytes;
use http::Request;
use http::request::Builder;
use serde_json::{Value, json};
use std::cell::RefCell;
use tmcp_protocol::routes::{Function, function_for};
use tmcp_testkit::{Answer, Client, Lease, TestPlatform};
use url::Url;

const BACK: &str = "https://app.example/back?x=1";
const GOOD: &str = "response_type=code&client_id=ma_a&redirect_uri=https%3A%2F%2Fapp.example%2Fback%3Fx%3D1&state=s\
    &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256&scope=";
const FORM: &str = "application/x-www-form-urlencoded";
const USES: usize = 200;

struct World {
    account: Client,
    consent: Client,
    token: String,
    cookie: String,
    question: String,
    form: String,
    handle: String,
    uses: usize,
    _lease: Lease,
}

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// What stands behind `start` in a page, up to a quotation mark.
fn field(page: &str, start: &str) -> String {
    let rest = page.split(start).nth(1).unwrap_or_else(|| panic!("no {start} in {page}"));
    rest.split('"').next().unwrap_or_default().to_owned()
}

fn location(answer: &Answer) -> Option<&str> {
    let refresh = answer.headers.get("refresh").and_then(|to| to.to_str().ok()?.strip_prefix("0; url="));
    refresh.or_else(|| answer.headers.get("location")?.to_str().ok())
}

impl World {
    fn new() -> Self {
        let platform = TestPlatform::new();
        platform.set("LIMITS", r#"{"scale":1000000}"#);
        platform.in_process().connect(Function::Identity, |request| async move {
            if request.uri().path() == "/internal/identities" {
                return http::Response::new(Bytes::from_static(b"[]"));
            }
            let answer = json!({
                "uid": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "names": {"sub": "@alice:hs", "wallet_id": "tw_1", "level": "full"}, "provider": "matrix", "generation": 0, "proven_at": 1_795_305_600_000_i64,
                "user": {"id": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "status": "active", "matrix_user_id": "@alice:hs", "matrix_username": "alice", "display_name": null},
            });
            http::Response::builder().status(200).body(Bytes::from(answer.to_string())).expect("an answer")
        });
        platform.in_process().connect(Function::Broker, |_| async { http::Response::new(Bytes::from_static(b"[]")) });
        let (account, auth) = (Client::new(tmcp_account::routes(), &platform), Client::new(tmcp_auth::routes(), &platform));
        let consent = Client::new(tmcp_consent::routes(), &platform);
        account.connect(Function::Account);
        consent.connect(Function::Consent);
        auth.connect(Function::Auth);
        let client = json!({"client_id": "ma_a", "app_id": "ma_a", "name": "A", "kind": "public", "redirect_uris": [BACK],
            "scopes": ["storage:read", "user:read", "wallet:pay"]});
        done(auth.register(client));
        let body = json!({"matrix_user_id": "@alice:hs", "access_token": "alice"});
        let token = done(auth.json("POST", "/api/v1/auth/matrix", "", body)).body["access_token"].as_str().map(str::to_owned);
        let world = Self {
            account,
            consent,
            token: token.expect("a platform token"),
            cookie: String::new(),
            question: String::new(),
            form: String::new(),
            handle: String::new(),
            uses: 0,
            _lease: platform.until_dropped(),
        };
        world.signed_in()
    }

    /// With a session, a question and a handle that no input before has touched.
    fn signed_in(mut self) -> Self {
        let taken = done(self.consent.json("POST", "/api/v1/auth/revoke", &self.token, json!({"miniapp_id": "ma_a"})));
        assert_eq!(taken.status, 200, "{}", taken.text);
        let handle = self.hand_over();
        let begun = self.go_on(&format!("handle={handle}&continue=%2Faccount"));
        let cookie = begun.and_then(|answer| Some(answer.headers.get("set-cookie")?.to_str().ok()?.to_owned()));
        self.cookie = cookie.expect("a cookie").split(';').next().unwrap_or_default().to_owned();
        let page = self.send(request("GET", &format!("/oauth2/authorize?{GOOD}user:read")), "", "").expect("a page");
        self.question = field(&page.text, "name=\"session\" value=\"");
        self.form = field(&page.text, "name=\"token\" value=\"");
        self.handle = self.hand_over();
        self.uses += 1;
        self
    }

    /// Opens a hand-over's page and says yes.
    fn go_on(&mut self, query: &str) -> Option<Answer> {
        let page = self.send(request("GET", &format!("/account/continue?{query}")), "", "")?;
        self.cookie = page.headers.get("set-cookie")?.to_str().ok()?.split(';').next()?.to_owned();
        let token = field(&page.text, "name=\"token\" value=\"");
        self.send(request("POST", "/account/continue"), FORM, &format!("{query}&token={token}"))
    }

    fn hand_over(&self) -> String {
        let answer = done(self.account.json("POST", "/api/v1/auth/browser", &self.token, json!({})));
        let url = answer.body["url"].as_str().and_then(|url| Url::parse(url).ok()).expect("an address");
        let handle = url.query_pairs().find(|(name, _)| name == "handle").map(|(_, value)| value.into_owned());
        handle.expect("a handle")
    }

    /// `None` where the input makes no request.
    fn send(&self, request: Builder, kind: &str, body: &str) -> Option<Answer> {
        let request = request.header("cookie", &self.cookie).header("content-type", kind);
        let request = request.body(Bytes::from(body.to_owned())).ok()?;
        let is_consents = function_for(request.uri().path()) == Some(Function::Consent);
        let client = if is_consents { &self.consent } else { &self.account };
        Some(done(client.send(request)))
    }

    fn judge(&self, what: &str, answer: &Answer) {
        assert!(answer.status < 500, "{what} answered {}: {}", answer.status, answer.text);
        if let Some(to) = location(answer) {
            let url = Url::parse("https://tmcp.example").and_then(|base| base.join(to)).expect("an address");
            let pairs: Vec<(String, String)> = url.query_pairs().map(|(n, v)| (n.into_owned(), v.into_owned())).collect();
            let has = |name: &str| pairs.iter().any(|(found, _)| found == name);
            if url.host_str() == Some("app.example") {
                assert!(to.starts_with("https://app.example/back?x=1&") && has("iss"), "{what} leads to {to}");
                assert!(has("code") != has("error"), "{what} leads to {to}");
            } else {
                let pages = ["/oauth2/authorize", "/oauth2/consent", "/account"];
                assert_eq!(url.origin().ascii_serialization(), "https://tmcp.example", "{what} leads to {to}");
                assert!(to.starts_with('/') && pages.contains(&url.path()), "{what} leads to {to}");
            }
        }
        assert!(!answer.text.contains("<script") && !answer.text.contains("onerror="), "{what} shows {}", answer.text);
        for secret in [&self.cookie, &self.token] {
            assert!(!answer.text.contains(secret.as_str()), "{what} shows a secret");
        }
    }
}

fn request(method: &str, path: &str) -> Builder {
    Request::builder().method(method).uri(path)
}

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let choice = input.choice(7);
    let mut world = WORLD.take().filter(|world| world.uses < USES).unwrap_or_else(World::new);
    let text = input.text().replace("$Q", &world.question).replace("$F", &world.form).replace("$H", &world.handle);
    let (request, kind, body) = match choice {
        0 => (request("GET", &format!("/oauth2/authorize?{text}")), "", String::new()),
        1 => (request("GET", &format!("/oauth2/authorize?{GOOD}{text}")), "", String::new()),
        2 => (request("POST", "/oauth2/consent"), FORM, text.clone()),
        3 => {
            let request = request("POST", "/oauth2/consent").header("authorization", format!("Bearer {}", world.token));
            (request, "application/json", text.clone())
        }
        4 => (request("POST", "/account/continue"), FORM, text.clone()),
        5 => {
            let request = request("POST", "/api/v1/auth/browser").header("authorization", format!("Bearer {}", world.token));
            (request, "application/json", json!({ "continue": text }).to_string())
        }
        _ => (request("GET", &format!("/account/continue?{text}")), "", String::new()),
    };
    let what = format!("case {choice} with {text:?}");
    if let Some(answer) = world.send(request, kind, &body) {
        world.judge(&what, &answer);
        // What was accepted as an address of ours is where the browser goes.
        if let (5, Value::String(url)) = (choice, &answer.body["url"]) {
            let form = url.split_once('?').map_or("", |(_, query)| query);
            let cookie = world.cookie.clone();
            let answer = world.go_on(form).expect("a request");
            world.cookie = cookie;
            assert!(answer.status == 200 && location(&answer).is_some(), "{what}: {}", answer.text);
            world.judge(&what, &answer);
        }
    }
    // The input may have answered the question or used the handle that the next one is to use.
    let touched = [&world.question, &world.handle].iter().any(|used| text.contains(used.as_str()));
    WORLD.set(Some(if touched { world.signed_in() } else { World { uses: world.uses + 1, ..world } }));
}
