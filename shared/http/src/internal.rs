//! Calls between functions. A function never links another's code: it asks its `/internal/` interface, with a service token.
//!
//! The token is an HMAC-SHA256 under a key of its own over method, path, digest of the body and time; it holds for a minute.

use crate::failure::Failure;
use crate::trace::Trace;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use tmcp_ports::{Clock, OutboundRequest, OutboundResponse, Platform, Services};
use tmcp_protocol::routes::Route;
use tmcp_protocol::service::ServiceKeys;
use tmcp_protocol::{ErrorCode, Millis};

/// The header that carries the token.
pub const HEADER: &str = "x-tmcp-service";
/// How long a token holds, and how far clocks may be apart.
const VALID_MS: i64 = 60_000;

fn mac(key: &[u8], method: &str, path: &str, body: &[u8], at: i64) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    for part in [method.as_bytes(), path.as_bytes(), &Sha256::digest(body), at.to_string().as_bytes()] {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    Some(mac)
}

/// A token for one call.
pub fn sign(keys: &ServiceKeys, method: &str, path: &str, body: &[u8], now: Millis) -> Option<String> {
    let tag = mac(keys.all().next()?, method, path, body, now.0)?.finalize().into_bytes();
    Some(format!("{}.{}", now.0, URL_SAFE_NO_PAD.encode(tag)))
}

/// Whether `token` was made for this call within the last minute.
pub fn holds(keys: &ServiceKeys, token: &str, method: &str, path: &str, body: &[u8], now: Millis) -> bool {
    let Some((at, tag)) = token.split_once('.') else { return false };
    let (Ok(at), Ok(tag)) = (at.parse::<i64>(), URL_SAFE_NO_PAD.decode(tag)) else { return false };
    now.0.abs_diff(at) <= VALID_MS.unsigned_abs()
        && keys.all().any(|key| mac(key, method, path, body, at).is_some_and(|mac| mac.verify_slice(&tag).is_ok()))
}

/// So long another function has, and so large its answer may be.
const TIMEOUT_MS: u32 = 30_000;
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// Sends a signed request. Beside [`ask`], which is compiled for each type of an answer, so that this is not.
async fn send<P: Platform>(
    platform: &P,
    keys: &ServiceKeys,
    trace: &Trace,
    request_id: &str,
    route: &Route,
    body: Vec<u8>,
) -> Result<OutboundResponse, Failure> {
    let method = route.method.as_str();
    let token = sign(keys, method, route.path, &body, platform.clock().now()).ok_or_else(|| Failure::internal("service key"))?;
    let headers = [
        (HEADER, token.as_str()),
        ("content-type", "application/json"),
        ("traceparent", &trace.header()),
        ("x-request-id", request_id),
    ];
    let request = OutboundRequest {
        method: method.parse().map_err(|_| Failure::internal("a method of no route"))?,
        url: ["http://", route.function.as_str(), ".spin.internal", route.path].concat(),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        body: body.into(),
        timeout_ms: TIMEOUT_MS,
        max_bytes: MAX_BYTES,
    };
    Ok(platform.services().send(route.function, request).await?)
}

/// Asks another function. Its good answer is decoded, its refusal comes back as [`Refused`].
pub async fn ask<P: Platform, T: DeserializeOwned>(
    platform: &P,
    keys: &ServiceKeys,
    trace: &Trace,
    request_id: &str,
    route: &Route,
    body: &impl Serialize,
) -> Result<Result<T, Refused>, Failure> {
    let body = serde_json::to_vec(body).map_err(|error| Failure::internal(error.to_string()))?;
    let OutboundResponse { status, body } = send(platform, keys, trace, request_id, route, body).await?;
    if !(200..300).contains(&status) {
        return Ok(Err(Refused::read(status, &body)));
    }
    let body = if body.is_empty() { &b"null"[..] } else { &body };
    let answer = serde_json::from_slice(body).map_err(|error| Failure::internal(format!("{}: {error}", route.path)))?;
    Ok(Ok(answer))
}

/// Another function's refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its status.
    pub status: u16,
    /// Its error code; empty where it gave none.
    pub code: String,
    /// Its message.
    pub message: String,
    /// Its figures and names; null where it gave none.
    pub details: serde_json::Value,
}

impl Refused {
    fn read(status: u16, body: &[u8]) -> Self {
        let error = serde_json::from_slice::<serde_json::Value>(body).unwrap_or_default();
        let member =
            |name: &str| error.pointer(&format!("/error/{name}")).and_then(|text| text.as_str()).unwrap_or_default().to_owned();
        let details = error.pointer("/error/details").cloned().unwrap_or_default();
        Self { status, code: member("code"), message: member("message"), details }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        // Whoever asked, the person is told.
        if refused.code == ErrorCode::AccountSuspended.as_str() {
            return Failure::suspended_as(refused.details);
        }
        if refused.code == ErrorCode::AccountDeletionPending.as_str() {
            return Failure::leaving(refused.details);
        }
        Failure::unavailable(format!("another function answered {} {}", refused.status, refused.code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;

    fn keys(bytes: &[u8]) -> ServiceKeys {
        let texts: Vec<String> = bytes.iter().map(|byte| STANDARD.encode([*byte; 32])).collect();
        ServiceKeys::parse(&texts.join(",")).unwrap()
    }

    #[test]
    fn a_key_is_replaced_without_a_refusal_in_between() {
        let now = Millis(1_800_000_000_000);
        let steps = [keys(&[1]), keys(&[1, 2]), keys(&[2, 1]), keys(&[2])];
        let understood = |from: &ServiceKeys, to: &ServiceKeys| {
            let token = sign(from, "POST", "/internal/erase", b"{}", now).unwrap();
            holds(to, &token, "POST", "/internal/erase", b"{}", now)
        };
        for pair in steps.windows(2) {
            assert!(understood(&pair[0], &pair[1]) && understood(&pair[1], &pair[0]));
        }
        assert!(!understood(&steps[0], &steps[3]) && !understood(&steps[3], &steps[0]));
    }

    #[test]
    fn a_token_holds_for_one_call_and_one_minute() {
        let (key, other) = (keys(&[7]), keys(&[8]));
        let now = Millis(1_800_000_000_000);
        let token = sign(&key, "POST", "/internal/erase", b"{}", now).unwrap();
        let holds_for = |key, method, path, body, now| holds(key, &token, method, path, body, now);
        assert!(holds_for(&key, "POST", "/internal/erase", b"{}", now.plus(60_000)));
        assert!(holds_for(&key, "POST", "/internal/erase", b"{}", now.plus(-60_000)));
        assert!(!holds_for(&key, "POST", "/internal/erase", b"{}", now.plus(60_001)));
        assert!(!holds_for(&other, "POST", "/internal/erase", b"{}", now));
        assert!(!holds_for(&key, "PUT", "/internal/erase", b"{}", now));
        assert!(!holds_for(&key, "POST", "/internal/keys", b"{}", now));
        assert!(!holds_for(&key, "POST", "/internal/erase", b"{ }", now));
        for bad in ["", ".", "x.y", "1800000000000.", "1800000000000.AAAA"] {
            assert!(!holds(&key, bad, "POST", "/internal/erase", b"{}", now), "{bad}");
        }
    }
}
