//! What an assertion says, and whether it says it of this sign-in, to us, now (SAML core section 2, profiles section 4.1.4.3).

use crate::xml::{self, ASSERTION, Checked, Flaw, holds};
use tmcp_protocol::Millis;
use tmcp_protocol::provider::Saml;
use uppsala::{Document, NodeId};

/// Clocks differ by at most so much.
const SKEW_MS: i64 = 60_000;

const PERSISTENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";
const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";

/// What it has to say.
pub struct Expected<'a> {
    /// Who is to have issued it.
    pub provider: &'a Saml,
    /// What we are called there.
    pub entity: &'a str,
    /// Where responses come to.
    pub consumer: &'a str,
    /// The id of our request.
    pub request: &'a str,
    /// The time.
    pub now: Millis,
}

/// Who is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asserted {
    /// The assertion's id: it counts once.
    pub id: String,
    /// The person there.
    pub external_id: String,
    /// What they are called.
    pub display_name: Option<String>,
    /// Their address.
    pub email: Option<String>,
    /// When they proved who they are.
    pub signed_in_at: Millis,
    /// It is over then, with the skew.
    pub expires_at: Millis,
}

fn moment(document: &Document<'_>, node: NodeId, name: &str) -> Checked<Option<Millis>> {
    let read = |text| Millis::parse(text).ok_or(Flaw("a time that is none"));
    xml::attribute(document, node, name).map(read).transpose()
}

/// Whether now is between `NotBefore` and `NotOnOrAfter`, where they stand; returns the latter.
fn in_time(document: &Document<'_>, node: NodeId, now: Millis) -> Checked<Option<Millis>> {
    let (from, until) = (moment(document, node, "NotBefore")?, moment(document, node, "NotOnOrAfter")?);
    holds(from.is_none_or(|from| from <= now.plus(SKEW_MS)), "it does not hold yet")?;
    holds(until.is_none_or(|until| now < until.plus(SKEW_MS)), "it is over")?;
    Ok(until)
}

/// Whether `Issuer` is the provider. Its format is left out, or says that it is an entity.
pub fn is_issued(document: &Document<'_>, issuer: NodeId, provider: &Saml) -> Checked<()> {
    let format = xml::attribute(document, issuer, "Format");
    let entity = format.is_none_or(|format| format == "urn:oasis:names:tc:SAML:2.0:nameid-format:entity");
    holds(entity && xml::word(document, issuer)? == provider.entity_id, "another issuer")
}

/// Text that stands for one thing: an id with white space around it would look like the one without.
fn exact(text: String) -> Checked<String> {
    let bare = !text.is_empty() && text.trim() == text && !text.chars().any(char::is_control);
    holds(bare, "an id that is empty, or has white space around it")?;
    Ok(text)
}

/// The id of a persistent name. Its qualifiers are part of it; left out, or written out as they are then, they are the same name.
fn persistent(document: &Document<'_>, name: NodeId, expected: &Expected<'_>) -> Checked<String> {
    holds(xml::attribute(document, name, "Format") == Some(PERSISTENT), "a name that is not persistent")?;
    let value = exact(xml::text(document, name)?)?;
    let qualifier = |name_of: &str, usual: &str| {
        let given = xml::attribute(document, name, name_of).unwrap_or_default();
        if given == usual { String::new() } else { given.to_owned() }
    };
    let within = qualifier("NameQualifier", &expected.provider.entity_id);
    let among = qualifier("SPNameQualifier", expected.entity);
    let plain = |text: &str| text.replace('%', "%25").replace('!', "%21");
    Ok(match (within.as_str(), among.as_str()) {
        ("", "") => plain(&value),
        (within, among) => format!("{}!{}!{}", plain(within), plain(among), plain(&value)),
    })
}

/// The values of an attribute, by its name.
fn values(document: &Document<'_>, assertion: NodeId, attribute: &str) -> Checked<Vec<String>> {
    let mut found = Vec::new();
    for statement in xml::all(document, assertion, ASSERTION, "AttributeStatement") {
        for one in xml::all(document, statement, ASSERTION, "Attribute") {
            if xml::attribute(document, one, "Name") == Some(attribute) {
                for value in xml::all(document, one, ASSERTION, "AttributeValue") {
                    found.push(xml::text(document, value)?);
                }
            }
        }
    }
    Ok(found)
}

/// An attribute that has one value.
fn single(document: &Document<'_>, assertion: NodeId, attribute: Option<&str>) -> Checked<Option<String>> {
    let Some(attribute) = attribute else { return Ok(None) };
    match values(document, assertion, attribute)?.as_slice() {
        [one] => {
            let is_plain = |text: &String| (1..=255).contains(&text.len()) && !text.chars().any(char::is_control);
            Ok(Some(one.trim().to_owned()).filter(is_plain))
        }
        _ => Ok(None),
    }
}

