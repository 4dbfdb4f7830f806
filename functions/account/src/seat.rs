//! POST /internal/browser, for functions with pages: who sits at the browser, or the page by which they sign in and come back.

use crate::{browser, sign_in};
use serde::Deserialize;
use serde_json::json;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::Platform;

#[derive(Deserialize)]
struct Question {
    /// The hash of the cookie's secret, if the browser sent one.
    hash: Option<String>,
    /// Where they come back to; none where no page is wanted.
    here: Option<String>,
    /// The app that sent them, as the page calls it.
    app: Option<String>,
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let Question { hash, here, app } = call.message()?;
    let session = match hash {
        Some(hash) => browser::find(&call, &hash).await?,
        None => None,
    };
    let page = match (&session, here) {
        (None, Some(here)) => Some(sign_in::page(&call, app.as_deref(), &here).await?),
        _ => None,
    };
    Reply::json(&json!({"session": session, "page": page}))
}
