//! What a homeserver says about credentials.
//!
//! `/profile` proves nothing: it answers 200 for anybody's token and for none. `whoami` says whose token it is (client-server API
//! v3), and the federation API says for whom an OpenID token was issued.

use crate::homeserver::Homeserver;
use crate::refusal::Refusal;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tmcp_http::{Call, Failure};
use tmcp_ports::{HttpClient, HttpError, OutboundRequest, Platform};
use tmcp_protocol::{ErrorCode, MatrixUserId, Secret, ServerName};
use url::form_urlencoded;

#[derive(Deserialize)]
struct WhoAmI {
    user_id: String,
    #[serde(default)]
    is_guest: bool,
    device_id: Option<String>,
}

#[derive(Deserialize)]
struct UserInfo {
    sub: String,
}

/// Sends a request; 401 and 403 are the homeserver's refusal, anything else but 200 means that it is out of order.
pub async fn ask<P: Platform, T: for<'de> Deserialize<'de>>(
    call: &Call<P>,
    homeserver: &Homeserver,
    request: OutboundRequest,
) -> Result<Result<T, Refusal>, Failure> {
    let response = match call.platform.http().send(homeserver.trust, call.outbound(request)).await {
        Ok(response) => response,
        Err(HttpError::Refused(_)) => return Ok(Err(Refusal::UnknownHomeserver)),
        Err(error) => return Err(error.into()),
    };
    match response.status {
        200 => match serde_json::from_slice(&response.body) {
            Ok(answer) => Ok(Ok(answer)),
            Err(error) => Err(Failure::unavailable(format!("the homeserver's answer: {error}"))),
        },
        401 | 403 => Ok(Err(Refusal::Token)),
        429 => Err(Failure::new(
            ErrorCode::ServiceUnavailable,
            "the homeserver takes no more sign-ins for the moment: try again later",
        )
        .retry_after(60)
        .because("the homeserver answered 429: docs/operating.md, Providers")),
        status => Err(Failure::unavailable(format!("the homeserver answered {status}"))),
    }
}

/// Whose access token it is: a person's of this homeserver, with a device, and nobody else's than the claim says.
pub async fn whoami<P: Platform>(
    call: &Call<P>,
    homeserver: &Homeserver,
    claimed: Option<&MatrixUserId>,
    token: &Secret,
) -> Result<Result<MatrixUserId, Refusal>, Failure> {
    let url = format!("{}/_matrix/client/v3/account/whoami", homeserver.client_url);
    let request = OutboundRequest::get(url).header("authorization", format!("Bearer {}", token.expose()));
    let answer = match ask::<P, WhoAmI>(call, homeserver, request).await? {
        Ok(answer) => answer,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let Ok(id) = MatrixUserId::parse(answer.user_id) else { return Ok(Err(Refusal::AnotherUser)) };
    Ok(if id.server() != homeserver.server_name || claimed.is_some_and(|claimed| *claimed != id) {
        Err(Refusal::AnotherUser)
    } else if answer.is_guest {
        Err(Refusal::Guest)
    } else if answer.device_id.is_none() || is_a_services(&id) {
        // An Application Service's token has no device, whomever it speaks for.
        Err(Refusal::ApplicationService)
    } else {
        Ok(id)
    })
}

/// Whether `token` is an OpenID token that the homeserver issued for `claimed`.
pub async fn openid_userinfo<P: Platform>(
    call: &Call<P>,
    homeserver: &Homeserver,
    claimed: &MatrixUserId,
    token: &Secret,
) -> Result<Result<(), Refusal>, Failure> {
    let query: String = form_urlencoded::Serializer::new(String::new()).append_pair("access_token", token.expose()).finish();
    let url = format!("{}/_matrix/federation/v1/openid/userinfo?{query}", homeserver.federation_url);
    let answer = match ask::<P, UserInfo>(call, homeserver, OutboundRequest::get(url)).await? {
        Ok(answer) => answer,
        Err(refusal) => return Ok(Err(refusal)),
    };
    Ok(if answer.sub == claimed.as_str() { Ok(()) } else { Err(Refusal::AnotherUser) })
}

/// The public profile as the homeserver gives it; empty of somebody who has none.
pub async fn look<P: Platform>(call: &Call<P>, homeserver: &Homeserver, id: &MatrixUserId) -> Result<Profile, Failure> {
    let mut request = OutboundRequest::get(profile_url(homeserver, id, ""));
    (request.timeout_ms, request.max_bytes) = (3_000, 64 * 1024);
    let response = call.platform.http().send(homeserver.trust, call.outbound(request)).await?;
    match response.status {
        200 => Profile::read(&response.body).ok_or_else(|| Failure::unavailable("the homeserver's answer is no profile")),
        404 => Ok(Profile::default()),
        status => Err(Failure::unavailable(format!("the homeserver answered {status}"))),
    }
}

/// Where a profile is, or a member of it (`/displayname`).
pub fn profile_url(homeserver: &Homeserver, id: &MatrixUserId, member: &str) -> String {
    let encoded: String = form_urlencoded::byte_serialize(id.as_str().as_bytes()).collect();
    format!("{}/_matrix/client/v3/profile/{encoded}{member}", homeserver.client_url)
}

/// A profile as a homeserver told of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// The display name, cut to what a list can show.
    pub display_name: Option<String>,
    /// The avatar, where it is one in a homeserver's media store.
    pub avatar_url: Option<String>,
    /// The document, for comparison; what is too long to keep is left out of it.
    pub document: String,
}

