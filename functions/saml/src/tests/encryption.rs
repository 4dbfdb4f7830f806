//! Encrypted assertions: for our key, and signed inside or around.

use super::provider::{Style, assertion, response, sign};
use super::{carol, our_keys, read};
use crate::response::Answer;
use crate::xml::Flaw;
use aes_gcm::aead::{Aead, KeyInit};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rsa::{BigUint, Oaep, Pkcs1v15Encrypt, RsaPublicKey};
use sha1::Sha1;
use sha2::Sha256;

const GCM_256: &str = "http://www.w3.org/2009/xmlenc11#aes256-gcm";
const GCM_128: &str = "http://www.w3.org/2009/xmlenc11#aes128-gcm";
const OAEP: &str = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p";
const OAEP_1_1: &str = "http://www.w3.org/2009/xmlenc11#rsa-oaep";
const DIGEST_SHA256: &str = "<ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"></ds:DigestMethod>";
const MASK_SHA256: &str =
    "<e:MGF xmlns:e=\"http://www.w3.org/2009/xmlenc11#\" Algorithm=\"http://www.w3.org/2009/xmlenc11#mgf1sha256\"></e:MGF>";

fn our_public_key() -> RsaPublicKey {
    let number = |text: &str| BigUint::from_bytes_be(&URL_SAFE_NO_PAD.decode(text).unwrap());
    let key = &our_keys()[0].public;
    RsaPublicKey::new(number(&key.n), number(&key.e)).unwrap()
}

fn wrapped(secret: &[u8], transport: &str, parameters: &str) -> Vec<u8> {
    let (key, mut random) = (our_public_key(), rsa::rand_core::OsRng);
    match (transport, parameters) {
        (OAEP | OAEP_1_1, "") => key.encrypt(&mut random, Oaep::new::<Sha1>(), secret).unwrap(),
        (OAEP_1_1, _) => key.encrypt(&mut random, Oaep::new::<Sha256>(), secret).unwrap(),
        _ => key.encrypt(&mut random, Pkcs1v15Encrypt, secret).unwrap(),
    }
}

/// An `EncryptedAssertion`, in canonical form.
fn encrypted(plain: &str, content: &str, transport: &str, parameters: &str) -> String {
    let (nonce, secret) = ([3; 12], [5; 32]);
    let (secret, sealed) = match content {
        GCM_128 => (&secret[..16], Aes128Gcm::new_from_slice(&secret[..16]).unwrap().encrypt((&nonce).into(), plain.as_bytes())),
        _ => (&secret[..], Aes256Gcm::new_from_slice(&secret).unwrap().encrypt((&nonce).into(), plain.as_bytes())),
    };
    let sealed = STANDARD.encode([&nonce[..], &sealed.unwrap()].concat());
    let key = STANDARD.encode(wrapped(secret, transport, parameters));
    format!(
        "<saml:EncryptedAssertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"><xenc:EncryptedData \
        xmlns:xenc=\"http://www.w3.org/2001/04/xmlenc#\"><xenc:EncryptionMethod Algorithm=\"{content}\"></xenc:EncryptionMethod>\
        <ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><xenc:EncryptedKey><xenc:EncryptionMethod \
        Algorithm=\"{transport}\">{parameters}</xenc:EncryptionMethod><xenc:CipherData><xenc:CipherValue>{key}</xenc:CipherValue>\
        </xenc:CipherData></xenc:EncryptedKey></ds:KeyInfo><xenc:CipherData><xenc:CipherValue>{sealed}</xenc:CipherValue>\
        </xenc:CipherData></xenc:EncryptedData></saml:EncryptedAssertion>"
    )
}

