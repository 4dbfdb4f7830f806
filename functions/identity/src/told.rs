//! POST /internal/profiles/told, for lifecycle: a homeserver tells what its people call themselves in a room. That is a hint: it may be a name
//! for that room alone. Who calls themselves otherwise than their homeserver said when it was last looked at is looked at again, once the
//! answer has left, or by maintenance where that was a moment ago.
//!
//! The races: what is told is noted before the answer, and is due until a look began after it: whoever changes their profile in a
//! hundred rooms is looked at once. What if it dies? The note stays, and maintenance looks.

use crate::looking;
use crate::sql::{self, ToldRow};
use serde::Deserialize;
use std::collections::BTreeSet;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, Tasks, stmt};
use tmcp_proof::matrix::Profile;
use tmcp_protocol::{MatrixUserId, Millis};

/// Nobody is looked at more often.
const REST_MS: i64 = 60_000;
/// A run of maintenance looks for no longer, when homeservers are slow.
const PATIENCE_MS: i64 = 10_000;

#[derive(Deserialize)]
struct Message {
    server: String,
    told: Vec<Told>,
}

/// What somebody calls themselves.
#[derive(Deserialize)]
struct Told {
    user_id: MatrixUserId,
    display_name: Option<String>,
    avatar_url: Option<String>,
}

impl Told {
    /// Whether their homeserver said something else.
    fn is_news(&self, row: &ToldRow) -> bool {
        let known = row.matrix_data.as_ref().and_then(|document| Profile::read(document.as_bytes())).unwrap_or_default();
        known.display_name != self.display_name || known.avatar_url != self.avatar_url
    }
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let Message { server, told } = call.message()?;
    let now = call.now();
    let ids: BTreeSet<&str> = told.iter().filter(|one| one.user_id.server() == server).map(|one| one.user_id.as_str()).collect();
    let Some(homeserver) = tmcp_proof::find(&call, Some(&server)).await? else { return Ok(Reply::no_content()) };
    let known = stmt!(sql::KNOWN_AS, serde_json::json!(ids).to_string(), homeserver.instance);
    let rows: Vec<ToldRow> = call.platform.sql().rows(known).await?;
    let is_news = |row: &ToldRow| told.iter().any(|one| one.user_id == row.matrix_user_id && one.is_news(row));
    let news: Vec<ToldRow> = rows.into_iter().filter(is_news).collect();
    if news.is_empty() {
        return Ok(Reply::no_content());
    }
    let note = news.iter().map(|row| stmt!(sql::NOTE_TOLD, row.uid.as_str(), now)).collect();
    call.platform.sql().batch(note).await?;
    let platform = call.platform.clone();
    platform.tasks().after(async move {
        for row in news.into_iter().filter(|row| row.looked_at < now.plus(-REST_MS)) {
            // Whom nobody could look at is due still.
            let _ = looking::look(&call, &row.uid, &row.matrix_user_id).await;
        }
    });
    Ok(Reply::no_content())
}

/// Looks at those who are due: told of before `now`, and not looked at since. Whose homeserver does not answer waits for the next time that
/// something is told, or for a sign-in.
pub async fn catch_up<P: Platform>(call: &Call<P>, now: Millis) -> Result<(), Failure> {
    let due: Vec<ToldRow> = call.platform.sql().rows(stmt!(sql::DUE_TOLD, now.plus(-REST_MS))).await?;
    for row in due.into_iter().take_while(|_| call.now() < now.plus(PATIENCE_MS)) {
        if looking::look(call, &row.uid, &row.matrix_user_id).await.is_err() {
            call.platform.sql().query(stmt!(sql::FORGET_TOLD_PROFILE, row.uid.as_str())).await?;
        }
    }
    Ok(())
}
