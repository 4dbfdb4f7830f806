//! POST /internal/status/auth: the database, the signing key and its public half, and what entities still have to do.

use crate::{mint, sql};
use serde_json::json;
use std::collections::BTreeMap;
use tmcp_http::status::{Check, Question, Status};
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Entities, Platform, Signer, Sql, stmt};

/// What is signed to see whether the key can.
const PROBE: &[u8] = b"tmcp-edge status";

/// What our tokens are signed with verifies under a key that is published.
async fn signs<P: Platform>(call: &Call<P>) -> Result<(), Failure> {
    let ring = mint::ring(call)?;
    let key = ring.keys.first().ok_or_else(|| Failure::internal("no signing key"))?;
    let signature = call.platform.signer().sign(key, PROBE).await?;
    let kid = key.public.kid.as_str();
    let public = call.settings.jwks.find(kid).ok_or_else(|| Failure::internal(format!("key {kid} is not in JWKS")))?;
    match call.platform.signer().verify(public, PROBE, &signature).await? {
        true => Ok(()),
        false => Err(Failure::internal(format!("key {kid} is another one in JWKS"))),
    }
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let question: Question = call.message()?;
    let database = call.platform.sql().query(stmt!(sql::PROBE)).await.map_err(Failure::from);
    let checks = vec![Check::of("database", database), Check::of("signing_keys", signs(&call).await)];
    let effects = if question.counts { call.platform.entities().waiting().await.unwrap_or_default() } else { None };
    let waiting: BTreeMap<String, i64> = effects.map(|count| ("entity_effects".to_owned(), count)).into_iter().collect();
    Reply::json(&json!(Status { checks, waiting }))
}
