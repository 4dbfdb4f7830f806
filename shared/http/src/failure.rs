//! What a handler answers: a [`Reply`], or a [`Failure`] that the pipeline turns into the route's error form.
//!
//! A failure has two sides: code, message and details are shown to the caller; the cause goes to the log with the request id.

use crate::page;
use crate::settings::InvalidSetting;
use axum_core::body::Body;
use futures_util::TryStreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde_json::Value;
use std::borrow::Cow;
use tmcp_ports::{EntityError, HttpError, KvError, ServiceError, SignerError, SqlError};
use tmcp_protocol::ErrorCode;
use tmcp_protocol::Millis;
use tmcp_protocol::bucket::Admission;
use tmcp_protocol::error::{ErrorBody, ErrorDetail};
use tmcp_protocol::json_text;
use tmcp_protocol::routes::ErrorForm;

/// As many headers as a usual answer has: room for them is made once.
const USUAL: usize = 14;

/// A good answer.
#[derive(Debug)]
pub struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    stream: Option<Body>,
}

impl Reply {
    /// 200 with a JSON body.
    pub fn json(body: &impl Serialize) -> Result<Self, Failure> {
        let body = serde_json::to_vec(body).map_err(|error| Failure::internal(format!("serialising the answer: {error}")))?;
        Ok(Self::of("application/json", body))
    }

    /// 200 with a JSON body that has one long text more: the member `name`.
    pub fn json_with_text(body: &impl Serialize, name: &str, text: &str) -> Result<Self, Failure> {
        let mut reply = Self::json(body)?;
        if !json_text::push_member(&mut reply.body, name, text) {
            return Err(Failure::internal("serialising the answer: not an object with a member"));
        }
        Ok(reply)
    }

    /// 200 with another body.
    pub fn text(content_type: &str, body: String) -> Self {
        Self::of(content_type, body.into_bytes())
    }

    fn of(content_type: &str, body: Vec<u8>) -> Self {
        let headers = HeaderMap::with_capacity(USUAL);
        Self { status: StatusCode::OK, headers, body, stream: None }.header(header::CONTENT_TYPE, content_type)
    }

    /// The same with another status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// 200 with a page.
    pub fn page(html: String) -> Self {
        let reply = Self { status: StatusCode::OK, headers: HeaderMap::new(), body: html.into_bytes(), stream: None };
        page::HEADERS.iter().fold(reply, |reply, (name, value)| reply.header(name.clone(), value))
    }

    /// 303: the browser goes on to `location` with a GET.
    pub fn see_other(location: &str) -> Self {
        let reply = Self { status: StatusCode::SEE_OTHER, headers: HeaderMap::new(), body: Vec::new(), stream: None };
        reply.header(header::LOCATION, location)
    }

    /// 200 with a body that comes piece by piece. Where it breaks off, the reader has half of it: nothing can be said any more.
    pub fn stream<S>(content_type: &str, pieces: S) -> Self
    where
        S: futures_util::Stream<Item = Result<Vec<u8>, Failure>> + Send + 'static,
    {
        let pieces = pieces.map_err(|failure| failure.cause().unwrap_or_default().to_owned());
        let stream = Some(Body::from_stream(pieces));
        let reply = Self { status: StatusCode::OK, headers: HeaderMap::new(), body: Vec::new(), stream };
        reply.header(header::CONTENT_TYPE, content_type)
    }

    /// 204.
    pub fn no_content() -> Self {
        Self { status: StatusCode::NO_CONTENT, headers: HeaderMap::new(), body: Vec::new(), stream: None }
    }

