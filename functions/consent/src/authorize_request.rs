//! What an app's authorization request has beside what every one has: its scopes.

use crate::client::Client;
use tmcp_pages::authorization::{self, Asked, Parameters, Wrong};
use tmcp_protocol::ScopeSet;

/// A request that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizeRequest {
    /// What every request has.
    pub asked: Asked,
    /// What is asked for.
    pub scopes: ScopeSet,
}

/// Checks a request of an app.
pub fn check(parameters: &Parameters, client: &Client) -> Result<AuthorizeRequest, Wrong> {
    let asked = authorization::check(parameters, &client.redirect_uris)?;
    if !client.code_grant {
        let description = "the client is not registered for the authorization code grant".to_owned();
        return Err(asked.wrong("unauthorized_client", description));
    }
    let scopes = ScopeSet::parse(parameters.get("scope").map(String::as_str).unwrap_or_default());
    let scopes = scopes.map_err(|error| asked.wrong("invalid_scope", error.to_string()))?;
    if scopes.is_empty() {
        return Err(asked.wrong("invalid_scope", "scope is missing".to_owned()));
    }
    if let Some(scope) = scopes.iter().find(|scope| !client.may_ask_for(*scope)) {
        return Err(asked.wrong("invalid_scope", format!("the app has not registered the scope `{scope}`, or may not have it")));
    }
    Ok(AuthorizeRequest { asked, scopes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tmcp_protocol::{AppId, ClientId};

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

    fn with_scope(scope: Option<&str>) -> Parameters {
        let good = [
            ("response_type", "code"),
            ("redirect_uri", URI),
            ("state", "s"),
            ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
            ("code_challenge_method", "S256"),
        ];
        let all = good.into_iter().chain(scope.map(|scope| ("scope", scope)));
        all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn a_good_request_holds() {
        let request = check(&with_scope(Some("user:read storage:read")), &client()).unwrap();
        assert_eq!((request.asked.redirect_uri.as_str(), request.asked.state.as_str()), (URI, "s"));
        assert_eq!(request.scopes.to_string(), "user:read storage:read");
    }

    #[test]
    fn what_is_wrong_with_its_scopes_is_told_by_redirect() {
        for scope in [None, Some("root"), Some("wallet:pay"), Some("wallet:admin")] {
            match check(&with_scope(scope), &client()) {
                Err(Wrong::Redirect { redirect_uri, error, .. }) => {
                    assert_eq!((redirect_uri.as_str(), error), (URI, "invalid_scope"), "{scope:?}");
                }
                other => panic!("{scope:?}: {other:?}"),
            }
        }
        let closed = Client { code_grant: false, ..client() };
        let request = check(&with_scope(Some("user:read")), &closed);
        assert!(matches!(request, Err(Wrong::Redirect { error: "unauthorized_client", .. })));
    }

    #[test]
    fn only_official_apps_may_ask_for_what_is_theirs() {
        let official = Client { official: true, ..client() };
        assert!(check(&with_scope(Some("wallet:admin")), &official).is_ok());
    }
}
