//! The group through the whole pipeline, on host adapters: semantics, key rotation, sweeps, and usage as the sum of the rows.

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use tmcp_protocol::routes::{INTERNAL_ERASE, INTERNAL_KEYS, INTERNAL_MAINTAIN_STORAGE};
use tmcp_testkit::{Answer, Client, TestPlatform, tep};

mod announced;
mod bounds;
mod deaths;

const SCOPES: &str = "storage:read storage:write";
const LIMITS: &str = r#"{"scale":1000}"#;

struct World {
    platform: TestPlatform,
    client: Client,
    token: String,
}

impl World {
    fn new() -> Self {
        let platform = TestPlatform::new();
        platform.set("LIMITS", LIMITS);
        let client = Client::new(crate::routes(), &platform);
        let token = tep(&platform, 1, "ma_a", SCOPES);
        Self { platform, client, token }
    }

    async fn call(&self, method: &str, path: &str, body: Json) -> Answer {
        self.client.json(method, path, &self.token, body).await
    }

    async fn put(&self, key: &str, value: &str) -> Answer {
        self.call("PUT", &format!("/api/v1/storage/{key}"), json!({ "value": value })).await
    }

    async fn get(&self, key: &str) -> Answer {
        self.call("GET", &format!("/api/v1/storage/{key}"), Json::Null).await
    }

    async fn value(&self, key: &str) -> Option<String> {
        let answer = self.get(key).await;
        assert!(matches!(answer.status, 200 | 404), "{answer:?}");
        answer.body.get("value").and_then(Json::as_str).map(str::to_owned)
    }

    async fn usage(&self) -> (i64, i64) {
        let answer = self.call("GET", "/api/v1/storage-info", Json::Null).await;
        let figure = |name: &str| answer.body["usage"][name].as_i64().unwrap();
        (figure("bytes"), figure("keys"))
    }

    async fn maintain(&self) -> Json {
        // Signed tokens live for an hour: a new one after time has passed.
        let answer = self.client.internal(&INTERNAL_MAINTAIN_STORAGE, json!({})).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }

    fn pass(&mut self, ms: i64) {
        self.platform.advance(ms);
        self.token = tep(&self.platform, 1, "ma_a", SCOPES);
    }
}

#[test]
fn every_route_has_a_handler() {
    assert_eq!(crate::routes::<TestPlatform>().unbound(), Vec::<&tmcp_protocol::routes::Route>::new());
}

#[tokio::test]
async fn what_is_put_is_got_small_and_large() {
    let world = World::new();
    for (key, size) in [("empty", 0), ("small", 1024), ("large", 1025), ("chunks", 1_048_576)] {
        let value = "x".repeat(size);
        assert_eq!(world.put(key, &value).await.status, 200, "{key}");
        assert_eq!(world.value(key).await, Some(value), "{key}");
    }
    assert_eq!(world.usage().await, (1024 + 1025 + 1_048_576, 4));
    let answer = world.get("small").await;
    assert_eq!(answer.body["metadata"]["size_bytes"], 1024);
    assert_eq!(world.get("nothing").await.code(), "KEY_NOT_FOUND");
}

#[tokio::test]
async fn names_that_look_like_routes_are_keys_too() {
    let world = World::new();
    for key in ["sync", "batch", "a%2Fb", "%D0%BA"] {
        assert_eq!(world.put(key, key).await.status, 200, "{key}");
        assert_eq!(world.value(key).await.as_deref(), Some(key));
        assert_eq!(world.call("DELETE", &format!("/api/v1/storage/{key}"), Json::Null).await.status, 200);
        assert_eq!(world.value(key).await, None);
    }
}

#[tokio::test]
async fn users_and_apps_see_nothing_of_each_other() {
    let world = World::new();
    world.put("k", "mine").await;
    for other in [tep(&world.platform, 2, "ma_a", SCOPES), tep(&world.platform, 1, "ma_b", SCOPES)] {
        let get = world.client.json("GET", "/api/v1/storage/k", &other, Json::Null).await;
        assert_eq!(get.status, 404);
        let delete = world.client.json("DELETE", "/api/v1/storage/k", &other, Json::Null).await;
        assert_eq!(delete.status, 404);
        let list = world.client.json("GET", "/api/v1/storage", &other, Json::Null).await;
        assert_eq!(list.body["keys"], json!([]));
    }
    assert_eq!(world.value("k").await.as_deref(), Some("mine"));
}

