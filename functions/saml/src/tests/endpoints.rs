//! The endpoints, on host adapters: the request that goes out, the response that comes back, and the handle that it becomes.

use super::provider::{ENTITY, STATE, Style, assertion, response, rsa_keys, sign};
use crate::sql;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rsa::pkcs1v15::{Signature, SigningKey};
use rsa::signature::Keypair;
use rsa::{BigUint, RsaPrivateKey};
use serde_json::{Value as Json, json};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::time::Duration;
use tmcp_ports::{Hash, Platform, Signer, Sql, stmt};
use tmcp_protocol::Millis;
use tmcp_protocol::jwk::{KeySet, PrivateJwk};
use tmcp_protocol::routes::{INTERNAL_MAINTAIN_SAML, INTERNAL_SAML_REDEEM, INTERNAL_SAML_REQUEST, INTERNAL_STATUS_SAML, Route};
use tmcp_testkit::{Answer, Client, TestPlatform, dies, private_ring};
use url::Url;
use url::form_urlencoded::{Serializer, parse};
use x509_cert::builder::{Builder, CertificateBuilder, Profile};
use x509_cert::der::Encode;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::SubjectPublicKeyInfoOwned;
use x509_cert::time::Validity;

fn certificate(key: &RsaPrivateKey) -> String {
    let signer = SigningKey::<Sha256>::new(key.clone());
    let subject = SubjectPublicKeyInfoOwned::from_key(signer.verifying_key()).unwrap();
    let validity = Validity::from_now(Duration::from_secs(60)).unwrap();
    let name = "CN=corp".parse().unwrap();
    let builder = CertificateBuilder::new(Profile::Root, SerialNumber::from(1u32), validity, name, subject, &signer).unwrap();
    STANDARD.encode(builder.build::<Signature>().unwrap().to_der().unwrap())
}

fn ours() -> PrivateJwk {
    KeySet::parse_private(private_ring()).unwrap().keys.remove(0)
}

fn private(key: &PrivateJwk) -> RsaPrivateKey {
    let number = |text: &str| BigUint::from_bytes_be(&URL_SAFE_NO_PAD.decode(text).unwrap());
    let primes = vec![number(key.p.expose()), number(key.q.expose())];
    RsaPrivateKey::from_components(number(&key.public.n), number(&key.public.e), number(key.d.expose()), primes).unwrap()
}

/// The test ring with a certificate of its key.
fn certified(with: &RsaPrivateKey) -> String {
    let mut ring: Json = serde_json::from_str(private_ring()).unwrap();
    ring["keys"][0]["x5c"] = json!([certificate(with)]);
    ring.to_string()
}

fn world() -> (TestPlatform, Client) {
    let platform = TestPlatform::new();
    platform.set_now(Millis::parse(super::NOW).unwrap().0);
    let corp = json!({"id": "corp", "kind": "saml", "name": "Corp", "entity_id": ENTITY, "sso_url": "https://corp.example/sso?tenant=7&x=y",
        "certificates": [certificate(&rsa_keys()[0])], "name_attribute": "cn", "email_attribute": "mail"});
    platform.set("PROVIDERS", &json!([corp]).to_string());
    platform.set("SAML_KEYS", &certified(&private(&ours())));
    let client = Client::new(crate::routes(), &platform);
    (platform, client)
}

async fn post(client: &Client, response: &str, state: &str) -> Answer {
    let form = Serializer::new(String::new())
        .append_pair("SAMLResponse", &STANDARD.encode(response))
        .append_pair("RelayState", state)
        .finish();
    client.form("/saml/acs/corp", &form).await
}

fn good() -> String {
    response(&sign(&assertion(), &Style::default()))
}

/// The handle in an answer that leads to the callback.
fn handle(answer: &Answer) -> String {
    let location = answer.headers.get("location").unwrap_or_else(|| panic!("{answer:?}")).to_str().unwrap();
    let (path, query) = location.split_once('?').unwrap();
    assert_eq!((answer.status, path), (303, "/sign-in/callback/corp"));
    let query: BTreeMap<_, _> = parse(query.as_bytes()).into_owned().collect();
    assert_eq!(query["state"], STATE);
    query["code"].clone()
}

