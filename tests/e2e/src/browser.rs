//! A person's browser, by hand: one cookie, no scripts, no redirect followed unasked.

use crate::answer::{Answer, Ask};
use crate::secrets::remember;
use crate::world::{App, ClientSpec, Person, World};
use reqwest::Url;
use serde_json::json;

/// Where the apps of these tests have codes sent: nobody listens there, since nobody goes there.
pub const BACK: &str = "http://127.0.0.1:9/back?x=1";
/// The verifier and the challenge of RFC 7636, appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// The challenge of [`VERIFIER`].
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A browser that a person is signed in with, or nobody.
#[derive(Clone)]
pub struct Browser {
    world: World,
    cookie: String,
}

/// A hidden field of a page, the first of that name.
#[track_caller]
pub fn field(page: &Answer, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    let rest = page.text.split_once(&start).unwrap_or_else(|| panic!("no field {name} in {}", page.text)).1;
    rest.split('"').next().unwrap_or_default().replace("&#38;", "&")
}

/// Where an answer leads.
#[track_caller]
pub fn location(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{}", answer.text);
    answer.header("location").to_owned()
}

/// A parameter of the address that an answer leads to.
#[track_caller]
pub fn parameter(answer: &Answer, name: &str) -> String {
    let url = Url::parse(&location(answer)).unwrap_or_else(|error| panic!("{error} in {:?}", answer.headers));
    let found = url.query_pairs().find(|(found, _)| found == name);
    found.unwrap_or_else(|| panic!("no {name} in {url}")).1.into_owned()
}

/// The path of an authorization request, with some parameters changed, or left out where they are empty.
pub fn authorize(app: &App, scope: &str, other: &[(&str, &str)]) -> String {
    let good = [
        ("response_type", "code"),
        ("client_id", &app.client_id),
        ("redirect_uri", BACK),
        ("scope", scope),
        ("state", "a state & more"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let changed = |name: &str| other.iter().find(|(changed, _)| *changed == name).map(|(_, value)| *value);
    let pairs =
        good.into_iter().map(|(name, value)| (name, changed(name).unwrap_or(value))).filter(|(_, value)| !value.is_empty());
    let url = Url::parse_with_params("http://x/oauth2/authorize", pairs).expect("parameters");
    format!("/oauth2/authorize?{}", url.query().unwrap_or_default())
}

impl World {
    /// A public client that may use the code grant.
    pub async fn web_app(&self) -> App {
        self.client(ClientSpec { redirect_uris: &[BACK], ..ClientSpec::default() }).await
    }

    /// A browser that nobody is signed in with.
    pub fn nobodys_browser(&self) -> Browser {
        Browser { world: self.clone(), cookie: String::new() }
    }

    /// The address by which a person goes on in a browser: its path.
    pub async fn hand_over(&self, person: &Person) -> String {
        let body = self.post("/api/v1/auth/browser").bearer_auth(&person.token).json(&json!({})).ask().await.ok();
        let url = Url::parse(body["url"].as_str().expect("an address")).expect("an address");
        assert_eq!((url.origin().ascii_serialization(), &body["expires_in"]), (self.up.base_url.clone(), &json!(60)));
        for (name, value) in url.query_pairs() {
            if name == "handle" {
                remember(&value);
            }
        }
        format!("{}?{}", url.path(), url.query().unwrap_or_default())
    }

    /// A person's browser.
    pub async fn browser(&self, person: &Person) -> Browser {
        let path = self.hand_over(person).await;
        let page = self.nobodys_browser().page(&path).await;
        assert!(page.text.contains(&person.matrix.user_id), "it says who: {}", page.text);
        let begun = Browser::of(self, &page).go_on(&page).await;
        assert_eq!((begun.status, begun.header("refresh")), (200, "0; url=/account"), "{}", begun.text);
        Browser::of(self, &begun)
    }

    /// Redeems a code of [`World::web_app`]s.
    pub async fn redeem(&self, app: &App, code: &str) -> Answer {
        let form = [("grant_type", "authorization_code"), ("redirect_uri", BACK), ("code_verifier", VERIFIER), ("code", code)];
        self.form("/oauth2/token", app, &form).await
    }
}

impl Browser {
    /// One with the cookie that an answer sets.
    #[track_caller]
    pub fn of(world: &World, answer: &Answer) -> Self {
        let cookie = answer.header("set-cookie").split(';').next().unwrap_or_default().to_owned();
        remember(cookie.split_once('=').unwrap_or_else(|| panic!("no cookie in {:?}", answer.headers)).1);
        Self { world: world.clone(), cookie }
    }

    /// Says yes to the question of a hand-over.
    pub async fn go_on(&self, page: &Answer) -> Answer {
        let fields = ["handle", "continue", "token"].map(|name| (name, field(page, name)));
        self.post("/account/continue", &fields.each_ref().map(|(name, value)| (*name, value.as_str()))).await
    }

    /// A page.
    pub async fn page(&self, path: &str) -> Answer {
        let answer = self.world.get(path).header("cookie", &self.cookie).ask().await;
        if let Some(code) = answer.header("location").split("code=").nth(1) {
            remember(code.split('&').next().unwrap_or_default());
        }
        answer
    }

    /// A form.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.world.post(path).header("cookie", &self.cookie).form(fields).ask().await
    }

    /// Follows a link of the app's.
    pub async fn authorize(&self, app: &App, scope: &str) -> Answer {
        self.page(&authorize(app, scope, &[])).await
    }

    /// Answers the question of a page.
    pub async fn decide(&self, page: &Answer, decision: &str) -> Answer {
        assert_eq!(page.status, 200, "{}", page.text);
        let fields = ["session", "token", "continue"].map(|name| (name, field(page, name)));
        let mut fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        fields.push(("decision", decision));
        self.post("/oauth2/consent", &fields).await
    }

    /// Agrees to a question, and goes on to where that leads: to the app.
    pub async fn agree(&self, page: &Answer) -> Answer {
        self.page(&location(&self.decide(page, "allow").await)).await
    }

    /// Whether the account's page knows who it is.
    pub async fn is_signed_in(&self) -> bool {
        self.page("/account").await.text.contains("You are signed in as")
    }
}
