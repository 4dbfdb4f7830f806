//! The id token (OpenID Connect Core section 3.1.3.7): its form, the key that it names, and what its claims must say.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tmcp_proof::Refusal;
use tmcp_protocol::Millis;
use tmcp_protocol::jwk::{EcPublicJwk, PublicJwk};

/// The algorithms that we take: the one that every OpenID provider has to have (OpenID Connect Core section 15.1), and the usual other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

impl Algorithm {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Algorithm::Rs256),
            "ES256" => Some(Algorithm::Es256),
            _ => None,
        }
    }

    /// Its name, and the type of its keys.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Algorithm::Rs256 => ("RS256", "RSA"),
            Algorithm::Es256 => ("ES256", "EC"),
        }
    }
}

/// A key that can verify a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// For RS256.
    Rsa(PublicJwk),
    /// For ES256.
    Ec(EcPublicJwk),
}

/// How far clocks may be apart, in seconds.
const SKEW_S: i64 = 60;
/// A token that was issued longer ago was not issued for this sign-in, in seconds.
const MAX_AGE_S: i64 = 600;
/// Longer ones are nobody's.
const MAX_TOKEN: usize = 32 * 1024;
/// RSA keys of 2048 to 4096 bits, in characters of base64url.
const MODULUS: std::ops::RangeInclusive<usize> = 342..=684;

/// A token whose signature nobody has checked yet.
#[derive(Debug)]
pub struct Parsed<'a> {
    /// How it says that it was signed.
    pub algorithm: Algorithm,
    /// Which key it says that it was signed with.
    pub kid: Option<String>,
    /// What was signed.
    pub signing_input: &'a str,
    /// The signature.
    pub signature: Vec<u8>,
    /// What it says.
    pub claims: Value,
}

fn part(text: &str) -> Option<Value> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    serde_json::from_slice(&bytes).ok().filter(Value::is_object)
}

/// Takes a token apart.
pub fn parse(token: &str) -> Result<Parsed<'_>, Refusal> {
    let malformed = Refusal::Provider("a malformed id token");
    if token.len() > MAX_TOKEN {
        return Err(malformed);
    }
    let (signing_input, signature) = token.rsplit_once('.').ok_or(malformed.clone())?;
    let (header, claims) = signing_input.split_once('.').ok_or(malformed.clone())?;
    let (Some(header), Some(claims)) = (part(header), part(claims)) else { return Err(malformed) };
    let algorithm = header.get("alg").and_then(Value::as_str).and_then(Algorithm::parse);
    let algorithm = algorithm.ok_or(Refusal::Provider("an id token under another algorithm than RS256 and ES256"))?;
    // An extension that must be understood is one that we do not (RFC 7515 section 4.1.11).
    if header.get("crit").is_some() {
        return Err(Refusal::Provider("an id token with a critical extension"));
    }
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| malformed)?;
    let kid = header.get("kid").and_then(Value::as_str).map(str::to_owned);
    Ok(Parsed { algorithm, kid, signing_input, signature, claims })
}

/// The key of a set (RFC 7517) that a token names, if it is one of its algorithm; without a name, the only one that there is.
pub fn key(set: &Value, algorithm: Algorithm, kid: Option<&str>) -> Option<Key> {
    let text = |key: &Value, name: &str| key.get(name).and_then(Value::as_str).map(str::to_owned);
    let (alg, kty) = algorithm.names();
    let fits = |key: &&Value| {
        text(key, "kty").is_some_and(|found| found == kty)
            && text(key, "use").is_none_or(|use_| use_ == "sig")
            && text(key, "alg").is_none_or(|found| found == alg)
            && kid.is_none_or(|kid| text(key, "kid").as_deref() == Some(kid))
    };
    let mut fitting = set.get("keys")?.as_array()?.iter().filter(fits);
    let key = fitting.next()?;
    if kid.is_none() && fitting.next().is_some() {
        return None;
    }
    let kid = text(key, "kid").unwrap_or_default();
    match algorithm {
        Algorithm::Rs256 => {
            let (n, e) = (text(key, "n")?, text(key, "e")?);
            let named = |text: &str| text.to_owned();
            let found = PublicJwk { kty: named(kty), kid, alg: named(alg), use_: named("sig"), n, e };
            MODULUS.contains(&found.n.len()).then_some(Key::Rsa(found))
        }
        Algorithm::Es256 => {
            let (x, y) = (text(key, "x")?, text(key, "y")?);
            text(key, "crv").is_some_and(|curve| curve == "P-256").then_some(Key::Ec(EcPublicJwk { kid, x, y }))
        }
    }
}

