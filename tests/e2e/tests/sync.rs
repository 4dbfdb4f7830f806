//! POST /api/v1/storage/sync: a client that was offline sends its queue and learns what changed meanwhile.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use tmcp_e2e::{Storage, World};

const MIB: usize = 1_048_576;
/// A moment that is long over.
const AT: i64 = 1_700_000_000;

fn set(key: &str, value: &str, at: i64) -> Value {
    json!({"op": "set", "key": key, "value": value, "client_timestamp": at})
}

fn delete(key: &str, at: i64) -> Value {
    json!({"op": "delete", "key": key, "client_timestamp": at})
}

/// What a client has: values by key, and its place.
#[derive(Default)]
struct Device {
    cursor: Option<String>,
    values: BTreeMap<String, String>,
    pages: usize,
    resets: usize,
}

impl Device {
    /// Syncs until there is no more; gives the results of the queue.
    async fn sync(&mut self, store: &Storage, operations: Value, limit: usize) -> Vec<Value> {
        let mut results = Vec::new();
        let mut operations = Some(operations);
        loop {
            let body = json!({"operations": operations.take().unwrap_or(json!([])), "cursor": self.cursor, "limit": limit});
            let answer = store.sync(&body).await.ok();
            results.extend(answer["results"].as_array().unwrap().iter().cloned());
            if answer["reset"] == true {
                self.values.clear();
                self.resets += 1;
            }
            for change in answer["changes"].as_array().unwrap() {
                let key = change["key"].as_str().unwrap().to_owned();
                match change["value"].as_str() {
                    Some(value) => drop(self.values.insert(key, value.to_owned())),
                    None => {
                        assert_eq!(change["deleted"], true, "{change}");
                        self.values.remove(&key);
                    }
                }
            }
            self.cursor = Some(answer["cursor"].as_str().unwrap().to_owned());
            self.pages += 1;
            if answer["has_more"] == false {
                return results;
            }
        }
    }

    fn has(&self, expected: &[(&str, &str)]) {
        let values: Vec<(&str, &str)> = self.values.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(values, expected);
    }
}

#[tokio::test]
async fn two_devices_come_to_the_same_values() {
    let store = World::new().storage().await;
    let (mut phone, mut tablet) = (Device::default(), Device::default());
    store.put("online", "1").await.ok();

    let results = phone.sync(&store, json!([set("a", "phone", AT), set("b", "phone", AT), delete("nothing", AT)]), 100).await;
    assert_eq!(
        (&results[0]["key"], &results[0]["success"], &results[0]["metadata"]["size_bytes"]),
        (&json!("a"), &json!(true), &json!(5))
    );
    // A deletion is remembered even of a key that is not there: another device's older write must not bring it to life.
    assert_eq!((&results[2]["success"], &results[2]["deleted"]), (&json!(true), &json!(true)));
    let late = tablet.sync(&store, json!([set("nothing", "late", AT - 1)]), 100).await;
    assert_eq!(late[0]["conflict_detected"], true);
    phone.has(&[("a", "phone"), ("b", "phone"), ("online", "1")]);
    assert_eq!(phone.resets, 1, "a fresh client starts from nothing");

    let results =
        tablet.sync(&store, json!([set("a", "older", AT - 5), set("b", "newer", AT + 5), delete("online", AT + 5)]), 100).await;
    assert_eq!(
        (&results[0]["conflict_detected"], &results[0]["resolution"], &results[0]["server_value"]),
        (&json!(true), &json!("server_wins"), &json!("phone"))
    );
    assert!(results[1].get("conflict_detected").is_none());
    assert_eq!(results[2]["server_value"], "1", "a write without a timestamp was at its own time, which is later");
    tablet.has(&[("a", "phone"), ("b", "newer"), ("online", "1")]);

    store.delete("a").await.ok();
    phone.sync(&store, json!([]), 100).await;
    phone.has(&[("b", "newer"), ("online", "1")]);
    assert_eq!((phone.resets, tablet.resets), (1, 1));
    // An old offline write does not raise the dead.
    let results = tablet.sync(&store, json!([set("a", "zombie", AT + 10)]), 100).await;
    assert_eq!((&results[0]["conflict_detected"], &results[0]["server_value"]), (&json!(true), &Value::Null));
    tablet.has(&[("b", "newer"), ("online", "1")]);
    assert_eq!(store.usage_is_the_sum().await, (6, 2));
}

