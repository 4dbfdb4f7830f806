//! What the pipeline and the functions ask of a subject, and what its answers mean to a request.

use super::{Answer, Command, Held, Pause, Standing, Subject, SubjectId};
use crate::audit::{self, Entry};
use crate::failure::Failure;
use tmcp_ports::{Clock, Entities, EntityError, Platform, Sql, Statement};
use tmcp_protocol::Millis;
use tmcp_protocol::bucket::Admission;
use tmcp_protocol::limits::{LimitClass, Limits};

/// So long is a pause noted by whoever sees it: that it is there though who saw it first died.
const NOTE_MS: i64 = 60_000;

impl Pause {
    fn failure(&self) -> Failure {
        let reason = "too many limits were exceeded with its tokens";
        let until = self.until.rfc3339();
        Failure::suspended(&format!(r#"{{"suspended_until":"{until}","reason":"{reason}","appeal_url":null}}"#))
    }

    /// The row of the audit log, once.
    fn row(&self, platform: &impl Platform, id: &SubjectId) -> Statement {
        let (target, app) = id.0.strip_prefix("u:").and_then(|rest| rest.split_once(':')).unwrap_or_default();
        let (action, actor, target, detail) = ("user.suspend", Some("limits"), Some(target), Some(app.into()));
        let entry = Entry { action, outcome: "ok", actor, target, detail, ..Entry::default() };
        audit::once(platform, self.at, &id.0, entry)
    }
}

/// What is none of the answers that were expected: the person's suspension, or a mistake of ours.
fn other(answer: Answer) -> Failure {
    match answer {
        Answer::Suspended(told) => Failure::suspended(&told),
        Answer::Paused(pause) => pause.failure(),
        answer => Failure::unavailable(format!("unexpected answer {answer:?}")),
    }
}

/// Draws one request from a subject's bucket, without a token. Here and below, a suspended person is a [`Failure`]:
/// `ACCOUNT_SUSPENDED`.
pub async fn admit(
    platform: &impl Platform,
    id: &SubjectId,
    limits: &Limits,
    class: LimitClass,
) -> Result<Option<Admission>, Failure> {
    let command =
        Command::Admit { class: class.as_str().to_owned(), limit: limits.get(class).into(), held: None, patience: None };
    admitted(platform.entities().ask::<Subject>(&id.0, command).await?)
}

fn admitted(answer: Answer) -> Result<Option<Admission>, Failure> {
    match answer {
        Answer::Admission(admission) => Ok(Some(admission)),
        Answer::Revoked => Ok(None),
        answer => Err(other(answer)),
    }
}

/// The same for a request that shows a token; `None` means that the token is revoked. Whoever shows a person's token spends their
/// patience; what others do in their name does not.
pub async fn admit_holder(
    platform: &impl Platform,
    id: &SubjectId,
    limits: &Limits,
    class: LimitClass,
    held: Held,
) -> Result<Option<Admission>, Failure> {
    let patience = id.0.starts_with("u:").then(|| limits.get(LimitClass::Violations).into());
    let (class, limit) = (class.as_str().to_owned(), limits.get(class).into());
    let command = Command::Admit { class, limit, held: Some(held), patience };
    let answer = platform.entities().ask::<Subject>(&id.0, command).await?;
    if let Answer::Paused(pause) = &answer
        && platform.clock().now() < pause.at.plus(NOTE_MS)
    {
        platform.sql().query(pause.row(platform, id)).await?;
    }
    admitted(answer)
}

/// Draws one request from a subject's bucket for a token that is issued by it: what the bucket says, and the token's generation;
/// `None` when `session` was ended.
pub async fn enter(
    platform: &impl Platform,
    id: &SubjectId,
    limits: &Limits,
    class: LimitClass,
    session: Option<&str>,
) -> Result<Option<(Admission, i64)>, Failure> {
    let (class, limit) = (class.as_str().to_owned(), limits.get(class).into());
    let command = Command::Enter { class, limit, session: session.map(str::to_owned) };
    match platform.entities().ask::<Subject>(&id.0, command).await? {
        Answer::Entered { admission, generation } => Ok(Some((admission, generation))),
        Answer::Revoked => Ok(None),
        answer => Err(other(answer)),
    }
}

/// The generation for a token that is issued now; `None` when `session` was ended.
pub async fn issue(platform: &impl Platform, id: &SubjectId, session: Option<&str>) -> Result<Option<i64>, Failure> {
    let command = Command::Issue { session: session.map(str::to_owned) };
    match platform.entities().ask::<Subject>(&id.0, command).await? {
        Answer::Generation(generation) => Ok(Some(generation)),
        Answer::Revoked => Ok(None),
        answer => Err(other(answer)),
    }
}

/// Whether a token still holds.
pub async fn holds(platform: &impl Platform, id: &SubjectId, held: Held) -> Result<bool, Failure> {
    match platform.entities().ask::<Subject>(&id.0, Command::Check { held }).await? {
        Answer::Holds => Ok(true),
        Answer::Revoked => Ok(false),
        answer => Err(other(answer)),
    }
}

/// Says how a person stands.
pub async fn stand(platform: &impl Platform, id: &SubjectId, standing: Standing) -> Result<(), EntityError> {
    platform.entities().ask::<Subject>(&id.0, Command::Stand(standing)).await.map(|_| ())
}

/// Ends one session of a subject.
pub async fn end_session(platform: &impl Platform, id: &SubjectId, session: &str, until: Millis) -> Result<(), EntityError> {
    let command = Command::EndSession { session: session.to_owned(), until };
    platform.entities().ask::<Subject>(&id.0, command).await.map(|_| ())
}

/// Refuses every token of a subject that was issued until now.
pub async fn revoke_all(platform: &impl Platform, id: &SubjectId) -> Result<(), EntityError> {
    platform.entities().ask::<Subject>(&id.0, Command::RevokeAll).await.map(|_| ())
}
