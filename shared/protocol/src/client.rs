//! OAuth clients: the grants that they may use, and what an operator may register (RFC 6749 section 2; RFC 7591 names the members).

use crate::{AppId, ClientId, ScopeSet};
use serde::{Deserialize, Serialize};
use url::Url;

/// A secret is compared by its hash alone, so it must not be guessable.
const MIN_SECRET: usize = 32;
const MAX_NAME: usize = 100;
const MAX_ADDRESSES: usize = 20;
const MAX_ADDRESS: usize = 2000;

/// A grant that a client may be registered for (RFC 6749 section 1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// RFC 6749 section 4.1.
    AuthorizationCode,
    /// RFC 6749 section 4.4.
    ClientCredentials,
    /// RFC 8628.
    DeviceCode,
    /// RFC 6749 section 6.
    RefreshToken,
    /// RFC 8693.
    TokenExchange,
}

impl Grant {
    /// Every grant there is.
    pub const ALL: &'static [Grant] =
        &[Grant::AuthorizationCode, Grant::ClientCredentials, Grant::DeviceCode, Grant::RefreshToken, Grant::TokenExchange];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Grant::AuthorizationCode => "authorization_code",
            Grant::ClientCredentials => "client_credentials",
            Grant::DeviceCode => "urn:ietf:params:oauth:grant-type:device_code",
            Grant::RefreshToken => "refresh_token",
            Grant::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
        }
    }

    /// The grant of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|grant| grant.as_str() == name)
    }
}

/// Whether a client can keep a secret (RFC 6749 section 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It cannot: it runs in people's hands.
    Public,
    /// It can: it runs on a server.
    Confidential,
}

/// What an operator asks to register.
#[derive(Deserialize)]
pub struct Registration {
    client_id: ClientId,
    app_id: AppId,
    name: String,
    kind: Kind,
    client_secret: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    origins: Vec<String>,
    #[serde(default)]
    redirect_uris: Vec<String>,
    grants: Option<Vec<String>>,
    developer: Option<String>,
    icon_url: Option<String>,
    #[serde(default)]
    host: bool,
    #[serde(default)]
    official: bool,
}

/// What is kept of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// Its id.
    pub client_id: ClientId,
    /// The mini-app that it belongs to.
    pub app_id: AppId,
    /// What it is called.
    pub name: String,
    /// Whether it can keep a secret.
    pub kind: Kind,
    /// Hash of the secret of a confidential client.
    pub secret_hash: Option<String>,
    /// What the app may ask for.
    pub scopes: ScopeSet,
    /// Browser origins that its pages come from.
    pub origins: Vec<String>,
    /// Where authorization codes may go, exactly.
    pub redirect_uris: Vec<String>,
    /// The grants that it may use.
    pub grants: Vec<&'static str>,
    /// Who made it.
    pub developer: Option<String>,
    /// Its picture.
    pub icon_url: Option<String>,
    /// Whether it is a client of the platform itself.
    pub host: bool,
    /// Whether it is an official app.
    pub official: bool,
}

/// Scheme https, or http on this machine, and a host name without the letters that only a lenient parser takes.
fn is_safe(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let plain = host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b));
    let local = ["127.0.0.1", "localhost", "[::1]"].contains(&host);
    plain && (url.scheme() == "https" || (url.scheme() == "http" && local))
}

fn is_origin(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| url.origin().ascii_serialization() == text && is_safe(&url))
}

/// Without fragment and credentials, and as the URL standard writes it, so that it can be compared as it stands (RFC 6749 section
/// 3.1.2, RFC 9700 section 4.1).
fn is_address(text: &str) -> bool {
    text.len() <= MAX_ADDRESS
        && Url::parse(text).is_ok_and(|url| {
            let bare = url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
            bare && is_safe(&url) && url.as_str() == text
        })
}

/// The grants that a client may use: those that it names, else all that it can.
fn grants(named: Option<Vec<String>>, redirect_uris: &[String], kind: Kind) -> Result<Vec<&'static str>, String> {
    let can = |grant: Grant| match grant {
        Grant::AuthorizationCode => !redirect_uris.is_empty(),
        Grant::ClientCredentials => kind == Kind::Confidential,
        Grant::DeviceCode | Grant::RefreshToken | Grant::TokenExchange => true,
    };
    let Some(named) = named else {
        return Ok(Grant::ALL.iter().copied().filter(|grant| can(*grant)).map(Grant::as_str).collect());
    };
    let one = |name: String| match Grant::parse(&name) {
        Some(grant) if can(grant) => Ok(grant.as_str()),
        Some(_) => Err(format!("`{name}` is not for this client: codes need redirect_uris, credentials a confidential client")),
        None => Err(format!("there is no grant `{}`", name.chars().take(64).collect::<String>())),
    };
    named.into_iter().map(one).collect()
}

