//! The server under test, people and mini-apps on it.

use crate::answer::{Answer, Ask};
use crate::keys::DevKeys;
use crate::matrix::MatrixUser;
use crate::storage::Storage;
use crate::up::Up;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tmcp_protocol::audit::AuditRow;

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// What an app of the tests may ask for.
const SCOPES: &[&str] = &["storage:read", "storage:write", "user:read", "user:read:extended", "wallet:balance"];

/// The server under test. Cheap to clone.
#[derive(Clone)]
pub struct World {
    /// What `up.json` says.
    pub up: Arc<Up>,
    pub(crate) http: Client,
}

/// A word that nobody had before, in lower case.
pub fn unique(prefix: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_nanos();
    format!("{prefix}{nanos:x}{:x}x{:x}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Somebody who has signed in.
#[derive(Debug, Clone)]
pub struct Person {
    /// Their Matrix account.
    pub matrix: MatrixUser,
    /// Their platform token.
    pub token: String,
    /// Their user id here.
    pub uid: String,
}

/// An OAuth client.
#[derive(Debug, Clone)]
pub struct App {
    /// Its client id.
    pub client_id: String,
    /// The mini-app it belongs to.
    pub app_id: String,
    /// Its secret, when it is confidential.
    pub secret: Option<String>,
}

/// A client to be registered.
#[derive(Debug, Clone)]
pub struct ClientSpec<'a> {
    /// The mini-app; a new one where none is given.
    pub app_id: Option<&'a str>,
    /// Whether it has a secret.
    pub confidential: bool,
    /// What it may ask for.
    pub scopes: &'a [&'a str],
    /// Its browser origins.
    pub origins: &'a [&'a str],
    /// Where its codes may go.
    pub redirect_uris: &'a [&'a str],
    /// Whether it is a client of the platform itself.
    pub host: bool,
    /// Whether it is an official app's.
    pub official: bool,
}

impl Default for ClientSpec<'_> {
    fn default() -> Self {
        Self { app_id: None, confidential: false, scopes: SCOPES, origins: &[], redirect_uris: &[], host: false, official: false }
    }
}

/// A TEP and its refresh token.
#[derive(Debug, Clone)]
pub struct Session {
    /// The TEP.
    pub access: String,
    /// The refresh token.
    pub refresh: String,
}

impl Session {
    /// Of a grant's good answer.
    #[track_caller]
    pub fn of(answer: &Answer) -> Self {
        let body = answer.ok();
        let text = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("no {name} in {body}")).to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token") }
    }
}

impl World {
    /// The server of the usual run, whose limits are out of the way.
    pub fn new() -> Self {
        assert!(!Self::limits_are_still(), "this test makes many requests and cannot run with TMCP_LIMITS_RUN=1");
        Self::at_any_limits()
    }

    /// The server of the limits run: protocol capacities, and buckets that never refill.
    pub fn with_still_limits() -> Self {
        assert!(
            Self::limits_are_still(),
            "this test needs a fresh server with LIMITS={{\"refill\":0}}, and TMCP_LIMITS_RUN=1 to say so"
        );
        Self::at_any_limits()
    }

    fn limits_are_still() -> bool {
        std::env::var("TMCP_LIMITS_RUN").is_ok_and(|value| value == "1")
    }

    fn at_any_limits() -> Self {
        let http = Client::builder().no_proxy().timeout(Duration::from_secs(90)).redirect(reqwest::redirect::Policy::none());
        Self { up: Arc::new(Up::read()), http: http.build().expect("an HTTP client") }
    }

    /// The keys that the server runs with.
    pub fn keys(&self) -> DevKeys {
        DevKeys::of(&self.up)
    }

