//! `Signer`: signatures verify, and nothing else does. That they verify elsewhere too is shown by an independent library from
//! outside, under the published JWKS.

use crate::{Broken, promise};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tmcp_ports::{Config, Platform, Signer};
use tmcp_protocol::jwk::{EcPublicJwk, KeySet};

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
    es256(signer).await
}

/// The example of RFC 7515, appendix A.3.
async fn es256(signer: &impl Signer) -> Result<(), Broken> {
    let named = |text: &str| text.to_owned();
    let (x, y) = ("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
    let key = EcPublicJwk { kid: named("rfc7515"), x: named(x), y: named(y) };
    let message =
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|error| Broken(error.to_string()))?;
    let holds =
        async |key: &EcPublicJwk, message: &str, signature: &[u8]| signer.verify_es256(key, message.as_bytes(), signature).await;
    promise(holds(&key, message, &signature).await?, "the signature of RFC 7515 verifies")?;
    promise(!holds(&key, "another", &signature).await?, "not over another message")?;
    let mut changed = signature.clone();
    changed.reverse();
    let zeros = [0; 64];
    let short = signature.get(..63).unwrap_or_default();
    for malformed in [&changed[..], &zeros, short, b""] {
        promise(!holds(&key, message, malformed).await?, "a malformed one is false and no error")?;
    }
    let elsewhere = EcPublicJwk { y: named(x), ..key };
    promise(holds(&elsewhere, message, &signature).await.is_err(), "a key that is no point of the curve is an error")?;
    Ok(())
}
