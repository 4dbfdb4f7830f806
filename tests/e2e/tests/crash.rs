//! The server is killed in the middle of its work, and started again on the same data: what it acknowledged is there, what it did
//! not is there whole or not at all.

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;
use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tmcp_e2e::{Ask, Up, World, at_once, path_of, unique};

const WRITES: usize = 200;
const CONNECTIONS: usize = 20;
const KILL_AFTER: usize = 70;

fn is_large(n: usize) -> bool {
    n.is_multiple_of(40)
}

/// Small enough for a row, or in one chunk, or in two.
fn value(n: usize, round: &str) -> String {
    let length = [100, 30_000, 560_000][if is_large(n) { 2 } else { n % 2 }];
    let word = format!("{round}-{n}-");
    word.repeat(length / word.len())
}

fn kill(world: &World) {
    let group = Pid::from_raw(world.up.pid).expect("a process id");
    kill_process_group(group, Signal::KILL).expect("the server's process group");
}

/// Starts it again; the new `up.json`.
fn restart(world: &World) -> Up {
    let (program, arguments) = world.up.restart.split_first().expect("a command that restarts");
    let output = Command::new(program).args(arguments).output().expect("the restart command");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Up::read()
}

#[tokio::test]
async fn a_killed_server_has_every_acknowledged_write_when_it_comes_back() {
    let world = World::new();
    let store = world.storage().await;
    // Half of the keys have a value already, which the crash may leave but not mix with the new one.
    for chunk in (0..WRITES / 2).collect::<Vec<_>>().chunks(10) {
        let items: Vec<_> =
            chunk.iter().filter(|n| !is_large(**n)).map(|n| json!({"key": format!("k{n}"), "value": value(*n, "old")})).collect();
        store.batch("set", &json!({ "items": items })).await.ok();
    }
    let had_value = |n: usize| n < WRITES / 2 && !is_large(n);
    // Revocations and effects are state, too.
    let (person, app) = (world.person().await, world.app().await);
    let revoked = world.session(&app, &person).await;
    world.form("/oauth2/revoke", &app, &[("token", &revoked.refresh)]).await.ok();
    let kept = world.session(&app, &person).await;
    let (entity, flag) = (unique("crash-"), unique("flag-"));
    for _ in 0..10 {
        let command = json!({"add_with_effect": {"flag": flag}});
        world.post(&format!("/contract/entity/{entity}")).json(&command).ask().await.ok();
    }

    let acknowledged = Arc::new(AtomicUsize::new(0));
    let lane = |lane: usize| {
        let (store, acknowledged) = (store.clone(), acknowledged.clone());
        async move {
            let mut good = Vec::new();
            for n in (lane..WRITES).step_by(CONNECTIONS) {
                let put = store.world.request("PUT", &path_of(&format!("k{n}"))).bearer_auth(&store.token);
                let answer = put.timeout(Duration::from_secs(20)).json(&json!({"value": value(n, "new")})).try_ask().await;
                if answer.is_ok_and(|answer| answer.status == 200) {
                    good.push(n);
                    acknowledged.fetch_add(1, Ordering::SeqCst);
                }
            }
            good
        }
    };
    let writing = tokio::spawn(at_once(CONNECTIONS, (0..CONNECTIONS).map(lane).collect::<Vec<_>>()));
    let began = Instant::now();
    while acknowledged.load(Ordering::SeqCst) < KILL_AFTER {
        assert!(began.elapsed() < Duration::from_secs(60), "the writes do not get on");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    kill(&world);
    let good: Vec<usize> = writing.await.expect("the writers").into_iter().flatten().collect();
    assert!((KILL_AFTER..WRITES).contains(&good.len()), "{} of {WRITES} writes: the kill was not in the middle", good.len());

    let up = restart(&world);
    assert_eq!(up.base_url, world.up.base_url);
    assert_ne!(up.pid, world.up.pid);
    let listed: BTreeMap<String, i64> = store.listing("", 1000).await.into_iter().collect();
    for n in 0..WRITES {
        let key = format!("k{n}");
        let (old, new) = (value(n, "old"), value(n, "new"));
        if good.contains(&n) {
            assert!(store.value(&key).await == new, "{key} was acknowledged");
        } else if listed.contains_key(&key) {
            let found = store.value(&key).await;
            assert!(found == new || (had_value(n) && found == old), "{key} was not acknowledged and is neither old nor new");
        } else {
            assert!(!had_value(n), "{key} lost its old value");
            store.get(&key).await.is_refused(404, "KEY_NOT_FOUND");
        }
    }
    store.usage_is_the_sum().await;
    // And it goes on where it was.
    for n in 0..WRITES {
        store.put(&format!("k{n}"), &value(n, "then")[..50]).await.ok();
    }
    assert_eq!(store.usage_is_the_sum().await, (50 * 200, 200));

    world.probe(&revoked.access).await.is_refused(401, "INVALID_TOKEN");
    world.refresh(&app, &revoked.refresh).await.is_oauth_error(400, "invalid_grant");
    world.probe(&kept.access).await.ok();
    world.refresh(&app, &kept.refresh).await.ok();

    world.post(&format!("/contract/flag/{flag}")).ask().await.expect(204);
    let began = Instant::now();
    loop {
        world.post("/contract/maintain").ask().await.ok();
        let state = world.post(&format!("/contract/entity/{entity}")).json(&json!("get")).ask().await.ok();
        if state["confirmed"].as_i64() >= Some(10) {
            assert_eq!(state["confirmed"], 10, "what an effect brings back is decided once");
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(90), "effects from before the crash are not done: {state}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let effects = world.get(&format!("/contract/effects/{entity}")).ask().await.ok();
    assert_eq!(effects["done"], 10, "{effects}");
}
