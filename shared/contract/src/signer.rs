//! `Signer`: signatures verify, and nothing else does. That they verify elsewhere too is shown by an independent library from
//! outside, under the published JWKS.

use crate::{Broken, promise};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tmcp_ports::{Config, Hash, Platform, Signer};
use tmcp_protocol::jwk::{EcPublicJwk, KeySet, PublicJwk};

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
    other_hashes(signer).await?;
    es256(signer).await
}

/// Signatures that another library made, over `message`.
async fn other_hashes(signer: &impl Signer) -> Result<(), Broken> {
    let n = "0HIqrgRlcblf0C919d9CsOEgy7zih-dyfiuzs-z33-3fURMysB0k4M758zzI3dVRR4P8FJBihaKVbHnJqS5ctjdVyc8Q5u-3IKMUJXRY0JtyFDfLQ-SN98QNfGqbN27hS5NL-iMEkmsgaPuFw-aH52NBEJYHdxadadrca069S7rJfHF9vIInzqxnfGr5FufmFOz4vK3IXD3y9OXbELOHydL_BLq0m4U2iJVTR6SuPFOXkpQvfJk4UtQQ18jyPyM8sbwQwrcja6LmQR01ZlpCSnIcEq7OPiigBazGZQlI0k3Eb1w2HjltNOqK2A8m1tcH-abpLdV66cHlkfWCrh5SxQ";
    let named = |text: &str| text.to_owned();
    let key = PublicJwk {
        kty: named("RSA"),
        kid: named("other"),
        alg: named("RS256"),
        use_: named("sig"),
        n: named(n),
        e: named("AQAB"),
    };
    let sha384 = "FwRIzpLfgj-uWQteu7Oy66KhjVZsUIPb_W3rpD1jowEUvCHlZ92FZkHVH7oZJmY7IYSPknAK3qZENsW1wDw1IBBWGsPlzwNkJ_7C6LLhdYlbe9af2Sd2YwBivfMSzapeTUzMARjFGOswU-rSbhG4EesTiD4lQP9aX5zMSxNTcvGom42E6mzETLW5HNqz6bZVoXcd2tJFDrrfLxC2PS_YpX_s7j4iGAPUVRIAjhxGh31uG1wwFt10DOqV_eBpOYmmgbdP_FALWLM73mlXrwe_h39GVmXycWWa6bLRMjU-PDkZmGuWayonfxYkwYwOgKbVz2FFCV5OcJevS2R4Jx9VFg";
    let sha512 = "P42vftZd48SMH-J0dHQ12nSbkM-UZ7WI2QZvuljt3OW6_8PMUW0eqZfCg60cvWNHHZnnRzZEuV5wlW7mUdIxj4VV4x5gUVwG0qc02mU_lxqlODZ4JqRLirLAmQpfzApp5HgzB7zVDoz2Vhwsat5elc_lDd2rR7NQjsiUgCe-udHM2dH3RQO3VgQzM5uz1uIYd8CW2R-i4WhUu8zpztP1LYOlizcmRwym8V16UPjvXZg20BQk4CPWj0jhegUBgIZyL4eZtRZUNcgN9LTJNYl3MDgmxQHd0K-yRuMoPnqodu5ufTFnaltjyCE1MX6a7iMLhqeQIic0fxuv7CeplZZq2Q";
    for (made, signature) in [(Hash::Sha384, sha384), (Hash::Sha512, sha512)] {
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|error| Broken(error.to_string()))?;
        for asked in [Hash::Sha256, Hash::Sha384, Hash::Sha512] {
            let good = signer.verify_with(asked, &key, b"message", &signature).await?;
            promise(good == (made == asked), "a signature verifies under its own hash alone")?;
        }
        promise(!signer.verify_with(made, &key, b"another", &signature).await?, "not over another message")?;
    }
    Ok(())
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
