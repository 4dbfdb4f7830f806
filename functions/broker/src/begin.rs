//! GET /sign-in/{provider}?continue=…: sends a browser to a provider; POST /internal/sign-in: the same for account, for somebody who is
//! signed in and links another identity, or proves once more who they are.
//!
//! ```text
//!  page ──▶ /sign-in/kc ──303, state, nonce, challenge──▶ provider: the person signs in there
//!                 │ row: state, browser, where to go on          │
//!                 ▼                                               ▼ code, state, iss
//!           cookie of the browser ─────────────────▶ /sign-in/callback/kc: row gone, code redeemed, id token checked
//!                                                                 │ identity knows the user; account begins the session
//!                                                                 ▼ 303, cookie of the session, to where they were going
//! ```
//!
//! | answer | when |
//! |---|---|
//! | 303 | to the provider; from another site's page, to where the person would go on, which asks them |
//! | 400 | `continue` leads elsewhere than to our pages |
//! | 404 | no such provider |
//! | 503 | the provider does not answer, or is another than configured |

use crate::{providers, transaction, upstream};
use http::header;
use serde::Deserialize;
use serde_json::json;
use tmcp_http::cookie::{self, Cookie};
use tmcp_http::headers::text;
use tmcp_http::page::is_ours;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::Platform;
use tmcp_proof::Whose;
use tmcp_protocol::routes::{ACCOUNT, SIGN_IN};

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let provider = providers::find(&call, &call.rest_of_path(SIGN_IN.prefix())?)?;
    let go_on = call.parameter("continue").unwrap_or_else(|| ACCOUNT.path.to_owned());
    if !is_ours(&go_on) {
        return Err(Failure::invalid("this link leads elsewhere"));
    }
    // Another site's page cannot sign somebody in who did not ask for it: they come to our own page first.
    let site = call.headers.get("sec-fetch-site").and_then(text);
    if !matches!(site, None | Some("same-origin" | "none")) {
        return Ok(Reply::see_other(&go_on));
    }
    let begun = transaction::begin(&call, &provider.id, &go_on, cookie::sent(&call, Cookie::SignIn), None).await?;
    let url = upstream::address(&call, &provider, &begun.state, &begun.proofs).await?;
    Ok(Reply::see_other(url.as_str()).header(header::SET_COOKIE, &begun.cookie))
}

#[derive(Deserialize)]
struct Anew {
    provider: String,
    whose: Whose,
    /// The browser's cookie of sign-ins, if it has one.
    cookie: Option<String>,
}

/// POST /internal/sign-in
pub async fn anew<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let Anew { provider, whose, cookie } = call.message()?;
    let provider = providers::find(&call, &provider)?;
    let begun = transaction::begin(&call, &provider.id, ACCOUNT.path, cookie, Some(whose)).await?;
    let url = upstream::address(&call, &provider, &begun.state, &begun.proofs).await?;
    Reply::json(&json!({"url": url.as_str(), "cookie": begun.cookie}))
}
