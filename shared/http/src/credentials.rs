//! What a client authenticates with (RFC 6749 section 2.3): `client_secret_basic`, `client_secret_post`, or its id alone.

use crate::body::Form;
use crate::call::percent_decode;
use crate::headers::text;
use crate::{Call, Failure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};
use tmcp_ports::Platform;

/// The refusal of a client that did not authenticate; why goes to the log only.
pub fn refused(cause: &'static str) -> Failure {
    Failure::oauth("invalid_client", 401, "the client is unknown or did not authenticate")
        .header(header::WWW_AUTHENTICATE, "Basic realm=\"tmcp\"")
        .because(cause)
}

/// Id and secret of a Basic header: each form-encoded before it was joined (RFC 6749 section 2.3.1).
pub fn basic(headers: &HeaderMap) -> Result<Option<(String, String)>, Failure> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let Some(("Basic" | "basic", encoded)) = text(value).and_then(|value| value.split_once(' ')) else {
        return Err(refused("another scheme than Basic"));
    };
    let pair = STANDARD.decode(encoded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let decode = |part: &str| percent_decode(&part.replace('+', " "));
    pair.as_deref()
        .and_then(|pair| pair.split_once(':'))
        .and_then(|(id, secret)| Some((decode(id)?, decode(secret)?)))
        .map(Some)
        .ok_or_else(|| refused("malformed Basic header"))
}

/// Id and, if it was shown, secret of a request's client: in one way, not in two.
pub fn of<P: Platform>(call: &Call<P>, form: &Form) -> Result<(String, Option<String>), Failure> {
    match basic(&call.headers)? {
        Some((id, secret)) if form.get("client_secret").is_none() && form.get("client_id").is_none_or(|other| other == id) => {
            Ok((id, Some(secret)))
        }
        Some(_) => Err(Failure::oauth("invalid_request", 400, "the client authenticates in two ways at once")),
        None => Ok((form.require("client_id")?.to_owned(), form.get("client_secret").map(str::to_owned))),
    }
}
