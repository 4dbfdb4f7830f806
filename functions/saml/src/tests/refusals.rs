//! One row for each thing that is refused, and its neighbour that is not.

use super::provider::{ENTITY, EXCLUSIVE, Style, US, assertion, response, sign};
use super::{carol, configured, read, read_at};
use crate::response::Answer;
use crate::xml::Flaw;

const PLAIN: Style<'static> = Style {
    form: EXCLUSIVE,
    method: super::provider::RSA_SHA256,
    digest: super::provider::SHA256,
    transforms: "",
    over: None,
    key: 0,
    more: ("", ""),
};

fn signed(assertion: &str) -> String {
    response(&sign(assertion, &PLAIN))
}

#[tokio::test]
async fn a_signed_assertion_or_a_signed_response_proves_who_it_is() {
    let both = sign(&response(&sign(&assertion(), &PLAIN)), &PLAIN);
    for text in [signed(&assertion()), sign(&response(&assertion()), &PLAIN), both] {
        assert_eq!(read(&text).await, Ok(Answer::Person(carol())));
        assert_eq!(read(&format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{text}")).await, Ok(Answer::Person(carol())));
    }
    for (method, digest) in [
        ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha384", "http://www.w3.org/2001/04/xmldsig-more#sha384"),
        ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha512", "http://www.w3.org/2001/04/xmlenc#sha512"),
        ("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", "http://www.w3.org/2001/04/xmlenc#sha256"),
    ] {
        let text = response(&sign(&assertion(), &Style { method, digest, ..PLAIN }));
        assert_eq!(read(&text).await, Ok(Answer::Person(carol())), "{method}");
    }
}

#[tokio::test]
async fn the_form_in_which_it_comes_does_not_matter() {
    // What canonical form takes away: order, quotes, declarations that nothing uses, and where prefixes are declared.
    let text = signed(&assertion());
    let cases = [
        ("<samlp:Response ", "<samlp:Response xmlns:xs='http://www.w3.org/2001/XMLSchema'\n  "),
        (
            "ID=\"_a1\" IssueInstant=\"2026-11-23T12:00:00Z\" Version=\"2.0\"><saml:Issuer>",
            "Version='2.0' IssueInstant=\"2026-11-23T12:00:00Z\"   ID='_a1' ><saml:Issuer>",
        ),
        ("</saml:SubjectConfirmationData>", "</saml:SubjectConfirmationData\n>"),
        ("Carol", "&#67;arol"),
        ("<ds:Transforms>", "<ds:Transforms xmlns:unused=\"urn:x\">"),
    ];
    for (from, to) in cases {
        let text = text.replacen(from, to, 1);
        assert!(text.contains(to));
        assert_eq!(read(&text).await, Ok(Answer::Person(carol())), "{to}");
    }
}

#[tokio::test]
async fn what_a_provider_signs_has_to_be_about_this_sign_in() {
    let cases: &[(&str, &str, &str)] = &[
        ("Version=\"2.0\"", "Version=\"1.1\"", "another version of SAML"),
        (ENTITY, "https://evil.example/idp", "another issuer"),
        ("<saml:Issuer>", "<saml:Issuer Format=\"urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress\">", "another issuer"),
        ("IssueInstant=\"2026-11-23T12:00:00Z\"", "IssueInstant=\"2026-11-23T12:02:01Z\"", "an assertion that is yet to come"),
        ("IssueInstant=\"2026-11-23T12:00:00Z\"", "IssueInstant=\"noon\"", "a time that is none"),
        // The name.
        ("nameid-format:persistent", "nameid-format:transient", "a name that is not persistent"),
        (" Format=\"urn:oasis:names:tc:SAML:2.0:nameid-format:persistent\"", "", "a name that is not persistent"),
        (">carol-7<", "><", "an id that is empty, or has white space around it"),
        (">carol-7<", "> carol-7<", "an id that is empty, or has white space around it"),
        (">carol-7<", ">carol-7&#xD;<", "an id that is empty, or has white space around it"),
        (">carol-7<", ">carol<saml:x></saml:x>-7<", "an element stands where only text does"),
        ("saml:NameID", "saml:EncryptedID", "an element is missing"),
        // The confirmation.
        ("cm:bearer", "cm:holder-of-key", "no confirmation by whoever brings it"),
        ("cm:bearer", "cm:sender-vouches", "no confirmation by whoever brings it"),
        ("acs/corp\"></saml:SubjectConfirmationData>", "acs/other\"></saml:SubjectConfirmationData>", "another recipient"),
        (" NotOnOrAfter=\"2026-11-23T12:05:00Z\"", "", "a confirmation without an end"),
        ("2026-11-23T12:05:00Z", "2026-11-23T12:00:00Z", "it is over"),
        ("SubjectConfirmationData InResponseTo=\"_", "SubjectConfirmationData InResponseTo=\"_0", "no answer to our request"),
        // The conditions.
        ("2026-11-23T12:04:00Z", "2026-11-23T12:00:00Z", "it is over"),
        ("2026-11-23T11:59:00Z", "2026-11-23T12:02:01Z", "it does not hold yet"),
        (US, "https://tmcp.example/saml/metadata/other", "another audience"),
        ("saml:AudienceRestriction", "saml:OneTimeUse", "no audience"),
        ("saml:AudienceRestriction", "saml:Mystery", "a condition that is not known"),
        ("saml:Conditions", "saml:Advice", "an element is missing"),
        // The sign-in.
        ("AuthnInstant=\"2026-11-23T11:59:30Z\"", "AuthnInstant=\"2026-11-23T12:02:01Z\"", "a sign-in that is yet to come"),
        (" AuthnInstant=\"2026-11-23T11:59:30Z\"", "", "a sign-in without a time"),
        ("11:59:30Z\">", "11:59:30Z\" SessionNotOnOrAfter=\"2026-11-23T12:00:00Z\">", "a session that is over"),
        ("saml:AuthnStatement", "saml:Statement", "it says nothing of a sign-in"),
        // Things that stand there twice.
        ("</saml:Subject>", "</saml:Subject><saml:Subject></saml:Subject>", "an element twice that stands there once"),
        (
            "</saml:Conditions>",
            "</saml:Conditions><saml:Conditions></saml:Conditions>",
            "an element twice that stands there once",
        ),
        (
            "<saml:SubjectConfirmation ",
            "<saml:NameID Format=\"urn:oasis:names:tc:SAML:2.0:nameid-format:persistent\">dave</saml:NameID><saml:SubjectConfirmation ",
            "an element twice that stands there once",
        ),
    ];
    for (from, to, flaw) in cases {
        let changed = assertion().replace(from, to);
        assert_ne!(changed, assertion(), "{from}");
        assert_eq!(read(&signed(&changed)).await, Err(Flaw(flaw)), "{to}");
        assert_eq!(read(&sign(&response(&changed), &PLAIN)).await, Err(Flaw(flaw)), "{to} in a signed response");
    }
}

#[tokio::test]
async fn the_envelope_has_to_be_about_it_too() {
    let good = response(&assertion());
    let cases = [
        ("ID=\"_r1\" InResponseTo=\"_", "ID=\"_r1\" InResponseTo=\"_0", "no answer to our request"),
        (
            "https://tmcp.example/saml/acs/corp\" ID=\"_r1\"",
            "https://tmcp.example/saml/acs/other\" ID=\"_r1\"",
            "another destination",
        ),
        ("status:Success", "status:Responder", "the provider says that it did not work"),
        ("samlp:Status>", "samlp:State>", "an element is missing"),
        (
            &format!("xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\">{ENTITY}"),
            "xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\">https://evil.example",
            "another issuer",
        ),
        (
            "IssueInstant=\"2026-11-23T12:00:00Z\" Version=\"2.0\"><saml:Issuer xmlns",
            "IssueInstant=\"2026-11-23T12:00:00Z\" Version=\"1.1\"><saml:Issuer xmlns",
            "another version of SAML",
        ),
        ("samlp:Response", "samlp:LogoutResponse", "another document than expected"),
    ];
    for (from, to, flaw) in cases {
        let changed = good.replace(from, to);
        assert_ne!(changed, good, "{from}");
        assert_eq!(read(&sign(&changed, &PLAIN)).await, Err(Flaw(flaw)), "{to}");
        let changed = signed(&assertion()).replace(from, to);
        assert_eq!(read(&changed).await, Err(Flaw(flaw)), "{to} around a signed assertion");
    }
    // Only a signed response has to name its destination.
    let without = |text: &str| text.replace("Destination=\"https://tmcp.example/saml/acs/corp\" ", "");
    assert_eq!(read(&without(&signed(&assertion()))).await, Ok(Answer::Person(carol())));
    assert_eq!(read(&sign(&without(&good), &PLAIN)).await, Err(Flaw("another destination")));
    // Nobody asked.
    let unasked = signed(&assertion())
        .replace(&format!(" InResponseTo=\"{}\" IssueInstant", crate::request::id_of(super::STATE)), " IssueInstant");
    assert_eq!(read(&unasked).await, Err(Flaw("no answer to our request")));
}

#[tokio::test]
async fn whoever_does_not_want_to_is_no_failure() {
    let denied = response("").replace(
        "Value=\"urn:oasis:names:tc:SAML:2.0:status:Success\">",
        "Value=\"urn:oasis:names:tc:SAML:2.0:status:Responder\"><samlp:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:RequestDenied\">\
        </samlp:StatusCode>",
    );
    assert_eq!(read(&denied).await, Ok(Answer::Denied));
    let failed = denied.replace("RequestDenied", "AuthnFailed");
    assert_eq!(read(&failed).await, Err(Flaw("the provider says that it did not work")));
}

#[tokio::test]
async fn signatures_of_another_making_are_refused() {
    let sha1 = "http://www.w3.org/2000/09/xmldsig#sha1";
    let transform = |algorithm: &str| format!("<ds:Transform Algorithm=\"{algorithm}\"></ds:Transform>");
    let enveloped = transform(super::provider::ENVELOPED);
    let inclusive = format!("{enveloped}{}", transform("http://www.w3.org/TR/2001/REC-xml-c14n-20010315"));
    let xpath = format!(
        "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xpath-19991116\"><ds:XPath>1</ds:XPath></ds:Transform>{}",
        transform(EXCLUSIVE)
    );
    let xslt = format!("{enveloped}{}", transform("http://www.w3.org/TR/1999/REC-xslt-19991116"));
    let three = format!("{enveloped}{}{}", transform(EXCLUSIVE), transform(EXCLUSIVE));
    let comments = format!("{enveloped}{}", transform(&format!("{EXCLUSIVE}WithComments")));
    let other = "<ds:Reference URI=\"#_x\"><ds:DigestMethod Algorithm=\"x\"></ds:DigestMethod><ds:DigestValue></ds:DigestValue></ds:Reference>";
    let shape = "a signature of another shape";
    let cases = [
        (Style { method: "http://www.w3.org/2000/09/xmldsig#rsa-sha1", ..PLAIN }, "a signature algorithm that is not taken"),
        (Style { method: "http://www.w3.org/2000/09/xmldsig#hmac-sha1", ..PLAIN }, "a signature algorithm that is not taken"),
        (
            Style { method: "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256", ..PLAIN },
            "a signature algorithm that is not taken",
        ),
        (
            Style { method: "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1", ..PLAIN },
            "a signature algorithm that is not taken",
        ),
        (Style { digest: sha1, ..PLAIN }, "a digest algorithm that is not taken"),
        (Style { form: "http://www.w3.org/TR/2001/REC-xml-c14n-20010315", ..PLAIN }, "a canonicalisation that is not taken"),
        (Style { form: "http://www.w3.org/2001/10/xml-exc-c14n#WithComments", ..PLAIN }, "a canonicalisation that is not taken"),
        (Style { transforms: &inclusive, ..PLAIN }, "a canonicalisation that is not taken"),
        (Style { transforms: &comments, ..PLAIN }, "a canonicalisation that is not taken"),
        (Style { transforms: &enveloped, ..PLAIN }, "a transform that is not taken"),
        (Style { transforms: &xpath, ..PLAIN }, "a transform that is not taken"),
        (Style { transforms: &xslt, ..PLAIN }, "a canonicalisation that is not taken"),
        (Style { transforms: &three, ..PLAIN }, "a transform that is not taken"),
        (Style { over: Some(""), ..PLAIN }, "a signature over another element"),
        (Style { over: Some("#_r1"), ..PLAIN }, "a signature over another element"),
        (Style { over: Some("#xpointer(/)"), ..PLAIN }, "a signature over another element"),
        (Style { over: Some("https://evil.example/#_a1"), ..PLAIN }, "a signature over another element"),
        (Style { more: (other, ""), ..PLAIN }, shape),
        (Style { more: ("", "<ds:Object></ds:Object>"), ..PLAIN }, shape),
        (Style { key: 1, ..PLAIN }, "it is signed by nobody whose certificate is configured"),
        // Whose key it was says the configuration: a certificate that comes along is not looked at.
        (
            Style {
                key: 1,
                more: ("", "<ds:KeyInfo><ds:X509Data><ds:X509Certificate>MIIC</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"),
                ..PLAIN
            },
            "it is signed by nobody whose certificate is configured",
        ),
    ];
    for (style, flaw) in cases {
        let text = response(&sign(&assertion(), &style));
        assert_eq!(read(&text).await, Err(Flaw(flaw)), "{text}");
    }
    assert_eq!(read(&response(&assertion())).await, Err(Flaw("nothing is signed")));
    let text = signed(&assertion());
    let value = text.split("<ds:SignatureValue>").nth(1).unwrap().split('<').next().unwrap();
    for (to, flaw) in [("", "it is signed by nobody whose certificate is configured"), ("?", "something is not base64")] {
        assert_eq!(read(&text.replace(value, to)).await, Err(Flaw(flaw)));
    }
    let wrapped: Vec<_> = value.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line)).collect();
    assert_eq!(read(&text.replace(value, &wrapped.join("\n"))).await, Ok(Answer::Person(carol())), "over several lines");
}