impl Registration {
    /// What is to be kept, and the secret that was made for a confidential client which brought none; or what is wrong.
    pub fn record(self, hash: impl Fn(&str) -> String, make: impl Fn() -> String) -> Result<(Record, Option<String>), String> {
        let is_name = |name: &str| (1..=MAX_NAME).contains(&name.len());
        if !is_name(&self.name) || self.developer.as_deref().is_some_and(|name| !is_name(name)) {
            return Err(format!("name and developer must have 1 to {MAX_NAME} bytes"));
        }
        let scopes = ScopeSet::parse(&self.scopes.join(" ")).map_err(|error| error.to_string())?;
        if let Some(scope) = scopes.iter().find(|scope| scope.is_official_only() && !self.official) {
            return Err(format!("the scope `{scope}` is for official apps"));
        }
        if !self.origins.iter().all(|origin| is_origin(origin)) {
            return Err("an origin must be https (http on this machine), without a path: https://app.example.org".to_owned());
        }
        if self.redirect_uris.len() > MAX_ADDRESSES || !self.redirect_uris.iter().all(|uri| is_address(uri)) {
            let limits = format!("up to {MAX_ADDRESSES} addresses of https (http on this machine)");
            return Err(format!("redirect_uris must be {limits}, without fragments, written as browsers write them"));
        }
        if self.icon_url.as_deref().is_some_and(|icon| !is_address(icon)) {
            return Err("icon_url must be an address of https".to_owned());
        }
        let grants = grants(self.grants, &self.redirect_uris, self.kind)?;
        let (secret, made) = match (self.kind, self.client_secret) {
            (Kind::Public, None) => (None, None),
            (Kind::Public, Some(_)) => return Err("a public client has no client_secret".to_owned()),
            (Kind::Confidential, Some(secret)) if secret.len() < MIN_SECRET => {
                return Err(format!("client_secret must have at least {MIN_SECRET} characters"));
            }
            (Kind::Confidential, Some(secret)) => (Some(secret), None),
            (Kind::Confidential, None) => {
                let secret = make();
                (Some(secret.clone()), Some(secret))
            }
        };
        let record = Record {
            client_id: self.client_id,
            app_id: self.app_id,
            name: self.name,
            kind: self.kind,
            secret_hash: secret.as_deref().map(hash),
            scopes,
            origins: self.origins,
            redirect_uris: self.redirect_uris,
            grants,
            developer: self.developer,
            icon_url: self.icon_url,
            host: self.host,
            official: self.official,
        };
        Ok((record, made))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn good() -> Value {
        json!({"client_id": "x", "app_id": "ma_x", "name": "X", "kind": "confidential", "scopes": ["storage:read"]})
    }

    fn record(body: Value) -> Result<(Record, Option<String>), String> {
        let registration: Registration = serde_json::from_value(body).map_err(|error| error.to_string())?;
        registration.record(|secret| format!("hash of {secret}"), || "made".to_owned())
    }

    #[test]
    fn a_secret_is_brought_or_made_and_kept_by_its_hash() {
        let (kept, made) = record(good()).unwrap();
        assert_eq!((kept.secret_hash.as_deref(), made.as_deref()), (Some("hash of made"), Some("made")));
        let own = "s".repeat(32);
        let (kept, made) = record(json!({"client_secret": own, "client_id": "x", "app_id": "ma_x", "name": "X",
            "kind": "confidential"}))
        .unwrap();
        assert_eq!((kept.secret_hash, made), (Some(format!("hash of {own}")), None));
        let mut public = good();
        public["kind"] = json!("public");
        assert_eq!(record(public.clone()).unwrap().0.secret_hash, None);
        public["client_secret"] = json!(own);
        assert!(record(public).unwrap_err().contains("public client"));
    }

    #[test]
    fn without_a_list_a_client_may_use_every_grant_that_it_can() {
        let names = |body: Value| record(body).unwrap().0.grants;
        assert_eq!(names(good()).len(), 4);
        let mut web = good();
        web["kind"] = json!("public");
        web["redirect_uris"] = json!(["https://app.example/back?x=1", "http://127.0.0.1:9/back"]);
        assert_eq!(names(web.clone()).len(), 4);
        web["grants"] = json!(["authorization_code"]);
        assert_eq!(names(web), ["authorization_code"]);
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for (name, value) in [
            ("app_id", json!("x")),
            ("client_id", json!("a b")),
            ("name", json!("")),
            ("name", json!("n".repeat(101))),
            ("scopes", json!(["root"])),
            ("scopes", json!(["wallet:admin"])),
            ("client_secret", json!("short")),
            ("origins", json!(["http://app.example"])),
            ("origins", json!(["https://app.example/path"])),
            ("origins", json!(["https://*.example"])),
            ("kind", json!("secret")),
            ("grants", json!(["password"])),
            ("grants", json!(["authorization_code"])),
            ("redirect_uris", json!(["http://app.example/back"])),
            ("redirect_uris", json!(["https://app.example/back#x"])),
            ("redirect_uris", json!(["https://me@app.example/back"])),
            ("redirect_uris", json!(["https://APP.example/back"])),
            ("redirect_uris", json!(["https://app.example/a/../back"])),
            ("redirect_uris", json!(["javascript:alert(1)"])),
            ("redirect_uris", json!(["/back"])),
            ("redirect_uris", json!(["https://app;script-src.example/back"])),
            ("redirect_uris", json!([""])),
            ("developer", json!("")),
            ("icon_url", json!("http://app.example/icon.png")),
        ] {
            let mut body = good();
            body[name] = value.clone();
            assert!(record(body).is_err(), "{name} {value}");
        }
    }
}