#[tokio::test]
async fn the_quota_is_exact_and_refuses_whole_batches() {
    let world = World::new();
    world.platform.set("QUOTA_BYTES", "100");
    world.platform.set("QUOTA_KEYS", "3");
    assert_eq!(world.put("a", &"x".repeat(100)).await.status, 200);
    let over = world.put("b", "x").await;
    assert_eq!((over.status, over.code()), (413, "STORAGE_QUOTA_EXCEEDED"));
    assert_eq!(over.body["error"]["details"]["current_usage_bytes"], 100);
    assert_eq!(world.put("a", &"x".repeat(98)).await.status, 200);
    let batch = json!({"items": [{"key": "b", "value": "1"}, {"key": "c", "value": "22"}]});
    assert_eq!(world.call("POST", "/api/v1/storage/batch/set", batch).await.status, 413);
    assert_eq!(world.usage().await, (98, 1));
    let keys = json!({"items": [{"key": "b", "value": ""}, {"key": "c", "value": ""}, {"key": "d", "value": ""}]});
    assert_eq!(world.call("POST", "/api/v1/storage/batch/set", keys).await.status, 413);
    // A quota that was lowered never keeps anybody from deleting.
    world.platform.set("QUOTA_BYTES", "10");
    assert_eq!(world.call("DELETE", "/api/v1/storage/a", Json::Null).await.status, 200);
    assert_eq!(world.usage().await, (0, 0));
}

#[tokio::test]
async fn a_refused_large_value_leaves_nothing_behind() {
    let mut world = World::new();
    world.platform.set("QUOTA_BYTES", "2000");
    assert_eq!(world.put("k", &"x".repeat(5000)).await.status, 413);
    assert_eq!(world.platform.kv_keys(), Vec::<String>::new(), "hopeless bytes are not even stored");
    // Two that fit alone race; the loser's blob goes.
    world.platform.set("QUOTA_BYTES", "100000");
    let items: Vec<Json> = (0..3).map(|n| json!({"key": format!("k{n}"), "value": "x".repeat(5000)})).collect();
    world.platform.set("QUOTA_KEYS", "2");
    assert_eq!(world.call("POST", "/api/v1/storage/batch/set", json!({ "items": items })).await.status, 413);
    assert_eq!(world.platform.kv_keys().len(), 3);
    world.platform.run_tasks().await;
    world.pass(10 * 60 * 1000);
    world.maintain().await;
    assert_eq!(world.platform.kv_keys(), Vec::<String>::new());
}

#[tokio::test]
async fn an_expired_key_is_gone_at_its_second_and_its_blob_is_swept() {
    let mut world = World::new();
    let body = json!({"value": "x".repeat(5000), "ttl": 60});
    assert_eq!(world.call("PUT", "/api/v1/storage/k", body).await.status, 200);
    world.pass(59_999);
    assert_eq!(world.usage().await, (5000, 1));
    world.pass(1);
    assert_eq!(world.value("k").await, None);
    assert_eq!(world.usage().await, (0, 0));
    assert_eq!(world.call("GET", "/api/v1/storage", Json::Null).await.body["keys"], json!([]));
    world.maintain().await;
    assert_eq!(world.platform.kv_keys().len(), 1);
    world.pass(10 * 60 * 1000);
    world.maintain().await;
    assert_eq!(world.platform.kv_keys().len(), 0);
}

#[tokio::test]
async fn the_newer_client_timestamp_wins() {
    let world = World::new();
    let put = |ts: f64, value: &str| {
        let body = json!({"value": value, "client_timestamp": ts});
        world.call("PUT", "/api/v1/storage/k", body)
    };
    let now = 1_795_305_600.0;
    assert_eq!(put(now, "first").await.body["success"], true);
    let older = put(now - 1.0, "older").await;
    assert_eq!(older.body["conflict_detected"], true);
    assert_eq!((older.body["resolution"].as_str(), older.body["server_value"].as_str()), (Some("server_wins"), Some("first")));
    assert_eq!(put(now, "equal").await.body.get("conflict_detected"), None);
    assert_eq!(world.value("k").await.as_deref(), Some("equal"));
    assert_eq!(put(now + 299.0, "ahead").await.status, 200);
    assert_eq!(put(now + 301.0, "too far").await.status, 400);
    // Without a timestamp a write always wins, even over one from the future.
    assert_eq!(world.put("k", "plain").await.body.get("conflict_detected"), None);
    assert_eq!(world.value("k").await.as_deref(), Some("plain"));
}

