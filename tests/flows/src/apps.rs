//! What apps may do of a person, and how people come to a browser: account, consent and auth, with broker and identity reduced to
//! answers.

mod browsers;
mod codes;
mod consents;
mod devices;
mod taking_back;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::{Value as Json, json};
use tmcp_protocol::routes::{Function, INTERNAL_MAINTAIN_ACCOUNT, INTERNAL_MAINTAIN_CONSENT, function_for};
use tmcp_testkit::{Answer, Client, TestPlatform};

const ISSUER: &str = "https://tmcp.example";
const BACK: &str = "https://app.example/back?x=1";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const SECRET: &str = "secret-secret-secret-secret-secret-";

#[derive(Clone)]
struct World {
    platform: TestPlatform,
    account: Client,
    consent: Client,
    auth: Client,
}

impl World {
    async fn new() -> Self {
        let platform = TestPlatform::new();
        platform.set("LIMITS", r#"{"scale":1000}"#);
        // Identity, reduced to two people whose Matrix tokens are their names, and alice's OpenID token.
        platform.in_process().connect(Function::Identity, |request| async move {
            if request.uri().path() == "/internal/identities" {
                return http::Response::new(Bytes::from_static(b"[]"));
            }
            let body: Json = serde_json::from_slice(request.body()).unwrap_or_default();
            let weak = body["openid_token"]["access_token"] == "open";
            let who = body["access_token"].as_str().unwrap_or(if weak { "alice" } else { "" }).to_owned();
            let uid = if who == "alice" { "01ARZ3NDEKTSV4RRFFQ69G5FAV" } else { "01ARZ3NDEKTSV4RRFFQ69G5FAW" };
            let answer = json!({
                "uid": uid, "names": {"sub": format!("@{who}:hs"), "wallet_id": "tw_1", "level": if weak { "openid" } else { "full" }}, "provider": "matrix", "generation": 0, "proven_at": 1_795_305_600_000_i64,
                "user": {"id": uid, "status": "active", "matrix_user_id": format!("@{who}:hs"), "matrix_username": who, "display_name": null},
            });
            let status = if ["alice", "bob"].contains(&who.as_str()) { 200 } else { 401 };
            http::Response::builder().status(status).body(Bytes::from(answer.to_string())).unwrap()
        });
        platform.in_process().connect(Function::Broker, |_| async { http::Response::new(Bytes::from_static(b"[]")) });
        platform.in_process().connect(Function::Developer, |_| async { http::Response::new(Bytes::from_static(b"{}")) });
        let world = Self {
            account: Client::new(tmcp_account::routes(), &platform),
            consent: Client::new(tmcp_consent::routes(), &platform),
            auth: Client::new(tmcp_auth::routes(), &platform),
            platform,
        };
        world.account.connect(Function::Account);
        world.consent.connect(Function::Consent);
        world.auth.connect(Function::Auth);
        let scopes = json!(["user:read", "storage:read", "storage:write", "wallet:balance", "wallet:pay"]);
        let app = json!({
            "client_id": "ma_a", "app_id": "ma_a", "name": "App <A>", "developer": "Dev & Co", "kind": "public",
            "scopes": scopes, "redirect_uris": [BACK, "http://127.0.0.1:9/back"],
        });
        let official = json!({
            "client_id": "ma_o", "app_id": "ma_o", "name": "Own", "kind": "public", "official": true, "redirect_uris": [BACK],
            "scopes": ["user:read", "storage:read", "storage:write", "wallet:balance", "wallet:admin"],
        });
        let backend = json!({
            "client_id": "ma_a_backend", "app_id": "ma_a", "name": "A", "kind": "confidential", "client_secret": SECRET,
            "scopes": scopes, "redirect_uris": [BACK],
        });
        let closed = json!({"client_id": "ma_c", "app_id": "ma_c", "name": "C", "kind": "public", "scopes": scopes,
            "redirect_uris": [BACK], "grants": ["refresh_token"]});
        for client in [app, official, backend, closed] {
            world.auth.register(client).await;
        }
        world
    }

    /// A platform token of somebody who is known by their name.
    async fn sign_in(&self, who: &str) -> String {
        let body = json!({"matrix_user_id": format!("@{who}:hs"), "access_token": who});
        text(&self.auth.json("POST", "/api/v1/auth/matrix", "", body).await, "access_token")
    }

    /// Alice's platform token by OpenID token.
    async fn weak(&self) -> String {
        let openid = json!({"access_token": "open", "matrix_server_name": "hs"});
        let body = json!({"matrix_user_id": "@alice:hs", "openid_token": openid});
        text(&self.auth.json("POST", "/api/v1/auth/matrix", "", body).await, "access_token")
    }

    async fn exchange(&self, subject: &str, scope: &str) -> Answer {
        let form = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&client_id=ma_a&subject_token={subject}\
            &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token&scope={scope}"
        );
        self.auth.form("/oauth2/token", &form).await
    }

    async fn refresh(&self, token: &str) -> Answer {
        self.auth.form("/oauth2/token", &format!("grant_type=refresh_token&client_id=ma_a&refresh_token={token}")).await
    }

    async fn is_active(&self, token: &str) -> bool {
        let form = format!("client_id=ma_a_backend&client_secret={SECRET}&token={token}");
        self.auth.form("/oauth2/introspect", &form).await.body["active"] == true
    }

