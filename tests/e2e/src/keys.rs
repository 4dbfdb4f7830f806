//! The keys that the development server runs with, to make tokens that it must refuse.

use crate::up::Up;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::time::{SystemTime, UNIX_EPOCH};

/// `keys.json` of the data folder.
pub struct DevKeys {
    /// All of it.
    pub all: Value,
}

fn part(token: &str, n: usize) -> Value {
    let jwt = token.strip_prefix("tep.").or(token.strip_prefix("dev.")).unwrap_or(token);
    let part = jwt.split('.').nth(n).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
}

/// The header of a token, unverified.
pub fn header_of(token: &str) -> Value {
    part(token, 0)
}

/// The claims of a token, unverified.
pub fn claims_of(token: &str) -> Value {
    part(token, 1)
}

/// A DER length and contents under a tag.
fn der(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len();
    let mut bytes = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 128 => bytes.push(short),
        _ => {
            let long: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
            bytes.push(0x80 | u8::try_from(long.len()).expect("at most 8"));
            bytes.extend(long);
        }
    }
    bytes.extend(contents);
    bytes
}

impl DevKeys {
    /// Reads them.
    pub fn of(up: &Up) -> Self {
        let text = std::fs::read_to_string(up.data_dir.join("keys.json")).expect("the server's keys.json");
        Self { all: serde_json::from_str(&text).expect("JSON") }
    }

    /// The signing key as a JWK.
    pub fn signing(&self) -> &Value {
        &self.all["signing_keys"]["keys"][0]
    }

    /// The signing key for `jsonwebtoken`: the JWK as an RSAPrivateKey of RFC 8017 appendix A.1.2.
    pub fn encoding_key(&self) -> EncodingKey {
        let mut body = der(2, &[0]);
        for name in ["n", "e", "d", "p", "q", "dp", "dq", "qi"] {
            let number = URL_SAFE_NO_PAD.decode(self.signing()[name].as_str().expect("a private JWK")).expect("base64url");
            body.extend(der(2, &[&[0], number.as_slice()].concat()[usize::from(number[0] < 128)..]));
        }
        EncodingKey::from_rsa_der(&der(0x30, &body))
    }

    /// A JWT with any header and claims, signed as told.
    pub fn sign_with(&self, key: &EncodingKey, algorithm: Algorithm, header: &Value, claims: &Value) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let input = format!("{}.{}", encode(header), encode(claims));
        let signature = jsonwebtoken::crypto::sign(input.as_bytes(), key, algorithm).expect("a signature");
        format!("{input}.{signature}")
    }

    /// The same, by RS256 under the server's own key.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_with(&self.encoding_key(), Algorithm::RS256, header, claims)
    }

    /// A service token as functions send each other: a real one.
    pub fn service_token(&self, method: &str, path: &str, body: &[u8]) -> String {
        let key = STANDARD.decode(self.all["service_key"].as_str().expect("a service key")).expect("base64");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_millis();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any length will do");
        for part in [method.as_bytes(), path.as_bytes(), &Sha256::digest(body), now.to_string().as_bytes()] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        format!("{now}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }
}
