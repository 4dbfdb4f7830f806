//! Mini-app storage (TMCP part 3; part 12, rows 55 to 57): single values, listing, isolation, lifetimes.

use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tmcp_e2e::{Ask, Session, Storage, World};

const MIB: usize = 1_048_576;

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

#[tokio::test]
async fn a_value_is_put_got_overwritten_and_deleted() {
    let store = World::new().storage().await;
    store.get("k").await.is_refused(404, "KEY_NOT_FOUND");
    store.delete("k").await.is_refused(404, "KEY_NOT_FOUND");

    let put = store.put_with("k", &json!({"value": "1", "metadata": {"content_type": "text/plain"}})).await.ok();
    assert_eq!((&put["key"], &put["success"]), (&json!("k"), &json!(true)));
    assert_eq!((&put["metadata"]["size_bytes"], &put["metadata"]["content_type"]), (&json!(1), &json!("text/plain")));
    let first = store.get("k").await.ok();
    assert_eq!((&first["key"], &first["value"], &first["updated_at"]), (&json!("k"), &json!("1"), &put["updated_at"]));
    assert_eq!((&first["metadata"]["content_type"], &first["expires_at"]), (&json!("text/plain"), &Value::Null));

    store.put("k", "zwei ✓").await.ok();
    let second = store.get("k").await.ok();
    assert_eq!((&second["value"], &second["metadata"]["size_bytes"]), (&json!("zwei ✓"), &json!(8)));
    assert_eq!(second["created_at"], first["created_at"]);
    assert!(second["metadata"].get("content_type").is_none(), "a write replaces all of it: {second}");
    assert_eq!(store.usage().await, (8, 1));

    assert_eq!(store.delete("k").await.ok(), json!({"key": "k", "success": true}));
    store.get("k").await.is_refused(404, "KEY_NOT_FOUND");
    store.delete("k").await.is_refused(404, "KEY_NOT_FOUND");
    assert_eq!(store.usage().await, (0, 0));
    store.put("k", "again").await.ok();
    assert_ne!(store.get("k").await.ok()["created_at"], first["created_at"]);
}

#[tokio::test]
async fn any_text_of_256_bytes_is_a_key() {
    let store = World::new().storage().await;
    let (ascii, wide) = ("k".repeat(256), "é".repeat(128));
    let keys = [
        "a/b",
        "/",
        "a//b",
        "a b",
        "a+b",
        "ключ",
        "🔑",
        "100%",
        "%2F",
        "%252F",
        "%",
        "a%zz",
        "?x=1",
        "#x",
        "a&b=c",
        "sync",
        "batch",
        "batch/get",
        "storage-info",
        "a'b",
        "a\"b",
        "a\\b",
        "..",
        "../x",
        "a;b",
        "a,b",
        "*",
        "_",
        "%_",
        "e\u{301}",
        "é",
        ascii.as_str(),
        wide.as_str(),
    ];
    let reachable: Vec<&str> = keys.into_iter().filter(|key| *key != "..").collect();
    for key in &reachable {
        let put = store.put(key, &format!("value of {key}")).await.ok();
        assert_eq!(put["key"], *key);
    }
    for key in &reachable {
        let got = store.get(key).await.ok();
        assert_eq!((&got["key"], &got["value"]), (&json!(key), &json!(format!("value of {key}"))));
    }
    let mut expected: Vec<String> = reachable.iter().map(|key| (*key).to_owned()).collect();
    expected.sort_unstable();
    let listed: Vec<String> = store.listing("", 1000).await.into_iter().map(|(key, _)| key).collect();
    assert_eq!(listed, expected, "in byte order");
    for key in &reachable {
        store.delete(key).await.ok();
    }
    assert_eq!(store.usage().await, (0, 0));
}

#[tokio::test]
async fn what_is_no_key_is_refused() {
    let store = World::new().storage().await;
    for key in ["k".repeat(257), "é".repeat(129), "a\nb".to_owned(), "a\0b".to_owned(), "\u{7f}".to_owned()] {
        for answer in [store.put(&key, "v").await, store.get(&key).await, store.delete(&key).await] {
            answer.is_refused(400, "INVALID_REQUEST");
        }
    }
    for path in ["/api/v1/storage/%FF", "/api/v1/storage/a%C3"] {
        store.world.get(path).bearer_auth(&store.token).ask().await.is_refused(400, "INVALID_REQUEST");
    }
    assert_eq!(store.usage().await, (0, 0));
}

