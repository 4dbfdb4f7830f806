//! XML as this function takes it: UTF-8 without document types, comments, CDATA sections or processing instructions, so that there is
//! one way to read it, and with every id once. What a parser could be tricked with is refused before it is parsed.

use std::collections::BTreeSet;
use uppsala::{Document, Element, NodeId, NodeKind, Parser};

/// `saml:`, SAML core section 1.3.
pub const ASSERTION: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
/// `samlp:`
pub const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
/// `ds:`, XML Signature.
pub const SIGNATURE: &str = "http://www.w3.org/2000/09/xmldsig#";
/// `xenc:`, XML Encryption.
pub const ENCRYPTION: &str = "http://www.w3.org/2001/04/xmlenc#";

/// A longer document is refused.
pub const MAX_BYTES: usize = 192 * 1024;
/// Tags and attributes in all. What reads them compares each with the others of its element: a document of nothing else would keep a
/// processor busy for minutes, whoever sent it.
const MAX_PARTS: usize = 4096;
/// Elements stand in one another at most so deep.
const MAX_DEPTH: u32 = 32;

/// What is wrong with a response; for the audit log, the person gets one message for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flaw(pub &'static str);

/// Something that was checked.
pub type Checked<T> = Result<T, Flaw>;

/// Refuses with `what` unless it holds.
pub fn holds(it: bool, what: &'static str) -> Checked<()> {
    if it { Ok(()) } else { Err(Flaw(what)) }
}

/// Parses a document.
pub fn parse(text: &str) -> Checked<Document<'_>> {
    holds(text.len() <= MAX_BYTES, "the document is too long")?;
    let parts = text.bytes().filter(|byte| matches!(byte, b'<' | b'=')).count();
    holds(parts <= MAX_PARTS, "the document has too many parts")?;
    let body = match text.strip_prefix("<?xml ") {
        Some(rest) => rest.split_once("?>").map_or("", |(_, body)| body),
        None => text,
    };
    // `<` stands for itself nowhere else: not in text, and not in an attribute's value.
    holds(!body.contains("<!"), "a document type, a comment or a CDATA section")?;
    holds(!body.contains("<?"), "a processing instruction")?;
    let parser = Parser::new().with_forbid_dtd(true).with_max_depth(MAX_DEPTH);
    let document = parser.parse(text).map_err(|_| Flaw("not well-formed XML"))?;
    let mut ids = BTreeSet::new();
    for node in document.descendants(document.root()) {
        for attribute in document.element(node).iter().flat_map(|element| &element.attributes) {
            let is_id = attribute.name.local_name.eq_ignore_ascii_case("id");
            holds(!is_id || ids.insert(attribute.value.clone().into_owned()), "an id that stands there twice")?;
        }
    }
    Ok(document)
}

/// The document's element, which has to be this one.
pub fn root(document: &Document<'_>, namespace: &str, name: &str) -> Checked<NodeId> {
    let element = document.document_element().filter(|element| is(document, *element, namespace, name));
    element.ok_or(Flaw("another document than expected"))
}

fn is(document: &Document<'_>, node: NodeId, namespace: &str, name: &str) -> bool {
    document.element(node).is_some_and(|element| element.matches_name_ns(namespace, name))
}

/// The elements in an element.
pub fn elements<'a>(document: &'a Document<'_>, within: NodeId) -> impl Iterator<Item = NodeId> + 'a {
    document.children_iter(within).filter(|node| document.element(*node).is_some())
}

/// Those of a name.
pub fn all(document: &Document<'_>, within: NodeId, namespace: &str, name: &str) -> Vec<NodeId> {
    document.child_elements_by_name_ns(within, namespace, name)
}

/// The one of a name, if there is one; a second one is refused.
pub fn at_most_one(document: &Document<'_>, within: NodeId, namespace: &str, name: &str) -> Checked<Option<NodeId>> {
    match all(document, within, namespace, name).as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(*one)),
        _ => Err(Flaw("an element twice that stands there once")),
    }
}

/// The one of a name.
pub fn one(document: &Document<'_>, within: NodeId, namespace: &str, name: &str) -> Checked<NodeId> {
    at_most_one(document, within, namespace, name)?.ok_or(Flaw("an element is missing"))
}

/// The elements in an element, which have to be these in this order; those that end in `?` may be left out.
pub fn exactly<const N: usize>(
    document: &Document<'_>,
    within: NodeId,
    namespace: &str,
    names: [&str; N],
) -> Checked<[Option<NodeId>; N]> {
    let mut rest = elements(document, within).peekable();
    let found = names.map(|name| {
        let plain = name.trim_end_matches('?');
        rest.next_if(|node| is(document, *node, namespace, plain)).ok_or(name.ends_with('?'))
    });
    let complete = found.iter().all(|one| !matches!(one, Err(false))) && rest.next().is_none();
    holds(complete, "a signature of another shape")?;
    Ok(found.map(Result::ok))
}

