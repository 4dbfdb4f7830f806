//! Responses as a provider signs them, and everything that is nearly one.

mod encryption;
mod endpoints;
mod mutations;
mod provider;
mod refusals;

use crate::assertion::{Asserted, Expected};
use crate::response::{self, Answer};
use crate::xml::Flaw;
use provider::{CONSUMER, ENTITY, STATE, US};
use std::sync::OnceLock;
use tmcp_protocol::Millis;
use tmcp_protocol::jwk::{KeySet, PrivateJwk};
use tmcp_protocol::provider::Saml;
use tmcp_testkit::{TestPlatform, private_ring};

/// Noon, and a minute.
const NOW: &str = "2026-11-23T12:01:00Z";

fn configured() -> Saml {
    Saml {
        entity_id: ENTITY.to_owned(),
        sso_url: "https://corp.example/sso".parse().unwrap(),
        certificates: Vec::new(),
        id_attribute: None,
        name_attribute: Some("cn".to_owned()),
        email_attribute: Some("mail".to_owned()),
    }
}

fn our_keys() -> Vec<PrivateJwk> {
    KeySet::parse_private(private_ring()).unwrap().keys
}

/// One for all: nothing is kept there.
fn platform() -> &'static TestPlatform {
    static PLATFORM: OnceLock<TestPlatform> = OnceLock::new();
    PLATFORM.get_or_init(TestPlatform::new)
}

/// What a provider that is configured so makes of a response at a time.
async fn read_at(saml: &Saml, text: &str, now: &str) -> Result<Answer, Flaw> {
    let request = crate::request::id_of(STATE);
    let now = Millis::parse(now).unwrap();
    let expected = Expected { provider: saml, entity: US, consumer: CONSUMER, request: &request, now };
    response::read(platform(), text, &provider::keys(), &our_keys(), &expected).await.unwrap()
}

async fn read(text: &str) -> Result<Answer, Flaw> {
    read_at(&configured(), text, NOW).await
}

fn carol() -> Asserted {
    Asserted {
        id: "_a1".to_owned(),
        external_id: "carol-7".to_owned(),
        display_name: Some("Carol".to_owned()),
        email: Some("carol@corp.example".to_owned()),
        signed_in_at: Millis::parse("2026-11-23T11:59:30Z").unwrap(),
        expires_at: Millis::parse("2026-11-23T12:06:00Z").unwrap(),
    }
}
