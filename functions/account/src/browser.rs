//! Browser sessions: a random id in a cookie, its hash in a row. A session begins when a person signed in at a provider, or was handed
//! over by a client that they are signed in with, always under a new id, and ends with that client's session, after a day unused, or
//! after two weeks.

use crate::sql::{self, HolderRow};
use http::{HeaderMap, header};
use tmcp_http::body;
use tmcp_http::cookie::{self, Cookie};
use tmcp_http::headers::text;
use tmcp_http::people::Names;
use tmcp_http::subject::{self, Held, PLATFORM, SubjectId};
use tmcp_http::{Call, Failure, sha256_hex};
use tmcp_pages::{Browser, Form, Session};
use tmcp_ports::{Platform, Random, Sql, stmt};
use tmcp_protocol::Millis;
use tmcp_protocol::ids::ulid;

/// A session that nobody used for so long is over.
pub const IDLE_MS: i64 = 24 * 60 * 60 * 1000;
/// A session lasts so long at most.
pub const LIFE_MS: i64 = 14 * 24 * 60 * 60 * 1000;

/// As much as is kept of what a browser calls itself.
const MAX_AGENT: usize = 200;

/// What a browser calls itself.
pub fn agent(headers: &HeaderMap) -> String {
    cut(headers.get(header::USER_AGENT).and_then(text).unwrap_or_default())
}

/// As much of it as is kept.
pub fn cut(agent: &str) -> String {
    agent.chars().take(MAX_AGENT).collect()
}

/// The id of a new session.
pub fn new_id<P: Platform>(call: &Call<P>) -> String {
    format!("browser_{}", ulid(call.now(), call.platform.random().bytes()))
}

/// Used later than that, a session is not over.
pub fn idle_since(now: Millis) -> Millis {
    now.plus(-IDLE_MS)
}

/// The session of this secret's hash; `None` where it is over.
pub async fn find<P: Platform>(call: &Call<P>, hash: &str) -> Result<Option<Session>, Failure> {
    let now = call.now();
    let row: Option<HolderRow> = call.platform.sql().first(stmt!(sql::USE_BROWSER, hash, now, idle_since(now))).await?;
    let Some(row) = row else { return Ok(None) };
    call.is_about(Some(row.uid.as_str()), None);
    let HolderRow { id, uid, subject, platform_session, generation, proven_at } = row;
    // Logging out removes the row; what ends all of a person's sessions raises the subject.
    let held = Held { generation, session: platform_session.clone() };
    if !subject::holds(&call.platform, &SubjectId::user(&uid, PLATFORM), held).await? {
        call.platform.sql().query(stmt!(sql::END_BROWSER, uid.as_str(), id)).await?;
        return Ok(None);
    }
    Ok(Some(Session { id, uid, names: Names::parse(&subject)?, proven_at, platform_session, generation }))
}

/// Who is there; `None` where nobody is signed in.
pub async fn current<P: Platform>(call: &Call<P>) -> Result<Option<Browser>, Failure> {
    let Some(secret) = cookie::sent(call, Cookie::Session) else { return Ok(None) };
    Ok(find(call, &sha256_hex(&secret)).await?.map(|session| Browser::new(session, secret)))
}

/// Who is there; refuses where nobody is.
pub async fn required<P: Platform>(call: &Call<P>) -> Result<Browser, Failure> {
    current(call).await?.ok_or_else(tmcp_pages::signed_out)
}

/// Who sent a form of ours; refuses one that another page made up.
pub async fn sender<P: Platform>(call: &Call<P>, kind: Form, form: &body::Form) -> Result<Browser, Failure> {
    let token = form.require("token")?;
    required(call).await?.sent(kind, token)
}
