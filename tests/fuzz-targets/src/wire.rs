//! The wire types: identifiers, scopes, keys, limits, forms, headers, service tokens. What parses prints as it came, within its bounds.

use crate::input::Input;
use std::collections::BTreeMap;
use tmcp_http::body::Form;
use tmcp_http::trace::{Trace, request_id};
use tmcp_http::{Address, internal};
use tmcp_ports::Random;
use tmcp_protocol::bucket::Bucket;
use tmcp_protocol::jwk::KeySet;
use tmcp_protocol::limits::{LimitClass, Limits};
use tmcp_protocol::service::ServiceKeys;
use tmcp_protocol::{AppId, ClientId, MatrixUserId, Millis, ScopeSet, ServerName, Uid};

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    match input.choice(10) {
        0 => ids(&input.text()),
        1 => uids(input),
        2 => scopes(&input.text()),
        3 => key_sets(&input.text()),
        4 => limits(input),
        5 => form(input.0),
        6 => trace(&input.text()),
        7 => address(&input.text()),
        8 => service_token(input),
        _ => moments(input),
    }
}

macro_rules! id {
    ($text:expr, $kind:ty, $max:expr) => {{
        let text: &str = $text;
        let json = serde_json::to_string(text).expect("a string");
        let parsed = <$kind>::parse(text);
        assert_eq!(serde_json::from_str::<$kind>(&json).ok(), parsed.clone().ok(), "two ways of parsing differ");
        if let Ok(id) = &parsed {
            assert_eq!(id.as_str(), text);
            assert_eq!(id.to_string(), text);
            assert_eq!(serde_json::to_string(id).expect("an id"), json);
            assert!((1..=$max).contains(&text.len()), "{} bytes", text.len());
            assert!(text.bytes().all(|b| b.is_ascii_graphic()), "an id with spaces or control characters: {text:?}");
        }
        parsed.ok()
    }};
}

fn ids(text: &str) {
    if let Some(app) = id!(text, AppId, 64) {
        assert!(app.as_str().starts_with("ma_") && ClientId::parse(text).is_ok(), "the public client has the app's id");
    }
    if id!(text, ClientId, 80).is_some() {
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'));
    }
    id!(text, ServerName, 230);
    if let Some(user) = id!(text, MatrixUserId, 255) {
        assert_eq!(format!("@{}:{}", user.localpart(), user.server()), text);
        assert!(ServerName::parse(user.server()).is_ok() && !user.localpart().contains(':'));
    }
    id!(text, Uid, 26);
}

fn uids(mut input: Input<'_>) {
    let moment = |number: u64| Millis(i64::try_from(number).unwrap_or(i64::MAX));
    let (early, late) = (moment(input.number::<6>()), moment(input.number::<6>()));
    let mut random = [[0; 16]; 2];
    random.iter_mut().flatten().for_each(|byte| *byte = input.byte());
    let [a, b] = [Uid::new(early, random[0]), Uid::new(late, random[1])];
    assert!(Uid::parse(a.as_str()).is_ok() && Uid::parse(b.as_str()).is_ok());
    if early != late {
        assert_eq!(a < b, early < late, "ids do not sort by time: {a} of {early:?} and {b} of {late:?}");
    }
}

fn scopes(text: &str) {
    let Ok(set) = ScopeSet::parse(text) else { return };
    let shown = set.to_string();
    assert_eq!(ScopeSet::parse(&shown).as_ref(), Ok(&set));
    assert!(shown.len() <= text.len() && !shown.contains("  ") && shown.trim() == shown);
    assert!(set.is_subset(&set) && set.iter().all(|scope| set.contains(scope) && text.contains(scope.as_str())));
}

fn key_sets(text: &str) {
    if let Ok(set) = KeySet::parse_public(text) {
        let json = serde_json::to_string(&set).expect("a key set");
        assert_eq!(KeySet::parse_public(&json).expect("what was printed parses").keys, set.keys);
        assert!(!set.keys.is_empty());
        for key in &set.keys {
            assert_eq!(set.find(&key.kid), Some(key), "two keys of one name");
            assert!(key.kty == "RSA" && key.alg == "RS256" && key.use_ == "sig" && key.n.len() >= 342);
            // A modulus or exponent that is no number is an error, never a panic.
            let _ = tmcp_rs256::verify(key, b"message", &[1; 256]);
        }
    }
    if let Ok(ring) = KeySet::parse_private(text) {
        let shown = serde_json::to_string(&ring.public()).expect("a key set");
        for secret in ring.keys.iter().flat_map(|key| [&key.d, &key.p, &key.q, &key.dp, &key.dq, &key.qi]) {
            let secret = secret.expose();
            assert!(
                secret.len() < 16 || !shown.contains(secret) || public_says(&ring.public(), secret),
                "a private member is shown"
            );
        }
    }
}

/// Whether the public members themselves hold that text, as an input may have it.
fn public_says(set: &KeySet<tmcp_protocol::jwk::PublicJwk>, text: &str) -> bool {
    set.keys.iter().any(|key| [&key.kid, &key.n, &key.e].iter().any(|member| member.contains(text)))
}

