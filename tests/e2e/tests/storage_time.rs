//! Mini-app storage: lifetimes, client timestamps, and what is refused of both.

use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tmcp_e2e::{Ask, World};

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
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
