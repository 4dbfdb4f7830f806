//! Encryption at rest: AES-256-GCM under a key per person, derived from a master key ring by HKDF-SHA256.
//!
//! Format, master key id, user, app, key and blob id are associated data, each with its length before it: a blob that is moved to
//! another row, or an older blob of the same row, does not decrypt.

use crate::namespace::Namespace;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hkdf::Hkdf;
use serde::Deserialize;
use sha2::Sha256;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use tmcp_http::settings::{InvalidSetting, remembered, require};
use tmcp_ports::{Aead, AeadError, Platform, Random, Sealing};
use tmcp_protocol::Secret;
use tmcp_protocol::storage::StorageKey;
use zeroize::Zeroizing;

/// The first byte of what is stored.
const FORMAT: u8 = 1;
const NONCE_BYTES: usize = 12;
/// What sealing adds to a value: format, nonce and tag.
pub const OVERHEAD: usize = 1 + NONCE_BYTES + 16;
/// Domain of the derived keys.
const LABEL: &[u8] = b"tmcp-edge storage value v1";

/// The master keys: one seals, all open.
pub struct KeyRing {
    current: String,
    keys: BTreeMap<String, Zeroizing<[u8; 32]>>,
    /// Keys that were derived, by master key and person.
    derived: Mutex<HashMap<String, Derived>>,
}

type Derived = Arc<Zeroizing<[u8; 32]>>;

/// Derived keys that a ring remembers; more are forgotten all at once.
const MOST_DERIVED: usize = 1024;

#[derive(Deserialize)]
struct Document {
    current: String,
    keys: BTreeMap<String, Secret>,
}

/// Why a value does not open. Either the data or the configuration was tampered with, or a master key is gone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// No master key of that id is configured.
    #[error("master key `{0}` is not configured")]
    NoKey(String),
    /// The bytes are not of this row, or were changed.
    #[error("a stored value does not decrypt")]
    Corrupt,
    /// Encryption did not work at all.
    #[error("{0}")]
    Cipher(AeadError),
}

impl From<AeadError> for OpenError {
    fn from(error: AeadError) -> Self {
        match error {
            AeadError::Corrupt => Self::Corrupt,
            AeadError::Unavailable(_) => Self::Cipher(error),
        }
    }
}

fn parse(json: &str) -> Result<KeyRing, String> {
    let document: Document =
        serde_json::from_slice(json.as_bytes()).map_err(|_| "must be {\"current\": id, \"keys\": {id: base64}}".to_owned())?;
    let mut keys = BTreeMap::new();
    for (id, text) in document.keys {
        let bytes = STANDARD.decode(text.expose()).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let bytes = bytes.ok_or_else(|| format!("key `{id}` must be base64 of 32 bytes"))?;
        keys.insert(id, Zeroizing::new(bytes));
    }
    if keys.contains_key(&document.current) {
        Ok(KeyRing { current: document.current, keys, derived: Mutex::default() })
    } else {
        Err(format!("there is no key `{}`", document.current))
    }
}

impl KeyRing {
    /// The configured ring.
    pub fn of(platform: &impl Platform) -> Result<Arc<Self>, InvalidSetting> {
        remembered(platform, "storage_keys", |platform| require(platform.config(), "STORAGE_KEYS", parse))
    }

    /// The id of the key that seals.
    pub fn current(&self) -> &str {
        &self.current
    }

    /// The key of one person, derived once as long as this ring is remembered.
    fn derived(&self, id: &str, namespace: &Namespace) -> Result<Derived, OpenError> {
        let master = self.keys.get(id).ok_or_else(|| OpenError::NoKey(id.to_owned()))?;
        let name = format!("{id}:{}", namespace.uid);
        let mut known = self.derived.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = known.get(&name) {
            return Ok(key.clone());
        }
        let mut key = Zeroizing::new([0_u8; 32]);
        Hkdf::<Sha256>::new(None, master.as_slice())
            .expand_multi_info(&[LABEL, namespace.uid.as_str().as_bytes()], key.as_mut_slice())
            .map_err(|_| OpenError::Corrupt)?;
        if known.len() >= MOST_DERIVED {
            known.clear();
        }
        let key = Arc::new(key);
        known.insert(name, key.clone());
        Ok(key)
    }

