//! POST /internal/erase/broker: sign-ins of a person that are under way; idempotent.

use crate::sql;
use serde::Deserialize;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::Uid;

#[derive(Deserialize)]
struct Whose {
    uid: Uid,
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let Whose { uid } = call.message()?;
    call.platform.sql().query(stmt!(sql::ERASE, uid.as_str())).await?;
    Ok(Reply::no_content())
}
