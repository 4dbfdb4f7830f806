//! A mistake of ours that ends an instance: wasm traps. Whoever was being answered may get nothing; everybody after them is answered as if
//! nothing had been.

use serde_json::json;
use std::time::Duration;
use tmcp_e2e::{Ask, World, unique};

#[tokio::test]
async fn after_a_trap_the_next_request_is_answered() {
    let world = World::new();
    let entity = format!("/contract/entity/{}", unique("trap-"));
    let command = |command: serde_json::Value| world.post(&entity).json(&command);
    for (round, how) in (1..).zip(["abort", "panic", "panic", "abort"]) {
        let state = command(json!("add")).ask().await.ok();
        assert_eq!(state["value"], round, "{state}");
        let trapped = world.post(&format!("/contract/trap/{how}")).timeout(Duration::from_secs(20)).try_ask().await;
        assert!(trapped.as_ref().map_or(true, |answer| answer.status >= 500), "{trapped:?}");
        // Several times, since the first request makes the instance anew and the others find it.
        for _ in 0..3 {
            world.get("/contract/suites").ask().await.ok();
            assert_eq!(command(json!("get")).ask().await.ok()["value"], round);
        }
    }
}
