//! What one answer, one namespace and one statement may cost at most.

use super::World;
use serde_json::{Value as Json, json};

#[tokio::test]
async fn a_fresh_client_gets_through_behind_a_purge() {
    let mut world = World::new();
    for n in 0..6 {
        world.put(&format!("k{n}"), "v").await;
    }
    world.put("gone", "v").await;
    world.call("DELETE", "/api/v1/storage/gone", Json::Null).await;
    world.pass(31 * 24 * 3_600_000);
    world.maintain().await;
    let (mut cursor, mut seen, mut resets) = (Json::Null, 0, 0);
    for _ in 0..3 {
        let page = world.call("POST", "/api/v1/storage/sync", json!({"cursor": cursor, "limit": 2})).await.body;
        seen += page["changes"].as_array().unwrap().len();
        resets += usize::from(page["reset"] == true);
        cursor = page["cursor"].clone();
    }
    assert_eq!((seen, resets), (6, 1));
    let after = world.call("POST", "/api/v1/storage/sync", json!({"cursor": cursor})).await.body;
    assert_eq!((after["reset"].as_bool(), after["changes"].as_array().map(Vec::len)), (Some(false), Some(0)));
}

#[tokio::test]
async fn an_answer_never_carries_more_than_its_budget() {
    let world = World::new();
    for n in 0..6 {
        world.put(&format!("k{n}"), &"x".repeat(1_048_576)).await;
    }
    let keys: Vec<String> = (0..6).map(|n| format!("k{n}")).collect();
    let got = world.call("POST", "/api/v1/storage/batch/get", json!({ "keys": keys })).await.body;
    assert_eq!((got["items"].as_object().unwrap().len(), got["deferred"].as_array().unwrap().len()), (4, 2));
    let operations: Vec<Json> =
        (0..50).map(|_| json!({"op": "set", "key": "k0", "value": "old", "client_timestamp": 1})).collect();
    let answer = world.call("POST", "/api/v1/storage/sync", json!({ "operations": operations })).await.body;
    let with_value = answer["results"].as_array().unwrap().iter().filter(|result| result["server_value"].is_string()).count();
    assert_eq!(with_value, 4);
    assert_eq!(answer["results"][49]["server_value_omitted"], true);
}

#[tokio::test]
async fn deleting_again_is_no_deletion_and_tombstones_are_bounded() {
    let world = World::new();
    world.put("k", "v").await;
    let delete = json!({"keys": ["k"]});
    let first = world.call("POST", "/api/v1/storage/batch/delete", delete.clone()).await.body;
    let again = world.call("POST", "/api/v1/storage/batch/delete", delete).await.body;
    assert_eq!((&first["results"][0]["deleted"], &again["results"][0]["deleted"]), (&json!(true), &json!(false)));
    for round in 0..24 {
        let keys: Vec<String> = (0..100).map(|n| format!("r{round}-{n}")).collect();
        let items: Vec<Json> = keys.iter().map(|key| json!({"key": key, "value": ""})).collect();
        world.call("POST", "/api/v1/storage/batch/set", json!({ "items": items })).await;
        world.call("POST", "/api/v1/storage/batch/delete", json!({ "keys": keys })).await;
    }
    let count = rows(&world, "SELECT COUNT(*) AS n FROM storage_entries").await;
    let n = count[0]["n"].as_i64().unwrap();
    assert!((2000..2300).contains(&n), "{n} tombstones");
}

#[tokio::test]
async fn a_work_queue_and_a_cache_leave_bounded_tombstones() {
    let mut world = World::new();
    world.platform.remember();
    for n in 0..2_600 {
        let key = format!("job{n}");
        world.put(&key, "").await;
        world.call("DELETE", &format!("/api/v1/storage/{key}"), Json::Null).await;
    }
    let count = |rows: Vec<Json>| rows[0]["n"].as_i64().unwrap();
    let jobs = count(rows(&world, "SELECT COUNT(*) AS n FROM storage_entries").await);
    assert!(jobs < 2_600, "{jobs} tombstones of a queue");
    for round in 0..24 {
        let items: Vec<Json> = (0..100).map(|n| json!({"key": format!("c{round}-{n}"), "value": "", "ttl": 60})).collect();
        world.call("POST", "/api/v1/storage/batch/set", json!({ "items": items })).await;
        world.pass(61_000);
        world.maintain().await;
    }
    let all = count(rows(&world, "SELECT COUNT(*) AS n FROM storage_entries").await);
    assert!(all <= 2_100, "{all} tombstones of a cache");
}