    /// A cookie of somebody, handed over from a platform token.
    async fn browser(&self, token: &str) -> String {
        let answer = self.account.json("POST", "/api/v1/auth/browser", token, json!({})).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        cookie(&self.go_on(&text(&answer, "url")).await)
    }

    /// Follows a hand-over's address and agrees to go on, if the page asks.
    async fn go_on(&self, url: &str) -> Answer {
        let page = self.page("", url.strip_prefix(ISSUER).unwrap()).await;
        if page.status != 200 {
            return page;
        }
        let fields = ["handle", "continue", "token"].map(|name| (name, field(&page, name)));
        self.post(&cookie(&page), "/account/continue", &fields.each_ref().map(|(name, value)| (*name, value.as_str()))).await
    }

    /// Whoever serves a page.
    fn at(&self, path: &str) -> &Client {
        match function_for(path.split('?').next().unwrap_or_default()) {
            Some(Function::Consent) => &self.consent,
            _ => &self.account,
        }
    }

    async fn page(&self, cookie: &str, path: &str) -> Answer {
        let request = http::Request::builder().uri(path).header("cookie", cookie);
        self.at(path).send(request.body(Bytes::new()).unwrap()).await
    }

    async fn post(&self, cookie: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = http::Request::builder().method("POST").uri(path).header("cookie", cookie);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        self.at(path).send(request.body(Bytes::from(form)).unwrap()).await
    }

    async fn authorize(&self, cookie: &str, scope: &str) -> Answer {
        self.page(cookie, &authorize(&[("scope", Some(scope))])).await
    }

    /// Answers the question of a page.
    async fn decide(&self, cookie: &str, page: &Answer, decision: &str) -> Answer {
        assert_eq!(page.status, 200, "{page:?}");
        let fields = ["session", "token", "continue"].map(|name| (name, field(page, name)));
        let mut fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        fields.push(("decision", decision));
        self.post(cookie, "/oauth2/consent", &fields).await
    }

    async fn redeem(&self, code: &str) -> Answer {
        self.redeem_with(code, &[]).await
    }

    async fn redeem_with(&self, code: &str, other: &[(&str, &str)]) -> Answer {
        let good = [
            ("grant_type", "authorization_code"),
            ("client_id", "ma_a"),
            ("redirect_uri", BACK),
            ("code_verifier", VERIFIER),
            ("code", code),
        ];
        let fields =
            good.into_iter().filter(|(name, _)| !other.iter().any(|(changed, _)| changed == name)).chain(other.iter().copied());
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.auth.form("/oauth2/token", &form).await
    }

    /// A code for storage scopes, which nobody is asked about.
    async fn code(&self, cookie: &str) -> String {
        parameter(&self.authorize(cookie, "storage:read").await, "code")
    }

    async fn maintain(&self) {
        assert_eq!(self.account.internal(&INTERNAL_MAINTAIN_ACCOUNT, json!({})).await.status, 200);
        assert_eq!(self.consent.internal(&INTERNAL_MAINTAIN_CONSENT, json!({})).await.status, 200);
    }

    /// How many rows a query counts.
    async fn count(&self, query: &'static str) -> i64 {
        use tmcp_ports::{Platform, Sql};
        let rows = self.platform.sql().query(tmcp_ports::stmt!(query)).await.unwrap();
        rows[0].get("n").unwrap().as_i64().unwrap()
    }
}

fn text(answer: &Answer, name: &str) -> String {
    answer.body[name].as_str().unwrap_or_else(|| panic!("{name} in {answer:?}")).to_owned()
}

/// The cookie that an answer sets, as a browser sends it.
fn cookie(answer: &Answer) -> String {
    let set = answer.headers.get("set-cookie").unwrap_or_else(|| panic!("no cookie in {answer:?}")).to_str().unwrap();
    set.split(';').next().unwrap().to_owned()
}

/// An authorization request of ma_a, with some parameters changed or left out.
fn authorize(other: &[(&str, Option<&str>)]) -> String {
    let good = [
        ("response_type", "code"),
        ("client_id", "ma_a"),
        ("redirect_uri", BACK),
        ("scope", "storage:read"),
        ("state", "a state & more"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in good {
        match other.iter().find(|(changed, _)| *changed == name) {
            Some((_, None)) => {}
            Some((_, Some(value))) => drop(query.append_pair(name, value)),
            None => drop(query.append_pair(name, value)),
        }
    }
    format!("/oauth2/authorize?{}", query.finish())
}

fn location(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{answer:?}");
    answer.headers["location"].to_str().unwrap().to_owned()
}

/// A parameter of the address that an answer leads to.
fn parameter(answer: &Answer, name: &str) -> String {
    let url = url::Url::parse(&location(answer)).unwrap();
    let found = url.query_pairs().find(|(found, _)| found == name);
    found.unwrap_or_else(|| panic!("no {name} in {url}")).1.into_owned()
}

/// A hidden field of a page's last form that has it.
fn field(page: &Answer, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    let rest = page.text.rsplit_once(&start).unwrap_or_else(|| panic!("no field {name} in {}", page.text)).1;
    rest.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&")
}

#[test]
fn the_examples_of_rfc_7636_belong_together() {
    use tmcp_http::sha256_hex;
    let challenge = URL_SAFE_NO_PAD.decode(CHALLENGE).unwrap();
    assert_eq!(sha256_hex(VERIFIER), tmcp_protocol::hex::hex(&challenge));
}
