//! A response from beginning to end: what is signed is verified, then read from the bytes that were verified.
//!
//! ```text
//!  text ──parse──▶ Response ──signed?──▶ its canonical bytes, parsed ──▶ one Assertion, or an EncryptedAssertion that is decrypted
//!                     └──not──────────▶ as it stands: nothing of it is believed beside what it refuses
//!  Assertion ──signed?──▶ its canonical bytes, parsed ──▶ assertion.rs
//!      └──not, within a signed response──▶ as it stood there, alone
//!      └──not, and not within one──▶ refused
//! ```

use crate::assertion::{self, Asserted, Expected};
use crate::encrypted::{self, Found, Sealed};
use crate::signature::{self, Key, Signature};
use crate::xml::{self, ASSERTION, Checked, Flaw, PROTOCOL, holds};
use tmcp_http::Failure;
use tmcp_ports::Platform;
use tmcp_protocol::jwk::PrivateJwk;
use uppsala::{Document, NodeId};

const SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";
const DENIED: &str = "urn:oasis:names:tc:SAML:2.0:status:RequestDenied";

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// This person signed in.
    Person(Asserted),
    /// They did not want to.
    Denied,
}

/// The status: `None` where it worked.
fn status(document: &Document<'_>, response: NodeId) -> Checked<Option<Answer>> {
    let status = xml::one(document, response, PROTOCOL, "Status")?;
    let code = xml::one(document, status, PROTOCOL, "StatusCode")?;
    if xml::attribute(document, code, "Value") == Some(SUCCESS) {
        return Ok(None);
    }
    let why = xml::at_most_one(document, code, PROTOCOL, "StatusCode")?;
    match why.and_then(|why| xml::attribute(document, why, "Value")) {
        Some(DENIED) => Ok(Some(Answer::Denied)),
        _ => Err(Flaw("the provider says that it did not work")),
    }
}

/// The envelope. Only a response that is signed has to name where it goes (bindings section 3.5.5.2); one that does, means us.
fn envelope(document: &Document<'_>, signed: bool, expected: &Expected<'_>) -> Checked<(NodeId, Option<Answer>)> {
    let response = xml::root(document, PROTOCOL, "Response")?;
    holds(xml::attribute(document, response, "Version") == Some("2.0"), "another version of SAML")?;
    let destination = xml::attribute(document, response, "Destination");
    holds(destination == Some(expected.consumer) || (destination.is_none() && !signed), "another destination")?;
    holds(xml::attribute(document, response, "InResponseTo") == Some(expected.request), "no answer to our request")?;
    if let Some(issuer) = xml::at_most_one(document, response, ASSERTION, "Issuer")? {
        assertion::is_issued(document, issuer, expected.provider)?;
    }
    Ok((response, status(document, response)?))
}

/// What stands in the way of reading an assertion.
enum Next {
    /// Whose signature this is: what it is over is the assertion.
    Verify(Signature),
    /// It has to be opened.
    Open(Sealed),
    /// Nothing: this is the assertion.
    Read(String),
    /// There is none.
    Answer(Answer),
}

/// The signature in a document's element, which has to be this one.
fn signature_of(text: &str, namespace: &str, name: &str) -> Checked<Option<Signature>> {
    let document = xml::parse(text)?;
    signature::of(&document, xml::root(&document, namespace, name)?)
}

fn verify(found: Option<Signature>) -> Checked<Next> {
    found.map(Next::Verify).ok_or(Flaw("nothing is signed"))
}

/// Finds the assertion. Within a response that was verified it needs no signature of its own, since the one around it is of the same
/// keys, and over it: it is not looked at.
fn next(response: &str, signed: bool, expected: &Expected<'_>) -> Checked<Next> {
    let document = xml::parse(response)?;
    let (element, answer) = envelope(&document, signed, expected)?;
    if let Some(answer) = answer {
        return Ok(Next::Answer(answer));
    }
    match encrypted::find(&document, element)? {
        Found::Plain(assertion) if signed => signature::alone(&document, assertion).map(Next::Read),
        Found::Plain(assertion) => signature::of(&document, assertion).and_then(verify),
        Found::Encrypted(sealed) => encrypted::read(&document, sealed).map(Next::Open),
    }
}

/// Whom a response proves. `certified` are the provider's keys, `ours` those that assertions are encrypted for.
pub async fn read<P: Platform>(
    platform: &P,
    response: &str,
    certified: &[Key],
    ours: &[PrivateJwk],
    expected: &Expected<'_>,
) -> Result<Checked<Answer>, Failure> {
    let verified = match signature_of(response, PROTOCOL, "Response") {
        Ok(Some(signature)) => match signature.content(platform, certified).await? {
            Ok(content) => Some(content),
            Err(flaw) => return Ok(Err(flaw)),
        },
        Ok(None) => None,
        Err(flaw) => return Ok(Err(flaw)),
    };
    let signed = verified.is_some();
    let mut step = next(verified.as_deref().unwrap_or(response), signed, expected);
    if let Ok(Next::Open(sealed)) = step {
        step = match sealed.open(platform, ours).await? {
            Ok(text) if signed => Ok(Next::Read(text)),
            Ok(text) => signature_of(&text, ASSERTION, "Assertion").and_then(verify),
            Err(flaw) => Err(flaw),
        };
    }
    let assertion = match step {
        Ok(Next::Answer(answer)) => return Ok(Ok(answer)),
        Ok(Next::Read(text)) => Ok(text),
        Ok(Next::Verify(signature)) => signature.content(platform, certified).await?,
        Ok(Next::Open(_)) => Err(Flaw("an assertion that is encrypted twice")),
        Err(flaw) => Err(flaw),
    };
    let person = |text: String| xml::parse(&text).and_then(|document| assertion::read(&document, expected));
    Ok(assertion.and_then(person).map(Answer::Person))
}