/// What a token must say.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Who issued it.
    pub issuer: &'a str,
    /// For whom.
    pub client_id: &'a str,
    /// In which sign-in.
    pub nonce: &'a str,
    /// Since when the person must have signed in there.
    pub since: Option<Millis>,
    /// Now.
    pub now: Millis,
}

impl Expected<'_> {
    /// The same claims, if they say it.
    pub fn check(&self, claims: Value) -> Result<Value, Refusal> {
        match self.problem(&claims) {
            None => Ok(claims),
            Some(problem) => Err(Refusal::Provider(problem)),
        }
    }

    fn problem(&self, claims: &Value) -> Option<&'static str> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        // Some write times with a fraction.
        #[allow(clippy::cast_possible_truncation, reason = "a time in seconds, within what is compared")]
        let time = |name: &str| claims.get(name).and_then(|time| time.as_i64().or_else(|| time.as_f64().map(|time| time as i64)));
        let now = self.now.seconds();
        let (for_us, for_others) = match claims.get("aud") {
            Some(Value::String(one)) => (one == self.client_id, false),
            Some(Value::Array(all)) => (all.iter().any(|one| one == self.client_id), all.iter().any(|one| one != self.client_id)),
            _ => (false, false),
        };
        if text("iss") != Some(self.issuer) {
            Some("an id token of another issuer")
        } else if !for_us {
            Some("an id token for somebody else")
        } else if claims.get("azp").map_or(for_others, |azp| azp != self.client_id) {
            Some("an id token that another client asked for")
        } else if time("exp").is_none_or(|exp| exp.saturating_add(SKEW_S) <= now) {
            Some("an id token that is over")
        } else if time("iat").is_none_or(|iat| iat > now + SKEW_S || iat < now - MAX_AGE_S) {
            Some("an id token of another time")
        } else if claims.get("nbf").is_some() && time("nbf").is_none_or(|nbf| nbf > now + SKEW_S) {
            Some("an id token of the future")
        } else if text("nonce") != Some(self.nonce) {
            Some("an id token of another sign-in")
        } else if self.since.is_some_and(|since| time("auth_time").is_none_or(|at| at < since.seconds() - SKEW_S)) {
            Some("a sign-in of before")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: i64 = 1_800_000_000;

    fn claims() -> Value {
        json!({"iss": "https://id.example", "sub": "1", "aud": "tmcp", "exp": NOW + 60, "iat": NOW, "nonce": "n"})
    }

    fn problem(claims: Value) -> Option<String> {
        let expected =
            Expected { issuer: "https://id.example", client_id: "tmcp", nonce: "n", since: None, now: Millis(NOW * 1000) };
        expected.check(claims).err().map(|refusal| refusal.to_string())
    }

    #[test]
    fn claims_must_be_of_this_sign_in() {
        let cases = [
            ("iss", json!("https://id.example/"), "issuer"),
            ("iss", json!("https://evil.example"), "issuer"),
            ("iss", json!(null), "issuer"),
            ("aud", json!("other"), "somebody else"),
            ("aud", json!([]), "somebody else"),
            ("aud", json!(["other"]), "somebody else"),
            ("aud", json!({"tmcp": 1}), "somebody else"),
            ("aud", json!(["tmcp", "other"]), "another client"),
            ("azp", json!("other"), "another client"),
            ("azp", json!(null), "another client"),
            ("exp", json!(NOW - 60), "over"),
            ("exp", json!("soon"), "over"),
            ("exp", json!(i64::MIN), "over"),
            ("iat", json!(NOW + 61), "another time"),
            ("iat", json!(NOW - 601), "another time"),
            ("iat", json!(null), "another time"),
            ("nbf", json!(NOW + 61), "future"),
            ("nbf", json!("x"), "future"),
            ("nonce", json!("m"), "another sign-in"),
            ("nonce", json!(null), "another sign-in"),
        ];
        for (name, value, part) in cases {
            let mut claims = claims();
            claims[name] = value.clone();
            let problem = problem(claims).unwrap_or_else(|| panic!("{name} {value} passed"));
            assert!(problem.contains(part), "{name} {value}: {problem}");
        }
        for missing in ["iss", "aud", "exp", "iat", "nonce"] {
            let mut claims = claims();
            claims.as_object_mut().unwrap().remove(missing);
            assert!(problem(claims).is_some(), "without {missing}");
        }
    }

    #[test]
    fn what_is_ours_passes() {
        let with = |name: &str, value: Value| {
            let mut claims = claims();
            claims[name] = value;
            claims
        };
        let mut two = with("aud", json!(["other", "tmcp"]));
        two["azp"] = json!("tmcp");
        for claims in
            [claims(), two, with("aud", json!(["tmcp"])), with("exp", json!(1_800_000_000.5)), with("exp", json!(NOW - 59))]
        {
            assert_eq!(problem(claims.clone()), None, "{claims}");
        }
    }

    #[test]
    fn who_has_to_sign_in_anew_did() {
        let since = Some(Millis(NOW * 1000));
        let expected = Expected { issuer: "https://id.example", client_id: "tmcp", nonce: "n", since, now: Millis(NOW * 1000) };
        for (auth_time, good) in [(json!(NOW), true), (json!(NOW - 60), true), (json!(NOW - 61), false), (json!(null), false)] {
            let mut claims = claims();
            claims["auth_time"] = auth_time.clone();
            assert_eq!(expected.check(claims).is_ok(), good, "{auth_time}");
        }
        assert!(expected.check(claims()).is_err(), "without auth_time");
    }

    fn token(header: &Value) -> String {
        let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.AAAA", encoded(header), encoded(&claims()))
    }

    #[test]
    fn only_what_is_on_the_list_and_nothing_critical() {
        assert!(parse(&token(&json!({"alg": "RS256", "kid": "k"}))).is_ok_and(|token| token.kid.as_deref() == Some("k")));
        assert!(parse(&token(&json!({"alg": "ES256"}))).is_ok_and(|token| token.algorithm == Algorithm::Es256));
        for header in [json!({"alg": "none"}), json!({"alg": "HS256"}), json!({"alg": "rs256"}), json!({}), json!([])] {
            assert!(parse(&token(&header)).is_err(), "{header}");
        }
        assert!(parse(&token(&json!({"alg": "RS256", "crit": ["b64"], "b64": false}))).is_err());
        let long = "a".repeat(MAX_TOKEN + 1);
        for malformed in ["", ".", "..", "a.b", "a.b.c", "{}.{}.", &long, &format!("{}.x", token(&json!({"alg": "RS256"})))] {
            assert!(parse(malformed).is_err(), "{malformed}");
        }
    }

    #[test]
    fn a_key_is_one_that_may_sign() {
        let key_of = |change: &[(&str, Value)]| {
            let mut key = json!({"kty": "RSA", "kid": "k", "use": "sig", "alg": "RS256", "n": "A".repeat(342), "e": "AQAB"});
            for (name, value) in change {
                key[*name] = value.clone();
            }
            key
        };
        let set = |keys: &[Value]| json!({ "keys": keys });
        let found = |keys: &[Value], kid: Option<&str>| match key(&set(keys), Algorithm::Rs256, kid) {
            Some(Key::Rsa(key)) => Some(key.kid),
            Some(Key::Ec(key)) => panic!("{key:?}"),
            None => None,
        };
        assert_eq!(found(&[key_of(&[])], Some("k")).as_deref(), Some("k"));
        assert_eq!(found(&[key_of(&[])], None).as_deref(), Some("k"));
        let encrypts = key_of(&[("use", json!("enc")), ("alg", json!("RSA-OAEP"))]);
        assert_eq!(found(&[encrypts.clone(), key_of(&[])], Some("k")).as_deref(), Some("k"));
        assert_eq!(found(&[key_of(&[("kid", json!("a"))]), key_of(&[])], None), None, "one of two");
        for bad in
            [encrypts, key_of(&[("kty", json!("EC"))]), key_of(&[("alg", json!("HS256"))]), key_of(&[("n", json!("AQAB"))])]
        {
            assert_eq!(found(&[bad], Some("k")), None);
        }
        assert_eq!(found(&[key_of(&[])], Some("other")), None);
        assert_eq!(key(&json!([]), Algorithm::Rs256, None), None);
        // No key is taken for one of the other kind.
        let ec = json!({"kty": "EC", "kid": "k", "crv": "P-256", "x": "a", "y": "b"});
        let both = set(&[key_of(&[]), ec.clone()]);
        assert!(matches!(key(&both, Algorithm::Es256, Some("k")), Some(Key::Ec(_))));
        assert!(matches!(key(&both, Algorithm::Rs256, Some("k")), Some(Key::Rsa(_))));
        for (name, value) in [("crv", "P-384"), ("alg", "RS256"), ("use", "enc"), ("kty", "RSA")] {
            let mut bad = ec.clone();
            bad[name] = json!(value);
            assert_eq!(key(&set(&[bad]), Algorithm::Es256, Some("k")), None, "{name} {value}");
        }
    }
}