#[tokio::test]
async fn what_was_changed_or_moved_after_it_was_signed_is_refused() {
    let text = signed(&assertion());
    let changed = Err(Flaw("it was changed after it was signed"));
    for (from, to) in [
        ("carol-7", "dave-1"),
        (">Carol<", ">Dave<"),
        ("E-0042", "E-0043"),
        ("<saml:AttributeStatement>", "<saml:AttributeStatement x=\"\">"),
    ] {
        assert_eq!(read(&text.replace(from, to)).await, changed, "{to}");
    }
    for marked in ["carol<!-- -->-7", "carol<?x?>-7", "<![CDATA[carol-7]]>"] {
        assert!(read(&text.replace("carol-7", marked)).await.is_err(), "{marked}");
    }
    let doctype = format!("<!DOCTYPE x [<!ENTITY who \"dave\">]>{text}");
    assert_eq!(read(&doctype).await, Err(Flaw("a document type, a comment or a CDATA section")));

    // Wrapping: the signed assertion is somewhere, and another one where ours is read.
    let evil = assertion().replace("carol-7", "dave-1");
    let good = sign(&assertion(), &PLAIN);
    let renamed = evil.replace("ID=\"_a1\"", "ID=\"_evil\"");
    let (from, until) = (good.find("<ds:Signature ").unwrap(), good.find("</ds:Signature>").unwrap());
    let signature = format!("{}</ds:Signature>", &good[from..until]);
    let within = |outer: &str, at: &str, inner: &str| outer.replacen(at, &format!("{inner}{at}"), 1);
    let cases = [
        (response(&format!("{renamed}{good}")), "not one assertion"),
        (response(&format!("{good}{renamed}")), "not one assertion"),
        (response(&format!("{evil}{good}")), "an id that stands there twice"),
        // In an extension, in an object of the signature, in the assertion's own advice.
        (
            within(&response(&renamed), "<samlp:Status>", &format!("<samlp:Extensions>{good}</samlp:Extensions>")),
            "nothing is signed",
        ),
        (
            response(&renamed.replacen(
                "</saml:Issuer>",
                &format!(
                    "</saml:Issuer>{}",
                    signature.replace("</ds:Signature>", &format!("<ds:Object>{}</ds:Object></ds:Signature>", assertion()))
                ),
                1,
            )),
            "a signature of another shape",
        ),
        (within(&response(&renamed), "</saml:Subject>", &good), "nothing is signed"),
        // The signature alone, taken into another assertion; and the assertion of another id under the same signature.
        (
            response(&renamed.replacen("</saml:Issuer>", &format!("</saml:Issuer>{signature}"), 1)),
            "a signature over another element",
        ),
        (
            response(&evil.replacen("</saml:Issuer>", &format!("</saml:Issuer>{signature}"), 1)),
            "it was changed after it was signed",
        ),
        // Two signatures in one element.
        (
            response(&good.replacen("</saml:Issuer>", &format!("</saml:Issuer>{signature}"), 1)),
            "an element twice that stands there once",
        ),
        // The signed response within another one.
        (
            response("").replace("_r1", "_outer").replacen(
                "</samlp:Status>",
                &format!("</samlp:Status>{}{renamed}", sign(&response(&assertion()), &PLAIN)),
                1,
            ),
            "nothing is signed",
        ),
    ];
    for (text, flaw) in cases {
        assert_eq!(read(&text).await, Err(Flaw(flaw)), "{text}");
    }
    // What stands beside a signed assertion says nothing.
    let beside =
        response(&good).replacen("<samlp:Status>", &format!("<samlp:Extensions>{renamed}</samlp:Extensions><samlp:Status>"), 1);
    assert_eq!(read(&beside).await, Ok(Answer::Person(carol())));
}

