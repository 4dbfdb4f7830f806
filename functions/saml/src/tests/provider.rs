//! An identity provider that signs whatever it is told to. What it writes is in canonical form already: no library makes it so, and
//! what verifies it has to come to the same bytes by itself.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use p256::ecdsa::signature::Signer as _;
use rsa::pkcs1v15::SigningKey;
use rsa::signature::SignatureEncoding;
use rsa::traits::PublicKeyParts;
use rsa::{BigUint, RsaPrivateKey};
use sha2::{Digest, Sha256, Sha384, Sha512};
use std::sync::OnceLock;
use tmcp_protocol::jwk::{EcPublicJwk, PublicJwk};

use crate::signature::Key;

/// What it calls itself.
pub const ENTITY: &str = "https://corp.example/idp";
/// What it calls us.
pub const US: &str = "https://tmcp.example/saml/metadata/corp";
/// Where we take responses.
pub const CONSUMER: &str = "https://tmcp.example/saml/acs/corp";
/// A state of ours.
pub const STATE: &str = "0123456789012345678901234567890123456789012";

pub const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
pub const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
pub const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
pub const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";

/// Two keys: the configured one, and somebody else's.
pub fn rsa_keys() -> &'static [RsaPrivateKey; 2] {
    static KEYS: OnceLock<[RsaPrivateKey; 2]> = OnceLock::new();
    KEYS.get_or_init(|| [(); 2].map(|()| RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap()))
}

fn p256_key() -> p256::ecdsa::SigningKey {
    p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap()
}

/// Its public keys.
pub fn keys() -> Vec<Key> {
    let text = |number: &BigUint| URL_SAFE_NO_PAD.encode(number.to_bytes_be());
    let named = |text: &str| text.to_owned();
    let (n, e) = (text(rsa_keys()[0].n()), text(rsa_keys()[0].e()));
    let point = p256_key().verifying_key().to_encoded_point(false);
    let coordinate = |bytes: Option<&p256::FieldBytes>| URL_SAFE_NO_PAD.encode(bytes.unwrap());
    vec![
        Key::Rsa(PublicJwk { kty: named("RSA"), kid: named("c"), alg: named("RS256"), use_: named("sig"), n, e }),
        Key::P256(EcPublicJwk { kid: named("c"), x: coordinate(point.x()), y: coordinate(point.y()) }),
    ]
}

/// How a signature is made.
#[derive(Clone, Copy)]
pub struct Style<'a> {
    pub form: &'a str,
    pub method: &'a str,
    pub digest: &'a str,
    pub transforms: &'a str,
    /// What it is over, if not what it stands in.
    pub over: Option<&'a str>,
    /// The key, of two.
    pub key: usize,
    /// More in `SignedInfo`, and more in the signature.
    pub more: (&'a str, &'a str),
}

impl Default for Style<'_> {
    fn default() -> Self {
        Self { form: EXCLUSIVE, method: RSA_SHA256, digest: SHA256, transforms: "", over: None, key: 0, more: ("", "") }
    }
}

fn digested(uri: &str, bytes: &str) -> String {
    STANDARD.encode(match uri {
        "http://www.w3.org/2001/04/xmldsig-more#sha384" => Sha384::digest(bytes).to_vec(),
        "http://www.w3.org/2001/04/xmlenc#sha512" => Sha512::digest(bytes).to_vec(),
        "http://www.w3.org/2000/09/xmldsig#sha1" => sha1::Sha1::digest(bytes).to_vec(),
        _ => Sha256::digest(bytes).to_vec(),
    })
}

fn signed(style: &Style<'_>, info: &str) -> String {
    let (key, info) = (rsa_keys()[style.key].clone(), info.as_bytes());
    STANDARD.encode(match style.method.rsplit('#').next().unwrap() {
        "rsa-sha384" => SigningKey::<Sha384>::new(key).sign(info).to_vec(),
        "rsa-sha512" => SigningKey::<Sha512>::new(key).sign(info).to_vec(),
        "rsa-sha1" => SigningKey::<sha1::Sha1>::new_unprefixed(key).sign(info).to_vec(),
        "ecdsa-sha256" => {
            let signature: p256::ecdsa::Signature = p256_key().sign(info);
            signature.to_vec()
        }
        _ => SigningKey::<Sha256>::new(key).sign(info).to_vec(),
    })
}

