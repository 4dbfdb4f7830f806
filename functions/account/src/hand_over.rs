//! From a client that a person is signed in with to a browser: `POST /api/v1/auth/browser` gives the client an address, which it opens
//! in the browser; the page there names the person and asks whether to go on. Without that question, somebody could be lured to an
//! address that quietly signs them in as somebody else; and so that no other page answers it for them, the answer counts from the browser
//! and the page that it was shown in alone.
//!
//! | answer | when |
//! |---|---|
//! | 200 | `url` and `expires_in`: a minute, for one browser |
//! | 400 `INVALID_REQUEST` | `continue` leads elsewhere than to our pages |
//! | 403 `INSUFFICIENT_PERMISSIONS` | signed in by OpenID token |
//!
//! The races: of two browsers with one address one gets the session. A logout in between finds the session's row, or is found by the
//! question that is asked once the row is there. What if it dies? The handle is used up and the session stored in one batch.

use crate::browser;
use crate::pages;
use crate::sql::{self, HolderRow};
use http::header;
use serde::Deserialize;
use serde_json::json;
use tmcp_http::audit::Entry;
use tmcp_http::cookie::{self, Cookie};
use tmcp_http::cors::Reader;
use tmcp_http::page::is_ours;
use tmcp_http::people::{self, Names};
use tmcp_http::subject::{self, Held, PLATFORM, SubjectId};
use tmcp_http::{Call, Failure, Reply, same_secret, sha256_hex};
use tmcp_pages::Form;
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::ErrorCode;
use tmcp_protocol::routes::{ACCOUNT, CONTINUE};

/// A handle is good so long.
const LIFE_MS: i64 = 60_000;

#[derive(Deserialize)]
struct HandOverRequest {
    #[serde(rename = "continue")]
    on: Option<String>,
}

/// POST /api/v1/auth/browser
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    call.answer_is_for(Reader::Host);
    let HandOverRequest { on } = call.json()?;
    let on = on.unwrap_or_else(|| ACCOUNT.path.to_owned());
    if !is_ours(&on) {
        return Err(Failure::invalid("continue must be a path of this server's pages, such as /oauth2/authorize?…"));
    }
    let claims = call.platform_claims()?;
    people::may_decide(claims.level)?;
    let names = Names::from(claims).text()?;
    let (handle, uid, session) = (call.secret(), claims.sub.as_str(), claims.session_id.as_str());
    let end = call.now().plus(LIFE_MS);
    call.platform.sql().query(stmt!(sql::HAND_OVER, sha256_hex(&handle), uid, names, session, claims.generation, end)).await?;
    let query =
        url::form_urlencoded::Serializer::new(String::new()).append_pair("handle", &handle).append_pair("continue", &on).finish();
    let url = format!("{}{}?{query}", call.settings.issuer, CONTINUE.path);
    Reply::json(&json!({"url": url, "expires_in": LIFE_MS / 1000}))
}

/// The form's token: of the browser that the question was shown in, and of this handle. A form that another page sends has neither.
fn token(own: &str, handle: &str) -> String {
    tmcp_pages::token(Form::GoOn, &format!("{own}\n{handle}"))
}

fn over() -> Failure {
    Failure::new(ErrorCode::NotFound, "this link was used already, or its minute is over: go back to your app and try once more")
}

/// GET /account/continue
pub async fn show<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let (handle, on) = (call.parameter("handle").unwrap_or_default(), call.parameter("continue").unwrap_or_default());
    let found: Option<HolderRow> = call.platform.sql().first(stmt!(sql::FIND_HAND_OVER, sha256_hex(&handle), call.now())).await?;
    let names = Names::parse(&found.ok_or_else(over)?.subject)?;
    let own = call.secret();
    let page = pages::go_on(names.shown(), &handle, &on, &token(&own, &handle))?;
    Ok(page.header(header::SET_COOKIE, &Cookie::HandOver.set(&call.settings.issuer, &own, LIFE_MS / 1000)))
}

/// POST /account/continue
pub async fn go_on<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let form = call.form()?;
    let (handle, on) = (form.require("handle")?, form.get("continue").unwrap_or(ACCOUNT.path));
    let own = cookie::sent(&call, Cookie::HandOver).unwrap_or_default();
    if own.is_empty() || !same_secret(form.get("token").unwrap_or_default(), &token(&own, handle)) {
        return Err(Failure::invalid("open the link from your app, and go on from there").because("not from our page"));
    }
    let hash = sha256_hex(handle);
    if !is_ours(on) {
        return Err(Failure::invalid("this link leads elsewhere"));
    }
    let (now, secret, id) = (call.now(), call.secret(), browser::new_id(&call));
    let browser = sha256_hex(&secret);
    let (agent, end) = (browser::agent(&call.headers), now.plus(browser::LIFE_MS));
    let begin =
        stmt!(sql::BEGIN_BROWSER, hash.as_str(), now, browser.as_str(), id.as_str(), agent, call.address.truncated(), end);
    let replaced = cookie::sent(&call, Cookie::Session).map(sha256_hex);
    let batch =
        vec![stmt!(sql::USE_HAND_OVER, hash, now, browser.as_str()), begin, stmt!(sql::REPLACE_BROWSER, replaced, id.as_str())];
    let results = call.platform.sql().batch(batch).await?;
    let row: HolderRow = results.into_iter().next().and_then(|rows| rows.into_iter().next()).ok_or_else(over)?.decode()?;
    call.is_about(Some(row.uid.as_str()), None);
    let held = Held { generation: row.generation, session: row.platform_session };
    let stands = subject::holds(&call.platform, &SubjectId::user(&row.uid, PLATFORM), held).await?;
    let outcome = if stands { "ok" } else { "refused" };
    let (actor, target) = (Some(row.uid.as_str()), Some(id.as_str()));
    let mut batch = vec![call.audit(Entry { action: "browser.begin", outcome, actor, target, ..Entry::default() })];
    if !stands {
        batch.push(stmt!(sql::END_BROWSER, row.uid.as_str(), id.as_str()));
    }
    call.platform.sql().batch(batch).await?;
    if !stands {
        return Err(over().because("revoked"));
    }
    let cookie = Cookie::Session.set(&call.settings.issuer, &secret, browser::LIFE_MS / 1000);
    Ok(tmcp_pages::go(on)?.header(header::SET_COOKIE, &cookie))
}
