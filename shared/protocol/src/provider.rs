//! The providers that people sign in with, as configuration has them in `PROVIDERS`. Each is of a kind and pinned to its issuer.
//!
//! An identity is unique by [`Provider::instance`] and external id: the instance names the issuer, not the configured id, so that a
//! provider that is pointed elsewhere finds nobody of before.

use crate::ids::ServerName;
use crate::secret::Secret;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use url::Url;

/// A provider as it is written in `PROVIDERS`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: String,
    kind: String,
    name: String,
    issuer: Option<String>,
    client_id: Option<String>,
    client_secret: Option<Secret>,
    scopes: Option<Vec<String>>,
    redirect_uris: Option<Vec<String>>,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    userinfo_endpoint: Option<String>,
    id_member: Option<String>,
    name_member: Option<String>,
    server_name: Option<ServerName>,
    endpoint: Option<String>,
    token: Option<Secret>,
    from: Option<String>,
    entity_id: Option<String>,
    sso_url: Option<String>,
    certificates: Option<Vec<String>>,
    id_attribute: Option<String>,
    name_attribute: Option<String>,
    email_attribute: Option<String>,
}

/// What we are to a provider. It has no `Debug`: a secret is in it.
#[derive(Clone)]
pub struct Registration {
    /// Our id there.
    pub client_id: String,
    /// Our secret there; none of a public client.
    pub client_secret: Option<Secret>,
    /// What we ask for, separated by spaces.
    pub scope: String,
}

/// An OAuth 2.0 provider without OpenID: its endpoints, and where its answer names the person.
#[derive(Debug, Clone)]
pub struct OAuth {
    /// Where people are sent.
    pub authorization_endpoint: Url,
    /// Where codes are redeemed.
    pub token_endpoint: Url,
    /// What says who they are.
    pub userinfo_endpoint: Url,
    /// The member of that answer that never changes: an id, not an address or a name that can pass to somebody else.
    pub id_member: String,
    /// The member that people are called by.
    pub name_member: String,
}

/// A SAML 2.0 identity provider.
#[derive(Debug, Clone)]
pub struct Saml {
    /// What it calls itself.
    pub entity_id: String,
    /// Where people are sent, by HTTP redirect.
    pub sso_url: Url,
    /// What it signs with: X.509 as base64 of DER, with PEM's lines or without.
    pub certificates: Vec<String>,
    /// The attribute that never changes, where it is that and not a persistent NameID that people are known by.
    pub id_attribute: Option<String>,
    /// The attribute that people are called by.
    pub name_attribute: Option<String>,
    /// The attribute with an address that the provider vouches for.
    pub email_attribute: Option<String>,
}

/// How a provider speaks.
#[derive(Clone)]
pub enum Kind {
    /// OpenID Connect by discovery, `keycloak` and `oidc`: the issuer exactly as its tokens and its metadata name it.
    Openid(String, Registration),
    /// OAuth 2.0 with a mapped user document.
    OAuth(Box<OAuth>, Registration),
    /// A configured homeserver's own sign-in: its OAuth 2.0 server where one is given (client-server API, "OAuth 2.0 API"), else the
    /// legacy one ("SSO client login").
    Matrix(ServerName, Option<Box<Delegated>>),
    /// SAML 2.0.
    Saml(Box<Saml>),
    /// A code that is sent to an e-mail address.
    Email(Mail),
}

/// The OAuth 2.0 server that a homeserver leaves sign-ins to, such as the Matrix Authentication Service.
#[derive(Clone)]
pub struct Delegated {
    /// Its issuer, exactly as its metadata names it.
    pub issuer: String,
    /// What we are to it.
    pub registration: Registration,
}

/// What we ask a homeserver's OAuth 2.0 server for, beside a device: the one scope there is by which a token says whose it is
/// (`/account/whoami`).
const MATRIX_SCOPES: &str = "openid urn:matrix:org.matrix.msc2967.client:api:*";