#[tokio::test]
async fn values_of_every_size_up_to_a_mebibyte_come_back_as_they_were() {
    let store = World::new().storage().await;
    let text = |seed: usize, bytes: usize| -> String {
        (0..bytes).map(|n| char::from(b'a' + u8::try_from((n * n + n / 7 + seed) % 26).unwrap())).collect()
    };
    let escapes = "\u{1}\"\\\n".repeat(MIB / 4);
    let wide = "🔑".repeat(MIB / 4);
    let sizes = [0, 1, 1023, 1024, 1025, 16 * 1024, 512 * 1024 - 100, 512 * 1024, 512 * 1024 + 1, MIB - 1, MIB];
    let mut values: Vec<String> = sizes.into_iter().enumerate().map(|(seed, bytes)| text(seed, bytes)).collect();
    values.extend(["\0".to_owned(), "\u{FFFF}\u{10FFFF}".to_owned(), escapes, wide]);
    for (n, value) in values.iter().enumerate() {
        let put = store.put("k", value).await.ok();
        assert_eq!(put["metadata"]["size_bytes"], value.len(), "value {n}");
        assert!(store.value("k").await == *value, "value {n} of {} bytes came back changed", value.len());
        assert_eq!(store.usage().await, (i64::try_from(value.len()).unwrap(), 1), "value {n}");
    }
    for too_much in ["x".repeat(MIB + 1), "é".repeat(MIB / 2) + "x", "\u{1}".repeat(MIB + 1)] {
        store.put("k", &too_much).await.is_refused(413, "PAYLOAD_TOO_LARGE");
    }
    assert!(store.value("k").await == values[values.len() - 1], "a refused write changed the value");
}

#[tokio::test]
async fn ttl_timestamp_and_content_type_have_their_bounds() {
    let store = World::new().storage().await;
    let long = format!("text/{}", "x".repeat(122));
    let good = [
        json!({"value": "v", "ttl": 60}),
        json!({"value": "v", "ttl": 2_592_000}),
        json!({"value": "v", "ttl": null}),
        json!({"value": "v", "client_timestamp": now() + 290.0}),
        json!({"value": "v", "client_timestamp": now().floor() + 200.0}),
        json!({"value": "v", "metadata": {"content_type": "application/json; charset=utf-8"}}),
        json!({"value": "v", "metadata": {"content_type": long}}),
        json!({"value": "v", "metadata": {}}),
    ];
    for (n, body) in good.iter().enumerate() {
        let put = store.put_with(&format!("good {n}"), body).await.ok();
        assert!(put.get("conflict_detected").is_none(), "{put}");
    }
    let bad = [
        (json!({"value": "v", "ttl": 59}), "ttl"),
        (json!({"value": "v", "ttl": 2_592_001}), "ttl"),
        (json!({"value": "v", "ttl": 0}), "ttl"),
        (json!({"value": "v", "ttl": -60}), "ttl"),
        (json!({"value": "v", "ttl": 60.5}), "ttl"),
        (json!({"value": "v", "ttl": "60"}), "ttl"),
        (json!({"value": "v", "client_timestamp": now() + 310.0}), "client_timestamp"),
        (json!({"value": "v", "client_timestamp": now() * 1000.0}), "client_timestamp"),
        (json!({"value": "v", "client_timestamp": -1}), "client_timestamp"),
        (json!({"value": "v", "client_timestamp": "today"}), "client_timestamp"),
        (json!({"value": "v", "metadata": {"content_type": "text"}}), "content_type"),
        (json!({"value": "v", "metadata": {"content_type": format!("{long}x")}}), "content_type"),
        (json!({"value": "v", "metadata": {"content_type": "text/plain\r\nx: y"}}), "content_type"),
        (json!({"value": 5}), "value"),
        (json!({"value": null}), "value"),
        (json!({}), "value"),
    ];
    for (body, field) in bad {
        let error = store.put_with("k", &body).await.is_refused(400, "INVALID_REQUEST");
        assert!(error["message"].as_str().unwrap().contains(field), "{error} does not name {field}");
    }
    store.get("k").await.is_refused(404, "KEY_NOT_FOUND");
}

