//! What providers publish, their endpoints and keys: fetched once an hour, and kept in a row, since an instance on Spin remembers nothing.
//!
//! The race: two fetches at once store the newer one. A document that lacks something, as keys lack one that a token made up, is asked
//! for anew once a minute: in each isolate, where isolates remember. A fetch that fails is tried again with the next sign-in.

use crate::sql;
use serde::Deserialize;
use serde_json::Value;
use tmcp_http::{Call, Failure};
use tmcp_ports::{HttpClient, Memo, OutboundRequest, Platform, Sql, Trust, stmt};
use tmcp_protocol::Millis;

/// A document is good for so long.
const FRESH_MS: i64 = 60 * 60 * 1000;
/// One that lacks something is asked for again after so long.
const RETRY_MS: i64 = 60 * 1000;

#[derive(Clone, Deserialize)]
struct Kept {
    body: String,
    fetched_at: Millis,
}

fn json(body: &str, url: &str) -> Result<Value, Failure> {
    serde_json::from_slice(body.as_bytes()).map_err(|error| Failure::unavailable(format!("{url}: {error}")))
}

/// The document at a URL; `enough` says whether it has what is wanted, and one that has not is fetched anew.
pub async fn get<P: Platform>(
    call: &Call<P>,
    trust: Trust,
    url: &str,
    enough: impl Fn(&Value) -> bool,
) -> Result<Value, Failure> {
    let (memo, name, now) = (call.platform.memo(), format!("document:{url}"), call.now());
    let kept = match memo.get::<Kept>(&name, now) {
        Some(kept) => Some(kept),
        None => call.platform.sql().first(stmt!(sql::DOCUMENT, url, now.plus(-FRESH_MS))).await?,
    };
    if let Some(kept) = kept {
        let document = json(&kept.body, url)?;
        if enough(&document) || kept.fetched_at > now.plus(-RETRY_MS) {
            let until = kept.fetched_at.plus(FRESH_MS);
            memo.put(&name, kept, until);
            return Ok(document);
        }
    }
    let response = call.platform.http().send(trust, call.outbound(OutboundRequest::get(url))).await?;
    if response.status != 200 {
        return Err(Failure::unavailable(format!("{url} answered {}", response.status)));
    }
    let body = String::from_utf8_lossy(&response.body).into_owned();
    // Nothing that cannot be read is kept.
    let document = json(&body, url)?;
    call.platform.sql().query(stmt!(sql::KEEP_DOCUMENT, url, body.as_str(), now)).await?;
    memo.put(&name, Kept { body, fetched_at: now }, now.plus(FRESH_MS));
    Ok(document)
}