/// How mail goes out: `POST {from, to, subject, text}`. It has no `Debug`: a secret is in it.
#[derive(Clone)]
pub struct Mail {
    /// Where to; none in development, which prints it.
    pub endpoint: Option<Url>,
    /// A bearer token for it.
    pub token: Option<Secret>,
    /// Who sends.
    pub from: Option<String>,
}

/// A provider.
#[derive(Clone)]
pub struct Provider {
    /// Its id in paths.
    pub id: String,
    /// The word that configuration has for its kind.
    pub word: &'static str,
    /// What the sign-in page calls it.
    pub name: String,
    /// How it speaks.
    pub kind: Kind,
    /// Addresses of native apps that codes may have gone to; none without.
    pub redirect_uris: Vec<String>,
}

/// Members by which people change hands: an address or a name is given to somebody else in time.
const NOT_AN_ID: [&str; 12] = [
    "email",
    "mail",
    "login",
    "username",
    "user_name",
    "preferred_username",
    "name",
    "nickname",
    "handle",
    "screen_name",
    "upn",
    "phone",
];

/// The same as SAML attributes name them; the numbers are `mail`, `uid` and `eduPersonPrincipalName`.
const NOT_AN_ID_EITHER: [&str; 8] = [
    "emailaddress",
    "uid",
    "edupersonprincipalname",
    "samaccountname",
    "userprincipalname",
    "urn:oid:0.9.2342.19200300.100.1.3",
    "urn:oid:0.9.2342.19200300.100.1.1",
    "urn:oid:1.3.6.1.4.1.5923.1.1.1.6",
];

fn word(kind: &str) -> Result<&'static str, String> {
    let words = ["matrix", "keycloak", "oidc", "oauth", "saml", "email"];
    let found = words.into_iter().find(|word| *word == kind);
    found.ok_or_else(|| format!("kind `{kind}` is not supported: {}", words.join(", ")))
}

/// A URL that a browser or we are sent to: https, or http on this machine alone.
fn reachable(name: &str, url: Url) -> Result<Url, String> {
    let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1"));
    let good = url.scheme() == "https" || (url.scheme() == "http" && local);
    if good && url.username().is_empty() && url.fragment().is_none() {
        Ok(url)
    } else {
        Err(format!("{name} must be an https URL (http on localhost alone)"))
    }
}

impl Written {
    fn url(name: &str, value: Option<String>) -> Result<Url, String> {
        let text = value.ok_or_else(|| format!("{name} is missing"))?;
        reachable(name, Url::parse(&text).map_err(|_| format!("{name} is not a URL"))?)
    }

    fn saml(&self) -> Result<Saml, String> {
        let word = |text: &String| !text.is_empty() && text.len() <= 1024 && !text.contains(char::is_whitespace);
        let entity_id = self.entity_id.clone().filter(word).ok_or("entity_id is missing, or has white space in it")?;
        let certificates = self.certificates.clone().filter(|all| !all.is_empty()).ok_or("certificates are missing")?;
        if let Some(attribute) = &self.id_attribute {
            if !word(attribute) {
                return Err("id_attribute is empty, or has white space in it".to_owned());
            }
            let last = attribute.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
            if [&NOT_AN_ID[..], &NOT_AN_ID_EITHER].concat().contains(&last.as_str()) {
                return Err(format!("id_attribute `{attribute}` can pass to somebody else: name one that never changes"));
            }
        }
        Ok(Saml {
            entity_id,
            sso_url: Self::url("sso_url", self.sso_url.clone())?,
            certificates,
            id_attribute: self.id_attribute.clone(),
            name_attribute: self.name_attribute.clone(),
            email_attribute: self.email_attribute.clone(),
        })
    }

