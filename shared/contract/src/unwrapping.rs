//! Keys that came under a public key of ours: opened, and nothing else is. Another program made the key and what is under it.

use crate::{Broken, promise};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tmcp_ports::{OaepHash, Platform, Signer};
use tmcp_protocol::jwk::{KeySet, PrivateJwk};

/// A key for this test alone.
const KEY: &str = r#"{"keys": [{"kty": "RSA", "kid": "oaep", "alg": "RS256", "use": "sig", "e": "AQAB",
    "n": "uDBvz8zVFbs_w-GP8JWPtztrKIjwVHVZLxQOS6Y1xAuOLJtyn_S5P0y_psz5KvP7iDTzx7znMXFVw6yjpwXar5uEzQbQlbabf2IzmjYmcwymTIK3N5NadmOluQ8r1IaT5ggEhanlinEPiTRwxet8S4Qn7Uc48ZyLaA9uly2F0pjw5B8PVCp2Kzv88ajAOMdim2d7lHBx5SgbAxbt-HugFDuhc2HnXoIG2epqoukJld1T9dDZw4ylh_S9cxnIWi1sfNUbj9pRsyBVZdIeC2zgQUD67u8qef7I8AwEtAa3gRFg-6zUOkL14h95NipqwhpkjhzmpPNsuno3C5hVWmXX5w",
    "d": "S5PYdWhjsRiV-B7YjMwZ3gI8HLRgBQ_nyekNWp43ZpulOYmJdbgZwS8RXvSxcx4NAp1TwIwzQ3bxTarLtg-xZahHTEe1FBGLabAWY3s_uKqinDdwzZWho32M9UwT3I9iJZv5mw0VOoLc8Jw7gAL6DBSMu5CjfYSSMV9PrinIRRq5Q2LageZJlIqvoZmt432FwMxvkHqVgWM1TWh39_b2AWwWN7qo3Yb51Y1CjkqIuCZyR7HbNCJTT2K1X8KIPn2J1ecKH_HQ_LihWCRmWVLd6n-hgwUJRv56BaRCLI9DEaO7mlQayzYYYIAvkmvlkS4FVybMUJgmeYVh9X6RrR4KQQ",
    "p": "4J06nhIGGyv-ThFyz4QrJAK5-YYb8UjK0sOY2OMnCpymDii6bobuK4NRkEMAtufP1qZV9ZCzLZQ5d2m_P7JJuAvbYtr5rB94i1UDIScHO5TcM0mf2QgE2TK0FjOc46Uskh1Xt03-W9jHPUQL66BDDhctr7FCSYPoAY6oRQSTqUE",
    "q": "0e0mEB8PGRuZA4lwqujyKGcgMFgY3IO9UzV5pH-wucWRr2on-mKIrpOCGsZxmPPtDTlHWj5TQ70zyn1cr2uDOo5RBaGFCzRRo8xpY3hQCmq4qH2wMCsvZPgjtA_KbsFqoSUE8PyAC_8RSGplg5KKK6q-iSpXH358DUwAU5-sTyc",
    "dp": "SvYuSfLZ9teH16YbGwaRH0OJra0ERlJ03kJJEJk-vlvpT3BoR9rgQcVhwzOZWXGj-48nwPy5z8xYIXI5UZi-4Z2TajqKeNdH87g7gyTzVP8pPjSkFFqIw7QYRhCTm6XUai9AxvxQl3aRh_DdyZWCy4EQzkHqTX6oP1zM67vLTAE",
    "dq": "G0mvY_MVnFbpCfuoqJ7FM5lMJtycxrVdO968pDRw_YUADgRHlBWQ3NiR1fcrtw0mKEzkyIdHfYuvmse275qTIV50i73WNIGlhxxAKszt4pzCyiwkZe6HJ6HVykcvMjx0JuRQAx9faa_LSFWEQpke2tREFkJpts9TQss5U6Vy2Ys",
    "qi": "fJVoUB_eaja5d8v_OQiatO-ksakD_2GaQzFDFrDYlqfC3VHH77omGaeNhBJoRceVovkIKH6k-FXj4yfZ3KCO7h0XKCoLoF5SuuC0hofnxaLW1S3Ir6JD4ilQiHRmcF74sM6vepxAT5eJOTp65W7yIP0knOWTFju2ZiD2g69hPjA"}]}"#;