async fn redeem(client: &Client, handle: &str) -> Json {
    let brought = json!({"provider": "corp", "state": STATE, "handle": handle});
    client.internal(&INTERNAL_SAML_REDEEM, brought).await.body["proven"].clone()
}

#[test]
fn every_route_has_a_handler() {
    assert!(crate::routes::<TestPlatform>().unbound().is_empty());
}

#[tokio::test]
async fn the_request_is_signed_and_asks_for_what_is_configured() {
    let (platform, client) = world();
    for anew in [false, true] {
        let answer = client.internal(&INTERNAL_SAML_REQUEST, json!({"provider": "corp", "state": STATE, "anew": anew})).await;
        let url = Url::parse(answer.body["url"].as_str().unwrap()).unwrap();
        assert_eq!((url.host_str(), url.path()), (Some("corp.example"), "/sso"));
        let query: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
        assert_eq!((query["tenant"].as_str(), query["RelayState"].as_str()), ("7", STATE));
        // What is signed is the query as it was sent (bindings section 3.4.4.1).
        let (signed, _) = url.query().unwrap().split_once("&Signature=").unwrap();
        let signed = signed.strip_prefix("tenant=7&x=y&").unwrap();
        let signature = STANDARD.decode(&query["Signature"]).unwrap();
        let key = &ours().public;
        assert!(platform.signer().verify_with(Hash::Sha256, key, signed.as_bytes(), &signature).await.unwrap());
        let deflated = STANDARD.decode(&query["SAMLRequest"]).unwrap();
        let xml = String::from_utf8(miniz_oxide::inflate::decompress_to_vec(&deflated).unwrap()).unwrap();
        let document = crate::xml::parse(&xml).unwrap();
        let root = crate::xml::root(&document, crate::xml::PROTOCOL, "AuthnRequest").unwrap();
        let attribute = |name| crate::xml::attribute(&document, root, name);
        assert_eq!(attribute("ID"), Some(crate::request::id_of(STATE).as_str()));
        assert_eq!(attribute("Destination"), Some("https://corp.example/sso?tenant=7&x=y"));
        assert_eq!(attribute("AssertionConsumerServiceURL"), Some("https://tmcp.example/saml/acs/corp"));
        assert_eq!(attribute("ForceAuthn"), anew.then_some("true"));
    }
    let nobody = client.internal(&INTERNAL_SAML_REQUEST, json!({"provider": "x", "state": STATE, "anew": false})).await;
    assert_eq!(nobody.status, 404);
}

#[tokio::test]
async fn a_provider_is_told_what_it_needs_to_know() {
    let (_, client) = world();
    let answer = client.json("GET", "/saml/metadata/corp", "", Json::Null).await;
    assert_eq!((answer.status, answer.headers["content-type"].to_str().unwrap()), (200, "application/samlmetadata+xml"));
    let document = crate::xml::parse(&answer.text).unwrap();
    let root = document.document_element().unwrap();
    assert_eq!(crate::xml::attribute(&document, root, "entityID"), Some("https://tmcp.example/saml/metadata/corp"));
    let certificates = document.get_elements_by_tag_name("X509Certificate");
    assert_eq!(certificates.len(), 2, "for signing and for encryption");
    for one in certificates {
        let Ok(crate::signature::Key::Rsa(key)) = crate::certificate::key(&crate::xml::text(&document, one).unwrap()) else {
            panic!()
        };
        assert_eq!(key.n, ours().public.n);
    }
    assert_eq!(client.json("GET", "/saml/metadata/other", "", Json::Null).await.status, 404);
}