    /// Seals a value for one row and blob, under the current key.
    pub async fn seal(
        &self,
        platform: &impl Platform,
        namespace: &Namespace,
        key: &StorageKey,
        blob: &str,
        value: &str,
    ) -> Result<Vec<u8>, OpenError> {
        let nonce: [u8; NONCE_BYTES] = platform.random().bytes();
        let associated = associated(&self.current, namespace, key, blob);
        let derived = self.derived(&self.current, namespace)?;
        let sealing = Sealing { key: &derived, nonce: &nonce, associated: &associated };
        let sealed = platform.aead().seal(sealing, value.as_bytes()).await?;
        let mut bytes = Vec::with_capacity(value.len() + OVERHEAD);
        bytes.push(FORMAT);
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&sealed);
        Ok(bytes)
    }

    /// Opens what was sealed for this row and blob under the named key.
    pub async fn open(
        &self,
        platform: &impl Platform,
        key_id: &str,
        namespace: &Namespace,
        key: &StorageKey,
        blob: &str,
        bytes: &[u8],
    ) -> Result<String, OpenError> {
        let (nonce, sealed) =
            bytes.strip_prefix(&[FORMAT]).and_then(<[u8]>::split_first_chunk::<NONCE_BYTES>).ok_or(OpenError::Corrupt)?;
        let associated = associated(key_id, namespace, key, blob);
        let derived = self.derived(key_id, namespace)?;
        let value = platform.aead().open(Sealing { key: &derived, nonce, associated: &associated }, sealed).await?;
        String::from_utf8(value).map_err(|_| OpenError::Corrupt)
    }
}

fn associated(key_id: &str, namespace: &Namespace, key: &StorageKey, blob: &str) -> Vec<u8> {
    let mut bytes = vec![FORMAT];
    for part in [key_id, namespace.uid.as_str(), namespace.app.as_str(), key.as_str(), blob] {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use tmcp_protocol::{AppId, Millis, Uid};
    use tmcp_testkit::TestPlatform;

    fn namespace(app: &str, n: u8) -> Namespace {
        Namespace { uid: Uid::new(Millis(0), [n; 16]), app: AppId::parse(app).unwrap() }
    }

    fn key(text: &str) -> StorageKey {
        StorageKey::parse(text).unwrap()
    }

    #[tokio::test]
    async fn opens_only_where_it_was_sealed() {
        let platform = TestPlatform::new();
        let ring = KeyRing::of(&platform).unwrap();
        let here = namespace("ma_a", 1);
        let sealed = ring.seal(&platform, &here, &key("k"), "blob", "value").await.unwrap();
        assert_eq!(sealed.len(), "value".len() + OVERHEAD);
        assert_eq!(ring.open(&platform, "k1", &here, &key("k"), "blob", &sealed).await.as_deref(), Ok("value"));
        let elsewhere = [
            (namespace("ma_b", 1), key("k"), "blob"),
            (namespace("ma_a", 2), key("k"), "blob"),
            (here.clone(), key("other"), "blob"),
            (here.clone(), key("k"), "older"),
        ];
        for (namespace, key, blob) in elsewhere {
            assert_eq!(ring.open(&platform, "k1", &namespace, &key, blob, &sealed).await, Err(OpenError::Corrupt));
        }
        assert_eq!(ring.open(&platform, "k0", &here, &key("k"), "blob", &sealed).await, Err(OpenError::NoKey("k0".into())));
        let mut changed = sealed.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert_eq!(ring.open(&platform, "k1", &here, &key("k"), "blob", &changed).await, Err(OpenError::Corrupt));
        assert_eq!(ring.open(&platform, "k1", &here, &key("k"), "blob", &[]).await, Err(OpenError::Corrupt));
    }

    #[test]
    fn malformed_rings_are_named_without_their_keys() {
        for (json, problem) in [
            ("{}", "must be"),
            (r#"{"current":"a","keys":{"a":"c2hvcnQ="}}"#, "key `a` must be base64 of 32 bytes"),
            (r#"{"current":"b","keys":{}}"#, "there is no key `b`"),
        ] {
            let error = parse(json).err().unwrap();
            assert!(error.contains(problem) && !error.contains("c2hvcnQ"), "{error}");
        }
    }
}
