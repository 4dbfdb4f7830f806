//! An answer of the server, and what every answer has to look like.

use crate::secrets::remember;
use reqwest::{RequestBuilder, header::HeaderMap};
use serde_json::Value;
use std::future::Future;

/// An answer, read whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub text: String,
}

/// Sends a request.
pub trait Ask {
    /// The answer; `Err` where there is none.
    fn try_ask(self) -> impl Future<Output = Result<Answer, reqwest::Error>> + Send;
    /// The answer.
    fn ask(self) -> impl Future<Output = Answer> + Send;
}

impl Ask for RequestBuilder {
    async fn try_ask(self) -> Result<Answer, reqwest::Error> {
        let response = self.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let answer = Answer { status, headers, text: response.text().await? };
        let body: Value = serde_json::from_str(&answer.text).unwrap_or_default();
        for name in ["access_token", "refresh_token", "client_secret"] {
            body.get(name).and_then(Value::as_str).into_iter().for_each(remember);
        }
        Ok(answer)
    }

    async fn ask(self) -> Answer {
        self.try_ask().await.unwrap_or_else(|error| panic!("no answer: {error:?}"))
    }
}

impl Answer {
    /// A header's value; empty where it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body of an answer with that status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text.chars().take(2000).collect::<String>());
        if self.text.is_empty() { Value::Null } else { self.json() }
    }

    /// The body of a 200.
    #[track_caller]
    pub fn ok(&self) -> Value {
        self.expect(200)
    }

    /// The body.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {} {:?}", self.status, self.text))
    }

    /// That it is this error in TMCP's envelope (part 9). Gives its `error` member.
    #[track_caller]
    pub fn is_refused(&self, status: u16, code: &str) -> Value {
        let error = self.expect(status)["error"].clone();
        assert_eq!(error["code"], code, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/json");
        assert!(error["message"].as_str().is_some_and(|text| text.len() > 10), "{}", self.text);
        let timestamp = error["timestamp"].as_str().unwrap_or_default();
        assert!(timestamp.len() >= 20 && timestamp.as_bytes()[10] == b'T' && timestamp.ends_with('Z'), "{}", self.text);
        let id = error["request_id"].as_str().unwrap_or_default();
        assert!(!id.is_empty() && id == self.header("x-request-id"), "request id in {} and {:?}", self.text, self.headers);
        let known = ["code", "message", "details", "retry_after", "timestamp", "request_id"];
        let members = error.as_object().expect("an object");
        assert!(members.keys().all(|name| known.contains(&name.as_str())), "{}", self.text);
        error
    }

    /// That it is this error in the form of RFC 6749 section 5.2. Gives its body.
    #[track_caller]
    pub fn is_oauth_error(&self, status: u16, name: &str) -> Value {
        let body = self.expect(status);
        assert_eq!(body["error"], name, "{}", self.text);
        assert!(body["error_description"].as_str().is_some_and(|text| text.len() > 5), "{}", self.text);
        assert_eq!(self.header("content-type"), "application/json");
        body
    }

    /// Status and body without what differs from request to request.
    #[track_caller]
    pub fn nameless(&self) -> (u16, Value) {
        let mut body = self.json();
        if let Some(error) = body["error"].as_object_mut() {
            error.remove("timestamp");
            error.remove("request_id");
        }
        (self.status, body)
    }
}