#[tokio::test]
async fn a_response_becomes_a_handle_that_counts_once() {
    let (_, client) = world();
    let handle = handle(&post(&client, &good(), STATE).await);
    // Another state, another provider, another handle: nothing.
    for brought in [
        json!({"provider": "corp", "state": "another", "handle": handle}),
        json!({"provider": "other", "state": STATE, "handle": handle}),
        json!({"provider": "corp", "state": STATE, "handle": "another"}),
    ] {
        assert_eq!(client.internal(&INTERNAL_SAML_REDEEM, brought).await.body["proven"], Json::Null);
    }
    let (first, second) = tokio::join!(redeem(&client, &handle), redeem(&client, &handle));
    assert!(first.is_null() != second.is_null(), "{first} {second}");
    let proven = if first.is_null() { second } else { first };
    assert_eq!((&proven["instance"], &proven["external_id"]), (&json!(format!("saml corp {ENTITY}")), &json!("carol-7")));
    assert_eq!((&proven["display_name"], &proven["email"]), (&json!("Carol"), &json!("carol@corp.example")));
    assert_eq!(proven["proven_at"], json!(Millis::parse("2026-11-23T11:59:30Z").unwrap()));
    assert_eq!(redeem(&client, &handle).await, Json::Null);
}

#[tokio::test]
async fn an_assertion_that_comes_again_is_refused_and_noticed() {
    let (platform, client) = world();
    let text = good();
    let (first, second) = tokio::join!(post(&client, &text, STATE), post(&client, &text, STATE));
    let (kept, again) = if first.status == 303 { (first, second) } else { (second, first) };
    handle(&kept);
    assert_eq!((again.status, again.text.contains("does not prove who you are")), (401, true));
    // The same assertion in another envelope is the same assertion.
    let other = text.replace("_r1", "_r2");
    assert_eq!(post(&client, &other, STATE).await.status, 401);
    let audit = "SELECT action, detail FROM audit WHERE outcome = 'refused'";
    let rows = platform.sql().query(stmt!(audit)).await.unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert_eq!(row.get("action").unwrap(), json!("sign_in.saml"));
        assert!(row.get("detail").unwrap().as_str().unwrap().contains("assertion used before"));
    }
}

#[tokio::test]
async fn what_proves_nothing_is_refused_in_one_way() {
    let (platform, client) = world();
    let other = "x".repeat(43);
    let cases = [
        (response(&assertion()), STATE),
        (good(), other.as_str()),
        (good(), "https://evil.example/"),
        ("<a/>".to_owned(), STATE),
        ("\u{0}".to_owned(), STATE),
    ];
    let mut pages = std::collections::BTreeSet::new();
    for (text, state) in &cases {
        let answer = post(&client, text, state).await;
        assert_eq!(answer.status, 401, "{text}");
        assert!(!answer.text.contains("evil.example"));
        pages.insert(answer.text.split("Request <code>").next().unwrap().to_owned());
    }
    assert_eq!(pages.len(), 1);
    let rows =
        platform.sql().query(stmt!("SELECT id FROM audit WHERE outcome = 'refused' AND action = 'sign_in.saml'")).await.unwrap();
    assert_eq!(rows.len(), cases.len());
    for form in ["SAMLResponse=x", "RelayState=x", "", "SAMLResponse=x&SAMLResponse=y&RelayState=z"] {
        assert_eq!(client.form("/saml/acs/corp", form).await.status, 400, "{form}");
    }
    let plus = client.form("/saml/acs/corp", &format!("SAMLResponse=%2B%2F%3F&RelayState={STATE}")).await;
    assert_eq!(plus.status, 401, "not base64");
    assert_eq!(client.form("/saml/acs/other", "SAMLResponse=x&RelayState=y").await.status, 404);
}

#[tokio::test]
async fn whoever_changed_their_mind_goes_back() {
    let (_, client) = world();
    let denied = response("").replace(
        "Value=\"urn:oasis:names:tc:SAML:2.0:status:Success\">",
        "Value=\"urn:oasis:names:tc:SAML:2.0:status:Responder\"><samlp:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:RequestDenied\"/>",
    );
    let answer = post(&client, &denied, STATE).await;
    let expected = format!("/sign-in/callback/corp?state={STATE}&error=access_denied");
    assert_eq!((answer.status, answer.headers["location"].to_str().unwrap()), (303, expected.as_str()));
}

