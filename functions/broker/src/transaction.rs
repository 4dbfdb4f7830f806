//! A sign-in that is under way at a provider. `state` travels through the provider and back; it counts once, within ten minutes, and
//! from the browser that it began in alone. What the provider and we have to prove to each other, `nonce` and PKCE's verifier, is made
//! from the browser's cookie and `state`, so that no row tells it.
//!
//! The race: of two answers with one `state` one finds the row. What if it dies? The person begins again: nothing was promised.

use crate::sql;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tmcp_http::cookie::{self, Cookie};
use tmcp_http::{Call, Failure, sha256_hex};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_proof::Whose;
use tmcp_protocol::Millis;

/// So long may a person take at the provider.
pub const LIFE_S: i64 = 600;

/// What both sides of a transaction know.
pub struct Proofs {
    /// For the id token (OpenID Connect Core section 3.1.2.1).
    pub nonce: String,
    /// PKCE's verifier (RFC 7636): 43 characters.
    pub verifier: String,
    /// Since when the person must have signed in there; whenever, where it is none.
    pub since: Option<Millis>,
}

/// One that came back.
pub struct Finished {
    /// Where the browser goes on to.
    pub go_on: String,
    /// Whom it is for; whoever comes, where it is none.
    pub whose: Option<Whose>,
    /// What was agreed with the provider.
    pub proofs: Proofs,
}

/// One that begins.
pub struct Begun {
    /// For the authorization request.
    pub state: String,
    /// For the request and its answer.
    pub proofs: Proofs,
    /// The `Set-Cookie` that ties it to the browser.
    pub cookie: String,
}

fn digest(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(text))
}

/// PKCE's challenge of a verifier.
pub fn challenge(verifier: &str) -> String {
    digest(verifier)
}

fn proofs(browser: &str, state: &str, since: Option<Millis>) -> Proofs {
    let of = |purpose: &str| digest(&format!("tmcp-sign-in\n{purpose}\n{browser}\n{state}"));
    Proofs { nonce: of("nonce"), verifier: of("verifier"), since }
}

/// Begins one that leads back to `go_on`. `cookie` is what the browser has from one before.
pub async fn begin<P: Platform>(
    call: &Call<P>,
    provider: &str,
    go_on: &str,
    cookie: Option<String>,
    whose: Option<Whose>,
) -> Result<Begun, Failure> {
    // Two tabs may sign in at once: a browser keeps its cookie.
    let browser = cookie.filter(|secret| secret.len() == 43).unwrap_or_else(|| call.secret());
    let (state, now) = (call.secret(), call.now());
    let since = whose.is_some().then_some(now);
    let (uid, session) = whose.map(|whose| (whose.uid, whose.session)).unzip();
    let session = session.flatten();
    let (hash, end) = (sha256_hex(&state), now.plus(LIFE_S * 1000));
    let put = stmt!(sql::BEGIN_SIGN_IN, hash, sha256_hex(&browser), provider, go_on, end, uid, session);
    call.platform.sql().query(put).await?;
    let cookie = Cookie::SignIn.set(&call.settings.issuer, &browser, LIFE_S);
    Ok(Begun { proofs: proofs(&browser, &state, since), state, cookie })
}

/// Whether the one of `state` is open in this browser; refuses it otherwise.
pub async fn is_open<P: Platform>(call: &Call<P>, provider: &str, state: &str) -> Result<(), Failure> {
    let browser = cookie::sent(call, Cookie::SignIn).unwrap_or_default();
    let open = stmt!(sql::OPEN_SIGN_IN, sha256_hex(state), sha256_hex(&browser), provider, call.now());
    match call.platform.sql().query(open).await?.is_empty() {
        true => Err(over()),
        false => Ok(()),
    }
}

fn over() -> Failure {
    Failure::invalid("this sign-in is over, or began in another browser: go back to where you came from, and sign in once more")
}

#[derive(Deserialize)]
struct SignInRow {
    go_on: String,
    uid: Option<String>,
    session: Option<String>,
    expires_at: Millis,
}

/// Finishes the one of `state`, once.
pub async fn finish<P: Platform>(call: &Call<P>, provider: &str, state: &str) -> Result<Finished, Failure> {
    let browser = cookie::sent(call, Cookie::SignIn).unwrap_or_default();
    let end = stmt!(sql::END_SIGN_IN, sha256_hex(state), sha256_hex(&browser), provider, call.now());
    let row: Option<SignInRow> = call.platform.sql().first(end).await?;
    let SignInRow { go_on, uid, session, expires_at } = row.ok_or_else(over)?;
    let whose = uid.map(|uid| Whose { uid, session });
    let since = whose.is_some().then_some(expires_at.plus(-LIFE_S * 1000));
    Ok(Finished { go_on, whose, proofs: proofs(&browser, state, since) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_proven_is_of_one_browser_one_sign_in_and_one_purpose() {
        let first = proofs("b", "s", None);
        assert_eq!(first.verifier.len(), 43);
        assert_ne!(first.nonce, first.verifier);
        assert_ne!(first.nonce, proofs("b", "t", None).nonce);
        assert_ne!(first.nonce, proofs("c", "s", None).nonce);
    }
}
