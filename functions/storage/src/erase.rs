//! POST /internal/erase: everything of a user, or of a user and app. For uninstalling and for deleting an account; idempotent.

use crate::sql;
use serde::Deserialize;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::{AppId, Uid};

#[derive(Deserialize)]
struct EraseRequest {
    uid: Uid,
    app: Option<AppId>,
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let EraseRequest { uid, app } = call.message()?;
    let (uid, app) = (uid.as_str(), app.as_ref().map(AppId::as_str));
    let statements =
        vec![stmt!(sql::RETIRE_ALL, uid, app, call.now()), stmt!(sql::ERASE, uid, app), stmt!(sql::ERASE_USAGE, uid, app)];
    call.platform.sql().batch(statements).await?;
    Ok(Reply::no_content())
}