#[tokio::test]
async fn prefixes_that_a_signature_keeps_are_kept_and_few() {
    // As some providers write it: the type of a value has a prefix that nothing else uses.
    let kept = |list: &str| {
        format!(
            "<ds:Transform Algorithm=\"{}\"></ds:Transform><ds:Transform Algorithm=\"{EXCLUSIVE}\"><ec:InclusiveNamespaces \
            xmlns:ec=\"{EXCLUSIVE}\" PrefixList=\"{list}\"></ec:InclusiveNamespaces></ds:Transform>",
            super::provider::ENVELOPED
        )
    };
    let with = assertion().replace(
        "<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"",
        "<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" xmlns:xs=\"http://www.w3.org/2001/XMLSchema\"",
    );
    let good = sign(&with, &Style { transforms: &kept("xs"), ..PLAIN });
    assert_eq!(read(&response(&good)).await, Ok(Answer::Person(carol())));
    // Without it in the list, the declaration is not of what was signed.
    let other = sign(&with, &Style { transforms: &kept("xsi"), ..PLAIN });
    assert_eq!(read(&response(&other)).await, Err(Flaw("it was changed after it was signed")));
    let many: Vec<String> = (0..17).map(|n| format!("p{n}")).collect();
    let many = sign(&with, &Style { transforms: &kept(&many.join(" ")), ..PLAIN });
    assert_eq!(read(&response(&many)).await, Err(Flaw("a canonicalisation that is not taken")));
}

