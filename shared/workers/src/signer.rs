//! `Signer`: WebCrypto. Pure Rust takes 11 to 14 ms for a signature in wasm, WebCrypto about one.

use crate::settled;
use std::cell::RefCell;
use tmcp_ports::{Hash, OaepHash, Signer, SignerError};
use tmcp_protocol::jwk::{EcPublicJwk, PrivateJwk, PublicJwk};
use web_sys::{CryptoKey, SubtleCrypto, WorkerGlobalScope};
use worker::js_sys::{self, Array, Object, Reflect, Uint8Array};
use worker::send::SendFuture;
use worker::wasm_bindgen::{JsCast, JsValue};

/// WebCrypto.
pub struct WebCryptoSigner;

const ALGORITHM: &str = "RSASSA-PKCS1-v1_5";
const OAEP: &str = "RSA-OAEP";

thread_local! {
    /// Keys that were imported: a few.
    static KEYS: RefCell<Vec<Imported>> = const { RefCell::new(Vec::new()) };
}

/// An imported key, and what it is known by: its name is not enough, since a provider may call its key what we call ours.
struct Imported {
    usage: &'static str,
    algorithm: &'static str,
    public: PublicJwk,
    key: CryptoKey,
}

fn failed(what: &str) -> impl Fn(JsValue) -> SignerError + '_ {
    move |_| SignerError(format!("WebCrypto: {what}"))
}

/// What WebCrypto is reached by.
pub(crate) fn subtle() -> Result<SubtleCrypto, JsValue> {
    let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
    scope.crypto().map(|crypto| crypto.subtle())
}

fn webcrypto() -> Result<SubtleCrypto, SignerError> {
    subtle().map_err(failed("not there"))
}

fn object(members: &[(&str, &str)]) -> Result<Object, SignerError> {
    let object = Object::new();
    for (name, value) in members {
        Reflect::set(&object, &JsValue::from_str(name), &JsValue::from_str(value)).map_err(failed("object"))?;
    }
    Ok(object)
}

/// A key of a provider's, which is not remembered: people sign in rarely.
async fn import_es256(key: &EcPublicJwk) -> Result<CryptoKey, SignerError> {
    let jwk = object(&[("kty", "EC"), ("crv", "P-256"), ("x", key.x.as_str()), ("y", key.y.as_str())])?;
    let algorithm = object(&[("name", "ECDSA"), ("namedCurve", "P-256")])?;
    let usages = Array::of1(&JsValue::from_str("verify"));
    let promise = webcrypto()?.import_key_with_object("jwk", &jwk, &algorithm, false, &usages).map_err(failed("importKey"))?;
    Ok(settled::of(&promise).await.map_err(failed("importKey"))?.unchecked_into())
}

/// What WebCrypto and JSON Web Keys call a hash.
fn names(hash: Hash) -> (&'static str, &'static str) {
    match hash {
        Hash::Sha256 => ("SHA-256", "RS256"),
        Hash::Sha384 => ("SHA-384", "RS384"),
        Hash::Sha512 => ("SHA-512", "RS512"),
    }
}

/// A key of ours to open with; not remembered, like those of providers.
async fn import_oaep(hash: &str, key: &PrivateJwk) -> Result<CryptoKey, SignerError> {
    let mut members = vec![("kty", "RSA"), ("n", key.public.n.as_str()), ("e", key.public.e.as_str())];
    members.extend(private_members(key));
    let algorithm = object(&[("name", OAEP), ("hash", hash)])?;
    let usages = Array::of1(&JsValue::from_str("decrypt"));
    let promise = webcrypto()?
        .import_key_with_object("jwk", &object(&members)?, &algorithm, false, &usages)
        .map_err(failed("importKey"))?;
    Ok(settled::of(&promise).await.map_err(failed("importKey"))?.unchecked_into())
}

