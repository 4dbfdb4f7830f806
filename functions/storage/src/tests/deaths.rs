//! A write that dies at any step.

use super::World;
use tmcp_testkit::dies;

#[tokio::test]
async fn a_write_that_dies_at_any_step_leaves_the_old_value_or_the_new_one_whole() {
    let cases = [(10, 2000, false), (2000, 600_000, false), (2000, 10, false), (2000, 3000, true)];
    for (old, new, ahead) in cases {
        let (old, new) = ("o".repeat(old), "n".repeat(new));
        let mut deaths = 0;
        for step in 0.. {
            let mut world = World::new();
            assert_eq!(world.put("k", &old).await.status, 200);
            if ahead {
                // The third large write takes an id that the second one announced.
                world.platform.remember();
                for _ in 0..2 {
                    assert_eq!(world.put("k", &old).await.status, 200);
                }
            }
            world.platform.faults().die_at(Some(step));
            let outcome = dies(world.put("k", &new));
            world.platform.faults().die_at(None);
            world.platform.lose_tasks();
            let value = world.value("k").await.expect("a value");
            if let Some(answer) = outcome {
                assert_eq!((answer.status, &value), (200, &new));
                break;
            }
            deaths += 1;
            assert!(value == old || value == new, "step {step}: neither old nor new");
            assert_eq!(world.usage().await, (i64::try_from(value.len()).unwrap(), 1), "step {step}");
            // The sweep removes whatever no row points at, and nothing else.
            world.pass(61 * 60 * 1000);
            world.maintain().await;
            world.pass(11 * 60 * 1000);
            world.maintain().await;
            assert_eq!(world.value("k").await.as_ref(), Some(&value), "step {step} after the sweep");
            let expected = if value.len() <= 1024 { 0 } else { value.len().div_ceil(512 * 1024) };
            assert_eq!(world.platform.kv_keys().len(), expected, "step {step} after the sweep");
        }
        assert!(deaths >= 2, "the write never died");
    }
}

#[tokio::test]
async fn a_write_whose_intent_was_swept_fails_rather_than_point_at_nothing() {
    let mut world = World::new();
    // It dies after its chunks were stored, sleeps for an hour, and the sweep comes first.
    world.platform.faults().die_at(Some(4));
    assert!(dies(world.put("k", &"x".repeat(5000))).is_none());
    world.platform.faults().die_at(None);
    assert_eq!(world.platform.kv_keys().len(), 1);
    world.pass(61 * 60 * 1000);
    world.maintain().await;
    assert_eq!(world.value("k").await, None);
}
