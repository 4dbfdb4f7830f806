//! POST /api/v1/storage/batch/{get,set,delete}: up to 100 items, all or none.

use serde_json::{Value, json};
use tmcp_e2e::{Storage, World};

const MIB: usize = 1_048_576;

fn items(range: std::ops::Range<usize>, value: &str) -> Value {
    let items: Vec<Value> = range.map(|n| json!({"key": format!("k{n}"), "value": value})).collect();
    json!({ "items": items })
}

fn keys(range: std::ops::Range<usize>) -> Value {
    json!({"keys": range.map(|n| format!("k{n}")).collect::<Vec<_>>()})
}

async fn untouched(store: &Storage, usage: (i64, i64)) {
    assert_eq!(store.usage_is_the_sum().await, usage, "a refused batch changed something");
}

#[tokio::test]
async fn a_hundred_values_are_set_got_and_deleted_at_once() {
    let store = World::new().storage().await;
    let set = store.batch("set", &items(0..100, "v")).await.ok();
    assert_eq!(set["success"], true);
    let results = set["results"].as_array().unwrap();
    assert_eq!(results.len(), 100);
    for (n, result) in results.iter().enumerate() {
        assert_eq!(
            (&result["key"], &result["success"], &result["metadata"]["size_bytes"]),
            (&json!(format!("k{n}")), &json!(true), &json!(1))
        );
    }
    let got = store.batch("get", &keys(50..150)).await.ok();
    assert_eq!(got["items"].as_object().unwrap().len(), 50);
    assert_eq!((&got["items"]["k50"]["value"], &got["items"]["k99"]["key"]), (&json!("v"), &json!("k99")));
    assert_eq!(got["missing"], keys(100..150)["keys"]);

    let deleted = store.batch("delete", &keys(90..110)).await.ok();
    let flags: Vec<bool> =
        deleted["results"].as_array().unwrap().iter().map(|result| result["deleted"].as_bool().unwrap()).collect();
    assert_eq!(flags, [[true; 10], [false; 10]].concat());
    assert_eq!(store.usage_is_the_sum().await, (90, 90));
}

#[tokio::test]
async fn values_in_rows_and_values_in_blobs_go_together() {
    let store = World::new().storage().await;
    let values: Vec<String> =
        [0, 1, 1024, 1025, 100_000, 700_000].iter().map(|len| "é".repeat(len / 2) + &"x".repeat(len % 2)).collect();
    let list: Vec<Value> =
        values.iter().enumerate().map(|(n, value)| json!({"key": format!("k{n}"), "value": value, "ttl": 3600})).collect();
    store.batch("set", &json!({ "items": list })).await.ok();
    let got = store.batch("get", &keys(0..6)).await.ok();
    for (n, value) in values.iter().enumerate() {
        let item = &got["items"][format!("k{n}")];
        assert!(item["value"] == *value, "value {n} came back changed");
        assert!(item["expires_at"].is_string());
    }
}

#[tokio::test]
async fn a_batch_over_the_quota_changes_nothing() {
    let store = World::new().storage().await;
    let value = "x".repeat(MIB);
    for n in 0..9 {
        store.put(&format!("k{n}"), &value).await.ok();
    }
    let before = (9 * i64::try_from(MIB).unwrap(), 9);
    let two = json!({"items": [{"key": "small", "value": "1"}, {"key": "k0", "value": "2"}, {"key": "a", "value": value}, {"key": "b", "value": value}, {"key": "c", "value": value}]});
    let error = store.batch("set", &two).await.is_refused(413, "STORAGE_QUOTA_EXCEEDED");
    assert_eq!(
        (&error["details"]["current_usage_bytes"], &error["details"]["quota_bytes"]),
        (&json!(before.0), &json!(10_485_760))
    );
    untouched(&store, before).await;
    assert!(store.value("k0").await == value);
    // The sum counts, not the order: what makes room and what takes it may come in one batch.
    let swap = json!({"items": [{"key": "a", "value": value}, {"key": "b", "value": value}, {"key": "k0", "value": ""}]});
    store.batch("set", &swap).await.ok();
    assert_eq!(store.usage_is_the_sum().await, (10_485_760, 11));
    store.put("c", "").await.ok();
    store.put("c", "1").await.is_refused(413, "STORAGE_QUOTA_EXCEEDED");
    assert_eq!(store.value("c").await, "");
}

#[tokio::test]
async fn what_is_no_batch_is_refused_whole() {
    let store = World::new().storage().await;
    store.put("k0", "stays").await.ok();
    let twice = json!({"items": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]});
    let item = |extra: Value| {
        let mut bad = json!({"key": "bad", "value": "1"});
        bad.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!({"items": [{"key": "good", "value": "1"}, bad]})
    };
    let cases = [
        ("set", items(0..101, "v"), 400),
        ("set", json!({"items": []}), 400),
        ("set", json!({}), 400),
        ("set", twice, 400),
        ("set", item(json!({"key": "x".repeat(257)})), 400),
        ("set", item(json!({"key": ""})), 400),
        ("set", item(json!({"ttl": 59})), 400),
        ("set", item(json!({"client_timestamp": 9e11})), 400),
        ("set", item(json!({"metadata": {"content_type": "x"}})), 400),
        ("set", item(json!({"value": 1})), 400),
        ("set", item(json!({"value": "x".repeat(MIB + 1)})), 413),
        ("get", keys(0..101), 400),
        ("get", json!({"keys": []}), 400),
        ("get", json!({"keys": ["k0", "k0"]}), 400),
        ("delete", keys(0..101), 400),
        ("delete", json!({"keys": []}), 400),
        ("delete", json!({"keys": ["k0", "k0"]}), 400),
        ("delete", json!({"keys": ["k0", ""]}), 400),
    ];
    for (operation, body, status) in cases {
        let answer = store.batch(operation, &body).await;
        assert_eq!(
            answer.status,
            status,
            "{operation} {}: {}",
            body.to_string().chars().take(120).collect::<String>(),
            answer.text
        );
        answer.is_refused(status, if status == 400 { "INVALID_REQUEST" } else { "PAYLOAD_TOO_LARGE" });
    }
    untouched(&store, (5, 1)).await;
}

#[tokio::test]
async fn in_a_batch_each_item_is_decided_by_its_own_timestamp() {
    let store = World::new().storage().await;
    let at = 1_700_000_000;
    store.put_with("new", &json!({"value": "newer", "client_timestamp": at + 10})).await.ok();
    let body = json!({"items": [
        {"key": "new", "value": "older", "client_timestamp": at},
        {"key": "free", "value": "1", "client_timestamp": at},
    ]});
    let results = store.batch("set", &body).await.ok()["results"].clone();
    assert_eq!((&results[0]["conflict_detected"], &results[0]["server_value"]), (&json!(true), &json!("newer")));
    assert!(results[1].get("conflict_detected").is_none());
    assert_eq!((store.value("new").await, store.value("free").await), ("newer".to_owned(), "1".to_owned()));
}
