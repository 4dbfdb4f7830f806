//! What every authorization request has (RFC 6749 section 4.1.1, RFC 7636, RFC 9207), and which mistakes may be told by redirect.

use std::collections::BTreeMap;
use tmcp_http::{Failure, Reply};
use tmcp_protocol::pkce::Challenge;
use url::Url;

/// A request that holds, as far as every client's has to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Where the code goes.
    pub redirect_uri: String,
    /// Sent back as it came.
    pub state: String,
    /// What the client will have to prove.
    pub challenge: Challenge,
}

/// Why a request does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// Nobody that is known to be the client's is told: a page says what is wrong.
    Page(&'static str),
    /// The client is told, by redirect.
    Redirect {
        /// A redirect URI of the client's.
        redirect_uri: String,
        /// Sent back as it came, where it came.
        state: Option<String>,
        /// RFC 6749 section 4.1.2.1.
        error: &'static str,
        /// For the developer.
        description: String,
    },
}

/// Parameters by name, each at most once.
pub type Parameters = BTreeMap<String, String>;

/// Longer ones are nobody's.
const MAX_STATE: usize = 1024;

/// Parameters of a query, each at most once (RFC 6749 section 3.1); empty ones count as absent.
pub fn parameters(query: &str) -> Result<Parameters, &'static str> {
    let mut found = Parameters::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if !value.is_empty() && found.insert(name.into_owned(), value.into_owned()).is_some() {
            return Err("a parameter of the address is given twice");
        }
    }
    Ok(found)
}

/// Checks a request against the addresses that its client registered. Before it is settled where the answer goes, nothing is told by redirect
/// (RFC 9700 section 4.1).
pub fn check(parameters: &Parameters, registered: &[String]) -> Result<Asked, Wrong> {
    let redirect_uri =
        parameters.get("redirect_uri").ok_or(Wrong::Page("the address to go back to (redirect_uri) is missing"))?;
    if !registered.contains(redirect_uri) {
        return Err(Wrong::Page("the address to go back to (redirect_uri) is not one that the app registered"));
    }
    let get = |name: &str| parameters.get(name).map(String::as_str);
    let state = get("state").filter(|state| state.len() <= MAX_STATE);
    let wrong = |error: &'static str, description: &str| Wrong::Redirect {
        redirect_uri: redirect_uri.clone(),
        state: state.map(str::to_owned),
        error,
        description: description.to_owned(),
    };
    let invalid = |description: &str| wrong("invalid_request", description);
    match get("response_type") {
        Some("code") => {}
        Some(_) => return Err(wrong("unsupported_response_type", "response_type must be `code`")),
        None => return Err(invalid("response_type is missing")),
    }
    let state = state.ok_or_else(|| invalid("state is missing, or longer than 1024 bytes"))?;
    if get("code_challenge_method") != Some("S256") {
        return Err(invalid("code_challenge_method must be `S256`"));
    }
    let challenge = get("code_challenge").and_then(Challenge::parse);
    let challenge = challenge.ok_or_else(|| invalid("code_challenge must be base64url of a SHA-256 hash"))?;
    Ok(Asked { redirect_uri: redirect_uri.clone(), state: state.to_owned(), challenge })
}

impl Asked {
    /// What else is wrong, for the client.
    pub fn wrong(&self, error: &'static str, description: String) -> Wrong {
        Wrong::Redirect { redirect_uri: self.redirect_uri.clone(), state: Some(self.state.clone()), error, description }
    }

    /// To the client, with a code.
    pub fn granted(&self, issuer: &str, code: &str) -> Result<Reply, Failure> {
        back(issuer, &self.redirect_uri, &[("code", code), ("state", &self.state)])
    }

    /// The client's address, with the answer that the person does not come.
    pub fn denied(&self, issuer: &str, why: &str) -> Result<String, Failure> {
        let answer = [("error", "access_denied"), ("error_description", why), ("state", self.state.as_str())];
        address(issuer, &self.redirect_uri, &answer)
    }
}

/// The client's address with an answer. `iss` tells a client of several servers which one answered (RFC 9207).
fn address(issuer: &str, redirect_uri: &str, answer: &[(&str, &str)]) -> Result<String, Failure> {
    let mut to = Url::parse(redirect_uri).map_err(|error| Failure::internal(format!("a registered address: {error}")))?;
    to.query_pairs_mut().extend_pairs(answer).append_pair("iss", issuer);
    Ok(to.into())
}

fn back(issuer: &str, redirect_uri: &str, answer: &[(&str, &str)]) -> Result<Reply, Failure> {
    address(issuer, redirect_uri, answer).map(|to| Reply::see_other(&to))
}

/// Tells what is wrong, to whom it may be told.
pub fn tell(issuer: &str, wrong: &Wrong) -> Result<Reply, Failure> {
    match wrong {
        Wrong::Page(message) => Err(Failure::invalid(*message)),
        Wrong::Redirect { redirect_uri, state, error, description } => {
            let mut answer = vec![("error", *error), ("error_description", description.as_str())];
            answer.extend(state.as_deref().map(|state| ("state", state)));
            back(issuer, redirect_uri, &answer)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    const URI: &str = "https://app.example/back?x=1";

    fn with(name: &str, value: Option<&str>) -> Result<Asked, Wrong> {
        let mut parameters: Parameters = [
            ("response_type", "code"),
            ("redirect_uri", URI),
            ("state", "s"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
        match value {
            Some(value) => parameters.insert(name.to_owned(), value.to_owned()),
            None => parameters.remove(name),
        };
        check(&parameters, &[URI.to_owned()])
    }

    #[test]
    fn a_good_request_holds() {
        let asked = with("more", None).unwrap();
        assert_eq!((asked.redirect_uri.as_str(), asked.state.as_str()), (URI, "s"));
    }

    #[test]
    fn a_wrong_redirect_uri_is_never_redirected_to() {
        for uri in [
            None,
            Some("https://app.example/back"),
            Some("https://app.example/back?x=1&y"),
            Some("https://app.example/back?x=1#f"),
            Some("https://APP.example/back?x=1"),
            Some("https://app.example/./back?x=1"),
            Some("https://app.example.evil/back?x=1"),
            Some("javascript:alert(1)"),
        ] {
            assert!(matches!(with("redirect_uri", uri), Err(Wrong::Page(_))), "{uri:?}");
        }
    }

    #[test]
    fn every_other_mistake_is_told_by_redirect() {
        let long = "s".repeat(1025);
        for (name, value, expected) in [
            ("response_type", None, "invalid_request"),
            ("response_type", Some("token"), "unsupported_response_type"),
            ("state", None, "invalid_request"),
            ("state", Some(long.as_str()), "invalid_request"),
            ("code_challenge", None, "invalid_request"),
            ("code_challenge", Some("short"), "invalid_request"),
            ("code_challenge", Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c"), "invalid_request"),
            ("code_challenge", Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM"), "invalid_request"),
            ("code_challenge_method", None, "invalid_request"),
            ("code_challenge_method", Some("plain"), "invalid_request"),
        ] {
            match with(name, value) {
                Err(Wrong::Redirect { redirect_uri, error, .. }) => {
                    assert_eq!((redirect_uri.as_str(), error), (URI, expected), "{name} {value:?}");
                }
                other => panic!("{name} {value:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_parameter_stands_once() {
        assert_eq!(parameters("a=1&b=&b=2").unwrap().len(), 2);
        assert!(parameters("state=a&state=b").is_err());
    }
}
