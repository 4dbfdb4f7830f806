//! The providers of kind `saml`, and our own keys: `SAML_KEYS`, a JSON Web Key Set whose keys have their certificates with them (`x5c`,
//! RFC 7517 section 4.7). The first one signs requests; all of them are in the metadata, and open assertions.

use crate::certificate;
use crate::signature::Key;
use serde::Deserialize;
use std::sync::Arc;
use tmcp_http::settings::{InvalidSetting, remembered};
use tmcp_http::{Call, Failure};
use tmcp_ports::{Config, Platform};
use tmcp_protocol::ErrorCode;
use tmcp_protocol::jwk::{KeySet, PrivateJwk};
use tmcp_protocol::provider::{self, Kind, Saml};

/// One that people sign in with.
pub struct Instance {
    /// Its id in paths.
    pub id: String,
    /// What its identities are unique within.
    pub instance: String,
    /// As it is configured.
    pub saml: Saml,
    /// The keys in its certificates.
    pub keys: Vec<Key>,
}

/// All of them.
pub fn all(platform: &impl Platform) -> Result<Arc<Vec<Arc<Instance>>>, InvalidSetting> {
    remembered(platform, "saml providers", |platform| {
        let Some(json) = platform.config().get("PROVIDERS") else { return Ok(Vec::new()) };
        let wrong = |problem| InvalidSetting { name: "PROVIDERS", problem };
        let mut instances = Vec::new();
        for provider in provider::parse(json.expose()).map_err(wrong)? {
            let instance = provider.instance().unwrap_or_default();
            let (id, Kind::Saml(saml)) = (provider.id, provider.kind) else { continue };
            let keys: Result<Vec<_>, _> = saml.certificates.iter().map(|one| certificate::key(one)).collect();
            let keys = keys.map_err(|problem| wrong(format!("provider `{id}`: certificates: {problem}")))?;
            instances.push(Arc::new(Instance { id, instance, saml: *saml, keys }));
        }
        Ok(instances)
    })
}

/// The one of that id, or 404.
pub fn find<P: Platform>(call: &Call<P>, id: &str) -> Result<Arc<Instance>, Failure> {
    let found = all(&call.platform)?.iter().find(|one| one.id == id).cloned();
    found.ok_or_else(|| Failure::new(ErrorCode::NotFound, "there is no such SAML provider"))
}

/// Our keys.
pub struct Ours {
    /// The first one signs.
    pub keys: Vec<PrivateJwk>,
    /// The certificate of each, as base64 of DER.
    pub certificates: Vec<String>,
}

#[derive(Deserialize)]
struct Certified {
    x5c: Vec<String>,
}

/// Our keys.
pub fn ours(platform: &impl Platform) -> Result<Arc<Ours>, InvalidSetting> {
    remembered(platform, "saml keys", |platform| {
        let wrong = |problem: String| InvalidSetting { name: "SAML_KEYS", problem };
        let json =
            platform.config().get("SAML_KEYS").ok_or_else(|| wrong("not set, though a provider speaks SAML".to_owned()))?;
        let keys = KeySet::parse_private(json.expose()).map_err(|error| wrong(error.to_string()))?.keys;
        let with = |_| wrong("a key without its certificate (x5c)".to_owned());
        let certified: KeySet<Certified> = serde_json::from_slice(json.expose().as_bytes()).map_err(with)?;
        let mut certificates = Vec::new();
        for (key, with) in keys.iter().zip(&certified.keys) {
            let [certificate, ..] = with.x5c.as_slice() else {
                return Err(wrong("a key without its certificate (x5c)".to_owned()));
            };
            let found =
                certificate::key(certificate).map_err(|problem| wrong(format!("key `{}`: x5c: {problem}", key.public.kid)))?;
            let same = matches!(found, Key::Rsa(found) if found.n == key.public.n && found.e == key.public.e);
            if !same {
                return Err(wrong(format!("key `{}`: x5c is the certificate of another key", key.public.kid)));
            }
            certificates.push(certificate::plain(certificate));
        }
        Ok(Ours { keys, certificates })
    })
}

/// What we are called at a provider: the address of our metadata for it. Each knows us by another name, so that what one says of us
/// counts nowhere else.
pub fn entity<P: Platform>(call: &Call<P>, instance: &Instance) -> String {
    format!("{}/saml/metadata/{}", call.settings.issuer, instance.id)
}

/// Where its responses come to.
pub fn consumer<P: Platform>(call: &Call<P>, instance: &Instance) -> String {
    format!("{}/saml/acs/{}", call.settings.issuer, instance.id)
}
