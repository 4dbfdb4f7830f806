//! The page for those who are not signed in: whom they can sign in with, and that their chat app can hand them over. From there they
//! come back to where they were.

use crate::client::Client;
use crate::pages::{self, Way};
use serde::Deserialize;
use serde_json::json;
use tmcp_http::page::is_ours;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Memo, Platform};
use tmcp_protocol::routes::{ACCOUNT, INTERNAL_PROVIDERS, SIGN_IN};

/// How long identity's answer is remembered.
const REMEMBER_MS: i64 = 60_000;

#[derive(Clone, Deserialize)]
struct Offered {
    id: String,
    name: String,
}

async fn offered<P: Platform>(call: &Call<P>) -> Result<Vec<Offered>, Failure> {
    let (memo, now) = (call.platform.memo(), call.now());
    if let Some(found) = memo.get::<Vec<Offered>>("providers", now) {
        return Ok(found);
    }
    let offered: Vec<Offered> = call.ask(&INTERNAL_PROVIDERS, &json!({})).await??;
    memo.put("providers", offered.clone(), now.plus(REMEMBER_MS));
    Ok(offered)
}

/// The page, for an app or for ourselves.
pub async fn page<P: Platform>(call: &Call<P>, client: Option<&Client>) -> Result<Reply, Failure> {
    let here = if call.query.is_empty() { call.path.clone() } else { format!("{}?{}", call.path, call.query) };
    let here = if is_ours(&here) { here.as_str() } else { ACCOUNT.path };
    let on = url::form_urlencoded::Serializer::new(String::new()).append_pair("continue", here).finish();
    let way = |one: Offered| Way { address: format!("{}{}?{on}", SIGN_IN.prefix(), one.id), name: one.name };
    // The page is of use without them: a chat app hands people over.
    let offered = offered(call).await.unwrap_or_else(|failure| {
        call.note(format!("providers: {}", failure.cause().unwrap_or_default()));
        Vec::new()
    });
    let ways: Vec<Way> = offered.into_iter().map(way).collect();
    pages::sign_in(client, &ways)
}