#[tokio::test]
async fn a_cursor_brings_what_is_behind_it_and_nothing_else() {
    let store = World::new().storage().await;
    let empty = store.sync(&json!({})).await.ok();
    assert_eq!((&empty["results"], &empty["changes"], &empty["has_more"]), (&json!([]), &json!([]), &json!(false)));
    store.put("a", "1").await.ok();
    let first = store.sync(&json!({"cursor": empty["cursor"]})).await.ok();
    assert_eq!(first["changes"][0]["value"], "1");
    let again = store.sync(&json!({"cursor": first["cursor"]})).await.ok();
    assert_eq!((&again["changes"], &again["reset"]), (&json!([]), &json!(false)));
    store.put("b", "2").await.ok();
    store.put("b", "3").await.ok();
    store.delete("a").await.ok();
    let changes = store.sync(&json!({"cursor": first["cursor"]})).await.ok()["changes"].clone();
    assert_eq!(changes.as_array().unwrap().len(), 2, "{changes}");
    assert_eq!((&changes[0]["key"], &changes[0]["value"]), (&json!("b"), &json!("3")));
    assert_eq!((&changes[1]["key"], &changes[1]["deleted"]), (&json!("a"), &json!(true)));
    // One's own writes are among the changes; an operation that lost is not.
    let own = store.sync(&json!({"cursor": again["cursor"], "operations": [set("c", "4", AT), set("b", "old", AT)]})).await.ok();
    let keys: Vec<&str> = own["changes"].as_array().unwrap().iter().map(|change| change["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["b", "a", "c"]);
}

#[tokio::test]
async fn a_queue_is_worked_off_in_its_order() {
    let store = World::new().storage().await;
    let queue = json!([
        set("a", "1", AT),
        set("a", "2", AT + 1),
        delete("a", AT + 2),
        set("a", "3", AT + 3),
        set("b", "1", AT + 5),
        set("b", "2", AT),
        set("b", "same time", AT + 5),
        delete("b", AT),
        set("c", "1", AT),
        delete("c", AT + 1),
        delete("c", AT + 2),
    ]);
    let mut device = Device::default();
    let results = device.sync(&store, queue.clone(), 100).await;
    let conflicts: Vec<usize> = (0..results.len()).filter(|n| results[*n]["conflict_detected"] == true).collect();
    assert_eq!((results.len(), conflicts), (11, vec![5, 7]), "{results:?}");
    device.has(&[("a", "3"), ("b", "same time")]);
    // The answer was lost and the queue comes again: nothing that can be seen is different.
    device.sync(&store, queue, 100).await;
    device.has(&[("a", "3"), ("b", "same time")]);
    assert_eq!(store.usage_is_the_sum().await, (10, 2));
}

#[tokio::test]
async fn an_operation_over_the_quota_fails_alone() {
    let store = World::new().storage().await;
    for n in 0..10 {
        store.put(&format!("k{n}"), &"x".repeat(MIB)).await.ok();
    }
    let queue =
        json!([set("empty", "", AT), set("too much", "1", AT), set("k0", "", 4_000_000_000_i64.min(AT)), delete("k1", AT)]);
    let results = Device::default().sync(&store, queue, 100).await;
    assert_eq!((&results[0]["success"], &results[1]["success"]), (&json!(true), &json!(false)));
    assert_eq!(results[1]["error"]["code"], "STORAGE_QUOTA_EXCEEDED");
    assert_eq!((&results[2]["conflict_detected"], &results[3]["conflict_detected"]), (&json!(true), &json!(true)));
    assert_eq!(store.usage_is_the_sum().await, (10_485_760, 11));
}

#[tokio::test]
async fn many_changes_come_in_pages() {
    let store = World::new().storage().await;
    for chunk in 0..3 {
        let items: Vec<Value> = (0..100).map(|n| json!({"key": format!("k{chunk}{n:02}"), "value": n.to_string()})).collect();
        store.batch("set", &json!({ "items": items })).await.ok();
    }
    let mut device = Device::default();
    device.sync(&store, json!([]), 37).await;
    assert_eq!((device.values.len(), device.pages, device.resets), (300, 300_usize.div_ceil(37), 1));
    let mut large = Device::default();
    for n in 0..8 {
        store.put(&format!("large{n}"), &n.to_string().repeat(MIB)).await.ok();
    }
    large.sync(&store, json!([]), 200).await;
    assert_eq!((large.values.len(), large.resets), (308, 1));
    assert!(large.pages >= 2, "a page holds a few mebibytes of values, not all");
    for n in 0..8 {
        assert!(large.values[&format!("large{n}")] == n.to_string().repeat(MIB));
    }
    device.sync(&store, json!([]), 5).await;
    assert!(device.values == large.values);
}

#[tokio::test]
async fn what_is_no_sync_is_refused_whole() {
    let world = World::new();
    let (store, other) = (world.storage().await, world.storage().await);
    let many: Vec<Value> = (0..101).map(|n| set(&format!("k{n}"), "v", AT)).collect();
    let ahead = json!({"op": "set", "key": "k", "value": "v", "client_timestamp": 9e9});
    let cases = [
        json!({"operations": many}),
        json!({"operations": [set("good", "v", AT), ahead]}),
        json!({"operations": [set("good", "v", AT), {"op": "set", "key": "k", "value": "v"}]}),
        json!({"operations": [set("good", "v", AT), {"op": "delete", "key": "k"}]}),
        json!({"operations": [{"op": "rename", "key": "k", "client_timestamp": AT}]}),
        json!({"operations": [{"op": "set", "key": "k", "client_timestamp": AT}]}),
        json!({"operations": [set(&"k".repeat(257), "v", AT)]}),
        json!({"operations": {}}),
        json!({"cursor": "!"}),
        json!({"cursor": 5}),
        json!({"limit": 0}),
        json!({"limit": 1001}),
    ];
    for body in cases {
        let answer = store.sync(&body).await;
        assert_eq!(answer.status, 400, "{}: {}", body.to_string().chars().take(100).collect::<String>(), answer.text);
        answer.is_refused(400, "INVALID_REQUEST");
    }
    assert_eq!(store.usage_is_the_sum().await, (0, 0));
    // A cursor that is none of this place's: from before an erasure, say, or from beyond its end.
    store.put("a", "1").await.ok();
    other.put("b", "1").await.ok();
    other.put("b", "1").await.ok();
    let foreign = other.sync(&json!({})).await.ok()["cursor"].clone();
    let answer = store.sync(&json!({"cursor": foreign})).await.ok();
    assert_eq!((&answer["reset"], &answer["changes"][0]["key"]), (&json!(true), &json!("a")));
}