#[tokio::test]
async fn what_is_encrypted_for_us_is_opened_and_still_needs_a_signature() {
    let (signed, style) = (sign(&assertion(), &Style::default()), Style::default());
    let both = format!("{DIGEST_SHA256}{MASK_SHA256}");
    for (content, transport, parameters) in
        [(GCM_256, OAEP, ""), (GCM_128, OAEP, ""), (GCM_256, OAEP_1_1, ""), (GCM_256, OAEP_1_1, &both)]
    {
        let inside = response(&encrypted(&signed, content, transport, parameters));
        assert_eq!(read(&inside).await, Ok(Answer::Person(carol())), "{content} {transport}");
        let around = sign(&response(&encrypted(&assertion(), content, transport, parameters)), &style);
        assert_eq!(read(&around).await, Ok(Answer::Person(carol())), "{content} {transport}");
    }
    let nowhere = response(&encrypted(&assertion(), GCM_256, OAEP, ""));
    assert_eq!(read(&nowhere).await, Err(Flaw("nothing is signed")));
    let elsewhere = sign(&assertion(), &Style { key: 1, ..style });
    let by_another = response(&encrypted(&elsewhere, GCM_256, OAEP, ""));
    assert_eq!(read(&by_another).await, Err(Flaw("it is signed by nobody whose certificate is configured")));
}

#[tokio::test]
async fn what_tells_who_asks_often_enough_is_refused() {
    let signed = sign(&assertion(), &Style::default());
    let good = response(&encrypted(&signed, GCM_256, OAEP, ""));
    let transport = "a key transport that is not taken";
    let content = "a content encryption that is not taken";
    let sealed = "it cannot be decrypted";
    let value = |n: usize| good.split("<xenc:CipherValue>").nth(n).unwrap().split('<').next().unwrap().to_owned();
    let flipped = |text: &str| {
        let mut bytes = STANDARD.decode(text).unwrap();
        bytes[20] ^= 1;
        STANDARD.encode(bytes)
    };
    let cases = [
        (good.replace(GCM_256, "http://www.w3.org/2001/04/xmlenc#aes256-cbc"), content),
        (good.replace(GCM_256, "http://www.w3.org/2001/04/xmlenc#tripledes-cbc"), content),
        (response(&encrypted(&signed, GCM_256, "http://www.w3.org/2001/04/xmlenc#rsa-1_5", "")), transport),
        (good.replace(OAEP, "http://www.w3.org/2001/04/xmlenc#kw-aes256"), transport),
        // A mask of another hash than the padding's, which WebCrypto does not know.
        (response(&encrypted(&signed, GCM_256, OAEP, "").replace("mgf1p\">", &format!("mgf1p\">{DIGEST_SHA256}"))), transport),
        (
            response(
                &encrypted(&signed, GCM_256, OAEP_1_1, &format!("{DIGEST_SHA256}{MASK_SHA256}"))
                    .replace("xmlenc#sha256", "xmlenc#md5"),
            ),
            transport,
        ),
        (response(&encrypted(&signed, GCM_256, OAEP, "").replace("mgf1p\">", &format!("mgf1p\">{MASK_SHA256}"))), transport),
        // One answer, whatever it is that does not fit.
        (good.replace(&value(1), &flipped(&value(1))), sealed),
        (good.replace(&value(2), &flipped(&value(2))), sealed),
        (good.replace(&value(2), "AAAA"), sealed),
        (good.replace(GCM_256, GCM_128), sealed),
        (good.replace(OAEP, OAEP_1_1).replace("rsa-oaep\">", &format!("rsa-oaep\">{DIGEST_SHA256}{MASK_SHA256}")), sealed),
        (good.replace("xenc:EncryptedKey", "xenc:AgreedKey"), "not one encrypted key"),
        (response(&format!("{0}{0}", encrypted(&signed, GCM_256, OAEP, ""))), "not one assertion"),
        (response(&format!("{}{}", signed, encrypted(&signed, GCM_256, OAEP, ""))), "not one assertion"),
        (response(&encrypted("<a/>", GCM_256, OAEP, "")), "another document than expected"),
        (response(&encrypted("<!DOCTYPE a><a/>", GCM_256, OAEP, "")), "a document type, a comment or a CDATA section"),
    ];
    for (text, flaw) in cases {
        assert_eq!(read(&text).await, Err(Flaw(flaw)), "{text}");
    }
}
