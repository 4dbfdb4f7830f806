//! A person's data, and leaving: GET /api/v1/privacy/export, DELETE /api/v1/privacy/account, and the same from the account's page
//! (POST /account/export, GET and POST /account/leave, GET and POST /account/stay). Both need a sign-in of a moment ago.
//!
//! | answer | when |
//! |---|---|
//! | 200 | the document, portion by portion as the functions give it; where it breaks off it is not JSON, and half of it |
//! | 202 | `erased_at`: signed out everywhere now, erased then; until then a sign-in can say that they stay |
//! | 403 | the sign-in is too old, or by OpenID token |
//! | 409 `CONFLICT` | there is a wallet |
//!
//! What if it dies? That they are to be signed out is noted before they leave (`link.rs`), and done by maintenance.

use crate::browser;
use crate::link::{self, told};
use crate::pages;
use crate::sql::{self, BrowserRow, CutOffRow};
use futures_util::stream::{self, Stream};
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use tmcp_http::cors::Reader;
use tmcp_http::subject::{PLATFORM, SubjectId};
use tmcp_http::{Call, Failure, Reply, people};
use tmcp_pages::{Form, day};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::limits::LimitClass;
use tmcp_protocol::routes::{
    ACCOUNT, INTERNAL_APPS, INTERNAL_EXPORT_CONSENT, INTERNAL_EXPORT_DEVELOPER, INTERNAL_EXPORT_IDENTITY,
    INTERNAL_EXPORT_STORAGE, INTERNAL_LEAVE, INTERNAL_STAY, INTERNAL_STAY_SHOW, Route,
};
use tmcp_protocol::{Millis, Uid};

/// The person of a platform token, if they proved a moment ago who they are.
fn fresh<P: Platform>(call: &Call<P>) -> Result<Uid, Failure> {
    call.answer_is_for(Reader::Host);
    let claims = call.platform_claims()?;
    people::may_decide(claims.level)?;
    match tmcp_pages::is_fresh(Millis::from_seconds(claims.auth_time), call.now()) {
        true => Ok(claims.sub.clone()),
        false => Err(tmcp_pages::stale()),
    }
}

/// The functions that hold something about people, and what their part is called.
const PARTS: [(&str, &Route); 4] = [
    ("person", &INTERNAL_EXPORT_IDENTITY),
    ("consents", &INTERNAL_EXPORT_CONSENT),
    ("developer", &INTERNAL_EXPORT_DEVELOPER),
    ("storage", &INTERNAL_EXPORT_STORAGE),
];

#[derive(Deserialize)]
struct Portion {
    rows: Vec<Value>,
    next: Option<Value>,
}

/// Where an export stands.
struct Export<P: Platform> {
    call: Call<P>,
    uid: Uid,
    part: usize,
    after: Option<Value>,
    /// Whether the part's array is open, and whether something stands in it.
    open: bool,
    filled: bool,
}

impl<P: Platform> Export<P> {
    /// What account and auth hold, which is short.
    async fn head(&self) -> Result<String, Failure> {
        let (call, uid) = (&self.call, self.uid.as_str());
        let now = call.now();
        let rows: Vec<BrowserRow> = call.platform.sql().rows(stmt!(sql::EXPORT, uid)).await?;
        let browser = |row: BrowserRow| {
            json!({"id": row.id, "agent": row.agent, "address": row.address, "begun_at": row.created_at.rfc3339(),
                "used_at": row.used_at.rfc3339()})
        };
        let browsers: Vec<Value> = rows.into_iter().map(browser).collect();
        let sessions: Value = call.ask(&INTERNAL_APPS, &json!({"uid": uid, "all": true})).await??;
        let head = json!({"exported_at": now.rfc3339(), "user_id": uid, "browsers": browsers, "app_sessions": sessions});
        Ok(head.to_string().trim_end_matches('}').to_owned())
    }