#[tokio::test]
async fn a_death_leaves_nothing_half_done() {
    let text = good();
    for step in 0.. {
        let (platform, client) = world();
        platform.faults().die_at(Some(step));
        let answer = dies(post(&client, &text, STATE));
        platform.faults().die_at(None);
        if let Some(answer) = answer {
            handle(&answer);
            assert!(step > 0);
            break;
        }
        // Either nothing happened, and the browser may post once more; or the assertion is used, and nobody has its handle.
        let again = post(&client, &text, STATE).await.status;
        let kept = platform.sql().query(stmt!("SELECT assertion FROM saml_responses")).await.unwrap().len();
        assert!(kept == 1 && (again == 303 || again == 401), "{step}: {again}");
    }
}

#[tokio::test]
async fn what_is_over_is_forgotten_and_who_it_was_before_that() {
    let (platform, client) = world();
    let handle = handle(&post(&client, &good(), STATE).await);
    platform.advance(121_000);
    assert_eq!(redeem(&client, &handle).await, Json::Null);
    let maintain = async || assert_eq!(client.internal(&INTERNAL_MAINTAIN_SAML, json!({})).await.status, 200);
    maintain().await;
    let rows = platform.sql().query(stmt!("SELECT proven FROM saml_responses")).await.unwrap();
    assert_eq!((rows.len(), rows[0].get("proven").unwrap()), (1, json!("")), "it was used, by nobody in particular");
    assert_eq!(post(&client, &good(), STATE).await.status, 401);
    platform.advance(3_600_000);
    maintain().await;
    assert!(platform.sql().query(stmt!("SELECT proven FROM saml_responses")).await.unwrap().is_empty());
}

async fn checks(client: &Client, route: &Route) -> Json {
    client.internal(route, json!({"counts": false})).await.body["checks"].clone()
}

#[tokio::test]
async fn what_is_wrong_with_the_configuration_is_said_by_name() {
    let (platform, client) = world();
    assert!(platform.sql().query(stmt!(sql::PROBE)).await.is_ok());
    let good = checks(&client, &INTERNAL_STATUS_SAML).await;
    assert_eq!(good.as_array().unwrap().len(), 2, "{good}");
    assert!(good.as_array().unwrap().iter().all(|check| check["problem"].is_null()), "{good}");
    for (keys, problem) in [
        (private_ring().to_owned(), "a key without its certificate (x5c)"),
        (certified(&rsa_keys()[1]), "x5c is the certificate of another key"),
        ("{}".to_owned(), "not a JSON Web Key Set"),
    ] {
        platform.set("SAML_KEYS", &keys);
        let found = crate::settings::ours(&platform).err().unwrap();
        assert!(found.to_string().contains(problem) && found.name == "SAML_KEYS", "{found}");
        let bad = checks(&client, &INTERNAL_STATUS_SAML).await;
        assert!(bad[1]["problem"].as_str().unwrap().contains(problem), "{bad}");
        assert_eq!(
            client.internal(&INTERNAL_SAML_REQUEST, json!({"provider": "corp", "state": STATE, "anew": false})).await.status,
            503
        );
    }
    platform.set(
        "PROVIDERS",
        &json!([{"id": "corp", "kind": "saml", "name": "Corp", "entity_id": ENTITY, "sso_url": "https://corp.example/sso",
        "certificates": ["MIIC"]}])
        .to_string(),
    );
    let found = crate::settings::all(&platform).err().unwrap();
    assert_eq!(found.to_string(), "configuration PROVIDERS: provider `corp`: certificates: not an X.509 certificate");
    platform.set("PROVIDERS", "");
    assert_eq!(checks(&client, &INTERNAL_STATUS_SAML).await.as_array().unwrap().len(), 1, "nobody needs keys without a provider");
}