#[tokio::test]
async fn of_several_confirmations_one_has_to_hold_and_the_longest_counts() {
    let text = assertion();
    let (from, until) = (text.find("<saml:SubjectConfirmation ").unwrap(), text.find("</saml:Subject>").unwrap());
    let confirmation = text[from..until].to_owned();
    let with = |other: &str| text.replacen(&confirmation, &format!("{confirmation}{other}"), 1);
    let longer = with(&confirmation.replace("12:05:00Z", "13:00:00Z"));
    let Ok(Answer::Person(person)) = read(&signed(&longer)).await else { panic!() };
    assert_eq!(person.expires_at, tmcp_protocol::Millis::parse("2026-11-23T13:01:00Z").unwrap());
    for other in [confirmation.replace("cm:bearer", "cm:sender-vouches"), confirmation.replace("12:05:00Z", "11:00:00Z")] {
        assert_eq!(read(&signed(&with(&other))).await, Ok(Answer::Person(carol())));
        let first = text.replacen(&confirmation, &format!("{other}{confirmation}"), 1);
        assert_eq!(read(&signed(&first)).await, Ok(Answer::Person(carol())));
    }
}

#[tokio::test]
async fn names_and_addresses_are_shown_and_so_have_to_be_fit_for_it() {
    for (from, to, name, email) in [
        (">Carol<", ">Ca&#xD;rol<", None, Some("carol@corp.example")),
        ("carol@corp.example", "carol", Some("Carol"), None),
        (">Carol<", &format!(">{}<", "c".repeat(256)), None, Some("carol@corp.example")),
    ] {
        let Ok(Answer::Person(person)) = read(&signed(&assertion().replace(from, to))).await else { panic!("{to}") };
        assert_eq!((person.display_name.as_deref(), person.email.as_deref()), (name, email), "{to}");
    }
}

