//! The bodies and queries of storage, through the whole pipeline on host adapters.
//!
//! Promises: no input makes an error of ours; what is refused says why and changes nothing; whatever was taken, usage is the sum of
//! the listing, pages are the same as the whole, and a sync from the start tells the same as the list.

use crate::input::{Input, done};
use bytes::Bytes;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use tmcp_protocol::Uid;
use tmcp_protocol::routes::INTERNAL_ERASE;
use tmcp_testkit::{Answer, Client, TestPlatform, tep};

/// Inputs that one world serves; what it keeps (log lines, garbage rows) stays small.
const USES: usize = 200;

/// One person's storage in one app.
pub struct Store {
    platform: TestPlatform,
    client: Client,
    token: String,
    uses: usize,
}

thread_local! {
    static STORE: RefCell<Option<Store>> = const { RefCell::new(None) };
}

/// Runs with empty storage.
pub fn with_store(run: impl FnOnce(&Store)) {
    // Taken out while it runs: after a panic the next input gets a fresh one.
    let store = STORE.take().filter(|store| store.uses < USES).unwrap_or_else(Store::new);
    run(&store);
    store.erase();
    STORE.set(Some(Store { uses: store.uses + 1, ..store }));
}

/// The path of a key, everything encoded that is not a letter or digit.
pub fn path_of(key: &str) -> String {
    let encoded = key.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    });
    format!("/api/v1/storage/{}", encoded.collect::<String>())
}

impl Store {
    fn new() -> Self {
        let platform = TestPlatform::new();
        platform.set("LIMITS", r#"{"scale":1000000}"#);
        // Small, so that inputs reach it.
        platform.set("QUOTA_KEYS", "6");
        platform.set("QUOTA_BYTES", "6000");
        platform.set("INLINE_BYTES", "64");
        let client = Client::new(tmcp_storage::routes(), &platform);
        let token = tep(&platform, 1, "ma_a", "storage:read storage:write");
        Self { platform, client, token, uses: 0 }
    }

    fn erase(&self) {
        self.finish();
        let uid = Uid::new(tmcp_protocol::Millis(0), [1; 16]);
        assert_eq!(done(self.client.internal(&INTERNAL_ERASE, json!({ "uid": uid }))).status, 204);
    }

    /// What responses left behind.
    fn finish(&self) {
        done(self.platform.run_tasks());
    }

    /// A request; an answer that is our own error is a broken promise.
    pub fn send(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        self.try_send(method, path, body).unwrap_or_else(|| panic!("{path:?} is no path"))
    }

    /// A request; `None` where HTTP itself would not carry it.
    fn try_send(&self, method: &str, path: &str, body: &[u8]) -> Option<Answer> {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json");
        let answer = done(self.client.send(request.body(Bytes::copy_from_slice(body)).ok()?));
        assert!(answer.status < 500, "{method} {path} answered {}: {}", answer.status, answer.body);
        if answer.status >= 400 {
            let error = &answer.body["error"];
            assert!(error["code"].is_string() && error["message"].is_string(), "{method} {path}: {}", answer.body);
            assert!(error["timestamp"].is_string() && error["request_id"].is_string(), "{method} {path}: {}", answer.body);
        }
        self.finish();
        Some(answer)
    }

    /// Keys and sizes, by pages of `limit`.
    fn listing(&self, limit: usize) -> BTreeMap<String, i64> {
        let (mut keys, mut cursor) = (BTreeMap::new(), String::new());
        loop {
            let page = self.send("GET", &format!("/api/v1/storage?limit={limit}{cursor}"), b"").body;
            for row in page["keys"].as_array().expect("keys") {
                let (key, size) = (row["key"].as_str().expect("a key"), row["size_bytes"].as_i64().expect("a size"));
                assert!(keys.insert(key.to_owned(), size).is_none(), "{key:?} is listed twice");
            }
            match page["pagination"]["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return keys,
            }
        }
    }

    /// What sync tells a client that begins.
    fn synced(&self) -> BTreeMap<String, i64> {
        let (mut keys, mut cursor) = (BTreeMap::new(), Value::Null);
        loop {
            let mut body = json!({"limit": 2});
            if !cursor.is_null() {
                body["cursor"] = cursor;
            }
            let page = self.send("POST", "/api/v1/storage/sync", body.to_string().as_bytes()).body;
            for change in page["changes"].as_array().expect("changes") {
                let key = change["key"].as_str().expect("a key").to_owned();
                match change["metadata"]["size_bytes"].as_i64() {
                    Some(size) => keys.insert(key, size),
                    None => keys.remove(&key),
                };
            }
            cursor = page["cursor"].clone();
            if page["has_more"] != true {
                return keys;
            }
        }
    }

    /// What holds at any time.
    pub fn holds(&self) -> BTreeMap<String, i64> {
        let listed = self.listing(1000);
        assert_eq!(self.listing(2), listed, "pages against the whole");
        assert_eq!(self.synced(), listed, "sync against the list");
        let usage = self.send("GET", "/api/v1/storage-info", b"").body["usage"].clone();
        let sum = json!({"bytes": listed.values().sum::<i64>(), "keys": listed.len()});
        assert_eq!(usage, sum, "usage against the sum of the listing");
        assert!(listed.len() <= 6 && listed.values().sum::<i64>() <= 6000, "over the quota: {listed:?}");
        listed
    }

    fn set(&self, key: &str, value: &str) {
        let body = json!({"value": value, "client_timestamp": 1_795_305_500});
        assert_eq!(self.send("PUT", &path_of(key), body.to_string().as_bytes()).status, 200);
    }
}

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let choice = input.choice(8);
    with_store(|store| {
        store.set("a", "inline");
        store.set("ключ", &"in the key-value store ".repeat(40));
        let before = store.listing(1000);
        let post = |path: &str| store.send("POST", &format!("/api/v1/storage/{path}"), input.0);
        let answer = match choice {
            0 => store.send("PUT", &path_of("a"), input.0),
            1 => store.send("PUT", &path_of("new"), input.0),
            2 => post("batch/set"),
            3 => post("batch/get"),
            4 => post("batch/delete"),
            5 => post("sync"),
            6 => match store.try_send("GET", &format!("/api/v1/storage?{}", input.text()), b"") {
                Some(answer) => answer,
                None => return,
            },
            _ => match store.try_send("PUT", &format!("/api/v1/storage/{}", input.text()), br#"{"value":"v"}"#) {
                Some(answer) => answer,
                None => return,
            },
        };
        let after = store.holds();
        let writes = !matches!(choice, 3 | 6);
        if answer.status >= 400 || !writes {
            assert_eq!(after, before, "a request that was refused, or that reads, has changed something: {}", answer.body);
        }
        if choice == 5 && answer.status == 200 {
            repeated(store, input.0, &after);
        }
    });
}

/// A queue that is sent twice, as after a lost answer, leaves what it left the first time.
fn repeated(store: &Store, body: &[u8], after: &BTreeMap<String, i64>) {
    let operations = serde_json::from_slice::<Value>(body).unwrap_or_default()["operations"].take();
    let mut keys: Vec<&str> = operations.as_array().into_iter().flatten().filter_map(|op| op["key"].as_str()).collect();
    keys.sort_unstable();
    // Where a key comes twice, or not all fit, the second pass begins with what the first one left.
    if keys.windows(2).any(|pair| pair[0] == pair[1]) || after.len() >= 5 || after.values().sum::<i64>() > 3000 {
        return;
    }
    assert_eq!(store.send("POST", "/api/v1/storage/sync", body).status, 200);
    assert_eq!(&store.holds(), after, "a repeated queue changes something");
}
