//! A person leaves: POST /internal/leave, /internal/stay/show and /internal/stay, for account, and erasing them, by maintenance.
//!
//! ```text
//!  account: fresh session ──▶ leave: leaving_at = now + grace ──▶ account signs them out everywhere
//!                                   │ they sign in meanwhile: "do you stay?" ──▶ stay: leaving_at gone
//!                                   ▼ its time has come
//!  maintenance: erasing_at (nobody stays any more) ──▶ every function erases its own ──▶ our rows, the person's last
//! ```
//!
//! The races: of one who stays and one who begins to erase, the one whose statement finds the row as it was wins. What if it dies? Every
//! function erases what it still finds, and the person's row goes last: the next run begins with them again. The same Matrix id is
//! somebody new afterwards: its identity is gone with the person.

use crate::sql::{self, PersonRow};
use crate::standing;
use serde::Deserialize;
use serde_json::{Value, json};
use tmcp_http::audit::Entry;
use tmcp_http::settings::InvalidSetting;
use tmcp_http::{Call, Failure, Reply, outbox, sha256_hex};
use tmcp_ports::{Config, Platform, Sql, stmt};
use tmcp_protocol::routes::{
    INTERNAL_END_APP, INTERNAL_ERASE, INTERNAL_ERASE_ACCOUNT, INTERNAL_ERASE_BROKER, INTERNAL_ERASE_CONSENT,
    INTERNAL_ERASE_DEVELOPER, Route,
};
use tmcp_protocol::{ErrorCode, Millis, Uid};

/// A question is open so long.
const OPEN_MS: i64 = 10 * 60 * 1000;
/// Two weeks to think it over.
const GRACE_S: i64 = 14 * 24 * 60 * 60;
/// Nobody waits for longer than ninety days.
const MAX_GRACE_S: i64 = 90 * 24 * 60 * 60;

/// In this order: account signs the person out once more, which needs to know of auth's sessions; storage is last, when no token of theirs
/// is good any more.
const OTHERS: [&Route; 6] = [
    &INTERNAL_ERASE_CONSENT,
    &INTERNAL_ERASE_ACCOUNT,
    &INTERNAL_ERASE_BROKER,
    &INTERNAL_ERASE_DEVELOPER,
    &INTERNAL_END_APP,
    &INTERNAL_ERASE,
];

fn grace_ms(platform: &impl Platform) -> Result<i64, InvalidSetting> {
    let name = "DELETION_GRACE_SECONDS";
    let Some(value) = platform.config().get(name) else { return Ok(GRACE_S * 1000) };
    let seconds = value.expose().parse::<i64>().ok().filter(|seconds| (0..=MAX_GRACE_S).contains(seconds));
    let problem = format!("must be a whole number from 0 to {MAX_GRACE_S}");
    seconds.map(|seconds| seconds * 1000).ok_or(InvalidSetting { name, problem })
}

#[derive(Deserialize)]
struct Whose {
    uid: Uid,
}

fn entry<'a>(action: &'a str, uid: &'a Uid) -> Entry<'a> {
    Entry { action, outcome: "ok", actor: Some(uid.as_str()), ..Entry::default() }
}

/// POST /internal/leave
pub async fn leave<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let Whose { uid } = call.message()?;
    call.is_about(Some(uid.as_str()), None);
    let at = call.now().plus(grace_ms(&call.platform)?);
    let batch = vec![
        call.audit_where(sql::AUDIT_LEAVE, entry("account.leave", &uid), &[uid.as_str(), ""]),
        stmt!(sql::LEAVE, uid.as_str(), at),
    ];
    let row = call.platform.sql().batch(batch).await?.pop().and_then(|rows| rows.into_iter().next());
    let at = row.as_ref().and_then(|row| row.get("leaving_at")).and_then(|at| at.as_i64()).map(Millis);
    let wallet = || Failure::new(ErrorCode::Conflict, "close the wallet first: what lies in it would be lost");
    Reply::json(&json!({"erased_at": at.ok_or_else(wallet)?.rfc3339()}))
}

/// Puts the question whether they stay; gives its handle.
pub async fn ask<P: Platform>(call: &Call<P>, uid: &Uid) -> Result<String, Failure> {
    let handle = call.secret();
    let put = stmt!(sql::ASK_TO_STAY, sha256_hex(&handle), uid.as_str(), call.now().plus(OPEN_MS));
    call.platform.sql().query(put).await?;
    Ok(handle)
}

/// They stay; `false` where they are being erased.
pub async fn stay<P: Platform>(call: &Call<P>, uid: &Uid) -> Result<bool, Failure> {
    let batch =
        vec![call.audit_where(sql::AUDIT_STAY, entry("account.stay", uid), &[uid.as_str(), ""]), stmt!(sql::STAY, uid.as_str())];
    Ok(call.platform.sql().batch(batch).await?.last().is_some_and(|rows| !rows.is_empty()))
}

#[derive(Deserialize)]
struct Handle {
    handle: String,
}

async fn asked<P: Platform>(call: &Call<P>) -> Result<(Uid, Millis), Failure> {
    let Handle { handle } = call.message()?;
    let row: Option<PersonRow> = call.platform.sql().first(stmt!(sql::FIND_STAY, sha256_hex(handle), call.now())).await?;
    let over = || Failure::new(ErrorCode::NotFound, "this was answered already, or its ten minutes are over: sign in once more");
    let row = row.ok_or_else(over)?;
    call.is_about(Some(row.uid.as_str()), None);
    let at = row.leaving_at.ok_or_else(over)?;
    Ok((row.uid, at))
}

/// POST /internal/stay/show
pub async fn show<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let (_, at) = asked(&call).await?;
    Reply::json(&json!({ "erased_at": at }))
}

/// POST /internal/stay
pub async fn answer<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let (uid, _) = asked(&call).await?;
    match stay(&call, &uid).await? {
        true => Reply::json(&json!({})),
        false => Err(Failure::new(ErrorCode::NotFound, "this account is being erased already")),
    }
}

/// Erases those whose time has come; tells how many, and what could not be done.
pub async fn erase<P: Platform>(call: &Call<P>) -> Result<usize, Failure> {
    let database = call.platform.sql();
    database.query(stmt!(sql::BEGIN_ERASING, call.now())).await?;
    let people: Vec<PersonRow> = database.rows(stmt!(sql::ERASING, call.now())).await?;
    let mut erased = 0;
    for PersonRow { uid, .. } in people {
        // One that cannot be erased does not keep the others from it.
        match erase_one(call, &uid).await {
            Ok(()) => erased += 1,
            Err(failure) => {
                call.note(format!("erasing {}: {}", uid.as_str(), failure.cause().unwrap_or_default()));
                database.query(stmt!(sql::DELAY_ERASING, uid.as_str(), call.now())).await?;
            }
        }
    }
    Ok(erased)
}

async fn erase_one<P: Platform>(call: &Call<P>, uid: &Uid) -> Result<(), Failure> {
    // Subjects forget a suspension that is over.
    standing::forget(call, uid).await?;
    for route in OTHERS {
        let _: Value = call.ask(route, &json!({ "uid": uid })).await??;
    }
    let mut batch = vec![stmt!(outbox::FORGET, uid.as_str())];
    batch.extend(sql::ERASE.map(|statement| stmt!(statement, uid.as_str())));
    batch.push(call.audit(entry("account.erase", uid)));
    call.platform.sql().batch(batch).await?;
    Ok(())
}