#[tokio::test]
async fn totals_are_the_sums_after_any_history() {
    let mut world = World::new();
    let mut seed = 7_u64;
    let mut draw = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for step in 0..400 {
        let key = format!("/api/v1/storage/k{}", draw(12));
        let size = usize::try_from([0, 10, 900, 3_000][usize::try_from(draw(4)).unwrap()]).unwrap();
        let mut body = json!({ "value": "x".repeat(size) });
        match draw(6) {
            0 => body["ttl"] = json!(60),
            1 => body["client_timestamp"] = json!(1_700_000_000 + draw(200)),
            _ => {}
        }
        match draw(8) {
            0 | 1 => world.call("DELETE", &key, Json::Null).await,
            2 => {
                world.pass(61_000);
                if draw(2) == 0 {
                    world.maintain().await;
                }
                continue;
            }
            _ => world.call("PUT", &key, body).await,
        };
        let sums = rows(
            &world,
            "SELECT u.total_bytes, u.total_keys, (SELECT COALESCE(SUM(e.size), 0) FROM storage_entries e WHERE e.deleted_at IS NULL) AS bytes, \
             (SELECT COUNT(*) FROM storage_entries e WHERE e.deleted_at IS NULL) AS keys, \
             (SELECT COUNT(*) FROM storage_garbage g JOIN storage_entries e ON e.blob = g.blob) AS lost, \
             (SELECT COUNT(*) FROM storage_intents i JOIN storage_entries e ON i.block = substr(e.blob, 1, 24) \
             WHERE e.chunks > 0 AND (i.unused >> substr(e.blob, 26)) & 1) AS announced FROM storage_usage u",
        )
        .await;
        let Some(row) = sums.first() else { continue };
        assert_eq!((&row["total_bytes"], &row["total_keys"]), (&row["bytes"], &row["keys"]), "step {step}");
        assert_eq!((&row["lost"], &row["announced"]), (&json!(0), &json!(0)), "step {step}");
    }
}

/// Large values that are replaced leave their old bytes as garbage for ten minutes, which later writes remove: maintenance is not needed
/// for it.
#[tokio::test]
async fn writes_collect_what_writes_leave() {
    let mut world = World::new();
    let mut most = 0;
    for n in 0..1200 {
        assert_eq!(world.put(&format!("k{}", n % 4), &format!("{n:02000}")).await.status, 200);
        world.platform.run_tasks().await;
        world.pass(10_000);
        most = most.max(world.platform.kv_keys().len());
    }
    // 60 of the last ten minutes, and what lies in portions until they are drawn.
    assert!((64..400).contains(&most), "{most} blobs");
    world.pass(11 * 60 * 1000);
    world.maintain().await;
    assert_eq!(world.platform.kv_keys().len(), 4);
    assert_eq!(rows(&world, "SELECT blob FROM storage_garbage").await, Vec::<Json>::new());
}

/// What is collected is forgotten, whether it became garbage at once or one after the other, and what is not is not.
#[tokio::test]
async fn garbage_that_is_collected_is_forgotten() {
    let mut world = World::new();
    let items: Vec<Json> = (0..60).map(|n| json!({"key": format!("k{n}"), "value": "x".repeat(1100)})).collect();
    for _ in 0..2 {
        world.call("POST", "/api/v1/storage/batch/set", json!({ "items": items })).await;
        world.pass(1);
    }
    world.platform.run_tasks().await;
    for n in 0..20 {
        world.put(&format!("k{n}"), &"y".repeat(1100)).await;
        world.pass(1);
    }
    world.platform.lose_tasks();
    world.pass(10 * 60 * 1000);
    for (most, past, left) in [(30, 10, 50), (30, 0, 20), (17, 1, 3), (17, 0, 0)] {
        crate::maintain::collect(&world.platform, most, past).await.unwrap();
        let garbage = rows(&world, "SELECT blob FROM storage_garbage").await;
        assert_eq!((garbage.len(), world.platform.kv_keys().len()), (left, 60 + left), "{most} behind {past}");
    }
}

async fn rows(world: &World, sql: &'static str) -> Vec<Json> {
    use tmcp_ports::{Platform, Sql, stmt};
    world.platform.sql().query(stmt!(sql)).await.unwrap().into_iter().map(|row| row.decode().unwrap()).collect()
}

#[tokio::test]
async fn no_statement_walks_a_table() {
    use crate::sql;
    use tmcp_ports::{Platform, Sql, Statement, Value};
    let world = World::new();
    let all = [
        sql::WRITE,
        sql::ACCOUNT,
        sql::OUTCOME,
        sql::FIND,
        sql::FIND_ONE,
        sql::LIST,
        sql::USAGE,
        sql::SEQUENCE,
        sql::CHANGES,
        sql::INTEND,
        sql::MARK_SURPLUS,
        sql::DROP_SURPLUS,
        sql::ABANDON,
        sql::FORGET_INTENTS,
        sql::FORGET_BLOCKS,
        sql::STALE_INTENTS,
        sql::OLD_GARBAGE,
        sql::FORGET_GARBAGE,
        sql::EXPIRED,
        sql::EXPIRE,
        sql::OLD_TOMBSTONES,
        sql::MARK_PURGE,
        sql::PURGE,
        sql::UNDER_OLD_KEY,
        sql::RESEAL,
        sql::RETIRE_ONE,
        sql::RETIRE_ALL,
        sql::ERASE,
        sql::ERASE_USAGE,
    ];
    for text in all {
        let explain: &'static str = Box::leak(format!("EXPLAIN QUERY PLAN {text}").into_boxed_str());
        let highest = (1..=8).rev().find(|n| text.contains(&format!("?{n}"))).unwrap_or(0);
        let statement = Statement { sql: explain, args: vec![Value::from("[]"); highest] };
        for row in world.platform.sql().query(statement).await.unwrap() {
            let step = row.decode::<Json>().unwrap()["detail"].as_str().unwrap().to_owned();
            let walks = step.starts_with("SCAN storage_") || step == "SCAN e" || step == "SCAN i";
            assert!(!walks, "{step} in {text}");
        }
    }
}
