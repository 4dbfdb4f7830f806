//! Enveloped XML signatures, in the one shape that SAML core section 5.4 allows: over the element that they stand in, by its id, in
//! exclusive canonical form. Nothing of `KeyInfo` is read: whose key it was says the configuration.
//!
//! What is read afterwards is the canonical form itself, parsed again: the very bytes that the digest was made of. Whatever stood
//! elsewhere in the document is not there any more.

use crate::xml::{self, Checked, Flaw, SIGNATURE, holds};
use bergshamra_c14n::{C14nMode, canonicalize_doc};
use bergshamra_xml::NodeSet;
use sha2::{Digest, Sha256, Sha384, Sha512};
use tmcp_http::Failure;
use tmcp_ports::{Hash, Platform, Signer};
use tmcp_protocol::jwk::{EcPublicJwk, PublicJwk};
use uppsala::{Document, NodeId};

const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";

/// Prefixes that a signature may keep: the list is gone through for every element.
const MAX_PREFIXES: usize = 16;

/// A key that an identity provider signs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// RSASSA-PKCS1-v1_5.
    Rsa(PublicJwk),
    /// ECDSA on P-256.
    P256(EcPublicJwk),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Rsa(Hash),
    EcdsaSha256,
}

/// A signature whose digest is right. Whose it is, is still to be told.
pub struct Signature {
    algorithm: Algorithm,
    signed: Vec<u8>,
    value: Vec<u8>,
    content: String,
}

fn algorithm(uri: Option<&str>) -> Checked<Algorithm> {
    match uri.unwrap_or_default() {
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256" => Ok(Algorithm::Rsa(Hash::Sha256)),
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384" => Ok(Algorithm::Rsa(Hash::Sha384)),
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512" => Ok(Algorithm::Rsa(Hash::Sha512)),
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256" => Ok(Algorithm::EcdsaSha256),
        _ => Err(Flaw("a signature algorithm that is not taken")),
    }
}

fn digest(uri: Option<&str>, bytes: &[u8]) -> Checked<Vec<u8>> {
    match uri.unwrap_or_default() {
        "http://www.w3.org/2001/04/xmlenc#sha256" => Ok(Sha256::digest(bytes).to_vec()),
        "http://www.w3.org/2001/04/xmldsig-more#sha384" => Ok(Sha384::digest(bytes).to_vec()),
        "http://www.w3.org/2001/04/xmlenc#sha512" => Ok(Sha512::digest(bytes).to_vec()),
        _ => Err(Flaw("a digest algorithm that is not taken")),
    }
}

/// The prefixes that exclusive canonicalisation is told to keep, if `node` asks for it.
fn exclusive(document: &Document<'_>, node: NodeId) -> Checked<Vec<String>> {
    let is_it = xml::attribute(document, node, "Algorithm") == Some(EXCLUSIVE);
    holds(is_it, "a canonicalisation that is not taken")?;
    let mut prefixes: Vec<String> = Vec::new();
    for parameter in xml::elements(document, node) {
        holds(xml::name(document, parameter) == (EXCLUSIVE, "InclusiveNamespaces"), "a canonicalisation that is not taken")?;
        let list = xml::attribute(document, parameter, "PrefixList").unwrap_or_default();
        prefixes.extend(list.split_ascii_whitespace().map(str::to_owned));
    }
    holds(prefixes.len() <= MAX_PREFIXES, "a canonicalisation that is not taken")?;
    Ok(prefixes)
}

fn canonical(document: &Document<'_>, what: &NodeSet, prefixes: &[String]) -> Checked<Vec<u8>> {
    canonicalize_doc(document, C14nMode::Exclusive, Some(what), prefixes).map_err(|_| Flaw("it has no canonical form"))
}