/// Longer documents are not kept: a homeserver may let people add what they like.
const MAX_DOCUMENT: usize = 16 * 1024;

impl Profile {
    /// Reads a document; `None` where it is none.
    pub fn read(document: &[u8]) -> Option<Self> {
        let found: Map<String, Value> = serde_json::from_slice(document).ok()?;
        let text = |name: &str| found.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let display_name = text("displayname").map(|name| name.chars().take(256).collect());
        let avatar_url = text("avatar_url").filter(|url| is_media(url)).map(str::to_owned);
        let document = match document.len() <= MAX_DOCUMENT {
            true => String::from_utf8(document.to_vec()).ok()?,
            false => json!({"displayname": display_name, "avatar_url": avatar_url}).to_string(),
        };
        Some(Self { display_name, avatar_url, document })
    }
}

/// Whether it is an address in a homeserver's media store: `mxc://server/id` (client-server API "Matrix Content (mxc://) URIs").
pub fn is_media(url: &str) -> bool {
    let parts = url.strip_prefix("mxc://").filter(|_| url.len() <= 1000).and_then(|rest| rest.split_once('/'));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    parts.is_some_and(|(server, id)| ServerName::parse(server).is_ok() && !id.is_empty() && id.bytes().all(plain))
}

/// The namespaces of our own Application Service (TMCP 6.1): bots, never people.
pub fn is_a_services(id: &MatrixUserId) -> bool {
    let local = id.localpart();
    local == "_tmcp" || local.starts_with("_tmcp_") || local.starts_with("ma_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_profile() {
        let read = |document: &str| Profile::read(document.as_bytes());
        let found = read(r#"{"displayname":"Alice","avatar_url":"mxc://hs/a_B-9","m.tz":"x"}"#).unwrap();
        assert_eq!((found.display_name.as_deref(), found.avatar_url.as_deref()), (Some("Alice"), Some("mxc://hs/a_B-9")));
        assert!(found.document.contains("m.tz"));
        for document in [r#"{"displayname":""}"#, r#"{"displayname":null,"avatar_url":5}"#, "{}"] {
            let found = read(document).unwrap();
            assert_eq!((found.display_name, found.avatar_url), (None, None), "{document}");
        }
        for url in ["http://hs/a", "mxc://hs", "mxc://hs/", "mxc:///a", "mxc://hs/a/b", "mxc://hs/a?b", "mxc://h s/a"] {
            assert!(!is_media(url), "{url}");
        }
        for document in ["", "[]", "nothing", "\u{0}"] {
            assert_eq!(read(document), None, "{document}");
        }
        let long = format!(r#"{{"displayname":"{}","x":"{}"}}"#, "é".repeat(300), "x".repeat(20_000));
        let found = read(&long).unwrap();
        assert_eq!(found.display_name.map(|name| name.chars().count()), Some(256));
        assert!(found.document.len() < 1000);
    }
}
