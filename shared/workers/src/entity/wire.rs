//! The way of a command to its object and back. A small command travels in the URL and a small reply in a header: a body is a stream,
//! and reading it costs as much again as the call. Requests and responses are the platform's own types, made once.

use crate::bindings::binding;
use crate::glue;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use web_sys::{Request, Response};
use worker::Env;
use worker::wasm_bindgen::JsValue;
use worker::wasm_bindgen_futures::JsFuture;

/// Where an object is asked; a small command is the rest of the path, in base64.
const URL: &str = "https://entity/";
/// Up to so many bytes a command travels in the URL and a reply in a header.
const SMALL: usize = 2048;

/// What travels to the object.
#[derive(Serialize, Deserialize)]
pub struct Question<C> {
    pub id: String,
    pub command: C,
}

/// Asks the object: the text of its answer.
pub async fn ask(env: &Env, kind: &str, id: &str, body: &str) -> worker::Result<String> {
    let namespace: JsValue = binding(env, &kind.to_ascii_uppercase())?;
    let reply = if body.len() <= SMALL {
        glue::ask(&namespace, id, &format!("{URL}{}", URL_SAFE_NO_PAD.encode(body)), None).await?
    } else {
        glue::ask(&namespace, id, URL, Some(body)).await?
    };
    Ok(reply.as_string().unwrap_or_default())
}

/// The question of a request: in its URL, or in its body.
pub async fn question<C: DeserializeOwned>(request: Request) -> worker::Result<Question<C>> {
    let url = request.url();
    let body = match url.strip_prefix(URL).unwrap_or_default() {
        "" => JsFuture::from(request.text()?).await?.as_string().unwrap_or_default().into_bytes(),
        encoded => URL_SAFE_NO_PAD.decode(encoded).map_err(|error| worker::Error::RustError(error.to_string()))?,
    };
    Ok(serde_json::from_slice(&body)?)
}

/// A reply: in a header, or in the body.
pub fn answer(reply: &impl Serialize) -> worker::Result<Response> {
    let text = serde_json::to_string(reply)?;
    if text.len() > SMALL || !text.is_ascii() {
        return Ok(Response::new_with_opt_str(Some(&text))?);
    }
    Ok(glue::reply(&text)?)
}