/// The same 32 bytes under it, by hash; and by PKCS#1 v1.5, which nothing takes.
const SHA1: &str = "tKwPn_K7jore6lnQ0g0PISV9CwOJ1pPw0SUteofK2bIOjb3WmqdgNwLyFR0XK52XEB1nkQMiXSbpJZAmcZvmJ8Z8dDrl-lwubVCeW73IOwGLrVeQlKRrJRnQacJVxPvPl3hvOQVmS4inBlZ47u3jkHsSbZZ0RUvN7f8WmXZ2RKLMK-lyeloWCCVNZcoZE1Bmkgj-2ZV8-PxfMBVOI0j-qFwy_0jdJnDJ5J5tOMQzYrzSRXCfyJkCQwpGV5bByZWH6IFc-bZX9TRz1HRTLpw3EC-qcamuSNna5QMgdgaU6zDkpzeuz9ba-6Fq_6ATPRYiz02G_ltWqymjFhi6XXr78g";
const SHA256: &str = "bq5-hVYPzbRFq8OIa1FkCfYWDGq9dufNgaeiUy846R-ZWTTRBuuNbd7TcEJs2sBp-uw-6sU0_y835fnFSL_8zMTf4PzBPadu5IfyKJzCPoTuEumsdZQoWir0XQVcNDqkYgh50WHDCyKQWN7WHeAVrFeKlYnLf_qimBOsfniKf9jeod83nfmDv96yjIGv73VfSetQ68ZE7JqAgNElaC3Mr3hn-RQ68-Lg0MKfmGt6RAElGAjSKzOEaraZmurLZihdmhidkB6WF588wx7T30S2DEbDQTT9Hr-O3JKMZhkWySxmKnsrHuLzrtz51ufdcIrkAyXuOA9ID6Q0VsM7DQgHCA";
const SHA384: &str = "iu3-AkTtX1zWb2Ocrep57rTdE8bp3HTfhGLzwFuCoMTRLuG1i7ue5RyOSO5v08xIgRa-tJPHFb5xNUtt9zNcKNNF6Anrj72oJc_nqLfEbau6DJfbvSPKRQXaFeI8GAeWPPNW4RaptQDdptX1KgnY-OR0cGhkouJpPUOBSUa2vGWGgRtTYuot8f30ZICyYmMr5PPwn2Kj9zg0J3lOCFoT0fg-hGPLjNiQ-imp2jp_2cVGzXUS1bKevKAy-kxU_85JNaLpdJ1IK2Q4T16mbIQeLFGpDIrKTXmRcHNnsFMxTPy1utjlUif3MXQR9GH3VVar2bNFWxypbEVzluBP2Top-A";
const SHA512: &str = "MOqFUFDc_5QHJP5KvKpPyYNgscfSXkSAQEm6rC0RAC0FDNrHTauojleH1c8epzBzDPh0JCsyaMFxc7v2sEZqMfzjCEpwJscbnS8qw7598ES2nhoargMimNgyDTp-d-z7CFxrAAYfUJ4SKo3QocH7Z_1pcxAiw4NkikcrBIYJB0q6safrQ5lpb0J8mAoGO0CFYhWd9co7l9Js1S6cWk3Hzm7XkOKe0z3QPHpToEDrQSClVrDXDvSFgBak6PvmB0a3nco2zKOTxsk49p585SRpVabrkWdBGgABmCjK0AskspXSPuT78a7DKipx6bA9mRfiV5HeCgyrlrRaLcfXT96uhw";
const OLD: &str = "md2b8yhTy6lD7jcE7LPIgKfFZFx8rVMxEMqn2SdCuVezQs94uWCuq0kp_wkB5Uy_3ZPgEw9_8xx_-pE3cTIoifgb8MBX4SwT503OqDdN8lagURwrTweJSlxCRLKP8xBauOyd6WhDM0QcL-hux1_0SucZR7PK1hf5SpjbKZaXE2lmpzzSq6BDTSCUsXcb1gmFUPerikoRKEzLvJIfarXGhVOX1zhBsGpKJlEL07M_I78lV7oMZMyuSCQC0SEzhygiuS2AXOHi7q0rQ4Dy0TOlXoJZqEOUGaoPDTSFzxbX0iZWyl44y0XDlQ4M21SR1hNkCFQBuLArD4nkU2LAZGu7dA";

/// The suite.
pub async fn suite<P: Platform>(platform: &P) -> Result<(), Broken> {
    let signer = platform.signer();
    let ring: KeySet<PrivateJwk> = KeySet::parse_private(KEY)?;
    let key = ring.keys.first().ok_or_else(|| Broken("no key".to_owned()))?;
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|error| Broken(error.to_string()));
    let wrapped = [(OaepHash::Sha1, SHA1), (OaepHash::Sha256, SHA256), (OaepHash::Sha384, SHA384), (OaepHash::Sha512, SHA512)];
    for (made, text) in wrapped {
        for (asked, _) in wrapped {
            let opened = signer.unwrap(asked, key, &bytes(text)?).await?;
            let expected = (made == asked).then(|| b"0123456789abcdef0123456789abcdef".to_vec());
            promise(opened == expected, "what was wrapped under a hash is opened under it alone")?;
        }
        let mut changed = bytes(text)?;
        if let Some(byte) = changed.last_mut() {
            *byte ^= 1;
        }
        promise(signer.unwrap(made, key, &changed).await?.is_none(), "not when it was changed")?;
    }
    for malformed in [&bytes(OLD)?[..], &[0; 256], &[0xff; 256], b"short", b""] {
        promise(signer.unwrap(OaepHash::Sha256, key, malformed).await?.is_none(), "a malformed one is nothing and no error")?;
    }
    Ok(())
}