    /// A request.
    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        self.http.request(method, format!("{}{path}", self.up.base_url))
    }

    /// A GET.
    pub fn get(&self, path: &str) -> RequestBuilder {
        self.request("GET", path)
    }

    /// A POST.
    pub fn post(&self, path: &str) -> RequestBuilder {
        self.request("POST", path)
    }

    /// A new person, signed in by access token.
    pub async fn person(&self) -> Person {
        let matrix = self.matrix_user().await;
        let body = self.sign_in(&matrix).await.ok();
        Self::signed_in(matrix, &body)
    }

    /// A person, from the answer to a sign-in.
    pub fn signed_in(matrix: MatrixUser, body: &Value) -> Person {
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("not a sign-in: {body}")).to_owned();
        Person { matrix, token: text(&body["access_token"]), uid: text(&body["user"]["id"]) }
    }

    /// A new mini-app's public client.
    pub async fn app(&self) -> App {
        self.client(ClientSpec::default()).await
    }

    /// The confidential client of a mini-app.
    pub async fn backend_of(&self, app: &App) -> App {
        self.client(ClientSpec { app_id: Some(&app.app_id), confidential: true, ..ClientSpec::default() }).await
    }

    /// Registers a client.
    pub async fn client(&self, spec: ClientSpec<'_>) -> App {
        let app_id = spec.app_id.map_or_else(|| unique("ma_"), str::to_owned);
        let client_id = if spec.confidential { unique(&format!("{app_id}_b")) } else { app_id.clone() };
        let kind = if spec.confidential { "confidential" } else { "public" };
        let body = json!({
            "client_id": client_id, "app_id": app_id, "name": "e2e", "kind": kind, "scopes": spec.scopes, "origins": spec.origins,
            "redirect_uris": spec.redirect_uris, "host": spec.host, "official": spec.official,
        });
        let answer = self.post("/ops/clients").bearer_auth(&self.up.operator_token).json(&body).ask().await.ok();
        let secret = answer["client_secret"].as_str().map(str::to_owned);
        assert_eq!(secret.is_some(), spec.confidential, "{answer}");
        App { client_id, app_id, secret }
    }

    /// A form to an OAuth endpoint, authenticated as the client.
    pub async fn form(&self, path: &str, app: &App, parameters: &[(&str, &str)]) -> Answer {
        let mut form = vec![("client_id", app.client_id.as_str())];
        form.extend(app.secret.as_deref().map(|secret| ("client_secret", secret)));
        form.extend(parameters);
        self.post(path).form(&form).ask().await
    }

    /// Exchanges a subject token.
    pub async fn exchange(&self, app: &App, subject: &str, scope: Option<&str>) -> Answer {
        let mut form = vec![("grant_type", EXCHANGE), ("subject_token", subject), ("subject_token_type", ACCESS_TOKEN)];
        form.extend(scope.map(|scope| ("scope", scope)));
        self.form("/oauth2/token", app, &form).await
    }

    /// The storage scopes for a person in an app.
    pub async fn session(&self, app: &App, person: &Person) -> Session {
        Session::of(&self.exchange(app, &person.token, Some("storage:read storage:write")).await)
    }

    /// The path of the question that an exchange runs into.
    pub async fn asked(&self, app: &App, token: &str, scope: &str) -> String {
        let body = self.exchange(app, token, Some(scope)).await.is_oauth_error(403, "consent_required");
        let path = body["consent_ui_endpoint"].as_str().unwrap_or_else(|| panic!("no question in {body}"));
        assert!(path.starts_with("/oauth2/consent?session=consent_"), "{path}");
        path.to_owned()
    }

    /// Answers such a question, as a host client does.
    pub async fn answer(&self, token: &str, path: &str, approve: bool) -> Answer {
        let id = path.split_once('=').expect("an id").1;
        self.post("/oauth2/consent").bearer_auth(token).json(&json!({"session": id, "approve": approve})).ask().await
    }

    /// A session with scopes that the person agrees to for it.
    pub async fn agreed(&self, app: &App, person: &Person, scope: &str) -> Session {
        let path = self.asked(app, &person.token, scope).await;
        self.answer(&person.token, &path, true).await.expect(204);
        Session::of(&self.exchange(app, &person.token, Some(scope)).await)
    }

    /// Refreshes.
    pub async fn refresh(&self, app: &App, token: &str) -> Answer {
        self.form("/oauth2/token", app, &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    /// The audit log as far as it is sealed, once it was.
    pub async fn audit_log(&self) -> Vec<AuditRow> {
        let operator = &self.up.operator_token;
        self.post("/ops/maintenance").bearer_auth(operator).ask().await.ok();
        let mut all: Vec<AuditRow> = Vec::new();
        loop {
            let path = format!("/ops/audit?after={}", all.last().and_then(|row| row.seq).unwrap_or_default());
            let body = self.get(&path).bearer_auth(operator).ask().await.ok();
            let rows: Vec<AuditRow> = serde_json::from_value(body["rows"].clone()).expect("rows of the log");
            if rows.is_empty() {
                return all;
            }
            all.extend(rows);
        }
    }

    /// Asks storage whether a TEP holds.
    pub async fn probe(&self, token: &str) -> Answer {
        self.get("/api/v1/storage-info").bearer_auth(token).ask().await
    }

    /// Empty storage: of a new person in a new app.
    pub async fn storage(&self) -> Storage {
        let (person, app) = (self.person().await, self.app().await);
        Storage::new(self.clone(), self.session(&app, &person).await.access)
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}