#[tokio::test]
async fn an_old_offline_write_does_not_raise_the_dead() {
    let world = World::new();
    world.put("k", "alive").await;
    world.call("DELETE", "/api/v1/storage/k", Json::Null).await;
    let body = json!({"value": "ghost", "client_timestamp": 1_795_305_599});
    let answer = world.call("PUT", "/api/v1/storage/k", body).await;
    assert_eq!((answer.body["conflict_detected"].as_bool(), answer.body["server_value"].is_null()), (Some(true), true));
    assert_eq!(world.value("k").await, None);
}

#[tokio::test]
async fn sync_takes_a_queue_and_tells_what_changed() {
    let mut world = World::new();
    let sync = json!({"operations": []});
    let start = world.call("POST", "/api/v1/storage/sync", sync).await.body;
    assert_eq!((start["reset"].as_bool(), start["changes"].as_array().map(Vec::len)), (Some(false), Some(0)));
    world.put("server", "s").await;
    world.put("gone", "g").await;
    let first = world.call("POST", "/api/v1/storage/sync", json!({})).await.body;
    assert_eq!(first["changes"].as_array().map(Vec::len), Some(2), "{first}");
    world.pass(10_000);
    world.call("DELETE", "/api/v1/storage/gone", Json::Null).await;
    let now = 1_795_305_609;
    let queue = json!({"cursor": first["cursor"], "operations": [
        {"op": "set", "key": "a", "value": "1", "client_timestamp": now},
        {"op": "set", "key": "a", "value": "2", "client_timestamp": now + 1},
        {"op": "set", "key": "server", "value": "old", "client_timestamp": now - 3600},
        {"op": "delete", "key": "never", "client_timestamp": now},
    ]});
    let answer = world.call("POST", "/api/v1/storage/sync", queue).await.body;
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results[0]["success"], true);
    assert_eq!(results[2]["conflict_detected"], true);
    assert_eq!(results[3]["deleted"], true);
    let changes: Vec<(String, Option<String>)> = answer["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["key"].as_str().unwrap().to_owned(), c["value"].as_str().map(str::to_owned)))
        .collect();
    assert_eq!(changes, [("gone".to_owned(), None), ("a".to_owned(), Some("2".to_owned())), ("never".to_owned(), None)]);
    // Tombstones go after thirty days; an older cursor has to start again.
    world.pass(31 * 24 * 3_600_000);
    world.maintain().await;
    let late = world.call("POST", "/api/v1/storage/sync", json!({"cursor": first["cursor"]})).await.body;
    assert_eq!((late["reset"].as_bool(), late["changes"].as_array().map(Vec::len)), (Some(true), Some(2)));
}

#[tokio::test]
async fn sync_pages() {
    let world = World::new();
    for n in 0..5 {
        world.put(&format!("k{n}"), "v").await;
    }
    let (mut cursor, mut seen) = (Json::Null, Vec::new());
    for _ in 0..3 {
        let page = world.call("POST", "/api/v1/storage/sync", json!({"cursor": cursor, "limit": 2})).await.body;
        seen.extend(page["changes"].as_array().unwrap().iter().map(|c| c["key"].as_str().unwrap().to_owned()));
        cursor = page["cursor"].clone();
        assert_eq!(page["has_more"].as_bool(), Some(seen.len() < 5));
    }
    assert_eq!(seen, ["k0", "k1", "k2", "k3", "k4"]);
}

#[tokio::test]
async fn a_rotated_master_key_still_reads_and_maintenance_seals_anew() {
    let mut world = World::new();
    world.put("small", "s").await;
    world.put("large", &"x".repeat(5000)).await;
    let old = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let new = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
    world.platform.set("STORAGE_KEYS", &json!({"current": "k2", "keys": {"k1": old, "k2": new}}).to_string());
    assert_eq!(world.value("small").await.as_deref(), Some("s"));
    let counts = world.client.internal(&INTERNAL_KEYS, json!({})).await.body;
    assert_eq!(counts["values"], json!({"k1": 2}));
    assert_eq!(world.maintain().await["resealed"], 2);
    let counts = world.client.internal(&INTERNAL_KEYS, json!({})).await.body;
    assert_eq!(counts["values"], json!({"k2": 2}));
    world.platform.set("STORAGE_KEYS", &json!({"current": "k2", "keys": {"k2": new}}).to_string());
    assert_eq!(world.value("large").await, Some("x".repeat(5000)));
    world.pass(10 * 60 * 1000);
    world.maintain().await;
    assert_eq!(world.platform.kv_keys().len(), 1);
    // A value that is long written: who reads it while it is sealed anew has ten minutes all the same.
    world.platform.set("STORAGE_KEYS", &json!({"current": "k1", "keys": {"k1": old, "k2": new}}).to_string());
    assert_eq!(world.maintain().await["resealed"], 2);
    world.pass(10 * 60 * 1000 - 1);
    world.maintain().await;
    assert_eq!(world.platform.kv_keys().len(), 2, "the old bytes");
    world.pass(1);
    assert_eq!((world.maintain().await["garbage"].as_i64(), world.platform.kv_keys().len()), (Some(1), 1));
    assert_eq!(world.value("large").await, Some("x".repeat(5000)));
}

