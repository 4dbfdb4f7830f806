//! Blob ids that an isolate announces ahead.

use super::World;
use serde_json::Value as Json;
use tmcp_ports::{Platform, Sql, stmt};

/// How many ids are announced that nobody has used.
async fn intents(world: &World) -> u32 {
    let rows = world.platform.sql().query(stmt!("SELECT unused FROM storage_intents")).await.unwrap();
    rows.into_iter().map(|row| row.decode::<serde_json::Value>().unwrap()["unused"].as_i64().unwrap().count_ones()).sum()
}

async fn blocks(world: &World) -> usize {
    world.platform.sql().query(stmt!("SELECT block FROM storage_intents")).await.unwrap().len()
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

#[tokio::test]
async fn a_batch_may_be_of_several_blocks() {
    let world = World::new();
    let items: Vec<Json> = (0..100).map(|n| serde_json::json!({"key": format!("b{n}"), "value": format!("{n:02000}")})).collect();
    assert_eq!(world.call("POST", "/api/v1/storage/batch/set", serde_json::json!({ "items": items })).await.status, 200);
    assert_eq!((intents(&world).await, blocks(&world).await, world.platform.kv_keys().len()), (0, 0, 100));
    for n in [0, 49, 50, 99] {
        assert_eq!(world.value(&format!("b{n}")).await, Some(format!("{n:02000}")));
    }
}

/// Of one block some ids are used, one was on its way when its write died, and the rest was never taken.
#[tokio::test]
async fn of_a_block_that_is_swept_only_what_was_used_stays() {
    let mut world = busy();
    for n in 0..5 {
        assert_eq!(world.put(&format!("k{n}"), &format!("{n:03000}")).await.status, 200);
    }
    assert_eq!((intents(&world).await, blocks(&world).await), (2, 1));
    // It dies when its bytes are stored, and before its batch.
    world.platform.faults().die_at(Some(1));
    assert!(tmcp_testkit::dies(world.put("dead", &"d".repeat(3000))).is_none());
    world.platform.faults().die_at(None);
    assert_eq!((intents(&world).await, world.platform.kv_keys().len()), (2, 6));
    world.pass(61 * 60 * 1000);
    assert_eq!(world.maintain().await["stale_intents"], 1);
    assert_eq!((intents(&world).await, blocks(&world).await), (0, 0));
    world.pass(10 * 60 * 1000);
    assert_eq!(world.maintain().await["garbage"], 2);
    assert_eq!(world.platform.kv_keys().len(), 5);
    for n in 0..5 {
        assert_eq!(world.value(&format!("k{n}")).await, Some(format!("{n:03000}")));
    }
}

/// An id counts once: a write that comes with one that is used, or whose block was swept, writes nothing.
#[tokio::test]
async fn an_id_is_good_for_one_row() {
    let world = World::new();
    let announce = |unused: i64| {
        stmt!("INSERT INTO storage_intents (block, chunks, unused) VALUES ('0123456789abcdef01234567', 1, ?1)", unused)
    };
    world.platform.sql().query(announce(0b101)).await.unwrap();
    let write = |key: &str, place: i64| {
        let item = serde_json::json!([{
            "key": key, "client_ts": null, "size": 1, "blob": format!("0123456789abcdef01234567-{place}"), "chunks": 1, "key_id": "k1",
            "body": null, "content_type": null, "expires_at": null,
        }]);
        let (uid, app) = ("01J00000000000000000000000", "ma_demo");
        world.platform.sql().query(stmt!(crate::sql::WRITE, uid, app, 1_800_000_000_000_i64, item.to_string()))
    };
    for (key, place, written) in [("a", 1, 0), ("a", 2, 1), ("b", 2, 0), ("b", 0, 1), ("c", 0, 0)] {
        assert_eq!(write(key, place).await.unwrap().len(), written, "{key} with place {place}");
    }
    assert_eq!(blocks(&world).await, 0, "nothing of it is left");
}
