//! `Aead`: WebCrypto, and pure Rust for small values, for which a promise and three arrays cost more.

use crate::map::{Map, map};
use crate::settled;
use crate::signer::subtle;
use std::cell::RefCell;
use tmcp_aes256gcm::PureAead;
use tmcp_ports::{Aead, AeadError, Sealing};
use web_sys::{AesGcmParams, CryptoKey, SubtleCrypto};
use worker::js_sys::{Array, Promise, Uint8Array};
use worker::send::SendFuture;
use worker::wasm_bindgen::{JsCast, JsValue};

/// Values of fewer bytes stay in wasm: a sealed KiB takes 15 to 20 µs there, and 35 by WebCrypto.
const LARGE: usize = 1_536;
const ALGORITHM: &str = "AES-GCM";

/// Imported keys, at most; more are forgotten all at once.
const MOST: usize = 256;

thread_local! {
    static KEYS: RefCell<Map<[u8; 32], CryptoKey>> = RefCell::new(map());
}

/// AES-256-GCM.
pub struct WebAead;

fn failed(what: &str) -> impl Fn(JsValue) -> AeadError + '_ {
    move |_| AeadError::Unavailable(format!("WebCrypto: {what}"))
}

fn params(sealing: &Sealing<'_>) -> AesGcmParams {
    let params = AesGcmParams::new(ALGORITHM, &Uint8Array::from(sealing.nonce.as_slice()));
    params.set_additional_data_u8_array(&Uint8Array::from(sealing.associated));
    params
}

/// WebCrypto, and the key as it takes it: one person's key serves for many of their values.
async fn keyed(sealing: &Sealing<'_>) -> Result<(SubtleCrypto, CryptoKey), AeadError> {
    let subtle = subtle().map_err(failed("not there"))?;
    if let Some(key) = KEYS.with_borrow(|keys| keys.get(sealing.key).cloned()) {
        return Ok((subtle, key));
    }
    let usages = Array::of2(&JsValue::from_str("encrypt"), &JsValue::from_str("decrypt"));
    let bytes = Uint8Array::from(sealing.key.as_slice());
    let promise = subtle.import_key_with_str("raw", &bytes, ALGORITHM, false, &usages).map_err(failed("importKey"))?;
    let key: CryptoKey = settled::of(&promise).await.map_err(failed("importKey"))?.unchecked_into();
    KEYS.with_borrow_mut(|keys| {
        if keys.len() >= MOST {
            keys.clear();
        }
        keys.insert(*sealing.key, key.clone());
    });
    Ok((subtle, key))
}

async fn bytes(promise: Promise) -> Result<Vec<u8>, JsValue> {
    Ok(Uint8Array::new(&settled::of(&promise).await?).to_vec())
}

async fn encrypt(sealing: Sealing<'_>, plain: &[u8]) -> Result<Vec<u8>, AeadError> {
    let (subtle, key) = keyed(&sealing).await?;
    let promise = subtle.encrypt_with_object_and_buffer_source(&params(&sealing), &key, &Uint8Array::from(plain));
    bytes(promise.map_err(failed("encrypt"))?).await.map_err(failed("encrypt"))
}

async fn decrypt(sealing: Sealing<'_>, sealed: &[u8]) -> Result<Vec<u8>, AeadError> {
    let (subtle, key) = keyed(&sealing).await?;
    let promise = subtle.decrypt_with_object_and_buffer_source(&params(&sealing), &key, &Uint8Array::from(sealed));
    // Its only way to fail from there on is a tag that does not hold (OperationError).
    bytes(promise.map_err(failed("decrypt"))?).await.map_err(|_| AeadError::Corrupt)
}

impl Aead for WebAead {
    async fn seal(&self, sealing: Sealing<'_>, plain: &[u8]) -> Result<Vec<u8>, AeadError> {
        if plain.len() < LARGE {
            return PureAead.seal(sealing, plain).await;
        }
        SendFuture::new(encrypt(sealing, plain)).await
    }

    async fn open(&self, sealing: Sealing<'_>, sealed: &[u8]) -> Result<Vec<u8>, AeadError> {
        if sealed.len() < LARGE {
            return PureAead.open(sealing, sealed).await;
        }
        SendFuture::new(decrypt(sealing, sealed)).await
    }
}