#[tokio::test]
async fn a_blob_that_was_changed_is_never_shown() {
    let world = World::new();
    world.put("a", &"a".repeat(5000)).await;
    let before = world.platform.kv_keys();
    world.put("b", &"b".repeat(5000)).await;
    let other = world.platform.kv_keys().into_iter().find(|key| !before.contains(key)).unwrap();
    let bytes = world.platform.kv_bytes(&other).unwrap();
    world.platform.kv_overwrite(&before[0], bytes);
    assert_eq!(world.get("a").await.status, 500);
    assert!(world.platform.log_lines().iter().any(|line| line.contains("does not decrypt")));
}

#[tokio::test]
async fn erasing_takes_one_app_or_all() {
    let mut world = World::new();
    let other = tep(&world.platform, 1, "ma_b", SCOPES);
    let uid = tmcp_protocol::Uid::new(tmcp_protocol::Millis(0), [1; 16]);
    world.put("k", &"x".repeat(5000)).await;
    world.client.json("PUT", "/api/v1/storage/k", &other, json!({"value": "b"})).await;
    assert_eq!(world.client.internal(&INTERNAL_ERASE, json!({"uid": uid, "app": "ma_a"})).await.status, 204);
    assert_eq!(world.value("k").await, None);
    assert_eq!(world.client.json("GET", "/api/v1/storage/k", &other, Json::Null).await.status, 200);
    assert_eq!(world.client.internal(&INTERNAL_ERASE, json!({"uid": uid})).await.status, 204);
    assert_eq!(world.client.json("GET", "/api/v1/storage/k", &other, Json::Null).await.status, 404);
    world.pass(10 * 60 * 1000);
    world.maintain().await;
    assert_eq!(world.platform.kv_keys().len(), 0);
}

#[tokio::test]
async fn internal_routes_refuse_everybody_else() {
    let world = World::new();
    for route in [&INTERNAL_ERASE, &INTERNAL_KEYS, &INTERNAL_MAINTAIN_STORAGE] {
        let answer = world.call("POST", route.path, json!({})).await;
        assert_eq!((answer.status, answer.code()), (404, "NOT_FOUND"));
    }
}

#[derive(Debug, Clone)]
enum Op {
    Put(u8, usize, Option<i64>),
    Delete(u8),
    Pass(i64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (0..6u8, 0..3000usize, proptest::option::of(60..200i64)).prop_map(|(key, size, ttl)| Op::Put(key, size, ttl)),
        (0..6u8).prop_map(Op::Delete),
        (0..100_000i64).prop_map(Op::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn usage_is_always_the_sum_of_the_rows(ops in proptest::collection::vec(op(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            world.platform.set("QUOTA_BYTES", "6000");
            for op in ops {
                match op {
                    Op::Put(key, size, ttl) => {
                        let body = json!({"value": "é".repeat(size / 2), "ttl": ttl});
                        world.call("PUT", &format!("/api/v1/storage/k{key}"), body).await;
                    }
                    Op::Delete(key) => {
                        world.call("DELETE", &format!("/api/v1/storage/k{key}"), Json::Null).await;
                    }
                    Op::Pass(ms) => {
                        world.pass(ms);
                        world.maintain().await;
                    }
                }
                let list = world.call("GET", "/api/v1/storage?limit=1000", Json::Null).await.body;
                let keys = list["keys"].as_array().unwrap();
                let sum: i64 = keys.iter().map(|key| key["size_bytes"].as_i64().unwrap()).sum();
                assert_eq!(world.usage().await, (sum, i64::try_from(keys.len()).unwrap()));
                assert!(sum <= 6000);
            }
        });
    }
}
