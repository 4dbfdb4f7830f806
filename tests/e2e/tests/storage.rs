//! Mini-app storage (TMCP part 3; part 12, rows 55 to 57): keys, values, listing, isolation. Time has a file of its own.

use serde_json::{Value, json};
use tmcp_e2e::{Ask, Session, Storage, World};

const MIB: usize = 1_048_576;

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