fn limits(mut input: Input<'_>) {
    let start = Millis(i64::try_from(input.number::<6>()).unwrap_or(0));
    let step = i64::try_from(input.number::<4>()).unwrap_or(0) - 1000;
    let Ok(limits) = Limits::parse(&input.text()) else { return };
    for class in LimitClass::ALL {
        let limit = limits.get(*class);
        assert!(limit.window_s >= 1);
        let most = u64::from(limit.capacity.saturating_add(limit.burst));
        let mut bucket = Bucket::new(&limit, start);
        let passed = (0..64).filter(|_| bucket.draw(&limit, 1, start).allowed).count() as u64;
        assert!(passed <= most, "{passed} requests at once under a limit of {most}");
        let mut now = start;
        for _ in 0..8 {
            now = now.plus(step);
            let admission = bucket.draw(&limit, 1, now);
            assert!(admission.allowed == (admission.retry_after == 0), "{admission:?}");
            assert!(u64::from(admission.remaining) <= most && admission.burst_remaining <= limit.burst, "{admission:?}");
        }
        let json = serde_json::to_string(&bucket).expect("a bucket");
        assert_eq!(serde_json::from_str::<Bucket>(&json).expect("what was stored is read"), bucket);
    }
}

fn form(bytes: &[u8]) {
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(bytes) {
        if !value.is_empty() {
            expected.entry(name.into_owned()).or_default().push(value.into_owned());
        }
    }
    match Form::parse(bytes) {
        Ok(form) => {
            let mut again = url::form_urlencoded::Serializer::new(String::new());
            for (name, values) in &expected {
                assert_eq!(values.len(), 1, "a parameter given twice was taken");
                assert_eq!(form.get(name), values.first().map(String::as_str));
                again.extend_pairs([(name, &values[0])]);
            }
            let again = Form::parse(again.finish().as_bytes()).expect("what was printed parses");
            assert!(expected.keys().all(|name| again.get(name) == form.get(name)));
        }
        Err(_) => assert!(expected.values().any(|values| values.len() > 1), "refused without a parameter given twice"),
    }
}

struct Ones;
impl Random for Ones {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0x11);
    }
}

fn is_lower_hex(text: &str, len: usize) -> bool {
    text.len() == len && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn trace(text: &str) {
    let trace = Trace::take_up(Some(text), &Ones);
    let header = trace.header();
    let parts: Vec<&str> = header.split('-').collect();
    assert!(
        matches!(parts[..], ["00", id, span, flags] if is_lower_hex(id, 32) && is_lower_hex(span, 16) && is_lower_hex(flags, 2)),
        "no traceparent of W3C's grammar: {header} of {text:?}"
    );
    assert_eq!(Trace::take_up(Some(&header), &Ones), trace, "our own header is not taken up");
    let id = request_id(Some(text), &Ones);
    assert!((8..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'), "{id}");
    assert_eq!(request_id(Some(&id), &Ones), id);
}

fn address(text: &str) {
    let address = Address::parse(text);
    let shown = address.as_str();
    assert!(shown.len() <= 43 && shown.bytes().all(|b| b.is_ascii_graphic()), "{shown:?}");
    let bare = shown.trim_end_matches("/64");
    assert_eq!(Address::parse(bare), address, "the network of {text:?} is another one");
    let truncated = address.truncated();
    let network = truncated.split('/').next().unwrap_or_default();
    assert_eq!(Address::parse(network).truncated(), truncated, "truncated twice is truncated more");
}

fn service_token(mut input: Input<'_>) {
    const KEY: &str = "c2VydmljZS1rZXktb2YtdGhpcnR5LXR3by1ieXRlcyE=";
    const NOW: Millis = Millis(1_795_305_600_000);
    let keys = ServiceKeys::parse(KEY).expect("a service key");
    let good = internal::sign(&keys, "POST", "/internal/erase", b"{}", NOW).expect("a token");
    let at = i64::try_from(input.number::<3>()).unwrap_or(0) - (1 << 23);
    assert_eq!(internal::holds(&keys, &good, "POST", "/internal/erase", b"{}", NOW.plus(at)), at.abs() <= 60_000);
    let (token, body) = input.lines();
    let token = token.replace('$', &good);
    if internal::holds(&keys, &token, "POST", "/internal/erase", b"{}", NOW) {
        // The time may be spelt with a plus sign or zeros; the tag is over the number.
        let tag = |token: &str| token.split_once('.').map(|(at, tag)| (at.parse::<i64>().ok(), tag.to_owned()));
        assert_eq!(tag(&token), tag(&good), "another token than the signed one holds");
    }
    if body != "{}" {
        assert!(
            !internal::holds(&keys, &good, "POST", "/internal/erase", body.as_bytes(), NOW),
            "the token holds for another body"
        );
    }
}

fn moments(mut input: Input<'_>) {
    let moment = Millis(i64::from_be_bytes(input.number::<8>().to_be_bytes()));
    let shown = moment.rfc3339();
    assert!(shown.ends_with('Z') && shown.is_ascii(), "{shown}");
    assert!(Millis::from_seconds(moment.seconds()) <= moment);
}
