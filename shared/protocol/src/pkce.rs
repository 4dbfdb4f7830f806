//! Proof key for code exchange (RFC 7636), by S256 alone.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// What the client sent with the authorization request: 43 characters of base64url, the SHA-256 of its verifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge(String);

impl Challenge {
    /// Reads it; `None` where it is not base64url of 32 bytes.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        (bytes.len() == 32 && text.len() == 43).then(|| Self(text.to_owned()))
    }

    /// As it came.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `verifier` is the one: 43 to 128 unreserved characters (RFC 7636 section 4.1) with this hash.
    pub fn is_met_by(&self, verifier: &str) -> bool {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let well_formed = (43..=128).contains(&verifier.len()) && verifier.bytes().all(unreserved);
        let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
        // The challenge went through a browser: how long the comparison takes tells nothing that is a secret.
        well_formed && hash == self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_7636_appendix_b() {
        let challenge = Challenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").unwrap();
        assert!(challenge.is_met_by("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
        assert!(!challenge.is_met_by("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl"));
    }

    #[test]
    fn a_verifier_has_43_to_128_unreserved_characters() {
        for (verifier, good) in [
            ("a".repeat(42), false),
            ("a".repeat(43), true),
            ("a".repeat(128), true),
            ("a".repeat(129), false),
            (format!("{} ", "a".repeat(43)), false),
            (format!("{}é", "a".repeat(43)), false),
            (format!("{}~-._", "a".repeat(43)), true),
        ] {
            let challenge = Challenge(URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier)));
            assert_eq!(challenge.is_met_by(&verifier), good, "{verifier}");
        }
    }

    #[test]
    fn a_challenge_is_the_hash_of_something() {
        for bad in ["", "plain", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM"] {
            assert_eq!(Challenge::parse(bad), None, "{bad}");
        }
    }
}
