//! Encrypted assertions (XML Encryption 1.1): AES-GCM under a key that came by RSA-OAEP. CBC and PKCS#1 v1.5 tell who asks often
//! enough what is in them, and are refused. Whatever else is wrong has one answer.

use crate::xml::{self, ASSERTION, Checked, ENCRYPTION, Flaw, SIGNATURE};
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use tmcp_http::Failure;
use tmcp_ports::{OaepHash, Platform, Signer};
use tmcp_protocol::jwk::PrivateJwk;
use uppsala::{Document, NodeId};

const SEALED: Flaw = Flaw("it cannot be decrypted");

#[derive(Clone, Copy)]
enum Content {
    Aes128,
    Aes256,
}

fn content(uri: Option<&str>) -> Checked<Content> {
    match uri.unwrap_or_default() {
        "http://www.w3.org/2009/xmlenc11#aes128-gcm" => Ok(Content::Aes128),
        "http://www.w3.org/2009/xmlenc11#aes256-gcm" => Ok(Content::Aes256),
        _ => Err(Flaw("a content encryption that is not taken")),
    }
}

/// The hash of a transported key's padding, which has to be its mask's too: WebCrypto knows no other.
fn padding(document: &Document<'_>, method: NodeId) -> Checked<OaepHash> {
    let other = Flaw("a key transport that is not taken");
    let is_1_1 = match xml::attribute(document, method, "Algorithm") {
        Some("http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p") => false,
        Some("http://www.w3.org/2009/xmlenc11#rsa-oaep") => true,
        _ => return Err(other),
    };
    let mut digest = "http://www.w3.org/2000/09/xmldsig#sha1";
    let mut mask = "http://www.w3.org/2009/xmlenc11#mgf1sha1";
    for parameter in xml::elements(document, method) {
        let value = xml::attribute(document, parameter, "Algorithm").ok_or(other)?;
        match xml::name(document, parameter) {
            (SIGNATURE, "DigestMethod") => digest = value,
            ("http://www.w3.org/2009/xmlenc11#", "MGF") if is_1_1 => mask = value,
            _ => return Err(other),
        }
    }
    match (digest, mask) {
        ("http://www.w3.org/2000/09/xmldsig#sha1", "http://www.w3.org/2009/xmlenc11#mgf1sha1") => Ok(OaepHash::Sha1),
        ("http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2009/xmlenc11#mgf1sha256") => Ok(OaepHash::Sha256),
        ("http://www.w3.org/2001/04/xmldsig-more#sha384", "http://www.w3.org/2009/xmlenc11#mgf1sha384") => Ok(OaepHash::Sha384),
        ("http://www.w3.org/2001/04/xmlenc#sha512", "http://www.w3.org/2009/xmlenc11#mgf1sha512") => Ok(OaepHash::Sha512),
        _ => Err(other),
    }
}

fn value(document: &Document<'_>, within: NodeId) -> Checked<Vec<u8>> {
    let data = xml::one(document, within, ENCRYPTION, "CipherData")?;
    xml::bytes(document, xml::one(document, data, ENCRYPTION, "CipherValue")?)
}

/// An assertion that is still to be opened.
pub struct Sealed {
    content: Content,
    hash: OaepHash,
    wrapped: Vec<u8>,
    sealed: Vec<u8>,
}

/// Reads an `EncryptedAssertion`.
pub fn read(document: &Document<'_>, encrypted: NodeId) -> Checked<Sealed> {
    let data = xml::one(document, encrypted, ENCRYPTION, "EncryptedData")?;
    let method = xml::one(document, data, ENCRYPTION, "EncryptionMethod")?;
    let content = content(xml::attribute(document, method, "Algorithm"))?;
    // The key stands in the data or beside it (SAML core section 2.3.4): there is one, for us.
    let mut places = xml::all(document, encrypted, ENCRYPTION, "EncryptedKey");
    if let Some(info) = xml::at_most_one(document, data, SIGNATURE, "KeyInfo")? {
        places.extend(xml::all(document, info, ENCRYPTION, "EncryptedKey"));
    }
    let [transport] = places.as_slice() else { return Err(Flaw("not one encrypted key")) };
    let hash = padding(document, xml::one(document, *transport, ENCRYPTION, "EncryptionMethod")?)?;
    Ok(Sealed { content, hash, wrapped: value(document, *transport)?, sealed: value(document, data)? })
}

impl Sealed {
    /// What is in it, if it was sealed for one of our keys.
    pub async fn open<P: Platform>(self, platform: &P, keys: &[PrivateJwk]) -> Result<Checked<String>, Failure> {
        for key in keys {
            let Some(secret) = platform.signer().unwrap(self.hash, key, &self.wrapped).await? else { continue };
            if let Some(plain) = plain(self.content, &secret, &self.sealed) {
                return Ok(String::from_utf8(plain).map_err(|_| SEALED));
            }
        }
        Ok(Err(SEALED))
    }
}

/// A nonce of 12 bytes, the cipher text, and a tag of 16 (XML Encryption 1.1 section 5.2.4).
fn plain(content: Content, secret: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, message) = sealed.split_first_chunk::<12>()?;
    let (nonce, message) = (nonce.into(), Payload::from(message));
    match content {
        Content::Aes128 => Aes128Gcm::new_from_slice(secret).ok()?.decrypt(nonce, message).ok(),
        Content::Aes256 => Aes256Gcm::new_from_slice(secret).ok()?.decrypt(nonce, message).ok(),
    }
}

/// The one assertion of a response, or its encrypted form.
pub enum Found {
    /// As it stands there.
    Plain(NodeId),
    /// Encrypted.
    Encrypted(NodeId),
}

/// The one assertion of a response.
pub fn find(document: &Document<'_>, response: NodeId) -> Checked<Found> {
    let plain = xml::all(document, response, ASSERTION, "Assertion");
    match (plain.as_slice(), xml::all(document, response, ASSERTION, "EncryptedAssertion").as_slice()) {
        ([assertion], []) => Ok(Found::Plain(*assertion)),
        ([], [encrypted]) => Ok(Found::Encrypted(*encrypted)),
        _ => Err(Flaw("not one assertion")),
    }
}