/// An element in canonical form, as a document of its own.
pub fn alone(document: &Document<'_>, element: NodeId) -> Checked<String> {
    let bytes = canonical(document, &NodeSet::tree_without_comments(element, document), &[])?;
    String::from_utf8(bytes).map_err(|_| Flaw("it has no canonical form"))
}

/// The signature that stands in an element, if there is one, with its digest checked.
pub fn of(document: &Document<'_>, element: NodeId) -> Checked<Option<Signature>> {
    let Some(signature) = xml::at_most_one(document, element, SIGNATURE, "Signature")? else { return Ok(None) };
    let shape = xml::exactly(document, signature, SIGNATURE, ["SignedInfo", "SignatureValue", "KeyInfo?"])?;
    let [Some(info), Some(value), _] = shape else { return Err(Flaw("a signature of another shape")) };
    let shape = xml::exactly(document, info, SIGNATURE, ["CanonicalizationMethod", "SignatureMethod", "Reference"])?;
    let [Some(form), Some(method), Some(reference)] = shape else { return Err(Flaw("a signature of another shape")) };
    let shape = xml::exactly(document, reference, SIGNATURE, ["Transforms", "DigestMethod", "DigestValue"])?;
    let [Some(transforms), Some(digest_method), Some(digest_value)] = shape else {
        return Err(Flaw("a signature of another shape"));
    };
    let bare = |node| xml::elements(document, node).next().is_none();
    holds(bare(method) && bare(digest_method), "a signature of another shape")?;

    let id = xml::attribute(document, element, "ID").filter(|id| !id.is_empty()).ok_or(Flaw("a signed element without an id"))?;
    let over = xml::attribute(document, reference, "URI").and_then(|uri| uri.strip_prefix('#'));
    holds(over == Some(id), "a signature over another element")?;

    let shape = xml::exactly(document, transforms, SIGNATURE, ["Transform", "Transform"]);
    let Ok([Some(enveloped), Some(exclusively)]) = shape else { return Err(Flaw("a transform that is not taken")) };
    let is_enveloped = xml::attribute(document, enveloped, "Algorithm") == Some(ENVELOPED) && bare(enveloped);
    holds(is_enveloped, "a transform that is not taken")?;
    let prefixes = exclusive(document, exclusively)?;
    let whole = NodeSet::tree_without_comments(element, document);
    let content = canonical(document, &whole.subtract(&NodeSet::tree_without_comments(signature, document)), &prefixes)?;
    let expected = xml::bytes(document, digest_value)?;
    let found = digest(xml::attribute(document, digest_method, "Algorithm"), &content)?;
    holds(found == expected, "it was changed after it was signed")?;

    let algorithm = algorithm(xml::attribute(document, method, "Algorithm"))?;
    let signed = canonical(document, &NodeSet::tree_without_comments(info, document), &exclusive(document, form)?)?;
    let content = String::from_utf8(content).map_err(|_| Flaw("it has no canonical form"))?;
    Ok(Some(Signature { algorithm, signed, value: xml::bytes(document, value)?, content }))
}

impl Signature {
    /// What was signed, if it was by one of these keys: the element without the signature, in canonical form.
    pub async fn content<P: Platform>(self, platform: &P, keys: &[Key]) -> Result<Checked<String>, Failure> {
        let mut broken = None;
        for key in keys {
            let signer = platform.signer();
            let good = match (self.algorithm, key) {
                (Algorithm::Rsa(hash), Key::Rsa(key)) => signer.verify_with(hash, key, &self.signed, &self.value).await,
                (Algorithm::EcdsaSha256, Key::P256(key)) => signer.verify_es256(key, &self.signed, &self.value).await,
                _ => Ok(false),
            };
            match good {
                Ok(true) => return Ok(Ok(self.content)),
                Ok(false) => {}
                // Another key may be the one.
                Err(error) => broken = Some(error),
            }
        }
        if let Some(error) = broken {
            return Err(error.into());
        }
        Ok(Err(Flaw("it is signed by nobody whose certificate is configured")))
    }
}
