//! The scenarios: which requests are sent, and in which form each kind of server wants them.

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::bench::seed::{OAuthPeer, Person, Seed};
use crate::bench::target::Kind;

/// Something that is measured.
#[derive(Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, for the report.
    pub title: &'static str,
    /// What is asked for.
    pub ask: Ask,
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// A stored value of so many bytes.
    Get(usize),
    /// To store so many bytes.
    Put(usize),
    /// A token for an app, for a platform token.
    Exchange,
    /// The next pair of tokens, for a refresh token.
    Refresh,
    /// A stored value, with a token that is not ours.
    Refused,
    /// The public keys.
    Jwks,
}

/// All of them.
pub const SCENARIOS: &[Scenario] = &[
    scenario("get-1k", "storage get, 1 KiB", Ask::Get(1024)),
    scenario("put-1k", "storage put, 1 KiB", Ask::Put(1024)),
    scenario("get-16k", "storage get, 16 KiB", Ask::Get(16_384)),
    scenario("put-16k", "storage put, 16 KiB", Ask::Put(16_384)),
    scenario("exchange", "token exchange", Ask::Exchange),
    scenario("refresh", "refresh", Ask::Refresh),
    scenario("refused", "401: a token with a wrong signature", Ask::Refused),
    scenario("jwks", "JWKS", Ask::Jwks),
];

const fn scenario(name: &'static str, title: &'static str, ask: Ask) -> Scenario {
    Scenario { name, title, ask }
}

/// The named scenarios; none named means all.
pub fn select(names: &[String]) -> Result<Vec<&'static Scenario>> {
    for name in names {
        if !SCENARIOS.iter().any(|scenario| scenario.name == name) {
            let known: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
            bail!("no scenario is called \"{name}\": choose from {}", known.join(", "));
        }
    }
    Ok(SCENARIOS.iter().filter(|s| names.is_empty() || names.iter().any(|name| name == s.name)).collect())
}

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// The path of the value of a size.
pub fn key(bytes: usize) -> String {
    format!("/api/v1/storage/bench-{bytes}")
}

impl Ask {
    /// Whether storage serves it, not auth.
    pub fn is_storage(self) -> bool {
        matches!(self, Self::Get(_) | Self::Put(_) | Self::Refused)
    }

    /// The status that a server of this kind answers.
    pub fn expected(self, kind: Kind) -> u16 {
        match (self, kind) {
            (_, Kind::Noop) => 200,
            (Self::Refused, _) => 401,
            _ => 200,
        }
    }

    /// Whether a server of this kind has it.
    pub fn is_served_by(self, kind: Kind) -> bool {
        match kind {
            Kind::Ours | Kind::Noop | Kind::Floor => true,
            Kind::Storage => self.is_storage(),
            Kind::Synapse => matches!(self, Self::Get(_) | Self::Put(_)),
            Kind::OAuth => matches!(self, Self::Refresh | Self::Exchange),
        }
    }

    /// What each connection sends: one lane for each person.
    pub fn lanes(self, kind: Kind, seed: &Seed) -> Vec<Value> {
        let people = seed.people.iter().enumerate();
        people.map(|(n, person)| json!({"requests": [self.request(kind, seed, n, person)]})).collect()
    }

    fn request(self, kind: Kind, seed: &Seed, n: usize, person: &Person) -> Value {
        if kind == Kind::Synapse {
            return self.account_data(person);
        }
        if let (Kind::OAuth, Some(peer)) = (kind, &seed.oauth) {
            return self.grant(peer, n);
        }
        let bearer = format!("Bearer {}", person.access);
        match self {
            Self::Get(bytes) => json!({"method": "GET", "path": key(bytes), "headers": {"authorization": bearer}}),
            Self::Put(bytes) => json!({"method": "PUT", "path": key(bytes), "body": json!({"value": value(bytes)}).to_string(),
                "headers": {"authorization": bearer, "content-type": "application/json"}}),
            Self::Exchange => form(&[
                ("grant_type", EXCHANGE),
                ("client_id", &seed.client_id),
                ("subject_token_type", ACCESS_TOKEN),
                ("subject_token", &person.platform),
                ("scope", "storage:read storage:write"),
            ]),
            Self::Refresh => {
                form(&[("grant_type", "refresh_token"), ("client_id", &seed.client_id), ("refresh_token", "{token}")])
            }
            Self::Refused => {
                let path = key(1024);
                json!({"method": "GET", "path": path, "headers": {"authorization": format!("Bearer {}", forged(&person.access))}})
            }
            Self::Jwks => json!({"method": "GET", "path": "/.well-known/jwks.json"}),
        }
    }

