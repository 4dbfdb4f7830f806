//! POST /internal/browsers, for broker: a person who just proved in a browser who they are goes on there.
//!
//! The browser is the platform session itself: what is granted from it ends with all of the person's sessions, and signing out of it
//! ends the browser alone. The race: ending all of a person's sessions raises the subject, and this session carries the generation from
//! before.

use crate::browser;
use crate::sql;
use serde::Deserialize;
use serde_json::json;
use tmcp_http::audit::Entry;
use tmcp_http::people::Names;
use tmcp_http::{Call, Failure, Reply, sha256_hex};
use tmcp_ports::{Platform, Random, Sql, stmt};
use tmcp_protocol::ids::ulid;
use tmcp_protocol::{Millis, Uid};

#[derive(Deserialize)]
struct BeginBrowser {
    uid: Uid,
    names: Names,
    /// From before identity was certain that they may come in.
    generation: i64,
    agent: String,
    address: String,
    /// When they proved at a provider who they are.
    proven_at: Millis,
    /// The secret of the session that the browser had before.
    replaces: Option<String>,
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let BeginBrowser { uid, names, generation, agent, address, proven_at, replaces } = call.message()?;
    call.is_about(Some(uid.as_str()), None);
    let (now, secret, id) = (call.now(), call.secret(), browser::new_id(&call));
    let session = format!("session_{}", ulid(now, call.platform.random().bytes()));
    let begin = stmt!(
        sql::PUT_BROWSER,
        sha256_hex(&secret),
        id.as_str(),
        uid.as_str(),
        names.text()?,
        session,
        generation,
        browser::cut(&agent),
        address.as_str(),
        now,
        now.plus(browser::LIFE_MS),
        proven_at,
    );
    let (actor, target) = (Some(uid.as_str()), Some(id.as_str()));
    let entry =
        Entry { action: "browser.begin", outcome: "ok", actor, target, address: Some(address.clone()), ..Entry::default() };
    let replace = stmt!(sql::REPLACE_BROWSER, replaces.map(sha256_hex), id.as_str());
    call.platform.sql().batch(vec![begin, replace, call.audit(entry)]).await?;
    Reply::json(&json!({ "secret": secret, "seconds": browser::LIFE_MS / 1000 }))
}
