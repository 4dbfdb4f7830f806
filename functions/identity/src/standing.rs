//! POST /api/v1/admin/users/suspend and …/lift (TMCP 8.1): an administrator suspends a person, or lets them in again. From the next
//! request on, whatever they do with their tokens is answered `ACCOUNT_SUSPENDED`, on every function; their tokens are not ended, and
//! work again once it is lifted or over.
//!
//! Body: `user!` (a Matrix id, or our own id); to suspend `reason!`, `until?` (RFC 3339), `appeal_url?`.
//!
//! | answer | when |
//! |---|---|
//! | 200 | `user_id`, `status`, `suspended_until`; every subject of the person knows |
//! | 400 `INVALID_REQUEST` | no reason, an end that is past, an address that is none |
//! | 401 `INVALID_TOKEN` | not the administrator's secret |
//! | 404 `NOT_FOUND` | nobody of that id ever signed in |
//!
//! The races: what is said is counted in the batch that says it, and a subject keeps the highest count, so that of an administrator who
//! suspends and one who lifts the later one stays, in whatever order they arrive. What if it dies? The batch leaves a note, and
//! maintenance tells the subjects.

use crate::sql::{self, StandingRow};
use serde::Deserialize;
use serde_json::json;
use tmcp_http::audit::Entry;
use tmcp_http::subject::{self, PLATFORM, SubjectId, Suspension};
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Row, Sql, stmt};
use tmcp_protocol::routes::INTERNAL_APPS;
use tmcp_protocol::{ErrorCode, Millis, Uid};
use url::Url;

/// A person reads it.
const MAX_REASON: usize = 500;
const MAX_URL: usize = 500;

#[derive(Deserialize)]
struct SuspendRequest {
    user: String,
    reason: String,
    until: Option<String>,
    appeal_url: Option<String>,
}

/// An app that holds sessions of a person, as auth knows it.
#[derive(Deserialize)]
struct App {
    app_id: String,
}

#[derive(Deserialize)]
struct LiftRequest {
    user: String,
}

impl SuspendRequest {
    fn check(self, now: Millis) -> Result<Suspension, Failure> {
        let Self { reason, until, appeal_url, .. } = self;
        if reason.trim().is_empty() || reason.len() > MAX_REASON {
            return Err(Failure::invalid(format!("reason must be what the person is told, of at most {MAX_REASON} bytes")));
        }
        let until = match until {
            None => None,
            Some(text) => match Millis::parse(&text) {
                Some(until) if until > now => Some(until),
                _ => return Err(Failure::invalid("until must be a time to come, such as 2030-01-31T12:00:00Z")),
            },
        };
        let is_address = |text: &str| {
            let url = Url::parse(text).ok().filter(|_| text.len() <= MAX_URL);
            url.is_some_and(|url| matches!(url.scheme(), "https" | "mailto"))
        };
        if appeal_url.as_deref().is_some_and(|text| !is_address(text)) {
            return Err(Failure::invalid("appeal_url must be an https or mailto address"));
        }
        let told = json!({"suspended_until": until.map(Millis::rfc3339), "reason": reason, "appeal_url": appeal_url});
        Ok(Suspension { until, told: told.to_string() })
    }
}

/// POST /api/v1/admin/users/suspend
pub async fn suspend<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let request: SuspendRequest = call.json()?;
    let user = request.user.clone();
    let outcome = match request.check(call.now()) {
        Ok(suspension) => say(&call, &user, Some(suspension)).await,
        Err(failure) => Err(failure),
    };
    used(&call, "user.suspend", &user, outcome).await
}

/// Every use of the administrator's secret leaves a row: one that came to nothing leaves it here.
async fn used<P: Platform>(call: &Call<P>, action: &str, user: &str, outcome: Result<Reply, Failure>) -> Result<Reply, Failure> {
    if let Err(failure) = &outcome {
        let target: String = user.chars().take(255).collect();
        let detail = Some(json!({ "code": failure.code().as_str() }));
        let (actor, target) = (Some("administrator"), Some(target.as_str()));
        let entry = Entry { action, outcome: "refused", actor, target, detail, ..Entry::default() };
        call.platform.sql().query(call.audit(entry)).await?;
    }
    outcome
}

