//! The quota under concurrent writers: exact, and usage always the sum of the rows.

use serde_json::json;
use tmcp_e2e::{Answer, Storage, World, at_once, unique};
use tokio::sync::Mutex;

/// One test at a time: fifty writers at once are what a database of one file can be asked for, four times fifty are not.
static ALONE: Mutex<()> = Mutex::const_new(());

const MIB: usize = 1_048_576;
const QUOTA: i64 = 10_485_760;

/// How many succeeded; the others must have been refused for the quota, not for anything else.
fn succeeded(answers: &[Answer]) -> usize {
    let (good, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    for answer in refused {
        answer.is_refused(413, "STORAGE_QUOTA_EXCEEDED");
    }
    good.len()
}

async fn put_at_once(store: &Storage, count: usize, width: usize, value: &str) -> Vec<Answer> {
    let puts = (0..count).map(|n| {
        let (store, value) = (store.clone(), value.to_owned());
        async move { store.put(&format!("k{n}"), &value).await }
    });
    at_once(width, puts).await
}

#[tokio::test]
async fn of_twenty_concurrent_mebibytes_ten_fit() {
    let _alone = ALONE.lock().await;
    let store = World::new().storage().await;
    let answers = put_at_once(&store, 20, 20, &"x".repeat(MIB)).await;
    assert_eq!(succeeded(&answers), 10);
    assert_eq!(store.usage_is_the_sum().await, (QUOTA, 10));
    for (key, _) in store.listing("", 100).await {
        assert_eq!(store.value(&key).await.len(), MIB);
    }
}

#[tokio::test]
async fn of_eleven_hundred_concurrent_keys_a_thousand_fit() {
    let _alone = ALONE.lock().await;
    let store = World::new().storage().await;
    let answers = put_at_once(&store, 1100, 50, "v").await;
    assert_eq!(succeeded(&answers), 1000);
    assert_eq!(store.usage_is_the_sum().await, (1000, 1000));
    // Full is not stuck: what is there can be changed, and what goes makes room.
    let keys = store.listing("", 1000).await;
    store.put(&keys[0].0, "changed").await.ok();
    store.put("one more", "v").await.is_refused(413, "STORAGE_QUOTA_EXCEEDED");
    store.delete(&keys[0].0).await.ok();
    store.put("one more", "v").await.ok();
    assert_eq!(store.usage_is_the_sum().await, (1000, 1000));
}

#[tokio::test]
async fn one_key_written_at_once_counts_once() {
    let _alone = ALONE.lock().await;
    let store = World::new().storage().await;
    let sizes: Vec<usize> = (1..=20).map(|n| n * 10_000).collect();
    let puts = sizes.clone().into_iter().map(|size| {
        let store = store.clone();
        async move { store.put("k", &"x".repeat(size)).await }
    });
    assert_eq!(succeeded(&at_once(20, puts).await), 20);
    let (bytes, keys) = store.usage_is_the_sum().await;
    assert_eq!(keys, 1);
    assert_eq!(i64::try_from(store.value("k").await.len()).unwrap(), bytes);
}

#[tokio::test]
async fn whatever_is_written_and_deleted_usage_is_the_sum() {
    let _alone = ALONE.lock().await;
    let store = World::new().storage().await;
    let mut state = 88_172_645_463_325_252_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    for _ in 0..6 {
        let work: Vec<_> = (0..50)
            .map(|_| {
                let (store, kind, key) = (store.clone(), random(6), format!("k{}", random(12)));
                let size = [random(3), random(1500), random(60_000), random(MIB)][random(4)];
                async move {
                    let value = "é".repeat(size / 2);
                    match kind {
                        0 => store.delete(&key).await,
                        1 => store.batch("delete", &json!({"keys": [key, "k1x", "k2x"]})).await,
                        2 => {
                            store
                                .batch(
                                    "set",
                                    &json!({"items": [{"key": key, "value": value}, {"key": unique("u"), "value": "1"}]}),
                                )
                                .await
                        }
                        3 => store.put_with(&key, &json!({"value": value, "client_timestamp": 1_700_000_000})).await,
                        _ => store.put(&key, &value).await,
                    }
                }
            })
            .collect();
        for answer in at_once(20, work).await {
            match answer.status {
                200 => {}
                404 => drop(answer.is_refused(404, "KEY_NOT_FOUND")),
                _ => drop(answer.is_refused(413, "STORAGE_QUOTA_EXCEEDED")),
            }
        }
        let (bytes, _) = store.usage_is_the_sum().await;
        assert!(bytes <= QUOTA);
    }
    for (key, size) in store.listing("", 1000).await {
        assert_eq!(i64::try_from(store.value(&key).await.len()).unwrap(), size, "{key}");
    }
}