#[tokio::test]
async fn the_last_write_wins_by_the_clients_clock() {
    let store = World::new().storage().await;
    let base = now().floor() - 1000.0;
    let put = |value: &'static str, at: f64| {
        let store = store.clone();
        async move { store.put_with("k", &json!({"value": value, "client_timestamp": at})).await.ok() }
    };
    assert!(put("newer", base + 10.0).await.get("conflict_detected").is_none());
    let conflict = put("older", base).await;
    let expected =
        json!({"key": "k", "success": true, "conflict_detected": true, "resolution": "server_wins", "server_value": "newer"});
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(conflict[name], *value, "{conflict}");
    }
    assert_eq!(conflict["updated_at"], store.get("k").await.ok()["updated_at"]);
    assert_eq!(store.value("k").await, "newer");
    // At equal timestamps the later arrival wins; a write without one always does.
    put("same moment", base + 10.0).await;
    assert_eq!(store.value("k").await, "same moment");
    store.put("k", "now").await.ok();
    assert_eq!(store.value("k").await, "now");
    assert_eq!(put("older again", base + 20.0).await["conflict_detected"], true);
    // A deletion is a write too: an older one does not raise the dead.
    store.delete("k").await.ok();
    let conflict = put("from the dead", base + 30.0).await;
    assert_eq!((&conflict["conflict_detected"], &conflict["server_value"]), (&json!(true), &Value::Null));
    store.get("k").await.is_refused(404, "KEY_NOT_FOUND");
    assert_eq!(store.usage_is_the_sum().await, (0, 0));
}

#[tokio::test]
async fn listing_goes_by_prefix_and_page() {
    let store = World::new().storage().await;
    let mut keys: Vec<String> = (0..25).map(|n| format!("a/{n:02}")).collect();
    keys.extend(["a", "a.", "a0", "b", "ab/1", "ключ/1", "ключ/2", "a/\u{10FFFF}", "A/1", "a%2F1"].map(str::to_owned));
    for chunk in keys.chunks(100) {
        let items: Vec<Value> = chunk.iter().map(|key| json!({"key": key, "value": key})).collect();
        store.batch("set", &json!({ "items": items })).await.ok();
    }
    keys.sort_unstable();
    let with = |prefix: &str| -> Vec<(String, i64)> {
        keys.iter().filter(|key| key.starts_with(prefix)).map(|key| (key.clone(), i64::try_from(key.len()).unwrap())).collect()
    };
    for (prefix, encoded) in
        [("", ""), ("a/", "a%2F"), ("a", "a"), ("ключ", "%D0%BA%D0%BB%D1%8E%D1%87"), ("a%", "a%25"), ("_", "_"), ("zzz", "zzz")]
    {
        for limit in [1, 7, 1000] {
            assert_eq!(store.listing(encoded, limit).await, with(prefix), "prefix {prefix:?}, pages of {limit}");
        }
    }
    let page = store.list("?limit=3").await.ok();
    assert_eq!((&page["pagination"]["limit"], &page["pagination"]["has_more"]), (&json!(3), &json!(true)));
    assert!(page["keys"][0]["updated_at"].is_string() && page["keys"][0].get("value").is_none());
    let all = store.list("").await.ok();
    assert_eq!((all["keys"].as_array().unwrap().len(), &all["pagination"]["has_more"]), (keys.len(), &json!(false)));
    let long = format!("?prefix={}", "x".repeat(257));
    for bad in ["?limit=0", "?limit=1001", "?limit=-1", "?limit=x", "?cursor=!", "?cursor=%00", &long] {
        store.list(bad).await.is_refused(400, "INVALID_REQUEST");
    }
}

