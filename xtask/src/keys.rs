//! Development keys: made once for a data folder, kept in its `keys.json` (mode 0600), never tracked by git.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rsa::pkcs1v15::{Signature, SigningKey};
use rsa::pkcs8::{EncodePrivateKey, LineEnding};
use rsa::rand_core::{OsRng, RngCore};
use rsa::signature::Keypair;
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BigUint, RsaPrivateKey};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use x509_cert::builder::{Builder, CertificateBuilder, Profile};
use x509_cert::der::Encode;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::SubjectPublicKeyInfoOwned;
use x509_cert::time::Validity;

use crate::files;

/// Every secret of one development installation.
#[derive(Clone, Serialize, Deserialize)]
pub struct Keys {
    /// Key of the service token: base64 of 32 bytes.
    pub service_key: String,
    /// JWKS with private members; the first key signs.
    pub signing_keys: Value,
    /// JWKS with the public halves of the same keys.
    pub jwks: Value,
    /// Master key ring of storage: `{"current": …, "keys": {id: base64 of 32 bytes}}`.
    pub storage_keys: Value,
    /// Administrator's secret.
    pub admin_token: String,
    /// Key of the audit log's seals: base64 of 32 bytes.
    #[serde(default)]
    pub audit_key: String,
    /// JWKS with private members and certificates, for SAML: the first key signs requests, all open assertions.
    #[serde(default)]
    pub saml_keys: Value,
    /// Operator's secret: migrations, maintenance, seeding.
    pub operator_token: String,
    /// Secret of the demo mini-app's confidential client.
    pub demo_client_secret: String,
    /// Secret of the developers' console.
    #[serde(default)]
    pub console_secret: String,
    /// Shared secret of Synapse's registration endpoint.
    pub matrix_registration_secret: String,
    /// What the Application Service proves itself with to Synapse.
    pub matrix_as_token: String,
    /// What Synapse proves itself with to the Application Service.
    pub matrix_hs_token: String,
    /// Password of the Matrix users alice and bob.
    pub matrix_password: String,
}

impl Keys {
    /// The keys of a data folder; made if there are none yet.
    pub fn of(data: &Path) -> Result<Self> {
        let path = data.join("keys.json");
        if let Some(mut keys) = files::read_json::<Self>(&path)? {
            // A folder of before there were seals, SAML, or developers.
            if keys.audit_key.is_empty() || keys.saml_keys.is_null() || keys.console_secret.is_empty() {
                if keys.audit_key.is_empty() {
                    keys.audit_key = STANDARD.encode(random::<32>());
                }
                if keys.saml_keys.is_null() {
                    keys.saml_keys = certified()?;
                }
                if keys.console_secret.is_empty() {
                    keys.console_secret = token("console");
                }
                files::write_json(&path, &keys)?;
            }
            return Ok(keys);
        }
        let keys = Self::make()?;
        files::write_json(&path, &keys)?;
        Ok(keys)
    }

    /// New keys at random.
    pub fn make() -> Result<Self> {
        let signing = RsaPrivateKey::new(&mut OsRng, 2048).context("cannot make an RSA key")?;
        let (private, public) = jwks(&signing)?;
        Ok(Self {
            service_key: STANDARD.encode(random::<32>()),
            signing_keys: private,
            jwks: public,
            storage_keys: json!({"current": "k1", "keys": {"k1": STANDARD.encode(random::<32>())}}),
            admin_token: token("adm"),
            saml_keys: certified()?,
            audit_key: STANDARD.encode(random::<32>()),
            operator_token: token("ops"),
            demo_client_secret: token("demo"),
            console_secret: token("console"),
            matrix_registration_secret: token("reg"),
            matrix_as_token: token("as"),
            matrix_hs_token: token("hs"),
            matrix_password: token("pw"),
        })
    }
}

/// 24 random bytes as text, with a prefix that says in a listing what it is.
fn token(kind: &str) -> String {
    format!("{kind}_{}", URL_SAFE_NO_PAD.encode(random::<24>()))
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    OsRng.fill_bytes(&mut bytes);
    bytes
}

