//! `Aead`: WebCrypto for large values, pure Rust for small ones. WebCrypto costs two promises, about what pure Rust takes for 3 KiB;
//! for 16 KiB pure Rust takes half a millisecond more.

use tmcp_aes256gcm::PureAead;
use tmcp_ports::{Aead, AeadError, Sealing};
use web_sys::{AesGcmParams, CryptoKey, SubtleCrypto};
use worker::js_sys::{Array, Promise, Uint8Array};
use worker::send::SendFuture;
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::wasm_bindgen_futures::JsFuture;

use crate::signer::subtle;

/// Values of fewer bytes stay in wasm.
const LARGE: usize = 4096;
const ALGORITHM: &str = "AES-GCM";

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

/// WebCrypto, and the key as it takes it.
async fn keyed(sealing: &Sealing<'_>, usage: &str) -> Result<(SubtleCrypto, CryptoKey), AeadError> {
    let (key, usages) = (Uint8Array::from(sealing.key.as_slice()), Array::of1(&JsValue::from_str(usage)));
    let subtle = subtle().map_err(failed("not there"))?;
    let promise = subtle.import_key_with_str("raw", &key, ALGORITHM, false, &usages).map_err(failed("importKey"))?;
    let key = JsFuture::from(promise).await.map_err(failed("importKey"))?;
    Ok((subtle, key.unchecked_into()))
}

async fn bytes(promise: Promise) -> Result<Vec<u8>, JsValue> {
    Ok(Uint8Array::new(&JsFuture::from(promise).await?).to_vec())
}

async fn encrypt(sealing: Sealing<'_>, plain: &[u8]) -> Result<Vec<u8>, AeadError> {
    let (subtle, key) = keyed(&sealing, "encrypt").await?;
    let promise = subtle.encrypt_with_object_and_buffer_source(&params(&sealing), &key, &Uint8Array::from(plain));
    bytes(promise.map_err(failed("encrypt"))?).await.map_err(failed("encrypt"))
}

async fn decrypt(sealing: Sealing<'_>, sealed: &[u8]) -> Result<Vec<u8>, AeadError> {
    let (subtle, key) = keyed(&sealing, "decrypt").await?;
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