    fn read(self) -> Result<Provider, String> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if self.id.is_empty()
            || self.id.len() > 32
            || !self.id.bytes().all(plain)
            || ["callback", "email"].contains(&self.id.as_str())
        {
            return Err(
                "the id must be 1 to 32 lower-case letters, digits and hyphens, and neither `callback` nor `email`".to_owned()
            );
        }
        if self.name.trim().is_empty() || self.name.len() > 100 {
            return Err("name must be what people know it by, at most 100 bytes".to_owned());
        }
        let word = word(&self.kind)?;
        let registration = |default: &str| {
            let client_id = self.client_id.clone().filter(|id| !id.is_empty()).ok_or("client_id is missing")?;
            let scope = self.scopes.as_ref().map_or_else(|| default.to_owned(), |scopes| scopes.join(" "));
            Ok::<_, String>(Registration { client_id, client_secret: self.client_secret.clone(), scope })
        };
        let kind = match word {
            "email" => {
                let endpoint = self.endpoint.clone().map(|url| Self::url("endpoint", Some(url))).transpose()?;
                if endpoint.is_some() && self.from.as_deref().is_none_or(str::is_empty) {
                    return Err("from is missing: the address that mail comes from".to_owned());
                }
                Kind::Email(Mail { endpoint, token: self.token.clone(), from: self.from.clone() })
            }
            "saml" => Kind::Saml(Box::new(self.saml()?)),
            "matrix" => {
                let server_name = self.server_name.clone().ok_or("server_name is missing")?;
                if self.client_id.is_none() && self.issuer.is_some() {
                    return Err("client_id is missing: what we are to the issuer".to_owned());
                }
                let delegated = match self.client_id {
                    None => None,
                    Some(_) => {
                        let registration = registration(MATRIX_SCOPES)?;
                        if !registration.scope.split(' ').any(|scope| scope.ends_with("client:api:*")) {
                            return Err("scopes must have the one of Matrix's client-server API among them".to_owned());
                        }
                        Self::url("issuer", self.issuer.clone())?;
                        Some(Box::new(Delegated { issuer: self.issuer.clone().unwrap_or_default(), registration }))
                    }
                };
                Kind::Matrix(server_name, delegated)
            }
            "oauth" => {
                let id_member = self.id_member.clone().ok_or("id_member is missing")?;
                if NOT_AN_ID.contains(&id_member.to_ascii_lowercase().as_str()) {
                    return Err(format!("id_member `{id_member}` can pass to somebody else: name one that never changes"));
                }
                let registration = registration("")?;
                let oauth = OAuth {
                    authorization_endpoint: Self::url("authorization_endpoint", self.authorization_endpoint)?,
                    token_endpoint: Self::url("token_endpoint", self.token_endpoint)?,
                    userinfo_endpoint: Self::url("userinfo_endpoint", self.userinfo_endpoint)?,
                    name_member: self.name_member.unwrap_or_else(|| id_member.clone()),
                    id_member,
                };
                Kind::OAuth(Box::new(oauth), registration)
            }
            _ => {
                let registration = registration("openid profile email")?;
                if !registration.scope.split(' ').any(|scope| scope == "openid") {
                    return Err("scopes must have `openid` among them".to_owned());
                }
                Self::url("issuer", self.issuer.clone())?;
                Kind::Openid(self.issuer.unwrap_or_default(), registration)
            }
        };
        Ok(Provider { id: self.id, word, name: self.name, kind, redirect_uris: self.redirect_uris.unwrap_or_default() })
    }
}

/// Reads `PROVIDERS`. What is wrong is named by id, kind and member; no other value is quoted, since secrets are among them.
pub fn parse(json: &str) -> Result<Vec<Provider>, String> {
    // What serde says may quote a value: only the place is told.
    let place =
        |error: serde_json::Error| format!("not an array of providers, at line {} column {}", error.line(), error.column());
    let written: Vec<Written> = serde_json::from_slice(json.as_bytes()).map_err(place)?;
    let mut ids = BTreeSet::new();
    let providers = written.into_iter().map(|one| {
        let id = one.id.clone();
        let provider = one.read().map_err(|problem| format!("provider `{id}`: {problem}"))?;
        if ids.insert(id.clone()) { Ok(provider) } else { Err(format!("provider `{id}` stands there twice")) }
    });
    let providers: Vec<Provider> = providers.collect::<Result<_, String>>()?;
    // Whoever holds one of their keys could sign in as everybody of both.
    let mut signed: BTreeMap<String, &[String]> = BTreeMap::new();
    for one in &providers {
        let (Kind::Saml(saml), Some(instance)) = (&one.kind, one.instance()) else { continue };
        if *signed.entry(instance).or_insert(&saml.certificates) != saml.certificates {
            return Err(format!("provider `{}`: another one has its people, and other certificates", one.id));
        }
    }
    Ok(providers)
}

