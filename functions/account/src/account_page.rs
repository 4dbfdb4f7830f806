//! GET /account and its forms: a person's apps and browsers, and ending either.

use crate::browser::{self, Browser, Form};
use crate::client;
use crate::pages::{self, AccountPage, AppEntry, BrowserEntry, IdentityEntry, Way};
use crate::sign_in::{self, Identity, Offered};
use crate::sql::{self, BrowserRow, ConsentRow};
use crate::take_back::{self, Taken};
use http::header;
use serde::Deserialize;
use serde_json::json;
use tmcp_http::audit::Entry;
use tmcp_http::cookie::Cookie;
use tmcp_http::page::is_ours;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::routes::{ACCOUNT, INTERNAL_APPS, INTERNAL_IDENTITIES};
use tmcp_protocol::{AppId, Millis, Scope};

async fn apps<P: Platform>(call: &Call<P>, browser: &Browser) -> Result<Vec<AppEntry>, Failure> {
    let rows: Vec<ConsentRow> = call.platform.sql().rows(stmt!(sql::ALL_CONSENTS, browser.uid.as_str())).await?;
    let mut apps: Vec<AppEntry> = Vec::new();
    for row in rows {
        let what = Scope::parse(&row.scope).map_or(row.scope.clone(), |scope| scope.description().to_owned());
        match apps.last_mut() {
            Some(app) if app.id == row.app_id.as_str() => app.scopes.push(what),
            _ => {
                let client = client::look_up(call, row.client_id.as_str()).await?;
                let name = client.map_or_else(|| row.app_id.to_string(), |client| client.name);
                let since = pages::day(row.approved_at);
                apps.push(AppEntry { id: row.app_id.to_string(), name, since, scopes: vec![what] });
            }
        }
    }
    // Apps with sessions that nobody had to be asked about.
    let sessions: Vec<SessionsRow> = call.ask(&INTERNAL_APPS, &json!({ "uid": browser.uid })).await??;
    for row in sessions.into_iter().filter(|row| !apps.iter().any(|app| app.id == row.app_id)).collect::<Vec<_>>() {
        let name = row.name.unwrap_or_else(|| row.app_id.clone());
        let scopes = vec!["Know who you are, and keep data for you".to_owned()];
        apps.push(AppEntry { id: row.app_id, name, since: pages::day(row.since), scopes });
    }
    Ok(apps)
}

/// An app that holds sessions, as auth knows it.
#[derive(Deserialize)]
struct SessionsRow {
    app_id: String,
    name: Option<String>,
    since: Millis,
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
        let (since, used) = (pages::day(one.since), pages::day(one.used));
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
    let Some(browser) = browser::current(&call).await? else { return sign_in::page(&call, None).await };
    let now = call.now();
    let rows: Vec<BrowserRow> =
        call.platform.sql().rows(stmt!(sql::BROWSERS, browser.uid.as_str(), now, browser::idle_since(now))).await?;
    let browsers = rows.into_iter().map(|row| BrowserEntry {
        is_this: row.id == browser.id,
        id: row.id,
        agent: row.agent,
        address: row.address,
        begun: pages::minute(row.created_at),
        used: pages::minute(row.used_at),
    });
    let offered = sign_in::offered(&call).await;
    let identities = identities(&call, &browser, &offered).await;
    let ways = sign_in::ways(offered, ACCOUNT.path);
    let is_own = |way: &&Way| identities.iter().any(|identity| identity.way.as_deref() == Some(way.id.as_str()));
    let own_ways = ways.iter().filter(is_own).cloned().collect();
    pages::account(&AccountPage {
        person: browser.names.shown(),
        apps: apps(&call, &browser).await?,
        own_ways,
        identities,
        ways,
        fresh: browser.is_fresh(now),
        link_token: browser.token(Form::Link),
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
    let (uid, matrix_user_id) = (&browser.uid, browser.names.sub.as_ref());
    take_back::take_back(&call, Taken { uid, matrix_user_id, app: &app, scopes: None, reason: "user_initiated" }).await?;
    Ok(Reply::see_other(ACCOUNT.path))
}

/// POST /account/end: without `session`, this one; leads on to `continue`, if that is a page of ours.
pub async fn end<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let form = call.form()?;
    let browser = browser::sender(&call, Form::End, &form).await?;
    let id = form.get("session").unwrap_or(&browser.id);
    let (actor, target) = (Some(browser.uid.as_str()), Some(id));
    let entry = Entry { action: "browser.end", outcome: "ok", actor, target, ..Entry::default() };
    let audit = call.audit_where(sql::AUDIT_END, entry, [browser.uid.as_str(), id]);
    call.platform.sql().batch(vec![audit, stmt!(sql::END_BROWSER, browser.uid.as_str(), id)]).await?;
    let reply = Reply::see_other(form.get("continue").filter(|to| is_ours(to)).unwrap_or(ACCOUNT.path));
    Ok(if id == browser.id {
        reply.header(header::SET_COOKIE, &Cookie::Session.set(&call.settings.issuer, "", 0))
    } else {
        reply
    })
}