fn private_members(key: &PrivateJwk) -> [(&'static str, &str); 6] {
    let (d, p, q) = (("d", key.d.expose()), ("p", key.p.expose()), ("q", key.q.expose()));
    [d, p, q, ("dp", key.dp.expose()), ("dq", key.dq.expose()), ("qi", key.qi.expose())]
}

async fn import(hash: Hash, public: &PublicJwk, private: Option<&PrivateJwk>) -> Result<CryptoKey, SignerError> {
    let (hash, alg) = names(hash);
    let usage = if private.is_some() { "sign" } else { "verify" };
    let is_it = |known: &&Imported| known.usage == usage && known.algorithm == alg && known.public == *public;
    if let Some(key) = KEYS.with_borrow(|keys| keys.iter().find(is_it).map(|known| known.key.clone())) {
        return Ok(key);
    }
    let mut members = vec![("kty", "RSA"), ("alg", alg), ("n", public.n.as_str()), ("e", public.e.as_str())];
    if let Some(key) = private {
        members.extend(private_members(key));
    }
    let jwk = object(&members)?;
    let algorithm = object(&[("name", ALGORITHM), ("hash", hash)])?;
    let usages = Array::of1(&JsValue::from_str(usage));
    let promise = webcrypto()?.import_key_with_object("jwk", &jwk, &algorithm, false, &usages).map_err(failed("importKey"))?;
    let key: CryptoKey = settled::of(&promise).await.map_err(failed("importKey"))?.unchecked_into();
    KEYS.with_borrow_mut(|keys| keys.push(Imported { usage, algorithm: alg, public: public.clone(), key: key.clone() }));
    Ok(key)
}

impl Signer for WebCryptoSigner {
    async fn sign(&self, key: &PrivateJwk, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        SendFuture::new(async move {
            let key_handle = import(Hash::Sha256, &key.public, Some(key)).await?;
            let message = Uint8Array::from(message);
            let promise =
                webcrypto()?.sign_with_str_and_buffer_source(ALGORITHM, &key_handle, &message).map_err(failed("sign"))?;
            let signature = settled::of(&promise).await.map_err(failed("sign"))?;
            Ok(Uint8Array::new(&signature).to_vec())
        })
        .await
    }

    async fn verify(&self, key: &PublicJwk, message: &[u8], signature: &[u8]) -> Result<bool, SignerError> {
        self.verify_with(Hash::Sha256, key, message, signature).await
    }

    async fn verify_with(&self, hash: Hash, key: &PublicJwk, message: &[u8], signature: &[u8]) -> Result<bool, SignerError> {
        SendFuture::new(async move {
            let key = import(hash, key, None).await?;
            let (message, signature) = (Uint8Array::from(message), Uint8Array::from(signature));
            let promise = webcrypto()?
                .verify_with_str_and_buffer_source_and_buffer_source(ALGORITHM, &key, &signature, &message)
                .map_err(failed("verify"))?;
            let outcome = settled::of(&promise).await.map_err(failed("verify"))?;
            Ok(outcome.as_bool().unwrap_or(false))
        })
        .await
    }

    async fn verify_es256(&self, key: &EcPublicJwk, message: &[u8], signature: &[u8]) -> Result<bool, SignerError> {
        SendFuture::new(async move {
            let key = import_es256(key).await?;
            let algorithm = object(&[("name", "ECDSA"), ("hash", "SHA-256")])?;
            let (message, signature) = (Uint8Array::from(message), Uint8Array::from(signature));
            let promise = webcrypto()?
                .verify_with_object_and_buffer_source_and_buffer_source(&algorithm, &key, &signature, &message)
                .map_err(failed("verify"))?;
            let outcome = settled::of(&promise).await.map_err(failed("verify"))?;
            Ok(outcome.as_bool().unwrap_or(false))
        })
        .await
    }

    async fn unwrap(&self, hash: OaepHash, key: &PrivateJwk, wrapped: &[u8]) -> Result<Option<Vec<u8>>, SignerError> {
        SendFuture::new(async move {
            let hash = match hash {
                OaepHash::Sha1 => "SHA-1",
                OaepHash::Sha256 => "SHA-256",
                OaepHash::Sha384 => "SHA-384",
                OaepHash::Sha512 => "SHA-512",
            };
            let (key, wrapped) = (import_oaep(hash, key).await?, Uint8Array::from(wrapped));
            let promise = webcrypto()?.decrypt_with_str_and_buffer_source(OAEP, &key, &wrapped).map_err(failed("decrypt"))?;
            // It fails where nothing was encrypted for this key.
            Ok(settled::of(&promise).await.ok().map(|opened| Uint8Array::new(&opened).to_vec()))
        })
        .await
    }
}
