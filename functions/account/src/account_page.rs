//! GET /account and its forms: a person's apps and browsers, and ending either.

use crate::browser;
use crate::pages::{self, AccountPage, BrowserEntry, IdentityEntry, Way};
use crate::profile;
use crate::sessions;
use crate::sign_in::{self, Identity, Offered};
use crate::sql::{self, BrowserRow};
use http::header;
use serde::Deserialize;
use serde_json::{Value, json};
use tmcp_http::cookie::Cookie;
use tmcp_http::page::is_ours;
use tmcp_http::{Call, Failure, Reply};
use tmcp_pages::{Browser, Form, day, minute};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::routes::{ACCOUNT, INTERNAL_AGREED, INTERNAL_IDENTITIES, INTERNAL_TAKE_BACK};
use tmcp_protocol::{AppId, Millis};

/// An app that a person let in, as consent knows it.
#[derive(Deserialize)]
pub struct App {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub name: String,
    since: Millis,
    /// What it may do.
    pub scopes: Vec<String>,
}

impl App {
    /// Since when, as a page shows it.
    pub fn since(&self) -> String {
        day(self.since)
    }
}

/// An identity, as identity's own room knows it.
#[derive(Deserialize)]
struct Known {
    id: String,
    identity: Identity,
    since: Millis,
    used: Millis,
    primary: bool,
}

/// None where identity cannot say: the rest of the page is of use without.
async fn identities<P: Platform>(call: &Call<P>, browser: &Browser, offered: &[Offered]) -> Vec<IdentityEntry> {
    let entry = |one: Known| {
        let (since, used) = (day(one.since), day(one.used));
        let (name, way) = (one.identity.label(offered), one.identity.way(offered));
        let matrix = one.identity.is_matrix();
        IdentityEntry { id: one.id, name, since, used, primary: one.primary, matrix, way }
    };
    match call.ask::<Vec<Known>>(&INTERNAL_IDENTITIES, &json!({ "uid": browser.uid })).await {
        Ok(Ok(known)) => known.into_iter().map(entry).collect(),
        _ => {
            call.note("identity does not list identities");
            Vec::new()
        }
    }
}

/// GET /account
pub async fn show<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let Some(browser) = browser::current(&call).await? else {
        return sign_in::page(&call, None, &call.here()).await.map(Reply::page);
    };
    let now = call.now();
    let rows: Vec<BrowserRow> =
        call.platform.sql().rows(stmt!(sql::BROWSERS, browser.uid.as_str(), now, browser::idle_since(now))).await?;
    let browsers = rows.into_iter().map(|row| BrowserEntry {
        is_this: row.id == browser.id,
        id: row.id,
        agent: row.agent,
        address: row.address,
        begun: minute(row.created_at),
        used: minute(row.used_at),
    });
    let offered = sign_in::offered(&call).await;
    let identities = identities(&call, &browser, &offered).await;
    let ways = sign_in::ways(offered, ACCOUNT.path);
    let is_own = |way: &&Way| identities.iter().any(|identity| identity.way.as_deref() == Some(way.id.as_str()));
    let own_ways = ways.iter().filter(is_own).cloned().collect();
    pages::account(&AccountPage {
        person: browser.names.shown(),
        apps: call.ask(&INTERNAL_AGREED, &json!({ "uid": browser.uid })).await??,
        own_ways,
        identities,
        ways,
        profile: profile::of(&call, &browser).await,
        profile_token: browser.token(Form::Profile),
        fresh: browser.is_fresh(now),
        link_token: browser.token(Form::Link),
        leave_token: browser.token(Form::Leave),
        browsers: browsers.collect(),
        revoke_token: browser.token(Form::Revoke),
        end_token: browser.token(Form::End),
    })
}

/// POST /account/revoke
pub async fn revoke<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let form = call.form()?;
    let app = AppId::parse(form.require("app")?).map_err(|error| Failure::invalid(error.to_string()))?;
    let browser = browser::sender(&call, Form::Revoke, &form).await?;
    let body = json!({"uid": browser.uid, "matrix_user_id": browser.names.sub, "app_id": app});
    let _: Value = call.ask(&INTERNAL_TAKE_BACK, &body).await??;
    Ok(Reply::see_other(ACCOUNT.path))
}

/// POST /account/end: without `session`, this one; leads on to `continue`, if that is a page of ours.
pub async fn end<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let form = call.form()?;
    let browser = browser::sender(&call, Form::End, &form).await?;
    let id = form.get("session").unwrap_or(&browser.id);
    sessions::end(&call, &browser.uid, id).await?;
    let reply = Reply::see_other(form.get("continue").filter(|to| is_ours(to)).unwrap_or(ACCOUNT.path));
    Ok(if id == browser.id {
        reply.header(header::SET_COOKIE, &Cookie::Session.set(&call.settings.issuer, "", 0))
    } else {
        reply
    })
}
