//! GET /.well-known/oauth-authorization-server (RFC 8414): what a client library needs to know of us.

use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL};
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::Platform;

/// The document, with `$` for the issuer, which has no letter that JSON escapes. A test holds it to the route table.
const DOCUMENT: &str = include_str!("metadata.json");

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let reply = Reply::text("application/json", DOCUMENT.replace('$', &call.settings.issuer));
    Ok(reply.header(CACHE_CONTROL, "public, max-age=300").header(ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tmcp_protocol::client::Grant;
    use tmcp_protocol::{Scope, routes};

    #[test]
    fn the_document_follows_the_tables() {
        let document: Value = serde_json::from_str(super::DOCUMENT).unwrap();
        for (name, route) in [
            ("authorization_endpoint", &routes::AUTHORIZE),
            ("token_endpoint", &routes::TOKEN),
            ("device_authorization_endpoint", &routes::DEVICE),
            ("revocation_endpoint", &routes::REVOKE),
            ("introspection_endpoint", &routes::INTROSPECT),
            ("userinfo_endpoint", &routes::USERINFO),
            ("jwks_uri", &routes::JWKS),
        ] {
            assert_eq!(document[name], format!("${}", route.path), "{name}");
        }
        let grants: Vec<&str> = Grant::ALL.iter().map(|grant| grant.as_str()).collect();
        let scopes: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
        assert_eq!((&document["grant_types_supported"], &document["scopes_supported"]), (&json!(grants), &json!(scopes)));
        assert_eq!(document["issuer"], "$");
    }
}
