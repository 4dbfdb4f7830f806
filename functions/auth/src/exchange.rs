//! The token exchange grant (RFC 8693; TMCP 1.3 "Matrix session delegation"): a host client turns a person's session into a TEP for
//! one mini-app. The subject is a platform token or a Matrix access token.
//!
//! | answer | when |
//! |---|---|
//! | 200 | TEP and refresh token |
//! | 400 `invalid_request`, `invalid_scope` | a parameter is missing; a scope that is not registered for the app |
//! | 401 `invalid_client`, `invalid_grant` | the client; the subject token does not hold |
//! | 403 `consent_required` | a scope that the person has not agreed to, named in `consent_required_scopes`; `consent_ui_endpoint` asks them |
//! | 403 `insufficient_user_authentication` | more than low scopes for a session by OpenID token (RFC 9470) |
//! | 429 | too many exchanges of this person for this app |

use crate::consent;
use crate::family;
use crate::mint::{self, Granted};
use crate::session::{self, Ground};
use crate::sql::{self, ClientRow};
use crate::token::Issued;
use serde_json::{Map, Value, json};
use tmcp_http::audit::Entry;
use tmcp_http::body::Form;
use tmcp_http::cors::Reader;
use tmcp_http::people::{self, Person};
use tmcp_http::subject::SubjectId;
use tmcp_http::{Call, Failure, sha256_hex};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::limits::LimitClass;
use tmcp_protocol::routes::CONSENT_SHOW;
use tmcp_protocol::token::AuthLevel;
use tmcp_protocol::{MatrixUserId, Scope, ScopeSet};

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const TEP_TYPE: &str = "urn:tmcp:params:oauth:token-type:tep";
/// Bytes of `miniapp_context` at most: it travels in every token.
const MAX_CONTEXT: usize = 1024;

fn invalid_grant(cause: impl Into<String>) -> Failure {
    Failure::oauth("invalid_grant", 401, "the subject token does not hold").because(cause)
}

/// Grants the exchange.
pub async fn grant<P: Platform>(call: &Call<P>, form: &Form, client: &ClientRow) -> Result<Issued, Failure> {
    call.answer_is_for(Reader::Host);
    if form.require("subject_token_type")? != ACCESS_TOKEN {
        return Err(Failure::oauth("invalid_request", 400, format!("subject_token_type must be {ACCESS_TOKEN}")));
    }
    if form.get("requested_token_type").is_some_and(|kind| kind != TEP_TYPE && kind != ACCESS_TOKEN) {
        return Err(Failure::oauth("invalid_request", 400, format!("requested_token_type must be {TEP_TYPE}")));
    }
    let context = form.get("miniapp_context").map(parse_context).transpose()?;
    let requested = requested_scopes(form.get("scope"), client)?;
    let claim = form.get("matrix_user_id").map(MatrixUserId::parse).transpose();
    let claim = claim.map_err(|error| Failure::oauth("invalid_request", 400, error.to_string()))?;
    let person = people::of_token(call, form.require("subject_token")?, claim).await?.map_err(invalid_grant)?;
    call.is_about(Some(person.uid.as_str()), Some(client.app_id.as_str()));
    if person.names.sub.is_none() {
        return Err(Failure::oauth(
            "matrix_identity_required",
            403,
            "an app knows people by their Matrix id, and this one has none",
        ));
    }
    // Whose session is over learns nothing of what they agreed to.
    if consent::is_needed(&requested, client) && !people::is_alive(call, &person).await? {
        return Err(invalid_grant("revoked"));
    }
    let subject = SubjectId::user(&person.uid, client.app_id.as_str());
    let generation = call.enter(&subject, LimitClass::TokenGeneration, None).await?;
    let generation = generation.ok_or_else(|| Failure::internal("a new session was ended"))?;
    check_scopes(call, &requested, client, &person).await?;
    issue(call, client, person, requested, context, generation).await
}

fn parse_context(text: &str) -> Result<Map<String, Value>, Failure> {
    let context = if text.len() <= MAX_CONTEXT { serde_json::from_slice(text.as_bytes()).ok() } else { None };
    context.ok_or_else(|| {
        Failure::oauth("invalid_request", 400, format!("miniapp_context must be a JSON object of at most {MAX_CONTEXT} bytes"))
    })
}

