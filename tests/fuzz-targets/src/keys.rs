//! Storage keys, the ranges of their listings, lifetimes and timestamps; and keys on their way through a URL.

use crate::bodies::{self, path_of};
use crate::input::Input;
use serde_json::Value;
use tmcp_protocol::Millis;
use tmcp_protocol::storage::{self, StorageKey};

const NOW: Millis = Millis(1_795_305_600_000);

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    match input.choice(4) {
        0 => key(&input.text()),
        1 => range(input),
        2 => figures(input),
        _ => through_the_api(&input.text()),
    }
}

fn key(text: &str) {
    let parsed = StorageKey::parse(text);
    let json = serde_json::to_string(text).expect("a string");
    assert_eq!(serde_json::from_str::<StorageKey>(&json).ok(), parsed.clone().ok());
    if let Ok(key) = parsed {
        assert_eq!(key.as_str(), text);
        assert_eq!(serde_json::to_string(&key).expect("a key"), json);
        assert!((1..=storage::MAX_KEY_BYTES).contains(&text.len()) && !text.chars().any(char::is_control));
        assert!(text != "." && text != "..", "no URL could name it");
    }
    if storage::check_content_type(text).is_ok() {
        assert!(http::HeaderValue::from_str(text).is_ok() && text.contains('/') && text.len() <= 127);
    }
}

fn range(input: Input<'_>) {
    let (prefix, key) = input.lines();
    let end = storage::successor(&prefix);
    let within = |key: &str| *key >= *prefix && end.as_deref().is_none_or(|end| key < end);
    assert_eq!(within(&key), key.starts_with(&*prefix), "{key:?} and the prefix {prefix:?}");
    assert!(within(&format!("{prefix}{key}")));
    assert!(prefix.is_empty() || end.is_some() || prefix.chars().all(|c| c == '\u{10FFFF}'));
}

fn figures(mut input: Input<'_>) {
    let ttl = i64::from_be_bytes(input.number::<8>().to_be_bytes());
    if let Ok(end) = storage::expiry(Some(ttl), NOW) {
        assert_eq!(end, Some(NOW.plus(ttl * 1000)));
        assert!((60..=2_592_000).contains(&ttl));
    }
    let seconds = f64::from_bits(input.number::<8>());
    if let Ok(moment) = storage::client_time(Some(seconds), NOW) {
        let moment = moment.expect("a moment for a number").0;
        assert!((0..=NOW.0 + storage::MAX_CLOCK_LEAD_MS).contains(&moment), "{seconds} became {moment}");
        assert!((moment as f64 / 1000.0 - seconds).abs() < 0.001, "{seconds} became {moment}");
    }
}

/// A key that is put can be got, listed by its own prefix, and deleted; a text that is no key is refused.
fn through_the_api(text: &str) {
    bodies::with_store(|store| {
        let path = path_of(text);
        let answer = store.send("PUT", &path, br#"{"value":"v"}"#);
        if StorageKey::parse(text).is_err() {
            // An empty key, `.` and `..` are paths of something else.
            assert!((400..500).contains(&answer.status), "PUT {path} answered {}", answer.status);
            return;
        }
        assert_eq!(answer.status, 200, "PUT {path}: {}", answer.body);
        assert_eq!(answer.body["key"], text);
        let found = store.send("GET", &path, b"");
        assert_eq!((found.status, &found.body["value"]), (200, &Value::from("v")), "GET {path}");
        let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("prefix", text).finish();
        let listed = store.send("GET", &format!("/api/v1/storage?{query}"), b"");
        assert_eq!(listed.body["keys"][0]["key"], text, "{query}: {}", listed.body);
        store.holds();
        assert_eq!(store.send("DELETE", &path, b"").status, 200, "DELETE {path}");
        assert_eq!(store.send("GET", &path, b"").status, 404, "GET {path} after its deletion");
    });
}
