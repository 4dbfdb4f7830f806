//! Whether what a new session was granted on still stands, asked once its family is stored: whoever ends the platform session, or
//! takes back what the app may do, ends the families that are there, raises the subject, and looks for families once more. A grant
//! that was on its way meanwhile is either found by that second look, or finds the subject raised here.

use crate::{family, sql};
use tmcp_http::audit::Entry;
use tmcp_http::subject::{self, Held, PLATFORM, SubjectId};
use tmcp_http::{Call, Failure};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::{AppId, ErrorCode, Uid};

/// What a grant stands on.
pub struct Ground<'a> {
    /// The action, for the audit log.
    pub action: &'static str,
    /// The family that was begun.
    pub family: &'a str,
    /// The person.
    pub uid: &'a Uid,
    /// The app.
    pub app: &'a AppId,
    /// The platform session that it came from; without an id where it came from a Matrix token.
    pub platform: Held,
    /// The app's generation from before the consents were read, if they mattered.
    pub consented: Option<i64>,
}

/// False where it does not, or the person is suspended meanwhile, which is an error of its own; the family is ended then.
pub async fn stands<P: Platform>(call: &Call<P>, ground: Ground<'_>) -> Result<bool, Failure> {
    let outcome = asked(call, &ground).await;
    let is_suspended = |failure: &Failure| failure.code() == ErrorCode::AccountSuspended;
    if matches!(&outcome, Ok(false)) || outcome.as_ref().is_err_and(is_suspended) {
        let (actor, target) = (Some(ground.uid.as_str()), Some(ground.app.as_str()));
        let audit = call.audit(Entry { action: ground.action, outcome: "refused", actor, target, ..Entry::default() });
        let end = stmt!(sql::END_FAMILY, ground.family, call.now());
        call.platform.sql().batch(vec![end, audit]).await?;
        family::end_access(call, ground.family, ground.uid, ground.app).await?;
    }
    outcome
}

async fn asked<P: Platform>(call: &Call<P>, ground: &Ground<'_>) -> Result<bool, Failure> {
    let own = ground.consented.map(|generation| Held { generation, session: ground.family.to_owned() });
    for (app, held) in [(PLATFORM, Some(ground.platform.clone())), (ground.app.as_str(), own)] {
        let Some(held) = held else { continue };
        if !subject::holds(&call.platform, &SubjectId::user(ground.uid, app), held).await? {
            return Ok(false);
        }
    }
    Ok(true)
}