#[tokio::test]
async fn nobody_sees_what_is_anothers() {
    let world = World::new();
    let (app, other) = (world.app().await, world.app().await);
    let (alice, bob) = (world.person().await, world.person().await);
    let open = |session: Session| Storage::new(world.clone(), session.access);
    let stores = [
        open(world.session(&app, &alice).await),
        open(world.session(&app, &bob).await),
        open(world.session(&other, &alice).await),
    ];
    for (n, store) in stores.iter().enumerate() {
        store.get("k").await.is_refused(404, "KEY_NOT_FOUND");
        store.put("k", &n.to_string()).await.ok();
        store.put("large", &n.to_string().repeat(2000)).await.ok();
    }
    for (n, store) in stores.iter().enumerate() {
        assert_eq!(store.value("k").await, n.to_string());
        assert_eq!(store.value("large").await, n.to_string().repeat(2000));
        assert_eq!(store.usage().await, (2001, 2));
        assert_eq!(store.sync(&json!({})).await.ok()["changes"].as_array().unwrap().len(), 2);
    }
    stores[0].delete("k").await.ok();
    assert_eq!((stores[1].value("k").await, stores[2].value("k").await), ("1".to_owned(), "2".to_owned()));
    // The app's other client and the person's next session see the same.
    let backend = world.backend_of(&app).await;
    assert_eq!(open(world.session(&backend, &bob).await).value("k").await, "1");
    let names = open(world.session(&app, &alice).await);
    for query in [format!("?uid={}", bob.uid), format!("?user_id={}", bob.matrix.user_id), format!("?app={}", other.app_id)] {
        assert_eq!(names.list(&query).await.ok()["keys"].as_array().unwrap().len(), 1, "{query}");
    }
}

#[tokio::test]
async fn an_expired_key_is_gone_from_everywhere_at_its_second() {
    let store = World::new().storage().await;
    store.put("stays", "12345").await.ok();
    let began = std::time::Instant::now();
    store.put_with("small", &json!({"value": "123", "ttl": 60})).await.ok();
    let put = store.put_with("large", &json!({"value": "x".repeat(20_000), "ttl": 60})).await.ok();
    assert!(put["expires_at"].is_string());
    store.batch("set", &json!({"items": [{"key": "batched", "value": "1", "ttl": 60}]})).await.ok();
    store.put_with("renewed", &json!({"value": "12", "ttl": 60})).await.ok();
    store.put("renewed", "12").await.ok();
    let cursor = store.sync(&json!({})).await.ok()["cursor"].clone();
    tokio::time::sleep(Duration::from_secs(50).saturating_sub(began.elapsed())).await;
    assert_eq!(store.usage().await, (5 + 3 + 20_000 + 1 + 2, 5), "not before its time");
    assert_eq!(store.value("small").await, "123");
    tokio::time::sleep(Duration::from_millis(63_000).saturating_sub(began.elapsed())).await;
    for key in ["small", "large", "batched"] {
        store.get(key).await.is_refused(404, "KEY_NOT_FOUND");
        store.delete(key).await.is_refused(404, "KEY_NOT_FOUND");
    }
    let keys: Vec<String> = store.listing("", 100).await.into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["renewed", "stays"]);
    assert_eq!(store.usage_is_the_sum().await, (7, 2));
    let missing = store.batch("get", &json!({"keys": ["small", "stays"]})).await.ok()["missing"].clone();
    assert_eq!(missing, json!(["small"]));
    // Maintenance sweeps what is left of it, and changes nothing that can be seen; sync tells of it then.
    let maintained = store.world.post("/ops/maintenance").bearer_auth(&store.world.up.operator_token).ask().await;
    maintained.ok();
    assert_eq!(store.usage_is_the_sum().await, (7, 2));
    let changes = store.sync(&json!({ "cursor": cursor })).await.ok()["changes"].clone();
    let mut gone: Vec<&str> =
        changes.as_array().unwrap().iter().filter(|c| c["deleted"] == true).map(|c| c["key"].as_str().unwrap()).collect();
    gone.sort_unstable();
    assert_eq!(gone, ["batched", "large", "small"], "{changes}");
    store.put("small", "new life").await.ok();
    assert_eq!(store.value("small").await, "new life");
}