#[tokio::test]
async fn clocks_differ_by_a_minute() {
    let text = signed(&assertion());
    for (now, good) in [
        ("2026-11-23T11:59:00Z", true),
        ("2026-11-23T11:58:59Z", false),
        ("2026-11-23T12:04:59Z", true),
        ("2026-11-23T12:05:00Z", false),
    ] {
        assert_eq!(read_at(&configured(), &text, now).await.is_ok(), good, "{now}");
    }
}

#[tokio::test]
async fn one_name_is_one_person() {
    let of = async |attributes: &str, value: &str| {
        let text = assertion().replace("persistent\">carol-7", &format!("persistent\"{attributes}>{value}"));
        match read(&signed(&text)).await {
            Ok(Answer::Person(person)) => person.external_id,
            other => panic!("{other:?}"),
        }
    };
    let (idp, us) = (format!(" NameQualifier=\"{ENTITY}\""), format!(" SPNameQualifier=\"{US}\""));
    // Written out, or left out: the same.
    for attributes in ["", &idp, &us, &format!("{idp}{us}")] {
        assert_eq!(of(attributes, "carol-7").await, "carol-7");
    }
    // Anything else is somebody else, however it is spelled.
    let mut seen = std::collections::BTreeSet::new();
    for (attributes, value) in [
        ("", "carol-7"),
        ("", "Carol-7"),
        (" NameQualifier=\"a\"", "carol-7"),
        (" SPNameQualifier=\"a\"", "carol-7"),
        ("", "a!!carol-7"),
        ("", "!a!carol-7"),
        (" NameQualifier=\"a!b\"", "c"),
        (" NameQualifier=\"a\"", "b!c"),
        (" NameQualifier=\"a\" SPNameQualifier=\"b\"", "c"),
        ("", "a%21b"),
        ("", "a!b"),
    ] {
        assert!(seen.insert(of(attributes, value).await), "{attributes} {value}");
    }
}