/// Signs an element in canonical form: the signature stands behind its issuer.
pub fn sign(element: &str, style: &Style<'_>) -> String {
    let id = element.split(" ID=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
    let over = style.over.map_or_else(|| format!("#{id}"), str::to_owned);
    let usual =
        format!("<ds:Transform Algorithm=\"{ENVELOPED}\"></ds:Transform><ds:Transform Algorithm=\"{EXCLUSIVE}\"></ds:Transform>");
    let transforms = if style.transforms.is_empty() { usual.as_str() } else { style.transforms };
    let info = format!(
        "<ds:CanonicalizationMethod Algorithm=\"{}\"></ds:CanonicalizationMethod><ds:SignatureMethod Algorithm=\"{}\">\
        </ds:SignatureMethod><ds:Reference URI=\"{over}\"><ds:Transforms>{transforms}</ds:Transforms><ds:DigestMethod \
        Algorithm=\"{}\"></ds:DigestMethod><ds:DigestValue>{}</ds:DigestValue></ds:Reference>{}</ds:SignedInfo>",
        style.form,
        style.method,
        style.digest,
        digested(style.digest, element),
        style.more.0,
    );
    let value = signed(style, &format!("<ds:SignedInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">{info}"));
    let signature = format!(
        "<ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:SignedInfo>{info}<ds:SignatureValue>{value}\
        </ds:SignatureValue>{}</ds:Signature>",
        style.more.1
    );
    element.replacen("</saml:Issuer>", &format!("</saml:Issuer>{signature}"), 1)
}

/// An assertion about carol, in canonical form and unsigned. It was issued at 12:00:00.
pub fn assertion() -> String {
    let request = crate::request::id_of(STATE);
    format!(
        "<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"_a1\" IssueInstant=\"2026-11-23T12:00:00Z\" \
        Version=\"2.0\"><saml:Issuer>{ENTITY}</saml:Issuer><saml:Subject><saml:NameID \
        Format=\"urn:oasis:names:tc:SAML:2.0:nameid-format:persistent\">carol-7</saml:NameID><saml:SubjectConfirmation \
        Method=\"urn:oasis:names:tc:SAML:2.0:cm:bearer\"><saml:SubjectConfirmationData InResponseTo=\"{request}\" \
        NotOnOrAfter=\"2026-11-23T12:05:00Z\" Recipient=\"{CONSUMER}\"></saml:SubjectConfirmationData></saml:SubjectConfirmation>\
        </saml:Subject><saml:Conditions NotBefore=\"2026-11-23T11:59:00Z\" NotOnOrAfter=\"2026-11-23T12:04:00Z\">\
        <saml:AudienceRestriction><saml:Audience>{US}</saml:Audience></saml:AudienceRestriction></saml:Conditions>\
        <saml:AuthnStatement AuthnInstant=\"2026-11-23T11:59:30Z\"></saml:AuthnStatement><saml:AttributeStatement><saml:Attribute \
        Name=\"employee\"><saml:AttributeValue>E-0042</saml:AttributeValue></saml:Attribute><saml:Attribute Name=\"cn\">\
        <saml:AttributeValue>Carol</saml:AttributeValue></saml:Attribute><saml:Attribute Name=\"mail\"><saml:AttributeValue>\
        carol@corp.example</saml:AttributeValue></saml:Attribute></saml:AttributeStatement></saml:Assertion>"
    )
}

/// A response around an assertion, in canonical form and unsigned.
pub fn response(assertion: &str) -> String {
    let request = crate::request::id_of(STATE);
    format!(
        "<samlp:Response xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" Destination=\"{CONSUMER}\" ID=\"_r1\" \
        InResponseTo=\"{request}\" IssueInstant=\"2026-11-23T12:00:00Z\" Version=\"2.0\"><saml:Issuer \
        xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\">{ENTITY}</saml:Issuer><samlp:Status><samlp:StatusCode \
        Value=\"urn:oasis:names:tc:SAML:2.0:status:Success\"></samlp:StatusCode></samlp:Status>{assertion}</samlp:Response>"
    )
}
