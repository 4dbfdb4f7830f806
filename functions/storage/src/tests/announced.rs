//! Blob ids that an isolate announces ahead.

use super::World;
use serde_json::Value as Json;
use tmcp_ports::{Platform, Sql, stmt};

async fn intents(world: &World) -> i64 {
    let rows = world.platform.sql().query(stmt!("SELECT COUNT(*) AS count FROM storage_intents")).await.unwrap();
    rows[0].0["count"].as_i64().unwrap()
}

fn busy() -> World {
    let world = World::new();
    world.platform.remember();
    world
}

#[tokio::test]
async fn a_busy_isolate_announces_ahead_what_it_then_uses() {
    let mut world = busy();
    let mut left = Vec::new();
    for n in 0..12 {
        assert_eq!(world.put("k", &format!("{n:03000}")).await.status, 200);
        left.push(intents(&world).await);
    }
    assert_eq!(left, [0, 1, 0, 3, 2, 1, 0, 7, 6, 5, 4, 3]);
    assert_eq!(world.value("k").await, Some(format!("{:03000}", 11)));
    // What nobody used is swept, and no byte of a value with it.
    world.pass(61 * 60 * 1000);
    world.maintain().await;
    world.pass(11 * 60 * 1000);
    world.maintain().await;
    assert_eq!((intents(&world).await, world.platform.kv_keys().len()), (0, 1));
    assert_eq!(world.put("k", &"y".repeat(3000)).await.status, 200, "an id that was swept is not used");
    assert_eq!(world.value("k").await, Some("y".repeat(3000)));
}

#[tokio::test]
async fn a_batch_takes_all_its_ids_from_the_stock_or_none() {
    let world = busy();
    for n in 0..4 {
        assert_eq!(world.put("k", &format!("{n:03000}")).await.status, 200);
    }
    assert_eq!(intents(&world).await, 3);
    let items = |sizes: &[usize]| -> Json {
        let items = sizes.iter().enumerate();
        let items: Vec<Json> =
            items.map(|(n, size)| serde_json::json!({"key": format!("b{n}"), "value": "x".repeat(*size)})).collect();
        serde_json::json!({ "items": items })
    };
    for (sizes, left) in [(&[2000, 10, 2000][..], 1), (&[2000, 2000], 1), (&[600_000], 1), (&[10, 10], 1), (&[2000], 0)] {
        assert_eq!(world.call("POST", "/api/v1/storage/batch/set", items(sizes)).await.status, 200);
        assert_eq!(intents(&world).await, left, "{sizes:?}");
        for (n, size) in sizes.iter().enumerate() {
            assert_eq!(world.value(&format!("b{n}")).await.map(|value| value.len()), Some(*size));
        }
    }
}

#[tokio::test]
async fn hopeless_bytes_stay_out_of_kv_with_a_stock_too() {
    let mut world = busy();
    world.platform.set("QUOTA_BYTES", "20000");
    for n in 0..4 {
        assert_eq!(world.put(&format!("k{n}"), &"x".repeat(5000)).await.status, 200);
    }
    assert!(intents(&world).await > 0);
    let over = world.put("k4", &"x".repeat(5000)).await;
    assert_eq!((over.status, over.code(), world.platform.kv_keys().len()), (413, "STORAGE_QUOTA_EXCEEDED", 4));
    // Room that the isolate believed in and that is not there costs one blob, which goes; then it asks again.
    assert_eq!(world.call("DELETE", "/api/v1/storage/k0", Json::Null).await.status, 200);
    assert_eq!(world.put("k0", &"x".repeat(2000)).await.status, 200);
    world.platform.set("QUOTA_KEYS", "4");
    assert_eq!(world.put("k4", &"x".repeat(2000)).await.status, 413);
    assert_eq!(world.platform.kv_keys().len(), 6);
    world.platform.run_tasks().await;
    world.pass(10 * 60 * 1000);
    world.maintain().await;
    assert_eq!(world.platform.kv_keys().len(), 4);
}
