//! The parameters of an authorization request (RFC 6749 section 4.1.1), and which mistakes may be told by redirect.

use crate::client::Client;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::BTreeMap;
use tmcp_protocol::ScopeSet;

/// A request that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizeRequest {
    /// Where the code goes.
    pub redirect_uri: String,
    /// What is asked for.
    pub scopes: ScopeSet,
    /// Sent back as it came.
    pub state: String,
    /// What the client will have to prove, as it came: SHA-256 of a verifier (RFC 7636), in base64url.
    pub challenge: String,
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

/// Where the answer goes; before that is settled, nothing is told by redirect (RFC 9700 section 4.1).
pub fn redirect_uri<'a>(parameters: &'a Parameters, client: &Client) -> Result<&'a str, Wrong> {
    let uri = parameters.get("redirect_uri").ok_or(Wrong::Page("the address to go back to (redirect_uri) is missing"))?;
    if client.redirect_uris.contains(uri) {
        Ok(uri)
    } else {
        Err(Wrong::Page("the address to go back to (redirect_uri) is not one that the app registered"))
    }
}

/// Checks the rest.
pub fn check(parameters: &Parameters, client: &Client) -> Result<AuthorizeRequest, Wrong> {
    let redirect_uri = redirect_uri(parameters, client)?;
    let get = |name: &str| parameters.get(name).map(String::as_str);
    let state = get("state").filter(|state| state.len() <= MAX_STATE);
    let wrong = |error: &'static str, description: String| Wrong::Redirect {
        redirect_uri: redirect_uri.to_owned(),
        state: state.map(str::to_owned),
        error,
        description,
    };
    let invalid = |description: &str| wrong("invalid_request", description.to_owned());
    if !client.code_grant {
        return Err(wrong("unauthorized_client", "the client is not registered for the authorization code grant".to_owned()));
    }
    match get("response_type") {
        Some("code") => {}
        Some(_) => return Err(wrong("unsupported_response_type", "response_type must be `code`".to_owned())),
        None => return Err(invalid("response_type is missing")),
    }
    let state = state.ok_or_else(|| invalid("state is missing, or longer than 1024 bytes"))?;
    if get("code_challenge_method") != Some("S256") {
        return Err(invalid("code_challenge_method must be `S256`"));
    }
    let challenge = get("code_challenge").filter(|text| is_challenge(text));
    let challenge = challenge.ok_or_else(|| invalid("code_challenge must be base64url of a SHA-256 hash"))?;
    let scopes = ScopeSet::parse(get("scope").unwrap_or_default());
    let scopes = scopes.map_err(|error| wrong("invalid_scope", error.to_string()))?;
    if scopes.is_empty() {
        return Err(wrong("invalid_scope", "scope is missing".to_owned()));
    }
    if let Some(scope) = scopes.iter().find(|scope| !client.may_ask_for(*scope)) {
        return Err(wrong("invalid_scope", format!("the app has not registered the scope `{scope}`, or may not have it")));
    }
    Ok(AuthorizeRequest {
        redirect_uri: redirect_uri.to_owned(),
        scopes,
        state: state.to_owned(),
        challenge: challenge.to_owned(),
    })
}

/// Whether it can be the SHA-256 of a verifier: base64url of 32 bytes.
fn is_challenge(text: &str) -> bool {
    URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32)
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use tmcp_protocol::{AppId, ClientId};

    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    const URI: &str = "https://app.example/back?x=1";

    fn client() -> Client {
        Client {
            client_id: ClientId::parse("ma_a").unwrap(),
            app_id: AppId::parse("ma_a").unwrap(),
            name: "A".to_owned(),
            developer: None,
            icon_url: None,
            redirect_uris: vec![URI.to_owned()],
            scopes: ScopeSet::parse("user:read storage:read wallet:admin").unwrap(),
            code_grant: true,
            official: false,
        }
    }

    fn good() -> Parameters {
        [
            ("response_type", "code"),
            ("redirect_uri", URI),
            ("scope", "user:read storage:read"),
            ("state", "s"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
    }

    fn with(name: &str, value: Option<&str>) -> Parameters {
        let mut parameters = good();
        match value {
            Some(value) => parameters.insert(name.to_owned(), value.to_owned()),
            None => parameters.remove(name),
        };
        parameters
    }

    #[test]
    fn a_good_request_holds() {
        let request = check(&good(), &client()).unwrap();
        assert_eq!((request.redirect_uri.as_str(), request.state.as_str()), (URI, "s"));
        assert_eq!(request.scopes.to_string(), "user:read storage:read");
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
            assert!(matches!(check(&with("redirect_uri", uri), &client()), Err(Wrong::Page(_))), "{uri:?}");
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
            ("scope", None, "invalid_scope"),
            ("scope", Some("root"), "invalid_scope"),
            ("scope", Some("wallet:pay"), "invalid_scope"),
            ("scope", Some("wallet:admin"), "invalid_scope"),
        ] {
            match check(&with(name, value), &client()) {
                Err(Wrong::Redirect { redirect_uri, error, .. }) => {
                    assert_eq!((redirect_uri.as_str(), error), (URI, expected), "{name} {value:?}");
                }
                other => panic!("{name} {value:?}: {other:?}"),
            }
        }
        let closed = Client { code_grant: false, ..client() };
        assert!(matches!(check(&good(), &closed), Err(Wrong::Redirect { error: "unauthorized_client", .. })));
    }

    #[test]
    fn only_official_apps_may_ask_for_what_is_theirs() {
        let official = Client { official: true, ..client() };
        assert!(check(&with("scope", Some("wallet:admin")), &official).is_ok());
    }

    #[test]
    fn a_parameter_stands_once() {
        assert_eq!(parameters("a=1&b=&b=2").unwrap().len(), 2);
        assert!(parameters("state=a&state=b").is_err());
    }
}
