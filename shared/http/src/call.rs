//! What a handler is given: the caller, the parts of the request, and the platform.

use crate::address::Address;
use crate::audit;
use crate::body::{self, Form, Members};
use crate::caller::Caller;
use crate::cors::Reader;
use crate::failure::Failure;
use crate::internal::{self, Refused};
use crate::settings::Settings;
use crate::subject::{self, SubjectId};
use crate::trace::Trace;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::HeaderMap;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};
use tmcp_ports::{Clock, Log, OutboundRequest, Platform, Random, Statement};
use tmcp_protocol::Millis;
use tmcp_protocol::appservice::Registration;
use tmcp_protocol::bucket::Admission;
use tmcp_protocol::limits::LimitClass;
use tmcp_protocol::routes::Route;
use tmcp_protocol::token::{DeveloperClaims, PlatformClaims, TepClaims};

/// What is learnt on the way, for the response's headers and the log.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes {
    pub reader: Reader,
    pub admission: Option<Admission>,
    pub names: (Option<String>, Option<String>),
    pub route: Option<&'static str>,
    pub cause: Option<String>,
    pub code: Option<&'static str>,
}

impl Notes {
    /// What went wrong, for the log: the code that the caller was told, and the cause that they were not.
    pub fn reason(&self) -> Option<String> {
        let parts: Vec<&str> = [self.code, self.cause.as_deref()].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(": "))
    }
}

/// [`Notes`], shared along the way of one request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notebook(Arc<Mutex<Notes>>);