    /// The same with one more header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(self.stream.unwrap_or_else(|| Body::from(self.body)));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// A refusal or a fault.
#[derive(Debug)]
pub struct Failure(Box<Inside>);

#[derive(Debug)]
struct Inside {
    code: ErrorCode,
    message: Cow<'static, str>,
    details: Option<Value>,
    retry_after: Option<u64>,
    oauth: Option<(&'static str, u16)>,
    extra: Option<Value>,
    headers: HeaderMap,
    cause: Option<String>,
}

impl Failure {
    /// A refusal that says why.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inside {
            code,
            message: message.into(),
            details: None,
            retry_after: None,
            oauth: None,
            extra: None,
            headers: HeaderMap::new(),
            cause: None,
        }))
    }

    /// 400 with what is wrong.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InvalidRequest, message)
    }

    /// 500; the cause goes to the log only.
    pub fn internal(cause: impl Into<String>) -> Self {
        Self::new(ErrorCode::InternalError, "an internal error occurred").because(cause)
    }

    /// 503 with `Retry-After`; the cause goes to the log only.
    pub fn unavailable(cause: impl Into<String>) -> Self {
        Self::new(ErrorCode::ServiceUnavailable, "a part of the service does not answer at the moment")
            .retry_after(1)
            .because(cause)
    }

    /// 401 for a token that does not hold; which check failed goes to the log only.
    pub fn token(cause: impl Into<String>) -> Self {
        let failure = Self::new(ErrorCode::InvalidToken, "the access token is missing, expired or not valid").because(cause);
        failure.header(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")
    }

    /// The same for a developer's (TMCP 1.12), whose errors are flat.
    pub fn developer_token(cause: impl Into<String>) -> Self {
        let mut failure = Self::token(cause);
        failure.0.oauth = Some(("invalid_developer_token", 401));
        failure
    }

    /// 403 for a person who is suspended (TMCP 8.1). `told` is a JSON object: why, until when, and where to object.
    pub fn suspended(told: &str) -> Self {
        Self::suspended_as(serde_json::from_slice(told.as_bytes()).unwrap_or_default())
    }

    /// The same, as another function has said it.
    pub fn suspended_as(told: Value) -> Self {
        let mut message = "this account is suspended".to_owned();
        for (name, word) in [("reason", ": "), ("suspended_until", "; until "), ("appeal_url", "; if that is a mistake: ")] {
            if let Some(text) = told.get(name).and_then(Value::as_str) {
                message = [&message, word, text].concat();
            }
        }
        let mut failure = Self::new(ErrorCode::AccountSuspended, message).details(told.clone()).extra(told);
        failure.0.oauth = Some(("account_suspended", 403));
        failure
    }

    /// 403 for a person who asked to be erased. `told` is a JSON object: `erased_at`, RFC 3339.
    pub fn leaving(told: Value) -> Self {
        let at = told.get("erased_at").and_then(Value::as_str).unwrap_or("once its time is over");
        let message = format!("this account is going to be erased ({at}): sign in with `cancel_deletion` to keep it");
        let mut failure = Self::new(ErrorCode::AccountDeletionPending, message).details(told.clone()).extra(told);
        failure.0.oauth = Some(("account_deletion_pending", 403));
        failure
    }

    /// 429 with the figures of the bucket.
    pub fn too_many(admission: Admission) -> Self {
        let details =
            serde_json::json!({"limit": admission.limit, "burst": admission.burst, "retry_after": admission.retry_after});
        Self::new(ErrorCode::RateLimitExceeded, "too many requests; try again later")
            .details(details)
            .retry_after(admission.retry_after)
    }

    /// An error of an OAuth endpoint (RFC 6749 section 5.2), by its own name and status.
    pub fn oauth(name: &'static str, status: u16, description: impl Into<Cow<'static, str>>) -> Self {
        let mut failure = Self::new(ErrorCode::InvalidRequest, description);
        failure.0.oauth = Some((name, status));
        failure
    }

    /// The same with figures for a program.
    #[must_use]
    pub fn details(mut self, details: Value) -> Self {
        self.0.details = Some(details);
        self
    }

    /// The same with more members in an OAuth error body.
    #[must_use]
    pub fn extra(mut self, extra: Value) -> Self {
        self.0.extra = Some(extra);
        self
    }

    /// The same with `Retry-After`.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// The same with a cause for the log.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// The same with one more header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers.insert(name, value);
        }
        self
    }

    /// The code.
    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// What the caller is told.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The cause, for the log.
    pub fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// The name and status that an OAuth endpoint answers with.
    fn oauth_form(&self) -> (&'static str, u16) {
        self.0.oauth.unwrap_or(match self.0.code.status() {
            401 => ("invalid_token", 401),
            429 => ("temporarily_unavailable", 429),
            503 => ("temporarily_unavailable", 503),
            500 => ("server_error", 500),
            status => ("invalid_request", status),
        })
    }

    /// The code that Matrix has for it.
    fn matrix_code(&self) -> &'static str {
        match (self.0.code, self.0.code.status()) {
            (ErrorCode::MethodNotAllowed, _) => "M_UNRECOGNIZED",
            (_, 400) => "M_BAD_JSON",
            (_, 401) => "M_UNAUTHORIZED",
            (_, 403) => "M_FORBIDDEN",
            (_, 404) => "M_NOT_FOUND",
            (_, 413) => "M_TOO_LARGE",
            (_, 415) => "M_NOT_JSON",
            (_, 429) => "M_LIMIT_EXCEEDED",
            _ => "M_UNKNOWN",
        }
    }

    pub(crate) fn into_response(self, form: ErrorForm, request_id: &str, now: Millis) -> Response<Body> {
        let (status, body) = match form {
            ErrorForm::Tmcp => {
                let error = ErrorDetail {
                    code: self.0.code.as_str(),
                    message: &self.0.message,
                    details: self.0.details.as_ref(),
                    retry_after: self.0.retry_after,
                    timestamp: now.rfc3339(),
                    request_id,
                };
                (self.0.code.status(), serde_json::to_vec(&ErrorBody { error }))
            }
            ErrorForm::OAuth => {
                let (name, status) = self.oauth_form();
                let mut body = serde_json::json!({"error": name, "error_description": self.0.message});
                if let (Some(Value::Object(extra)), Some(body)) = (&self.0.extra, body.as_object_mut()) {
                    body.extend(extra.clone());
                }
                (status, serde_json::to_vec(&body))
            }
            ErrorForm::Matrix => {
                let status = self.0.code.status();
                (status, serde_json::to_vec(&serde_json::json!({"errcode": self.matrix_code(), "error": self.0.message})))
            }
            ErrorForm::Page => (self.0.code.status(), Ok(page::problem(&self.0.message, request_id).into_bytes())),
        };
        let mut response = Response::new(Body::from(body.unwrap_or_default()));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        *response.headers_mut() = self.0.headers;
        let headers = response.headers_mut();
        if form == ErrorForm::Page {
            headers.extend(page::HEADERS.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))));
        } else {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(seconds) = self.0.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

macro_rules! unavailable_from {
    ($($error:ty),*) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::unavailable(error.to_string())
            }
        })*
    };
}

unavailable_from!(SqlError, KvError, EntityError, ServiceError, SignerError, HttpError);

impl From<InvalidSetting> for Failure {
    fn from(error: InvalidSetting) -> Self {
        Self::new(ErrorCode::ServiceUnavailable, "the server is not configured completely; its log names the value")
            .retry_after(60)
            .because(error.to_string())
    }
}

impl From<tmcp_protocol::storage::Invalid> for Failure {
    fn from(error: tmcp_protocol::storage::Invalid) -> Self {
        Self::invalid(error.to_string())
    }
}