/// What is asked for; without a list, what the app has registered and nobody has to be asked about.
fn requested_scopes(list: Option<&str>, client: &ClientRow) -> Result<ScopeSet, Failure> {
    let Some(list) = list else {
        return Ok(client.scopes.iter().filter(|scope| scope.is_automatic()).collect());
    };
    let scopes = ScopeSet::parse(list).map_err(|error| Failure::oauth("invalid_scope", 400, error.to_string()))?;
    let unregistered = scopes.iter().find(|scope| !client.may_ask_for(*scope));
    match unregistered {
        None => Ok(scopes),
        Some(scope) => Err(Failure::oauth("invalid_scope", 400, format!("the app has not registered the scope `{scope}`"))),
    }
}

async fn check_scopes<P: Platform>(
    call: &Call<P>,
    requested: &ScopeSet,
    client: &ClientRow,
    person: &Person,
) -> Result<(), Failure> {
    if person.names.level == AuthLevel::Openid && !requested.iter().all(Scope::is_open_to_weak_sessions) {
        let message = "sign in with a Matrix access token for these scopes";
        return Err(Failure::oauth("insufficient_user_authentication", 403, message));
    }
    let found = consent::missing(call, &person.uid, client, requested, true).await?;
    let (missing, approved): (Vec<Scope>, Vec<Scope>) = requested.iter().partition(|scope| found.missing.contains(*scope));
    if missing.is_empty() {
        return Ok(());
    }
    let names = |scopes: Vec<Scope>| scopes.into_iter().map(Scope::as_str).collect::<Vec<_>>();
    let page = found.session.map(|session| format!("{}?session={session}", CONSENT_SHOW.path));
    let extra = json!({
        "consent_required_scopes": names(missing), "pre_approved_scopes": names(approved), "consent_ui_endpoint": page,
    });
    Err(Failure::oauth("consent_required", 403, "the person has not agreed to all of these scopes").extra(extra))
}

async fn issue<P: Platform>(
    call: &Call<P>,
    client: &ClientRow,
    person: Person,
    scope: ScopeSet,
    miniapp_context: Option<Map<String, Value>>,
    generation: i64,
) -> Result<Issued, Failure> {
    let (now, session_id, refresh_token) = (call.now(), mint::session_id(call), family::new_token(call));
    let platform_session = Some(person.held.session.as_str()).filter(|session| !session.is_empty());
    let (uid, app, client_id) = (person.uid.as_str(), client.app_id.as_str(), client.client_id.as_str());
    let begin = stmt!(
        sql::BEGIN_FAMILY,
        session_id.as_str(),
        uid,
        app,
        client_id,
        platform_session,
        person.names.text()?,
        scope.to_string(),
        now,
        now.plus(family::life_ms(&scope)),
    );
    let first = stmt!(sql::FIRST_TOKEN, sha256_hex(&refresh_token), session_id.as_str(), now, now.plus(family::TOKEN_MS));
    let detail = Some(json!({"client_id": client_id, "scope": scope}));
    let entry =
        Entry { action: "token.exchange", outcome: "ok", actor: Some(uid), target: Some(app), detail, ..Entry::default() };
    call.platform.sql().batch(vec![begin, first, call.audit(entry)]).await?;
    let consented = consent::is_needed(&scope, client).then_some(generation);
    let (family, uid, app) = (session_id.as_str(), &person.uid, &client.app_id);
    let ground = Ground { action: "token.exchange", family, uid, app, platform: person.held, consented };
    if !session::stands(call, ground).await? {
        return Err(invalid_grant("revoked"));
    }
    let minted = mint::tep(
        call,
        Granted {
            uid: &person.uid,
            subject: &person.names,
            app_id: &client.app_id,
            client_id: &client.client_id,
            scope: &scope,
            session_id: &session_id,
            generation,
            delegated: true,
            miniapp_context,
        },
    )
    .await?;
    Ok(Issued { minted, refresh_token, scope, person: person.names, exchanged: true })
}
