//! JSON Web Keys (RFC 7517): RSA for RS256 (RFC 7518 section 6.3), which is ours, and P-256 for ES256, which some providers have.

use crate::Secret;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// A public RSA key, as the JWKS document publishes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicJwk {
    /// Always `RSA`.
    pub kty: String,
    /// The name by which a token's header points at it.
    pub kid: String,
    /// Always `RS256`.
    pub alg: String,
    /// Always `sig`.
    #[serde(rename = "use")]
    pub use_: String,
    /// Modulus, base64url.
    pub n: String,
    /// Public exponent, base64url.
    pub e: String,
}

/// A public key on P-256, as an OpenID provider publishes it for ES256 (RFC 7518 section 6.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcPublicJwk {
    /// Its name.
    pub kid: String,
    /// First coordinate, base64url.
    pub x: String,
    /// Second coordinate, base64url.
    pub y: String,
}

/// The members of a private key as it is written: flat (RFC 7517 section 4).
#[derive(Deserialize)]
struct PrivateMembers {
    kty: String,
    kid: String,
    alg: String,
    #[serde(rename = "use")]
    use_: String,
    n: String,
    e: String,
    d: Secret,
    p: Secret,
    q: Secret,
    dp: Secret,
    dq: Secret,
    qi: Secret,
}

impl From<PrivateMembers> for PrivateJwk {
    fn from(members: PrivateMembers) -> Self {
        let PrivateMembers { kty, kid, alg, use_, n, e, d, p, q, dp, dq, qi } = members;
        Self { public: PublicJwk { kty, kid, alg, use_, n, e }, d, p, q, dp, dq, qi }
    }
}

/// A private RSA key from configuration. It has no `Debug` and no `Serialize`.
#[derive(Clone, Deserialize)]
#[serde(from = "PrivateMembers")]
pub struct PrivateJwk {
    /// The public half.
    pub public: PublicJwk,
    /// Private exponent, base64url.
    pub d: Secret,
    /// First prime.
    pub p: Secret,
    /// Second prime.
    pub q: Secret,
    /// `d mod (p-1)`.
    pub dp: Secret,
    /// `d mod (q-1)`.
    pub dq: Secret,
    /// `q^-1 mod p`.
    pub qi: Secret,
}

/// A set of keys, as in the JWKS document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeySet<K> {
    /// The keys; the first of a private set signs.
    pub keys: Vec<K>,
}

/// Why a key set from configuration cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeySet {
    /// Not JSON of that shape; the text is left out, since it may hold secrets.
    #[error("not a JSON Web Key Set")]
    Malformed,
    /// No key in it.
    #[error("the key set is empty")]
    Empty,
    /// A key that is not RSA for RS256, or too short.
    #[error("key `{0}` is not an RSA key of at least 2048 bits for RS256")]
    Unsuitable(String),
    /// Two keys of one name.
    #[error("key id `{0}` appears twice")]
    Repeated(String),
}

impl PublicJwk {
    fn check(&self) -> Result<(), InvalidKeySet> {
        let bits = URL_SAFE_NO_PAD.decode(&self.n).map_or(0, |n| n.len() * 8);
        if self.kty == "RSA" && self.alg == "RS256" && self.use_ == "sig" && bits >= 2048 && !self.kid.is_empty() {
            Ok(())
        } else {
            Err(InvalidKeySet::Unsuitable(self.kid.clone()))
        }
    }
}

fn parse<K: for<'de> Deserialize<'de>>(json: &str, public: impl Fn(&K) -> &PublicJwk) -> Result<KeySet<K>, InvalidKeySet> {
    let set: KeySet<K> = serde_json::from_slice(json.as_bytes()).map_err(|_| InvalidKeySet::Malformed)?;
    if set.keys.is_empty() {
        return Err(InvalidKeySet::Empty);
    }
    let mut seen = std::collections::BTreeSet::new();
    for key in &set.keys {
        let key = public(key);
        key.check()?;
        if !seen.insert(key.kid.clone()) {
            return Err(InvalidKeySet::Repeated(key.kid.clone()));
        }
    }
    Ok(set)
}

impl KeySet<PublicJwk> {
    /// Reads and checks a public key set from configuration.
    pub fn parse_public(json: &str) -> Result<Self, InvalidKeySet> {
        parse(json, |key: &PublicJwk| key)
    }

    /// The key of that name.
    pub fn find(&self, kid: &str) -> Option<&PublicJwk> {
        self.keys.iter().find(|key| key.kid == kid)
    }
}

impl KeySet<PrivateJwk> {
    /// Reads and checks a private key ring from configuration; the first key signs.
    pub fn parse_private(json: &str) -> Result<Self, InvalidKeySet> {
        parse(json, |key: &PrivateJwk| &key.public)
    }

    /// What the JWKS document shows.
    pub fn public(&self) -> KeySet<PublicJwk> {
        KeySet { keys: self.keys.iter().map(|key| key.public.clone()).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kid: &str, n_bytes: usize) -> serde_json::Value {
        serde_json::json!({"kty": "RSA", "kid": kid, "alg": "RS256", "use": "sig", "n": URL_SAFE_NO_PAD.encode(vec![0x80; n_bytes]), "e": "AQAB"})
    }

    fn parse(keys: &[serde_json::Value]) -> Result<KeySet<PublicJwk>, InvalidKeySet> {
        KeySet::parse_public(&serde_json::json!({ "keys": keys }).to_string())
    }

    #[test]
    fn refuses_what_must_not_sign() {
        assert!(parse(&[key("a", 256)]).is_ok());
        assert_eq!(parse(&[]).unwrap_err(), InvalidKeySet::Empty);
        assert_eq!(parse(&[key("a", 128)]).unwrap_err(), InvalidKeySet::Unsuitable("a".into()));
        assert_eq!(parse(&[key("a", 256), key("a", 256)]).unwrap_err(), InvalidKeySet::Repeated("a".into()));
        assert_eq!(KeySet::parse_public("{").unwrap_err(), InvalidKeySet::Malformed);
    }
}
