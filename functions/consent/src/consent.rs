//! GET and POST /oauth2/consent (TMCP 1.4; part 12, row 19): what an app asks for, and the person's answer. Both need the same person:
//! their platform token, their Matrix access token, or their browser session, there with the form's token. The mini-app knows the
//! question's id too, so the id alone is worth nothing here, and neither is a TEP. Nor is a sign-in by OpenID token, which a widget
//! can get without the person knowing.
//!
//! | answer | when |
//! |---|---|
//! | 200 | the question: `miniapp{…}`, `requested_scopes[]`; a page where a browser session asks |
//! | 204 | answered by `{session!, approve!}`; 303 to where the browser was on its way |
//! | 400 `INVALID_REQUEST` | a form of another session, or no answer in it |
//! | 401 `INVALID_TOKEN` | nobody, or not by a token of the person's own |
//! | 403 `INSUFFICIENT_PERMISSIONS` | signed in by OpenID token |
//! | 404 `NOT_FOUND` | no such question to this person, answered already, or over |

use crate::authorize;
use crate::client::{self, Client};
use crate::pages::{self, Wanted};
use crate::questions::{self, Method};
use serde::Deserialize;
use tmcp_http::body::is_form;
use tmcp_http::cors::Reader;
use tmcp_http::people::{self, Person};
use tmcp_http::{Call, Failure, Reply, caller};
use tmcp_pages::{Form, seat};
use tmcp_ports::Platform;
use tmcp_protocol::{ClientId, ErrorCode};

/// The person who asks or answers, by their own token.
async fn holder<P: Platform>(call: &Call<P>) -> Result<Person, Failure> {
    call.answer_is_for(Reader::Host);
    let token = caller::bearer(&call.headers).ok_or_else(|| Failure::token("no token"))?;
    let person = people::of_token(call, token, None).await?.map_err(Failure::token)?;
    call.is_about(Some(person.uid.as_str()), None);
    if !people::is_alive(call, &person).await? {
        return Err(Failure::token("revoked"));
    }
    people::may_decide(person.names.level).map(|()| person)
}

/// The client of a question; one that was disabled since asks for nothing any more.
async fn asking<P: Platform>(call: &Call<P>, id: &ClientId) -> Result<Client, Failure> {
    let client = client::look_up(call, id.as_str()).await?;
    client.ok_or_else(|| Failure::new(ErrorCode::NotFound, "the app that asked is not there any more"))
}

/// GET /oauth2/consent
pub async fn show<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let id = call.parameter("session").unwrap_or_default();
    if caller::bearer(&call.headers).is_none()
        && let Some(browser) = seat::current(&call).await?
    {
        let question = questions::open(&call, &browser.uid, &id).await?;
        let client = asking(&call, &question.client_id).await?;
        return pages::consent(&browser, Wanted::new(&browser, &client, &question.scopes), &id, "", None);
    }
    let person = holder(&call).await?;
    let question = questions::open(&call, &person.uid, &id).await?;
    Reply::json(&questions::described(&asking(&call, &question.client_id).await?, &question.scopes))
}

#[derive(Deserialize)]
struct Answer {
    session: String,
    approve: bool,
}

/// POST /oauth2/consent
pub async fn answer<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    if is_form(&call.headers) {
        return from_page(&call).await;
    }
    let Answer { session, approve } = call.json()?;
    let person = holder(&call).await?;
    questions::answer(&call, &person.uid, &session, approve, Method::Native).await?;
    Ok(Reply::no_content())
}

async fn from_page<P: Platform>(call: &Call<P>) -> Result<Reply, Failure> {
    let form = call.form()?;
    let browser = seat::sender(call, Form::Consent, &form).await?;
    let approve = questions::decision(&form)?.ok_or_else(questions::undecided)?;
    questions::answer(call, &browser.uid, form.require("session")?, approve, Method::Page).await?;
    match form.get("continue") {
        // Where the browser was going when it was asked. The request is checked anew, as if it came now.
        Some(query) if approve => Ok(Reply::see_other(&authorize::again(query))),
        Some(query) => authorize::refused(call, query).await,
        None => pages::done(approve),
    }
}
