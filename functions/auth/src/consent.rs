//! What people have agreed to, as account keeps it. Nobody is asked about scopes that need no asking.

use crate::sql::ClientRow;
use serde::Deserialize;
use serde_json::json;
use tmcp_http::{Call, Failure};
use tmcp_ports::Platform;
use tmcp_protocol::routes::INTERNAL_CONSENTS;
use tmcp_protocol::{Scope, ScopeSet, Uid};

/// What is still to be agreed to.
#[derive(Debug, Default, Deserialize)]
pub struct Missing {
    /// The scopes.
    pub missing: ScopeSet,
    /// The question that was put for them.
    pub session: Option<String>,
}

/// Whether a person has to have agreed to one of the scopes.
pub fn is_needed(scopes: &ScopeSet, client: &ClientRow) -> bool {
    scopes.iter().any(|scope| scope.needs_consent(client.official != 0))
}

/// Which of the scopes a person has not agreed to; with `ask`, a question is put to them.
pub async fn missing<P: Platform>(
    call: &Call<P>,
    uid: &Uid,
    client: &ClientRow,
    scopes: &ScopeSet,
    ask: bool,
) -> Result<Missing, Failure> {
    let asked: Vec<Scope> = scopes.iter().filter(|scope| scope.needs_consent(client.official != 0)).collect();
    if asked.is_empty() {
        return Ok(Missing::default());
    }
    let asked: ScopeSet = asked.into_iter().collect();
    let body = json!({"uid": uid, "client_id": client.client_id, "app_id": client.app_id, "scopes": asked, "ask": ask});
    Ok(call.ask(&INTERNAL_CONSENTS, &body).await??)
}
