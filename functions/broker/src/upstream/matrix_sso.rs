//! A homeserver's own sign-in (client-server API, "SSO client login"): the person goes there, and comes back with a login token. We
//! redeem it, which makes a device of ours, learn who they are, and log that device out at once: we keep no Matrix token (ADR 12).
//!
//! What if it dies in between? The device stays in the person's list, named after us, until they remove it; nobody has its token.

use bytes::Bytes;
use serde_json::{Value, json};
use tmcp_http::{Call, Failure};
use tmcp_ports::{HttpClient, OutboundRequest, Platform};
use tmcp_proof::matrix::{self, is_a_services};
use tmcp_proof::{Homeserver, Proven, Refusal};
use tmcp_protocol::{MatrixUserId, ServerName};
use url::Url;

/// The homeserver of that name.
pub async fn configured<P: Platform>(call: &Call<P>, server_name: &ServerName) -> Result<Homeserver, Failure> {
    let found = tmcp_proof::find(call, Some(server_name.as_str())).await?;
    found.ok_or_else(|| Failure::unavailable(format!("{server_name} is not one of HOMESERVERS, or FEDERATION_DENY names it")))
}

/// Where a person goes to sign in. The homeserver adds its token to the address that we name.
pub async fn address<P: Platform>(call: &Call<P>, server_name: &ServerName, back: &str, state: &str) -> Result<Url, Failure> {
    let homeserver = configured(call, server_name).await?;
    let url = format!("{}/_matrix/client/v3/login/sso/redirect", homeserver.client_url);
    let mut url = Url::parse(&url).map_err(|error| Failure::internal(error.to_string()))?;
    url.query_pairs_mut().append_pair("redirectUrl", &format!("{back}?state={state}"));
    Ok(url)
}

fn post(homeserver: &Homeserver, path: &str, body: &Value) -> OutboundRequest {
    let mut request = OutboundRequest::get(format!("{}/_matrix/client/v3/{path}", homeserver.client_url));
    request.method = http::Method::POST;
    request.body = Bytes::from(body.to_string());
    request.header("content-type", "application/json")
}

/// Who a login token is for.
pub async fn prove<P: Platform>(
    call: &Call<P>,
    server_name: &ServerName,
    login_token: &str,
) -> Result<Result<Proven, Refusal>, Failure> {
    let homeserver = configured(call, server_name).await?;
    let name = call.settings.issuer.as_str();
    let body = json!({"type": "m.login.token", "token": login_token, "initial_device_display_name": name});
    let answer: Value = match matrix::ask(call, &homeserver, post(&homeserver, "login", &body)).await? {
        Ok(answer) => answer,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default();
    let log_out = post(&homeserver, "logout", &json!({})).header("authorization", format!("Bearer {}", text("access_token")));
    match call.platform.http().send(homeserver.trust, call.outbound(log_out)).await {
        Ok(response) if response.status == 200 => {}
        Ok(response) => call.note(format!("logging our device out: {}", response.status)),
        Err(error) => call.note(format!("logging our device out: {error}")),
    }
    let id = match MatrixUserId::parse(text("user_id")) {
        Ok(id) if id.server() == homeserver.server_name => id,
        _ => return Ok(Err(Refusal::AnotherUser)),
    };
    if is_a_services(&id) {
        return Ok(Err(Refusal::ApplicationService));
    }
    Ok(Ok(proven(call, homeserver, &id)))
}

/// Somebody of a homeserver's. It cannot be told to ask anew.
pub fn proven<P: Platform>(call: &Call<P>, homeserver: Homeserver, id: &MatrixUserId) -> Proven {
    Proven {
        instance: homeserver.instance,
        username: id.localpart().to_owned(),
        external_id: id.to_string(),
        kind: "matrix".to_owned(),
        display_name: None,
        email: None,
        proven_at: call.now(),
    }
}