    /// The same grant at an OAuth peer, by its confidential client.
    fn grant(self, peer: &OAuthPeer, n: usize) -> Value {
        let client = [("client_id", peer.client_id.as_str()), ("client_secret", peer.client_secret.as_str())];
        let subject = peer.subjects.get(n).map(String::as_str).unwrap_or_default();
        let exchange = [("grant_type", EXCHANGE), ("subject_token_type", ACCESS_TOKEN), ("subject_token", subject)];
        let refresh = [("grant_type", "refresh_token"), ("refresh_token", "{token}")];
        let asked: &[(&str, &str)] = if self == Self::Exchange { &exchange } else { &refresh };
        form_to(&peer.path, &[asked, &client].concat())
    }

    /// The nearest that Matrix has: data of an account under a type, as Synapse stores it.
    fn account_data(self, person: &Person) -> Value {
        let (method, bytes) = match self {
            Self::Put(bytes) => ("PUT", bytes),
            Self::Get(bytes) => ("GET", bytes),
            _ => ("GET", 0),
        };
        let path = format!("/_matrix/client/v3/user/{}/account_data/bench.{bytes}", person.matrix_id);
        let bearer = format!("Bearer {}", person.matrix_token);
        let body = if method == "PUT" { json!({"value": value(bytes)}).to_string() } else { String::new() };
        json!({"method": method, "path": path, "body": body, "headers": {"authorization": bearer, "content-type": "application/json"}})
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

/// Text of so many bytes that JSON leaves as it is.
fn value(bytes: usize) -> String {
    "abcdefghijklmnopqrstuvwxyz012345".chars().cycle().take(bytes).collect()
}

/// The token with another signature of the same form.
fn forged(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap_or((token, ""));
    let other = if signature.starts_with('A') { "B" } else { "A" };
    format!("{signed}.{other}{}", signature.get(1..).unwrap_or_default())
}

fn form(fields: &[(&str, &str)]) -> Value {
    form_to("/oauth2/token", fields)
}

fn form_to(path: &str, fields: &[(&str, &str)]) -> Value {
    let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    json!({"method": "POST", "path": path, "body": pairs.join("&"), "headers": {"content-type": FORM}})
}

/// Percent-encoded for a form; braces stay, since `{token}` is filled in later.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._{}".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert_eq!(select(&[]).unwrap().len(), SCENARIOS.len());
        assert_eq!(select(&["jwks".into()]).unwrap()[0].ask, Ask::Jwks);
        assert!(select(&["jkws".into()]).unwrap_err().to_string().contains("jwks"));
    }

    #[test]
    fn values_have_their_size_and_forms_are_encoded() {
        assert_eq!(value(1024).len(), 1024);
        assert_eq!(encoded("a:b c{token}"), "a%3Ab%20c{token}");
        assert_eq!(forged("a.b.Cde"), "a.b.Ade");
        assert_eq!(forged("a.b.Ade"), "a.b.Bde");
    }

    #[test]
    fn a_peer_has_what_it_can_do() {
        assert!(Ask::Put(1).is_served_by(Kind::Synapse));
        assert!(!Ask::Refresh.is_served_by(Kind::Synapse));
        assert!(!Ask::Exchange.is_served_by(Kind::Storage));
        assert!(Ask::Exchange.is_served_by(Kind::OAuth) && !Ask::Jwks.is_served_by(Kind::OAuth));
        assert_eq!(Ask::Refused.expected(Kind::Noop), 200);
        assert_eq!(Ask::Refused.expected(Kind::Ours), 401);
    }
}