/// The private and the public JWKS of one key (RFC 7517, RFC 7518 6.3); `kid` is its thumbprint (RFC 7638).
fn jwks(key: &RsaPrivateKey) -> Result<(Value, Value)> {
    let [p, q] = key.primes() else { anyhow::bail!("an RSA key with other than two primes") };
    let (dp, dq) = (key.dp().context("no dp")?, key.dq().context("no dq")?);
    let qi = key.crt_coefficient().context("no qi")?;
    let (n, e) = (number(key.n()), number(key.e()));
    let thumbprint = Sha256::digest(format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#));
    let kid = URL_SAFE_NO_PAD.encode(thumbprint);
    let public = json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": n, "e": e});
    let mut private = public.clone();
    for (name, value) in [("d", key.d()), ("p", p), ("q", q), ("dp", dp), ("dq", dq), ("qi", &qi)] {
        if let Some(members) = private.as_object_mut() {
            members.insert(name.into(), number(value).into());
        }
    }
    Ok((json!({"keys": [private]}), json!({"keys": [public]})))
}

/// A new private JWKS whose key has a certificate with it (`x5c`, RFC 7517 section 4.7): identity providers read the key out of it.
fn certified() -> Result<Value> {
    let (key, certificate) = with_certificate("tmcp-edge")?;
    let (mut ring, _) = jwks(&key)?;
    if let Some(key) = ring.pointer_mut("/keys/0").and_then(Value::as_object_mut) {
        key.insert("x5c".to_owned(), json!([certificate]));
    }
    Ok(ring)
}

/// A new key and a certificate of its own making, for ten years: in PEM, and as base64 of DER.
pub fn pem_with_certificate(name: &str) -> Result<(String, String)> {
    let (key, certificate) = with_certificate(name)?;
    Ok((key.to_pkcs8_pem(LineEnding::LF)?.to_string(), certificate))
}

fn with_certificate(name: &str) -> Result<(RsaPrivateKey, String)> {
    let key = RsaPrivateKey::new(&mut OsRng, 2048).context("cannot make an RSA key")?;
    let signer = SigningKey::<Sha256>::new(key.clone());
    let subject = SubjectPublicKeyInfoOwned::from_key(signer.verifying_key())?;
    let name: Name = format!("CN={name}").parse()?;
    let validity = Validity::from_now(Duration::from_secs(10 * 365 * 24 * 60 * 60))?;
    let serial = SerialNumber::new(&[&[1][..], &random::<15>()].concat())?;
    let builder = CertificateBuilder::new(Profile::Root, serial, validity, name, subject, &signer)?;
    let certificate = builder.build::<Signature>()?.to_der()?;
    Ok((key, STANDARD.encode(certificate)))
}

/// Base64url of the big-endian bytes without leading zeros, as JWK wants it.
fn number(value: &BigUint) -> String {
    URL_SAFE_NO_PAD.encode(value.to_bytes_be())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once_and_the_public_set_has_no_private_member() {
        let data = std::env::temp_dir().join(format!("xtask-keys-{}", std::process::id()));
        let first = Keys::of(&data).unwrap();
        let again = Keys::of(&data).unwrap();
        assert_eq!(first.admin_token, again.admin_token);
        assert_eq!(first.signing_keys, again.signing_keys);
        let public = first.jwks["keys"][0].as_object().unwrap();
        let mut members: Vec<_> = public.keys().map(String::as_str).collect();
        members.sort_unstable();
        assert_eq!(members, ["alg", "e", "kid", "kty", "n", "use"]);
        let private = first.signing_keys["keys"][0].as_object().unwrap();
        for name in ["d", "p", "q", "dp", "dq", "qi"] {
            assert!(private.contains_key(name), "{name}");
        }
        assert_eq!(private["kid"], public["kid"]);
        assert_eq!(STANDARD.decode(&first.service_key).unwrap().len(), 32);
        std::fs::remove_dir_all(data).unwrap();
    }

    #[test]
    fn the_parts_belong_together() {
        let key = RsaPrivateKey::new(&mut OsRng, 1024).unwrap();
        let (private, _) = jwks(&key).unwrap();
        let member = |name: &str| {
            let text = private["keys"][0][name].as_str().unwrap();
            BigUint::from_bytes_be(&URL_SAFE_NO_PAD.decode(text).unwrap())
        };
        let one = BigUint::from(1u8);
        assert_eq!(&member("p") * &member("q"), member("n"));
        assert_eq!(member("d") % (member("p") - &one), member("dp"));
        assert_eq!((member("qi") * member("q")) % member("p"), one);
    }
}