impl Provider {
    /// What its identities are unique within. A homeserver's belong to the homeserver, however they were proven.
    pub fn instance(&self) -> Option<String> {
        match &self.kind {
            Kind::Openid(issuer, _) => Some(format!("oidc:{issuer}")),
            Kind::OAuth(oauth, _) => Some(format!("oauth:{}#{}", oauth.userinfo_endpoint, oauth.id_member)),
            // A persistent name is of one of our entity ids there, and each provider knows us by another.
            Kind::Saml(saml) => Some(match &saml.id_attribute {
                None => format!("saml {} {}", self.id, saml.entity_id),
                Some(attribute) => format!("saml-attribute {attribute} {}", saml.entity_id),
            }),
            Kind::Email(_) => Some("email".to_owned()),
            Kind::Matrix(..) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn of(providers: &Value) -> Result<Vec<Provider>, String> {
        parse(&providers.to_string())
    }

    fn keycloak() -> Value {
        json!({"id": "work", "kind": "keycloak", "name": "Work", "issuer": "https://id.example/realms/w", "client_id": "tmcp",
            "client_secret": "hush-hush"})
    }

    #[test]
    fn each_kind_is_read() {
        let github = json!({"id": "forge", "kind": "oauth", "name": "Forge", "client_id": "x", "id_member": "id",
            "name_member": "login", "authorization_endpoint": "https://forge.example/a", "token_endpoint": "https://forge.example/t",
            "userinfo_endpoint": "https://api.forge.example/user"});
        let saml = json!({"id": "corp", "kind": "saml", "name": "Corp", "entity_id": "urn:corp", "sso_url": "https://corp.example/sso",
            "certificates": ["MIIC"]});
        let matrix = json!({"id": "hs", "kind": "matrix", "name": "Matrix", "server_name": "hs"});
        let found = of(&json!([keycloak(), github, saml, matrix])).unwrap_or_default();
        let instances: Vec<_> = found.iter().map(|one| one.instance().unwrap_or_default()).collect();
        assert_eq!(
            instances,
            ["oidc:https://id.example/realms/w", "oauth:https://api.forge.example/user#id", "saml corp urn:corp", ""]
        );
        let Kind::Openid(_, registration) = &found[0].kind else { panic!() };
        assert_eq!(registration.scope, "openid profile email");
        let delegated = json!([{"id": "hs", "kind": "matrix", "name": "Matrix", "server_name": "hs", "client_id": "c", "issuer": "https://m.example/"}]);
        let found = of(&delegated).unwrap_or_default();
        let Kind::Matrix(_, Some(delegated)) = &found[0].kind else { panic!() };
        assert_eq!((delegated.issuer.as_str(), delegated.registration.scope.as_str()), ("https://m.example/", MATRIX_SCOPES));
    }

    #[test]
    fn an_issuer_is_what_its_tokens_name() {
        for issuer in ["https://id.example", "https://id.example/", "https://id.example/realms/w"] {
            let mut provider = keycloak();
            provider["issuer"] = json!(issuer);
            assert_eq!(of(&json!([provider])).unwrap_or_default()[0].instance(), Some(format!("oidc:{issuer}")));
        }
    }

    #[test]
    fn what_is_wrong_is_named_and_no_secret_is_told() {
        let with = |name: &str, value: Value| {
            let mut provider = keycloak();
            provider[name] = value;
            provider
        };
        let oauth = json!({"id": "f", "kind": "oauth", "name": "F", "client_id": "x", "id_member": "Email"});
        let saml = |name: &str, value: Value| {
            let mut provider = json!({"id": "c", "kind": "saml", "name": "C", "entity_id": "urn:c", "sso_url": "https://c.example/sso",
                "certificates": ["MIIC"]});
            provider[name] = value;
            json!([provider])
        };
        let twin = |id: &str, certificate: &str| {
            json!({"id": id, "kind": "saml", "name": "T", "entity_id": "urn:t", "sso_url": "https://t.example/sso",
                "certificates": [certificate], "id_attribute": "employee"})
        };
        assert!(of(&json!([twin("a", "MIIC"), twin("b", "MIIC")])).is_ok());
        let claim = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress";
        let cases = [
            (json!([{"id": "m", "kind": "matrix", "name": "M"}]), "server_name is missing"),
            (
                json!([{"id": "m", "kind": "matrix", "name": "M", "server_name": "hs", "issuer": "https://m.example"}]),
                "client_id is missing",
            ),
            (json!([{"id": "m", "kind": "matrix", "name": "M", "server_name": "hs", "client_id": "c"}]), "issuer is missing"),
            (
                json!([{"id": "m", "kind": "matrix", "name": "M", "server_name": "hs", "client_id": "c", "issuer": "https://m.example",
                    "scopes": ["openid"]}]),
                "client-server API",
            ),
            (saml("entity_id", json!("")), "entity_id is missing"),
            (saml("sso_url", json!("http://c.example/sso")), "sso_url must be an https URL"),
            (saml("certificates", json!([])), "certificates are missing"),
            (json!([twin("a", "MIIC"), twin("b", "MIID")]), "another one has its people, and other certificates"),
            (saml("entity_id", json!("urn: c")), "entity_id is missing"),
            (saml("id_attribute", json!("a b")), "white space"),
            (saml("id_attribute", json!("userPrincipalName")), "can pass to somebody else"),
            (saml("id_attribute", json!("mail")), "can pass to somebody else"),
            (saml("id_attribute", json!(claim)), "can pass to somebody else"),
            (saml("id_attribute", json!("urn:oid:0.9.2342.19200300.100.1.1")), "can pass to somebody else"),
            (json!([with("kind", json!("saml2"))]), "kind `saml2` is not supported: matrix, keycloak, oidc, oauth, saml, email"),
            (json!([with("id", json!("A B"))]), "the id must be"),
            (json!([with("id", json!("callback"))]), "the id must be"),
            (json!([with("id", json!("email"))]), "the id must be"),
            (json!([{"id": "m", "kind": "email", "name": "M", "endpoint": "https://mail.example/send"}]), "from is missing"),
            (
                json!([{"id": "m", "kind": "email", "name": "M", "endpoint": "http://mail.example/send", "from": "a@b"}]),
                "endpoint must be",
            ),
            (json!([with("issuer", json!("http://id.example"))]), "issuer must be an https URL"),
            (json!([with("issuer", json!(null))]), "issuer is missing"),
            (json!([with("client_id", json!(""))]), "client_id is missing"),
            (json!([with("scopes", json!(["email"]))]), "`openid`"),
            (json!([with("name", json!(" "))]), "name must be"),
            (json!([with("colour", json!("red"))]), "not an array of providers, at line 1"),
            (json!([with("client_secret", json!(["hush-hush"]))]), "not an array of providers"),
            (json!([keycloak(), keycloak()]), "provider `work` stands there twice"),
            (json!([oauth]), "can pass to somebody else"),
            (json!({}), "not an array"),
        ];
        for (providers, problem) in cases {
            let error = of(&providers).err().unwrap_or_else(|| panic!("{providers} passed"));
            assert!(error.contains(problem) && !error.contains("hush-hush"), "{providers}: {error}");
        }
    }
}
