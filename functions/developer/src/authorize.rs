//! GET /oauth2/developer/authorize (TMCP 1.12; RFC 6749 section 4.1.1, RFC 7636): the console sends a developer here.
//!
//! | answer | when |
//! |---|---|
//! | 303 to the console | `code`, `state` and `iss`; or `error`, `error_description`, `state` and `iss` |
//! | 200, a page | nobody is signed in |
//! | 400, a page | no such client, or not its address: nobody is told by redirect |
//! | 404, a page | there is no console |
//!
//! Nobody is asked: the console is the operator's own. What if it dies? Nothing was promised until the code is stored; one that nobody came
//! for is over in a minute.

use crate::{console, sql};
use tmcp_http::audit::Entry;
use tmcp_http::subject::{PLATFORM, SubjectId};
use tmcp_http::{Call, Failure, Reply, people, sha256_hex};
use tmcp_pages::{authorization, seat};
use tmcp_ports::{Platform, Random, Sql, stmt};
use tmcp_protocol::ids::ulid;
use tmcp_protocol::limits::LimitClass;

/// A code lives so long.
const LIFE_MS: i64 = 60_000;

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let console = console::of(&call)?;
    let parameters = authorization::parameters(&call.query).map_err(Failure::invalid)?;
    if parameters.get("client_id").is_none_or(|id| *id != console.client_id) {
        return Err(Failure::invalid("this is the way of the developers' console, and client_id is another"));
    }
    let issuer = call.settings.issuer.as_str();
    let asked = match authorization::check(&parameters, &console.redirect_uris) {
        Ok(asked) => asked,
        Err(wrong) => return authorization::tell(issuer, &wrong),
    };
    let browser = match seat::or_sign_in(&call, Some("the developers' console")).await? {
        Ok(browser) => browser,
        Err(page) => return Ok(page),
    };
    let Some(matrix) = &browser.names.sub else {
        let why = "a developer is known by their Matrix id, and this account has none";
        return Ok(Reply::see_other(&asked.denied(issuer, why)?));
    };
    if people::may_decide(browser.names.level).is_err() {
        return Ok(Reply::see_other(&asked.denied(issuer, "this browser was signed in by a token that proves too little")?));
    }
    // Each way from here leaves a row behind.
    call.draw(&SubjectId::user(&browser.uid, PLATFORM), LimitClass::Consent).await?;
    let code = format!("dauth_{}", call.secret());
    let now = call.now();
    let put = stmt!(
        sql::PUT_CODE,
        sha256_hex(&code),
        browser.uid.as_str(),
        matrix.as_str(),
        asked.redirect_uri.as_str(),
        asked.challenge.as_str(),
        format!("devs_{}", ulid(now, call.platform.random().bytes())),
        browser.held.session.as_str(),
        browser.held.generation,
        now,
        now.plus(LIFE_MS),
    );
    let entry = Entry { action: "developer.code", outcome: "ok", actor: Some(browser.uid.as_str()), ..Entry::default() };
    call.platform.sql().batch(vec![put, call.audit(entry)]).await?;
    asked.granted(issuer, &code)
}