#[tokio::test]
async fn people_are_known_by_an_attribute_where_that_is_configured() {
    let saml = tmcp_protocol::provider::Saml { id_attribute: Some("employee".to_owned()), ..configured() };
    let transient = assertion().replace("nameid-format:persistent", "nameid-format:transient");
    let Ok(Answer::Person(person)) = read_at(&saml, &signed(&transient), super::NOW).await else { panic!() };
    assert_eq!(person.external_id, "E-0042");
    let missing = Err(Flaw("the configured attribute is missing, or has several values"));
    for (from, to) in [
        ("Name=\"employee\"", "Name=\"Employee\""),
        ("<saml:AttributeValue>E-0042", "<saml:AttributeValue>E-0041</saml:AttributeValue><saml:AttributeValue>E-0042"),
    ] {
        assert_eq!(read_at(&saml, &signed(&transient.replace(from, to)), super::NOW).await, missing, "{to}");
    }
    let twice = transient.replace("Name=\"cn\"", "Name=\"employee\"");
    assert_eq!(read_at(&saml, &signed(&twice), super::NOW).await, missing);
    // A name or an address of several values, or none, is none.
    let without = assertion().replace("Name=\"mail\"", "Name=\"cn\"");
    let Ok(Answer::Person(person)) = read(&signed(&without)).await else { panic!() };
    assert_eq!((person.display_name, person.email), (None, None));
}
