//! Requests to servers on this machine.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// An answer: status, and the body as JSON, or as a string where it is none.
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: Value,
}

impl Answer {
    /// The body of a success; else an error that says what was asked and what came.
    pub fn success(self, what: &str) -> Result<Value> {
        match self.status {
            200..300 => Ok(self.body),
            status => bail!("{what} answered {status}: {}", self.body),
        }
    }
}

/// GET.
pub fn get(url: &str) -> Result<Answer> {
    answer(agent().get(url).call(), url)
}

/// GET with a token.
pub fn get_as(url: &str, token: &str) -> Result<Answer> {
    answer(agent().get(url).header("authorization", format!("Bearer {token}")).call(), url)
}

/// POST of a JSON body.
pub fn post(url: &str, token: Option<&str>, body: &Value) -> Result<Answer> {
    let request = authorized(agent().post(url), token).header("content-type", "application/json");
    answer(request.send(body.to_string()), url)
}

/// POST of a form.
pub fn post_form(url: &str, form: &[(&str, &str)]) -> Result<Answer> {
    answer(agent().post(url).send_form(form.iter().copied()), url)
}

/// POST without a body.
pub fn post_empty(url: &str, token: &str) -> Result<Answer> {
    answer(authorized(agent().post(url), Some(token)).send_empty(), url)
}

fn authorized<B>(request: ureq::RequestBuilder<B>, token: Option<&str>) -> ureq::RequestBuilder<B> {
    match token {
        Some(token) => request.header("authorization", format!("Bearer {token}")),
        None => request,
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(30)))
        .http_status_as_error(false)
        .proxy(None)
        .build()
        .into()
}

fn answer(response: Result<ureq::http::Response<ureq::Body>, ureq::Error>, url: &str) -> Result<Answer> {
    let mut response = response.with_context(|| format!("no answer from {url}"))?;
    let text = response.body_mut().read_to_string().with_context(|| format!("half an answer from {url}"))?;
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok(Answer { status: response.status().as_u16(), body })
}

/// Whether nothing listens on this port of 127.0.0.1.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// A port of 127.0.0.1 on which nothing listens now.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}