/// POST /api/v1/admin/users/lift
pub async fn lift<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let LiftRequest { user } = call.json()?;
    let outcome = say(&call, &user, None).await;
    used(&call, "user.lift", &user, outcome).await
}

async fn say<P: Platform>(call: &Call<P>, user: &str, suspension: Option<Suspension>) -> Result<Reply, Failure> {
    let sql = call.platform.sql();
    let found: Option<StandingRow> = sql.first(stmt!(sql::WHO, user)).await?;
    let uid = found.ok_or_else(|| Failure::new(ErrorCode::NotFound, "nobody of that id ever signed in"))?.uid;
    call.is_about(Some(uid.as_str()), None);
    let (status, action) = if suspension.is_some() { ("suspended", "user.suspend") } else { ("active", "user.lift") };
    let (until, told) = suspension.map(|suspension| (suspension.until, suspension.told)).unzip();
    let until = until.flatten();
    let detail = told.as_ref().map(|told| json!({ "told": told }));
    let entry =
        Entry { action, outcome: "ok", actor: Some("administrator"), target: Some(uid.as_str()), detail, ..Entry::default() };
    let stand = stmt!(sql::STAND, uid.as_str(), status, until, told);
    let note = stmt!(sql::NOTE_STANDING, uid.as_str(), call.now());
    let results = sql.batch(vec![stand, note, call.audit(entry)]).await?;
    let row = results.into_iter().next().and_then(|rows| rows.into_iter().next()).map(Row::decode::<StandingRow>).transpose()?;
    tell(call, &row.ok_or_else(|| Failure::internal("a person who was just there is not"))?).await?;
    Reply::json(&json!({"user_id": uid, "status": status, "suspended_until": until.map(Millis::rfc3339)}))
}

/// Tells the subjects of a person how they stand, the platform's first and then that of each app that may hold tokens of theirs or was told
/// before, and removes the note about it, if nothing was said since. A session that begins meanwhile in an app that is not among them is
/// stored first and asks the platform's subject after, which knows by then.
pub async fn tell<P: Platform>(call: &Call<P>, row: &StandingRow) -> Result<(), Failure> {
    let (sql, uid) = (call.platform.sql(), row.uid.as_str());
    let stand = async |app: &str| subject::stand(&call.platform, &SubjectId::user(&row.uid, app), row.standing()).await;
    stand(PLATFORM).await?;
    let held: Vec<App> = call.ask(&INTERNAL_APPS, &json!({ "uid": row.uid, "all": true })).await??;
    let held: Vec<&str> = held.iter().map(|app| app.app_id.as_str()).collect();
    // Kept before they are told: sessions end while a suspension lasts, and its end has to find them.
    sql.query(stmt!(sql::KEEP_TOLD, uid, json!(held).to_string())).await?;
    let told: Vec<App> = sql.rows(stmt!(sql::TOLD, uid)).await?;
    for app in &told {
        stand(&app.app_id).await?;
    }
    let forget = stmt!(sql::FORGET_TOLD, uid, row.standing);
    sql.batch(vec![forget, stmt!(sql::TOLD_STANDING, uid, row.standing)]).await?;
    Ok(())
}

/// Has every subject of a person forget how they stood, before they are erased; for those of whom nothing was ever said there is nothing
/// to forget.
pub async fn forget<P: Platform>(call: &Call<P>, uid: &Uid) -> Result<(), Failure> {
    let sql = call.platform.sql();
    let row: Option<StandingRow> = sql.first(stmt!(sql::WHO, uid.as_str())).await?;
    let Some(row) = row.filter(|row| row.standing > 0) else { return Ok(()) };
    tell(call, &StandingRow { standing: row.standing + 1, suspended_until: None, suspension: None, ..row }).await
}
