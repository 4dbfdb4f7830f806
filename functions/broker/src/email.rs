//! Signing in by a code that is sent to an e-mail address: GET and POST /sign-in/email/{provider}, and what the callback needs.
//!
//! ```text
//!  /sign-in/mail ─303─▶ the page asks for an address ──▶ row: hash of state, address, hash of the code ──▶ mail
//!                             ▲ another one                                                                 │
//!                             └──────── the page asks for the code ◀── typed, or the link in this browser ──┘
//!                                                      │ right: the transaction is finished, as with any provider
//! ```
//!
//! The code counts in the browser that the sign-in began in, for ten minutes, and five tries: what fetches the link on its way (a mail
//! scanner, another device) has no cookie, and uses nothing up. One recipient is sent five codes an hour. Addresses are compared in lower case.
//!
//! The races: of two right answers one finishes the transaction; tries are counted in the statement that reads the row. What if it dies?
//! Before the mail was sent the person asks once more; after it they have a code.

use crate::transaction::{self, LIFE_S};
use crate::{providers, sql};
use askama::Template;
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use tmcp_http::body::Form;
use tmcp_http::subject::SubjectId;
use tmcp_http::{Call, Failure, Reply, same_secret, sha256_hex};
use tmcp_pages::rendered;
use tmcp_ports::{HttpClient, Log, OutboundRequest, Platform, Random, Sql, Trust, stmt};
use tmcp_proof::{Proven, Refusal};
use tmcp_protocol::limits::LimitClass;
use tmcp_protocol::provider::{Kind, Mail, Provider};
use tmcp_protocol::routes::EMAIL_SHOW;
use tmcp_protocol::{ErrorCode, Millis};

const TRIES: i64 = 5;
const DIGITS: u64 = 100_000_000;

#[derive(Template)]
#[template(path = "email.html")]
struct AddressPage<'a> {
    name: &'a str,
    id: &'a str,
    state: &'a str,
    address: &'a str,
    problem: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "email_code.html")]
struct CodePage<'a> {
    id: &'a str,
    state: &'a str,
    address: Option<&'a str>,
    problem: Option<&'a str>,
}

/// Where the page is that asks for the address.
pub fn page_of<P: Platform>(call: &Call<P>, provider: &Provider, state: &str) -> String {
    format!("{}{}{}?state={state}", call.settings.issuer, EMAIL_SHOW.prefix(), provider.id)
}

fn found<P: Platform>(call: &Call<P>) -> Result<(Provider, Mail), Failure> {
    let provider = providers::find(call, &call.rest_of_path(EMAIL_SHOW.prefix())?)?;
    match provider.kind.clone() {
        Kind::Email(mail) => Ok((provider, mail)),
        _ => Err(Failure::new(ErrorCode::NotFound, "there is no such provider to sign in with")),
    }
}

/// GET /sign-in/email/{provider}
pub async fn show<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let (provider, _) = found(&call)?;
    let state = call.parameter("state").unwrap_or_default();
    transaction::is_open(&call, &provider.id, &state).await?;
    rendered(&AddressPage { name: &provider.name, id: &provider.id, state: &state, address: "", problem: None })
}

/// An address as it is compared; none where it is not one that mail can go to.
fn normal(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_lowercase();
    let (local, domain) = text.rsplit_once('@')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte);
    let label =
        |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let is_one = (1..=64).contains(&local.len()) && local.bytes().all(plain) && text.len() <= 254;
    (is_one && domain.contains('.') && domain.split('.').all(label)).then_some(text)
}

/// The mailbox of an address: what stands behind a plus sign is the recipient's own mark.
fn mailbox(address: &str) -> String {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    format!("{}@{domain}", local.split('+').next().unwrap_or(local))
}

fn hash(state: &str, code: &str) -> String {
    sha256_hex(format!("tmcp-mail\n{state}\n{code}"))
}

/// POST /sign-in/email/{provider}
pub async fn send<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let form = call.form()?;
    let (state, typed) = (form.require("state")?, form.get("address").unwrap_or_default());
    let (provider, mail) = found(&call)?;
    transaction::is_open(&call, &provider.id, state).await?;
    let Some(address) = normal(typed) else {
        let problem = Some("This is not an e-mail address that a code can go to.");
        let shown: String = typed.chars().take(254).collect();
        let page = rendered(&AddressPage { name: &provider.name, id: &provider.id, state, address: &shown, problem })?;
        return Ok(page.with_status(StatusCode::BAD_REQUEST));
    };
    // Whoever writes in somebody else's name fills that person's mailbox, or many.
    call.draw(&SubjectId::address(&call.address), LimitClass::MailSource).await?;
    call.draw(&SubjectId::mail(&sha256_hex(mailbox(&address))), LimitClass::Mail).await?;
    let code = format!("{:08}", u64::from_le_bytes(call.platform.random().bytes()) % DIGITS);
    let end = call.now().plus(LIFE_S * 1000);
    let put = stmt!(sql::PUT_EMAIL_CODE, sha256_hex(state), address.as_str(), hash(state, &code), end);
    call.platform.sql().query(put).await?;
    deliver(&call, &provider, &mail, &address, state, &code).await?;
    rendered(&CodePage { id: &provider.id, state, address: Some(&address), problem: None })
}

