//! POST /account/link, GET /account/link, POST /account/link/confirm, POST /account/unlink and POST /account/choose: the pages by which a
//! person adds an identity to their account, takes one away, or says which Matrix id apps know them by. The way to the provider is broker's, what is linked identity's (`linking.rs` there).
//!
//! | answer | when |
//! |---|---|
//! | 200, a page | it goes on to the provider; or asks whether the identity is theirs |
//! | 303 | done: to the account's page |
//! | 400 | a form of another session |
//! | 403 | the sign-in is too old for this |
//! | 404 | no such identity, provider or question |
//! | 409 | it belongs to another account; the last one; the one that apps know them by |

use crate::browser;
use crate::pages;
use crate::sign_in::{self, Identity};
use crate::sql::{self, CutOffRow};
use http::header;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tmcp_http::cookie::{self, Cookie};
use tmcp_http::internal::Refused;
use tmcp_http::people::Names;
use tmcp_http::subject::{self, PLATFORM, SubjectId};
use tmcp_http::{Call, Failure, Reply};
use tmcp_pages::{Browser, Form};
use tmcp_ports::{Platform, Random, Sql, stmt};
use tmcp_protocol::ids::ulid;
use tmcp_protocol::routes::{
    ACCOUNT, INTERNAL_APPS, INTERNAL_CHOOSE, INTERNAL_END_APP, INTERNAL_END_DEVELOPER, INTERNAL_LINK_CONFIRM, INTERNAL_LINK_SHOW,
    INTERNAL_SIGN_IN_ANEW, INTERNAL_UNLINK, Route,
};
use tmcp_protocol::{ErrorCode, Uid};

/// A refusal that the person is told.
pub fn told(refused: Refused) -> Failure {
    match refused.status {
        404 => Failure::new(ErrorCode::NotFound, refused.message),
        409 => Failure::new(ErrorCode::Conflict, refused.message),
        _ => refused.into(),
    }
}

/// Who comes from where decides who gets in: only who proved just now who they are may change it.
pub fn is_fresh<P: Platform>(call: &Call<P>, browser: &Browser) -> Result<(), Failure> {
    if browser.is_fresh(call.now()) { Ok(()) } else { Err(tmcp_pages::stale()) }
}

#[derive(Deserialize)]
struct Begun {
    url: String,
    cookie: String,
}

/// POST /account/link; with `purpose=prove` the person only proves once more who they are, and comes back with a session of a moment ago.
pub async fn begin<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let form = call.form()?;
    let provider = form.require("provider")?;
    let browser = browser::sender(&call, Form::Link, &form).await?;
    let session = match form.get("purpose") {
        Some("prove") => None,
        _ => is_fresh(&call, &browser).map(|()| Some(browser.id.as_str()))?,
    };
    let cookie = cookie::sent(&call, Cookie::SignIn);
    let body = json!({"provider": provider, "whose": {"uid": browser.uid, "session": session}, "cookie": cookie});
    let Begun { url, cookie } = call.ask(&INTERNAL_SIGN_IN_ANEW, &body).await?.map_err(told)?;
    Ok(tmcp_pages::go(&url)?.header(header::SET_COOKIE, &cookie))
}

/// GET /account/link
pub async fn show<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let browser = browser::required(&call).await?;
    let handle = call.parameter("handle").unwrap_or_default();
    let body = json!({"handle": handle, "uid": browser.uid, "session": browser.id});
    let identity: Identity = call.ask(&INTERNAL_LINK_SHOW, &body).await?.map_err(told)?;
    pages::link(&browser, &identity.label(&sign_in::offered(&call).await), &handle)
}

#[derive(Deserialize)]
struct Linked {
    names: Option<Names>,
}

