//! What a homeserver says about credentials.
//!
//! `/profile` proves nothing: it answers 200 for anybody's token and for none. `whoami` says whose token it is (client-server API
//! v3), and the federation API says for whom an OpenID token was issued.

use crate::homeserver::Homeserver;
use crate::refusal::Refusal;
use serde::Deserialize;
use tmcp_http::{Call, Failure};
use tmcp_ports::{HttpClient, HttpError, OutboundRequest, Platform};
use tmcp_protocol::{ErrorCode, MatrixUserId, Secret};
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

/// The public profile: display name and avatar, as far as there are any. Never an error: a sign-in does not fail for it.
pub async fn profile<P: Platform>(call: &Call<P>, homeserver: &Homeserver, id: &MatrixUserId) -> Profile {
    let encoded: String = form_urlencoded::byte_serialize(id.as_str().as_bytes()).collect();
    let url = format!("{}/_matrix/client/v3/profile/{encoded}", homeserver.client_url);
    let mut request = OutboundRequest::get(url);
    request.timeout_ms = 3_000;
    match call.platform.http().send(homeserver.trust, call.outbound(request)).await {
        Ok(response) if response.status == 200 => serde_json::from_slice(&response.body).unwrap_or_default(),
        _ => Profile::default(),
    }
}

impl Profile {
    /// The display name, cut to what a list can show.
    pub fn display_name(&self) -> Option<String> {
        self.displayname.as_ref().map(|name| name.chars().take(256).collect())
    }

    /// The avatar, where it is one in a homeserver's media store.
    pub fn avatar(&self) -> Option<&str> {
        self.avatar_url.as_deref().filter(|url| url.starts_with("mxc://") && url.len() <= 1024)
    }
}

/// What a profile shows.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Profile {
    /// The display name.
    pub displayname: Option<String>,
    /// The avatar, `mxc://`.
    pub avatar_url: Option<String>,
}

/// The namespaces of our own Application Service (TMCP 6.1): bots, never people.
pub fn is_a_services(id: &MatrixUserId) -> bool {
    let local = id.localpart();
    local == "_tmcp" || local.starts_with("_tmcp_") || local.starts_with("ma_")
}