    /// The next piece of the document; `None` behind the last one.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let Some((name, route)) = PARTS.get(self.part).copied() else {
            let end = (self.part == PARTS.len()).then(|| b"}".to_vec());
            self.part += 1;
            return Ok(end);
        };
        let mut piece = if self.part == 0 && !self.open { self.head().await?.into_bytes() } else { Vec::new() };
        let portion: Portion = self.call.ask(route, &json!({"uid": self.uid, "after": self.after})).await??;
        if !self.open {
            piece.extend_from_slice(format!(",\"{name}\":[").as_bytes());
        }
        for row in &portion.rows {
            if std::mem::replace(&mut self.filled, true) {
                piece.push(b',');
            }
            piece.extend(serde_json::to_vec(row).map_err(|error| Failure::internal(error.to_string()))?);
        }
        (self.after, self.open) = (portion.next, true);
        if self.after.is_none() {
            piece.push(b']');
            (self.part, self.open, self.filled) = (self.part + 1, false, false);
        }
        Ok(Some(piece))
    }
}

fn pieces<P: Platform>(call: Call<P>, uid: Uid) -> impl Stream<Item = Result<Vec<u8>, Failure>> + Send {
    stream::try_unfold(Export { call, uid, part: 0, after: None, open: false, filled: false }, |mut export| async move {
        match export.next().await {
            Ok(piece) => Ok(piece.map(|piece| (piece, export))),
            Err(failure) => {
                // The answer has begun: what went wrong can be told to the operator alone.
                export.call.log(&format!("an export broke off: {}", failure.cause().unwrap_or_default()));
                Err(failure)
            }
        }
    })
}

/// GET /api/v1/privacy/export
pub async fn export<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let uid = fresh(&call)?;
    Ok(Reply::stream("application/json", pieces(call, uid)))
}

/// POST /account/export
pub async fn export_from_page<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let form = call.form()?;
    let browser = browser::sender(&call, Form::Leave, &form).await?;
    link::is_fresh(&call, &browser)?;
    call.draw(&SubjectId::user(&browser.uid, PLATFORM), LimitClass::Export).await?;
    let reply = Reply::stream("application/json", pieces(call, browser.uid));
    Ok(reply.header(header::CONTENT_DISPOSITION, "attachment; filename=\"tmcp-account.json\""))
}

#[derive(Deserialize)]
struct Left {
    erased_at: String,
}

/// Has identity note it, and signs them out everywhere; gives when they are erased.
async fn go<P: Platform>(call: &Call<P>, uid: &Uid) -> Result<String, Failure> {
    let body = json!({ "uid": uid });
    let left: Left = link::signing_out(call, uid, String::new(), &INTERNAL_LEAVE, &body).await?;
    Ok(left.erased_at)
}

/// DELETE /api/v1/privacy/account
pub async fn leave<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let uid = fresh(&call)?;
    let erased_at = go(&call, &uid).await?;
    Ok(Reply::json(&json!({ "erased_at": erased_at }))?.with_status(StatusCode::ACCEPTED))
}

/// GET /account/leave
pub async fn leave_show<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let browser = browser::required(&call).await?;
    link::is_fresh(&call, &browser)?;
    pages::leave(&browser)
}

/// POST /account/leave
pub async fn leave_from_page<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let form = call.form()?;
    let browser = browser::sender(&call, Form::Leave, &form).await?;
    link::is_fresh(&call, &browser)?;
    let erased_at = go(&call, &browser.uid).await?;
    pages::left(erased_at.get(..10).unwrap_or(&erased_at))
}

#[derive(Deserialize)]
struct Leaving {
    erased_at: Millis,
}

/// GET /account/stay
pub async fn stay_show<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let handle = call.parameter("handle").unwrap_or_default();
    let Leaving { erased_at } = call.ask(&INTERNAL_STAY_SHOW, &json!({ "handle": handle })).await?.map_err(told)?;
    pages::stay(&day(erased_at), &handle)
}

/// POST /account/stay: the handle came to this browser alone, from a sign-in.
pub async fn stay<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let form = call.form()?;
    let body = json!({"handle": form.require("handle")?});
    let _: Value = call.ask(&INTERNAL_STAY, &body).await?.map_err(told)?;
    Ok(Reply::see_other(ACCOUNT.path))
}

/// POST /internal/erase/account; idempotent.
pub async fn erase<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    #[derive(Deserialize)]
    struct Whose {
        uid: Uid,
    }
    let Whose { uid } = call.message()?;
    // They were signed out long ago, unless there was no time to think it over.
    let row = CutOffRow { note: String::new(), uid, browser: String::new() };
    link::cut_off(&call, &row).await?;
    let uid = row.uid;
    call.platform.sql().batch(sql::ERASE.map(|statement| stmt!(statement, uid.as_str())).to_vec()).await?;
    Ok(Reply::no_content())
}