/// POST /account/link/confirm
pub async fn confirm<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let form = call.form()?;
    let handle = form.require("handle")?;
    let browser = browser::sender(&call, Form::Link, &form).await?;
    let body = json!({"handle": handle, "uid": browser.uid, "session": browser.id});
    let Linked { names } = call.ask(&INTERNAL_LINK_CONFIRM, &body).await?.map_err(told)?;
    // Who had no Matrix id has one now, in every browser of theirs.
    if let (Some(names), None) = (names, &browser.names.sub) {
        call.platform.sql().query(stmt!(sql::RENAME_BROWSERS, browser.uid.as_str(), names.text()?)).await?;
    }
    Ok(Reply::see_other(ACCOUNT.path))
}

/// POST /account/unlink: whoever came by that identity is signed out, of browsers, clients and apps; since nobody knows where that was,
/// it is everywhere but here.
pub async fn unlink<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    change(&call, &INTERNAL_UNLINK).await
}

/// POST /account/choose: what was granted in the other name ends, and here too, since this session says it.
pub async fn choose<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    change(&call, &INTERNAL_CHOOSE).await
}

/// Has identity change something by which the person is signed out.
async fn change<P: Platform>(call: &Call<P>, what: &Route) -> Result<Reply, Failure> {
    let form = call.form()?;
    let id = form.require("identity")?;
    let browser = browser::sender(call, Form::Link, &form).await?;
    is_fresh(call, &browser)?;
    let stays = if *what == INTERNAL_UNLINK { browser.id.clone() } else { String::new() };
    let _: Value = signing_out(call, &browser.uid, stays, what, &json!({"uid": browser.uid, "id": id})).await?;
    Ok(Reply::see_other(ACCOUNT.path))
}

#[derive(Deserialize)]
struct App {
    app_id: String,
}

/// Has another function change something, and signs the person out of everything but one browser, if one stays. That they are to be is
/// noted before: who dies after the change cannot ask again, and to be signed out for nothing does no harm. Who is refused is told.
pub async fn signing_out<P: Platform, T: DeserializeOwned>(
    call: &Call<P>,
    uid: &Uid,
    browser: String,
    what: &Route,
    body: &Value,
) -> Result<T, Failure> {
    let row = CutOffRow { note: ulid(call.now(), call.platform.random().bytes()), uid: uid.clone(), browser };
    let begin = stmt!(sql::BEGIN_CUT_OFF, row.note.as_str(), uid.as_str(), row.browser.as_str(), call.now());
    call.platform.sql().query(begin).await?;
    match call.ask(what, body).await? {
        Ok(answer) => cut_off(call, &row).await.map(|()| answer),
        Err(refused) => {
            call.platform.sql().query(stmt!(sql::FINISH_CUT_OFF, row.note)).await?;
            Err(told(refused))
        }
    }
}

/// Signs a person out of everything but one browser, if one stays; can be repeated.
pub async fn cut_off<P: Platform>(call: &Call<P>, row: &CutOffRow) -> Result<(), Failure> {
    let (uid, browser, platform) = (row.uid.as_str(), row.browser.as_str(), SubjectId::user(&row.uid, PLATFORM));
    subject::revoke_all(&call.platform, &platform).await?;
    // The browser that stays is of the generation that begins. Somebody who is suspended has none: theirs goes with the others.
    let generation = match browser {
        "" => None,
        _ => subject::issue(&call.platform, &platform, None).await.ok().flatten(),
    };
    let batch = vec![
        stmt!(sql::END_OTHER_BROWSERS, uid, browser),
        stmt!(sql::KEEP_BROWSER, uid, browser, generation.unwrap_or_default()),
        stmt!(sql::END_HAND_OVERS, uid),
    ];
    call.platform.sql().batch(batch).await?;
    // Those of sessions that ended, too: who died here had ended them, and their access tokens may live yet.
    let apps: Vec<App> = call.ask(&INTERNAL_APPS, &json!({"uid": uid, "all": true})).await??;
    for app in apps {
        let _: Value = call.ask(&INTERNAL_END_APP, &json!({"uid": uid, "app_id": app.app_id})).await??;
    }
    let _: Value = call.ask(&INTERNAL_END_DEVELOPER, &json!({ "uid": uid })).await??;
    call.platform.sql().query(stmt!(sql::FINISH_CUT_OFF, row.note.as_str())).await?;
    Ok(())
}
