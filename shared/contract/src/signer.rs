//! `Signer`: signatures verify, and nothing else does. That they verify elsewhere too is shown by an independent library from
//! outside, under the published JWKS.

use crate::{Broken, promise};
use tmcp_ports::{Config, Platform, Signer};
use tmcp_protocol::jwk::KeySet;

/// The suite.
pub async fn suite<P: Platform>(platform: &P) -> Result<(), Broken> {
    let signer = platform.signer();
    let ring = platform.config().get("SIGNING_KEYS").ok_or_else(|| Broken("SIGNING_KEYS is not set".to_owned()))?;
    let ring = KeySet::parse_private(ring.expose())?;
    let key = ring.keys.first().ok_or_else(|| Broken("no key".to_owned()))?;
    for message in [&b""[..], b"message", &[0xff; 5000]] {
        let signature = signer.sign(key, message).await?;
        promise(signature.len() == 256, "a signature of a 2048 bit key has 256 bytes")?;
        promise(signer.verify(&key.public, message, &signature).await?, "a signature verifies")?;
        let mut other = message.to_vec();
        other.push(1);
        promise(!signer.verify(&key.public, &other, &signature).await?, "not over another message")?;
        let mut changed = signature.clone();
        if let Some(byte) = changed.last_mut() {
            *byte ^= 1;
        }
        promise(!signer.verify(&key.public, message, &changed).await?, "not when it was changed")?;
        let short = signature.get(..255).unwrap_or_default();
        for malformed in [short, b"", b"x"] {
            promise(!signer.verify(&key.public, message, malformed).await?, "a malformed one is false and no error")?;
        }
    }
    Ok(())
}
