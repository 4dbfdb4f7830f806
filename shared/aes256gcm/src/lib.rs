//! `Aead` in pure Rust, by the crate `aes-gcm`.

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead as _, KeyInit, Payload};
use tmcp_ports::{Aead, AeadError, Sealing};

/// AES-256-GCM in the component itself.
pub struct PureAead;

fn cipher(sealing: &Sealing<'_>) -> Aes256Gcm {
    Aes256Gcm::new(sealing.key.into())
}

// Functions of their own, and not the bodies of async ones: such a body is compiled in the crate that waits for it, for size where that is,
// and with it all of the cipher's generic code.
#[inline(never)]
fn seal(sealing: &Sealing<'_>, plain: &[u8]) -> Result<Vec<u8>, AeadError> {
    let payload = Payload { msg: plain, aad: sealing.associated };
    cipher(sealing).encrypt(sealing.nonce.into(), payload).map_err(|_| AeadError::Unavailable("too long".to_owned()))
}

#[inline(never)]
fn open(sealing: &Sealing<'_>, sealed: &[u8]) -> Result<Vec<u8>, AeadError> {
    let payload = Payload { msg: sealed, aad: sealing.associated };
    cipher(sealing).decrypt(sealing.nonce.into(), payload).map_err(|_| AeadError::Corrupt)
}

impl Aead for PureAead {
    async fn seal(&self, sealing: Sealing<'_>, plain: &[u8]) -> Result<Vec<u8>, AeadError> {
        seal(&sealing, plain)
    }

    async fn open(&self, sealing: Sealing<'_>, sealed: &[u8]) -> Result<Vec<u8>, AeadError> {
        open(&sealing, sealed)
    }
}