/// Until when whoever brings it is who it says: by the longest of its confirmations, since so long could it come again.
fn confirmed(document: &Document<'_>, subject: NodeId, expected: &Expected<'_>) -> Checked<Millis> {
    let mut outcome = Err(Flaw("no confirmation by whoever brings it"));
    for confirmation in xml::all(document, subject, ASSERTION, "SubjectConfirmation") {
        if xml::attribute(document, confirmation, "Method") == Some(BEARER) {
            outcome = match (bearer(document, confirmation, expected), outcome) {
                (Ok(until), Ok(other)) => Ok(until.max(other)),
                (Ok(until), Err(_)) => Ok(until),
                (Err(_), Ok(until)) => Ok(until),
                (Err(flaw), Err(_)) => Err(flaw),
            };
        }
    }
    outcome
}

fn bearer(document: &Document<'_>, confirmation: NodeId, expected: &Expected<'_>) -> Checked<Millis> {
    let data = xml::one(document, confirmation, ASSERTION, "SubjectConfirmationData")?;
    holds(xml::attribute(document, data, "Recipient") == Some(expected.consumer), "another recipient")?;
    holds(xml::attribute(document, data, "InResponseTo") == Some(expected.request), "no answer to our request")?;
    let until = in_time(document, data, expected.now)?;
    until.ok_or(Flaw("a confirmation without an end"))
}

/// Whether it is for us.
fn conditions(document: &Document<'_>, assertion: NodeId, expected: &Expected<'_>) -> Checked<Option<Millis>> {
    let conditions = xml::one(document, assertion, ASSERTION, "Conditions")?;
    let until = in_time(document, conditions, expected.now)?;
    let mut audiences = 0;
    for condition in xml::elements(document, conditions) {
        match xml::name(document, condition) {
            (ASSERTION, "AudienceRestriction") => {
                let mut ours = false;
                for audience in xml::all(document, condition, ASSERTION, "Audience") {
                    ours |= xml::word(document, audience)? == expected.entity;
                }
                holds(ours, "another audience")?;
                audiences += 1;
            }
            // What they ask for, we do anyhow: nothing is used twice, and nothing handed on.
            (ASSERTION, "OneTimeUse" | "ProxyRestriction") => {}
            _ => return Err(Flaw("a condition that is not known")),
        }
    }
    holds(audiences > 0, "no audience")?;
    Ok(until)
}

/// When the person proved who they are.
fn signed_in(document: &Document<'_>, assertion: NodeId, now: Millis) -> Checked<Millis> {
    let mut latest = None;
    for statement in xml::all(document, assertion, ASSERTION, "AuthnStatement") {
        let at = moment(document, statement, "AuthnInstant")?.ok_or(Flaw("a sign-in without a time"))?;
        holds(at <= now.plus(SKEW_MS), "a sign-in that is yet to come")?;
        let over = moment(document, statement, "SessionNotOnOrAfter")?;
        holds(over.is_none_or(|over| now < over.plus(SKEW_MS)), "a session that is over")?;
        latest = latest.max(Some(at));
    }
    latest.ok_or(Flaw("it says nothing of a sign-in"))
}

/// Reads an assertion that was verified: the document is what was signed.
pub fn read(document: &Document<'_>, expected: &Expected<'_>) -> Checked<Asserted> {
    let assertion = xml::root(document, ASSERTION, "Assertion")?;
    holds(xml::attribute(document, assertion, "Version") == Some("2.0"), "another version of SAML")?;
    let id = xml::attribute(document, assertion, "ID").filter(|id| !id.is_empty() && id.len() <= 1024);
    let id = id.ok_or(Flaw("an assertion without an id"))?.to_owned();
    is_issued(document, xml::one(document, assertion, ASSERTION, "Issuer")?, expected.provider)?;
    let issued = moment(document, assertion, "IssueInstant")?.ok_or(Flaw("an assertion without a time"))?;
    holds(issued <= expected.now.plus(SKEW_MS), "an assertion that is yet to come")?;
    let subject = xml::one(document, assertion, ASSERTION, "Subject")?;
    let confirmed = confirmed(document, subject, expected)?;
    let until = conditions(document, assertion, expected)?;
    let signed_in_at = signed_in(document, assertion, expected.now)?;
    let external_id = match &expected.provider.id_attribute {
        None => persistent(document, xml::one(document, subject, ASSERTION, "NameID")?, expected)?,
        Some(attribute) => match values(document, assertion, attribute)?.as_slice() {
            [one] => exact(one.clone())?,
            _ => return Err(Flaw("the configured attribute is missing, or has several values")),
        },
    };
    holds(external_id.len() <= 1024, "an id that is too long")?;
    let name = single(document, assertion, expected.provider.name_attribute.as_deref())?;
    let email = single(document, assertion, expected.provider.email_attribute.as_deref())?.filter(|text| text.contains('@'));
    let expires_at = until.unwrap_or(confirmed).max(confirmed).plus(SKEW_MS);
    Ok(Asserted { id, external_id, display_name: name, email, signed_in_at, expires_at })
}
