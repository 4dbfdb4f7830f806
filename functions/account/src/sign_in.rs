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

/// Whom a person can sign in with, to come back to a page of ours. A page is of use without them: a chat app hands people over.
pub async fn ways<P: Platform>(call: &Call<P>, back: &str) -> Vec<Way> {
    let on = url::form_urlencoded::Serializer::new(String::new()).append_pair("continue", back).finish();
    let way = |one: Offered| {
        let address = format!("{}{}?{on}", SIGN_IN.prefix(), one.id);
        Way { id: one.id, address, name: one.name }
    };
    match offered(call).await {
        Ok(offered) => offered.into_iter().map(way).collect(),
        Err(failure) => {
            call.note(format!("providers: {}", failure.cause().unwrap_or_default()));
            Vec::new()
        }
    }
}

/// The page, for an app or for ourselves.
pub async fn page<P: Platform>(call: &Call<P>, client: Option<&Client>) -> Result<Reply, Failure> {
    let here = if call.query.is_empty() { call.path.clone() } else { format!("{}?{}", call.path, call.query) };
    let here = if is_ours(&here) { here.as_str() } else { ACCOUNT.path };
    pages::sign_in(client, &ways(call, here).await)
}
