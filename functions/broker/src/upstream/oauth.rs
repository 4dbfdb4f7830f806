//! Providers that speak OAuth 2.0 alone: a code, an access token, and a document that says who they are. The id is the mapped member,
//! which never changes; an e-mail address of theirs is not taken, since nobody says that it was verified.

use super::{Redeemed, answered, redeem, text};
use serde_json::Value;
use tmcp_http::{Call, Failure};
use tmcp_ports::{OutboundRequest, Platform, Trust};
use tmcp_proof::{Proven, Refusal};
use tmcp_protocol::provider::{OAuth, Provider};

/// The mapped id: a text, or a whole number.
fn id(document: &Value, member: &str) -> Option<String> {
    match document.get(member) {
        Some(Value::Number(number)) => number.as_u64().map(|number| number.to_string()),
        _ => text(document, member).map(str::to_owned),
    }
}

/// Who a code is for.
pub async fn prove<P: Platform>(
    call: &Call<P>,
    provider: &Provider,
    oauth: &OAuth,
    code: Redeemed<'_>,
) -> Result<Result<Proven, Refusal>, Failure> {
    let answer = match redeem(call, Trust::Configured, &oauth.token_endpoint, &code, true).await? {
        Ok(answer) => answer,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let Some(token) = answer.get("access_token").and_then(Value::as_str).filter(|token| tmcp_proof::is_token(token)) else {
        return Ok(Err(Refusal::Provider("no access token")));
    };
    let request = OutboundRequest::get(oauth.userinfo_endpoint.as_str());
    let request = request.header("authorization", format!("Bearer {token}")).header("accept", "application/json");
    // Some refuse who does not say what they are.
    let document = match answered(call, Trust::Configured, request.header("user-agent", "tmcp-edge")).await? {
        Ok(document) => document,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let Some(external_id) = id(&document, &oauth.id_member) else {
        return Ok(Err(Refusal::Provider("the mapped id is not there, or no text and no whole number")));
    };
    Ok(Ok(Proven {
        instance: provider.instance().unwrap_or_default(),
        username: text(&document, &oauth.name_member).map_or_else(|| external_id.clone(), str::to_owned),
        external_id,
        kind: provider.word.to_owned(),
        display_name: text(&document, "name").map(str::to_owned),
        email: None,
        // It cannot be told to ask anew.
        proven_at: call.now(),
    }))
}