/// An attribute without a namespace.
pub fn attribute<'a>(document: &'a Document<'_>, node: NodeId, name: &str) -> Option<&'a str> {
    let attributes = &document.element(node)?.attributes;
    let found = attributes.iter().find(|one| one.name.namespace_uri.is_none() && *one.name.local_name == *name);
    found.map(|one| one.value.as_ref())
}

/// The text of an element in which nothing else stands; empty where there is none.
pub fn text(document: &Document<'_>, node: NodeId) -> Checked<String> {
    let mut text = String::new();
    for child in document.children_iter(node) {
        match document.node_kind(child) {
            Some(NodeKind::Text(part)) => text.push_str(part),
            _ => return Err(Flaw("an element stands where only text does")),
        }
    }
    Ok(text)
}

/// The same without the white space around it: for what cannot have any.
pub fn word(document: &Document<'_>, node: NodeId) -> Checked<String> {
    Ok(text(document, node)?.trim_matches([' ', '\t', '\r', '\n']).to_owned())
}

/// Bytes as base64, over as many lines as it likes.
pub fn bytes(document: &Document<'_>, node: NodeId) -> Checked<Vec<u8>> {
    use base64::Engine;
    let text: String = text(document, node)?.split([' ', '\t', '\r', '\n']).collect();
    base64::engine::general_purpose::STANDARD.decode(text).map_err(|_| Flaw("something is not base64"))
}

/// The namespace and local name of an element, for whatever is in a set of elements.
pub fn name<'a>(document: &'a Document<'_>, node: NodeId) -> (&'a str, &'a str) {
    let of = |element: &'a Element<'_>| (element.name.namespace_uri.as_deref().unwrap_or_default(), &*element.name.local_name);
    document.element(node).map(of).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flaw(text: &str) -> &'static str {
        parse(text).map(|_| ()).expect_err(text).0
    }

    #[test]
    fn there_is_one_way_to_read_it() {
        assert!(parse("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a ID=\"x\"><b ID=\"y\">&lt;!-- --&gt;</b></a>").is_ok());
        let cases = [
            ("<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>", "a document type, a comment or a CDATA section"),
            ("<?xml version=\"1.0\"?><!DOCTYPE a><a/>", "a document type, a comment or a CDATA section"),
            ("<a>admin<!-- -->@evil</a>", "a document type, a comment or a CDATA section"),
            ("<a><![CDATA[x]]></a>", "a document type, a comment or a CDATA section"),
            ("<a/><!-- after -->", "a document type, a comment or a CDATA section"),
            ("<a>admin<?x y?>@evil</a>", "a processing instruction"),
            ("<?xml-stylesheet href=\"x\"?><a/>", "a processing instruction"),
            ("<a ID=\"x\"><b ID=\"x\"/></a>", "an id that stands there twice"),
            ("<a ID=\"x\"><b xml:id=\"x\"/></a>", "an id that stands there twice"),
            ("<a ID=\"x\"><b Id=\"x\"/></a>", "an id that stands there twice"),
            ("<a x=\"1\" x=\"2\"/>", "not well-formed XML"),
            ("<a xmlns:p=\"u\" xmlns:q=\"u\" p:x=\"1\" q:x=\"2\"/>", "not well-formed XML"),
            ("<p:a/>", "not well-formed XML"),
            ("<a>&undeclared;</a>", "not well-formed XML"),
            ("<a/><b/>", "not well-formed XML"),
            ("<a", "not well-formed XML"),
            ("", "not well-formed XML"),
        ];
        for (text, problem) in cases {
            assert_eq!(flaw(text), problem, "{text}");
        }
        assert_eq!(flaw(&"<a>".repeat(40)), "not well-formed XML");
        assert_eq!(flaw(&" ".repeat(MAX_BYTES + 1)), "the document is too long");
        assert_eq!(flaw(&format!("<a>{}</a>", "<b/>".repeat(MAX_PARTS))), "the document has too many parts");
        let attributes: String = (0..MAX_PARTS).map(|n| format!(" a{n}=\"\"")).collect();
        assert_eq!(flaw(&format!("<a{attributes}/>")), "the document has too many parts");
    }

    #[test]
    fn text_is_all_of_it_or_nothing() {
        let document = parse("<a><b> x&#10;</b><c>ad<d/>min</c></a>").unwrap();
        let [b, c] = elements(&document, document.document_element().unwrap()).collect::<Vec<_>>()[..] else { panic!() };
        assert_eq!((text(&document, b), word(&document, b)), (Ok(" x\n".to_owned()), Ok("x".to_owned())));
        assert_eq!(text(&document, c), Err(Flaw("an element stands where only text does")));
    }
}