impl Notebook {
    pub fn write(&self, note: impl FnOnce(&mut Notes)) {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub fn read<T>(&self, look: impl FnOnce(&Notes) -> T) -> T {
        look(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What was learnt, at the end of the way.
    pub fn take(&self) -> Notes {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One request, authenticated and admitted.
pub struct Call<P: Platform> {
    /// The outside.
    pub platform: P,
    /// Configuration.
    pub settings: Arc<Settings>,
    /// Who calls.
    pub caller: Caller,
    /// The row of the route table.
    pub route: &'static Route,
    /// `X-Request-Id`.
    pub request_id: String,
    /// The place in the trace.
    pub trace: Trace,
    /// Where it came from.
    pub address: Address,
    /// The path as it came, still encoded.
    pub path: String,
    /// The query as it came.
    pub query: String,
    /// The headers that this function reads: see [`Group::reading`](crate::Group::reading).
    pub headers: HeaderMap,
    /// The body, within the route's limit.
    pub body: Bytes,
    pub(crate) notes: Notebook,
}

impl<P: Platform> Call<P> {
    /// Now.
    pub fn now(&self) -> Millis {
        self.platform.clock().now()
    }

    /// 256 random bits in base64url: a secret that nobody guesses.
    pub fn secret(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.platform.random().bytes::<32>())
    }

    /// The claims of the TEP; the route table lets only such callers through.
    pub fn tep(&self) -> Result<&TepClaims, Failure> {
        match &self.caller {
            Caller::Tep(claims) => Ok(claims),
            _ => Err(Failure::internal("a route without a TEP asks for one")),
        }
    }

    /// The claims of the platform token; the route table lets only such callers through.
    pub fn platform_claims(&self) -> Result<&PlatformClaims, Failure> {
        match &self.caller {
            Caller::Platform(claims) => Ok(claims),
            _ => Err(Failure::internal("a route without a platform token asks for one")),
        }
    }

    /// The homeserver that calls; the route table lets only such callers through.
    pub fn homeserver(&self) -> Result<&Registration, Failure> {
        match &self.caller {
            Caller::Homeserver(registration) => Ok(registration),
            _ => Err(Failure::internal("a route without a homeserver asks for one")),
        }
    }

    /// The claims of the developer token; the route table lets only such callers through.
    pub fn developer_claims(&self) -> Result<&DeveloperClaims, Failure> {
        match &self.caller {
            Caller::Developer(claims) => Ok(claims),
            _ => Err(Failure::internal("a route without a developer token asks for one")),
        }
    }

    /// The body as JSON of a shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        body::json(&self.body)
    }

    /// The body as a shallow JSON object.
    pub fn members(&self) -> Result<Members, Failure> {
        Members::parse(&self.body)
    }

    /// The body of a call by another function, which knows its shape: what is wrong is said without its place, in less code.
    pub fn message<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|error| Failure::invalid(error.to_string()))
    }

    /// The body as a form.
    pub fn form(&self) -> Result<Form, Failure> {
        Form::parse(&self.body)
    }

    /// A parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// Where the request was going, query and all: for coming back to it.
    pub fn here(&self) -> String {
        if self.query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, self.query) }
    }

    /// The rest of the path behind `prefix`, percent-decoded once (TMCP part 12, row 57).
    pub fn rest_of_path(&self, prefix: &str) -> Result<String, Failure> {
        let rest = self.path.strip_prefix(prefix).unwrap_or_default();
        percent_decode(rest).ok_or_else(|| Failure::invalid("the path is not percent-encoded UTF-8"))
    }

    /// The part of the path that stands where the route has `{name}`, percent-decoded once.
    pub fn in_path(&self, name: &str) -> Result<String, Failure> {
        let is_named = |part: &str| part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) == Some(name);
        let place = self.route.path.split('/').position(is_named);
        let part = place.and_then(|place| self.path.split('/').nth(place)).unwrap_or_default();
        percent_decode(part).ok_or_else(|| Failure::invalid("the path is not percent-encoded UTF-8"))
    }

    /// Says whose answer it is, for CORS.
    pub fn answer_is_for(&self, reader: Reader) {
        self.notes.write(|notes| notes.reader = reader);
    }

    /// Says whom the request turned out to be about, for the log.
    pub fn is_about(&self, uid: Option<&str>, app: Option<&str>) {
        self.notes.write(|notes| notes.names = (uid.map(str::to_owned), app.map(str::to_owned)));
    }

    /// Tells the log something; never a secret.
    pub fn note(&self, cause: impl Into<String>) {
        self.notes.write(|notes| notes.cause = Some(cause.into()));
    }

    /// Writes a line of its own, once the request's has left; never with a secret in it.
    pub fn log(&self, what: &str) {
        let at = self.now().rfc3339();
        let line = serde_json::json!({"at": at, "level": "error", "request_id": self.request_id, "cause": what});
        self.platform.log().line(&line.to_string());
    }

    /// Draws one request from a bucket that the route table cannot know, and shows its figures in the response's headers.
    pub async fn draw(&self, subject: &SubjectId, class: LimitClass) -> Result<(), Failure> {
        let admission = subject::admit(&self.platform, subject, &self.settings.limits, class).await?;
        let admission = admission.ok_or_else(|| Failure::internal("a draw without a token was revoked"))?;
        self.notes.write(|notes| notes.admission = Some(admission));
        if admission.allowed { Ok(()) } else { Err(Failure::too_many(admission)) }
    }

    /// [`Call::draw`] for a request that issues a token of this subject: gives the token's generation; `None` when `session` was ended.
    pub async fn enter(&self, subject: &SubjectId, class: LimitClass, session: Option<&str>) -> Result<Option<i64>, Failure> {
        let entered = subject::enter(&self.platform, subject, &self.settings.limits, class, session).await?;
        let Some((admission, generation)) = entered else { return Ok(None) };
        self.notes.write(|notes| notes.admission = Some(admission));
        if admission.allowed { Ok(Some(generation)) } else { Err(Failure::too_many(admission)) }
    }

    /// Asks another function.
    pub async fn ask<T: DeserializeOwned>(&self, route: &Route, body: &impl Serialize) -> Result<Result<T, Refused>, Failure> {
        internal::ask(&self.platform, &self.settings.service_keys, &self.trace, &self.request_id, route, body).await
    }

    /// An outbound request in this request's trace.
    pub fn outbound(&self, request: OutboundRequest) -> OutboundRequest {
        request.header("traceparent", self.trace.header())
    }

    /// An audit row of this request.
    pub fn audit(&self, entry: audit::Entry<'_>) -> Statement {
        audit::statement(&self.platform, self.audited(entry))
    }

    /// An audit row of this request, where a condition holds: see [`crate::audit_where`].
    pub fn audit_where(&self, sql: &'static str, entry: audit::Entry<'_>, condition: &[&str]) -> Statement {
        audit::statement_where(&self.platform, sql, self.audited(entry), condition)
    }

    fn audited<'a>(&'a self, entry: audit::Entry<'a>) -> audit::Entry<'a> {
        let address = entry.address.clone().or_else(|| Some(self.address.truncated()));
        audit::Entry { address, request_id: Some(&self.request_id), ..entry }
    }
}

/// Decodes `%XX` once; `None` for broken escapes and for what is not UTF-8.
pub fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|b| char::from(b).to_digit(16));
        let (high, low) = (digit(rest.next())?, digit(rest.next())?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::percent_decode;

    #[test]
    fn decodes_once() {
        assert_eq!(percent_decode("a%2Fb%20c").as_deref(), Some("a/b c"));
        assert_eq!(percent_decode("%252F").as_deref(), Some("%2F"));
        assert_eq!(percent_decode("%C3%A9").as_deref(), Some("é"));
        for bad in ["%", "%2", "%zz", "%ff"] {
            assert_eq!(percent_decode(bad), None, "{bad}");
        }
    }
}
