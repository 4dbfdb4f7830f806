//! Questions: an app wants scopes that a person has to agree to. A question is bound to person, client and exact scopes, is open for
//! ten minutes and is answered once. Its id is no secret of the person's: the mini-app may have it too.
//!
//! The races: of two answers one finds the question open; two questions about the same scopes remember them once. What if it dies? The
//! answer and what it remembers are one batch.

use crate::client::Client;
use crate::sql::{self, QuestionRow};
use serde::Deserialize;
use serde_json::{Value, json};
use tmcp_http::audit::Entry;
use tmcp_http::body::Form;
use tmcp_http::{Call, Failure, Reply, sha256_hex};
use tmcp_ports::{Platform, Random, Row, Sql, stmt};
use tmcp_protocol::ids::ulid;
use tmcp_protocol::{AppId, ClientId, ErrorCode, Scope, ScopeSet, Uid};

/// A question is open so long (TMCP part 12, row 19).
const OPEN_MS: i64 = 10 * 60 * 1000;

/// What a page's form decides; `None` where it has no decision yet.
pub fn decision(form: &Form) -> Result<Option<bool>, Failure> {
    match form.get("decision") {
        None => Ok(None),
        Some("allow") => Ok(Some(true)),
        Some("refuse") => Ok(Some(false)),
        Some(_) => Err(undecided()),
    }
}

/// A form that should have decided.
pub fn undecided() -> Failure {
    Failure::invalid("the form has no decision: go back and choose one")
}

/// Whom is asked by whom.
#[derive(Debug, Clone, Copy)]
pub struct Between<'a> {
    /// The person.
    pub uid: &'a Uid,
    /// The client.
    pub client_id: &'a ClientId,
    /// Its app.
    pub app_id: &'a AppId,
}

/// Which of the scopes that this client wants the person has to agree to first.
pub async fn open_scopes<P: Platform>(
    call: &Call<P>,
    uid: &Uid,
    client: &Client,
    wanted: &ScopeSet,
) -> Result<ScopeSet, Failure> {
    let asked = wanted.iter().filter(|scope| scope.needs_consent(client.official));
    missing(call, uid, &client.app_id, asked).await
}

/// Which of the scopes the person has not agreed to.
async fn missing<P: Platform>(
    call: &Call<P>,
    uid: &Uid,
    app: &AppId,
    scopes: impl Iterator<Item = Scope>,
) -> Result<ScopeSet, Failure> {
    let rows = call.platform.sql().query(stmt!(sql::CONSENTS, uid.as_str(), app.as_str())).await?;
    let agreed = |scope: &Scope| rows.iter().any(|row| is_scope(row, *scope));
    Ok(scopes.filter(|scope| !agreed(scope)).collect())
}

fn is_scope(row: &Row, scope: Scope) -> bool {
    row.get("scope").as_ref().and_then(Value::as_str) == Some(scope.as_str())
}

/// Puts a question; the id is for whoever will show it.
pub async fn ask<P: Platform>(call: &Call<P>, between: Between<'_>, scopes: &ScopeSet) -> Result<String, Failure> {
    let id = format!("consent_{}", call.secret());
    let Between { uid, client_id, app_id } = between;
    let end = call.now().plus(OPEN_MS);
    let hash = sha256_hex(&id);
    let question = stmt!(sql::ASK, hash, uid.as_str(), client_id.as_str(), app_id.as_str(), scopes.to_string(), end);
    call.platform.sql().query(question).await?;
    Ok(id)
}

/// How an answer came.
#[derive(Debug, Clone, Copy)]
pub enum Method {
    /// From a host client, with the person's own token.
    Native,
    /// From our page.
    Page,
}

impl Method {
    const fn as_str(self) -> &'static str {
        match self {
            Method::Native => "native",
            Method::Page => "page",
        }
    }
}

fn not_open() -> Failure {
    Failure::new(
        ErrorCode::NotFound,
        "there is no such question to this person: it was answered already, or its ten minutes are over",
    )
}

/// An open question to this person.
pub async fn open<P: Platform>(call: &Call<P>, uid: &Uid, id: &str) -> Result<QuestionRow, Failure> {
    let find = stmt!(sql::FIND_QUESTION, sha256_hex(id), uid.as_str(), call.now());
    call.platform.sql().first(find).await?.ok_or_else(not_open)
}

/// Answers a question, once.
pub async fn answer<P: Platform>(call: &Call<P>, uid: &Uid, id: &str, approve: bool, method: Method) -> Result<(), Failure> {
    let question = open(call, uid, id).await?;
    let scopes: Vec<&str> = question.scopes.iter().map(Scope::as_str).collect();
    let (hash, now) = (sha256_hex(id), call.now());
    let entry = Entry {
        action: if approve { "consent.give" } else { "consent.refuse" },
        outcome: "ok",
        actor: Some(uid.as_str()),
        target: Some(question.app_id.as_str()),
        detail: Some(json!({"client_id": question.client_id, "scopes": scopes, "method": method.as_str()})),
        ..Entry::default()
    };
    let own = ulid(now, call.platform.random().bytes());
    let mut batch = vec![stmt!(sql::ANSWER, hash.as_str(), uid.as_str(), now, own.as_str())];
    if approve {
        batch.push(stmt!(sql::AGREE, hash.as_str(), own.as_str(), method.as_str(), now, json!(scopes).to_string()));
    }
    batch.push(call.audit_where(sql::AUDIT_ANSWER, entry, &[&hash, &own]));
    let results = call.platform.sql().batch(batch).await?;
    if results.first().is_some_and(|rows| !rows.is_empty()) { Ok(()) } else { Err(not_open()) }
}

/// A question for a program: who asks, and for what (TMCP 1.2).
pub fn described(client: &Client, scopes: &ScopeSet) -> Value {
    let scope = |scope: Scope| {
        json!({
            "scope": scope.as_str(), "description": scope.description(), "sensitivity": scope.sensitivity(), "note": scope.note(),
        })
    };
    json!({
        "miniapp": {
            "id": client.app_id, "name": client.name, "developer": client.developer, "icon_url": client.icon_url,
            "verified": client.official,
        },
        "requested_scopes": scopes.iter().map(scope).collect::<Vec<_>>(),
    })
}

#[derive(Deserialize)]
struct ConsentQuestion {
    uid: Uid,
    client_id: ClientId,
    app_id: AppId,
    scopes: ScopeSet,
    ask: bool,
}

/// POST /internal/consents, for auth: which of the scopes are missing, and a question about them.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let ConsentQuestion { uid, client_id, app_id, scopes, ask: wanted } = call.message()?;
    let missing = missing(&call, &uid, &app_id, scopes.iter()).await?;
    let is_asked = wanted && !missing.is_empty();
    let between = Between { uid: &uid, client_id: &client_id, app_id: &app_id };
    let session = if is_asked { Some(ask(&call, between, &missing).await?) } else { None };
    Reply::json(&json!({"missing": missing, "session": session}))
}