async fn deliver<P: Platform>(
    call: &Call<P>,
    provider: &Provider,
    mail: &Mail,
    address: &str,
    state: &str,
    code: &str,
) -> Result<(), Failure> {
    let issuer = call.settings.issuer.as_str();
    let link = format!("{}?state={state}&code={code}", crate::upstream::callback(call, provider));
    let text = format!(
        "Your code is {code}\n\nEnter it where you began to sign in to {issuer}, or open this link in the same browser:\n{link}\n\n\
        It is good for ten minutes. If you did not ask for it, somebody else entered your address; without the code nothing happens.\n"
    );
    let Some(endpoint) = &mail.endpoint else {
        // Development: configuration allows it on this machine alone.
        call.platform.log().line(&json!({"level": "info", "mail_to": address, "text": text}).to_string());
        return Ok(());
    };
    let body = json!({"from": mail.from, "to": address, "subject": format!("{code} is your code"), "text": text});
    let mut request = OutboundRequest::get(endpoint.as_str()).header("content-type", "application/json");
    if let Some(token) = &mail.token {
        request = request.header("authorization", format!("Bearer {}", token.expose()));
    }
    request.method = http::Method::POST;
    request.body = Bytes::from(body.to_string());
    let response = call.platform.http().send(Trust::Configured, call.outbound(request)).await?;
    match response.status {
        200..300 => Ok(()),
        status => Err(Failure::unavailable(format!("the mail endpoint answered {status}"))),
    }
}

#[derive(Deserialize)]
struct CodeRow {
    code: String,
    address: String,
}

/// Counts a try; gives the page that asks once more where the code is not right. One that does not come from the browser of the sign-in
/// counts nothing.
pub async fn wrong<P: Platform>(call: &Call<P>, provider: &Provider, answer: &Form) -> Result<Option<Reply>, Failure> {
    let (state, code) = (answer.require("state")?, answer.get("code").unwrap_or_default().trim());
    transaction::is_open(call, &provider.id, state).await?;
    // As strict as a sign-in, since it is one.
    call.draw(&SubjectId::address(&call.address), LimitClass::SignIn).await?;
    let row: Option<CodeRow> =
        call.platform.sql().first(stmt!(sql::TRY_EMAIL_CODE, sha256_hex(state), call.now(), TRIES)).await?;
    let problem = match row {
        Some(row) if same_secret(&row.code, &hash(state, code)) => return Ok(None),
        Some(row) => {
            let refusal = Refusal::Provider("a wrong code from a mail");
            let from = Some(call.address.truncated());
            tmcp_proof::audit(call, (provider.word, Some(&provider.id)), &row.address, &refusal, from).await?;
            "This is not the code."
        }
        None => "There is no code for this sign-in, or it was tried too often: have another one sent.",
    };
    let page = rendered(&CodePage { id: &provider.id, state, address: None, problem: Some(problem) })?;
    Ok(Some(page.with_status(StatusCode::UNAUTHORIZED)))
}

#[derive(Deserialize)]
struct AddressRow {
    address: String,
}

/// Who is proven by a right code, which is used up.
pub async fn prove<P: Platform>(
    call: &Call<P>,
    state: &str,
    code: &str,
    now: Millis,
) -> Result<Result<Proven, Refusal>, Failure> {
    let take = stmt!(sql::TAKE_EMAIL_CODE, sha256_hex(state), hash(state, code.trim()), now);
    let row: Option<AddressRow> = call.platform.sql().first(take).await?;
    let Some(AddressRow { address }) = row else { return Ok(Err(Refusal::Provider("a wrong code from a mail"))) };
    Ok(Ok(Proven {
        instance: "email".to_owned(),
        external_id: address.clone(),
        kind: "email".to_owned(),
        username: address.clone(),
        display_name: None,
        email: Some(address),
        proven_at: now,
    }))
}

#[cfg(test)]
mod tests {
    use super::normal;

    #[test]
    fn what_mail_can_go_to() {
        for (text, expected) in [
            ("carol@example.org", Some("carol@example.org")),
            (" Carol.M+x@Mail.Example.ORG ", Some("carol.m+x@mail.example.org")),
            ("carol@example", None),
            ("carol", None),
            ("@example.org", None),
            ("a b@example.org", None),
            ("a@b@example.org", None),
            ("a@exam ple.org", None),
            ("a@example..org", None),
            ("a\r\nBcc: x@example.org", None),
            ("ä@example.org", None),
            ("\"a\"@example.org", None),
        ] {
            assert_eq!(normal(text).as_deref(), expected, "{text:?}");
        }
        assert_eq!(normal(&format!("{}@example.org", "x".repeat(65))), None);
    }
}
