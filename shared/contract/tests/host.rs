//! The suites on the host adapters, and the entity promises with a clock that a test can move.

#![allow(clippy::unwrap_used)]

use tmcp_contract::counter::{self, Command, Counter};
use tmcp_contract::{SUITES, run};
use tmcp_ports::{Clock, Entities, Platform};
use tmcp_testkit::TestPlatform;

#[tokio::test]
async fn every_suite_holds_on_the_host() {
    for suite in SUITES {
        let platform = TestPlatform::new();
        assert_eq!(run(&platform, suite).await, Some(Ok(())), "{suite}");
    }
    assert_eq!(run(&TestPlatform::new(), "nonsense").await, None);
}

async fn ask(platform: &TestPlatform, command: Command) -> counter::State {
    platform.entities().ask::<Counter>("e", command).await.unwrap()
}

async fn maintain(platform: &TestPlatform) {
    platform.entities().maintain::<Counter>(100).await.unwrap();
}

#[tokio::test]
async fn decisions_come_one_after_another() {
    let platform = TestPlatform::new();
    for n in 1..=100 {
        assert_eq!(ask(&platform, Command::Add).await.value, n);
    }
}

#[tokio::test]
async fn a_wake_up_comes_not_before_its_time_and_once() {
    let platform = TestPlatform::new();
    let due = platform.clock().now().plus(1000);
    ask(&platform, Command::WakeAt { at: due }).await;
    platform.advance(999);
    maintain(&platform).await;
    assert_eq!(ask(&platform, Command::Get).await.woken_at, []);
    platform.advance(1);
    maintain(&platform).await;
    maintain(&platform).await;
    assert_eq!(ask(&platform, Command::Get).await.woken_at, [due]);
}

#[tokio::test]
async fn a_wake_up_comes_with_the_next_command_where_maintenance_did_not() {
    let platform = TestPlatform::new();
    let due = platform.clock().now().plus(1000);
    ask(&platform, Command::WakeAt { at: due }).await;
    platform.advance(5000);
    assert_eq!(ask(&platform, Command::Add).await.woken_at, [due.plus(4000)]);
}

#[tokio::test]
async fn a_wake_up_does_nothing_when_the_state_has_moved() {
    let platform = TestPlatform::new();
    ask(&platform, Command::WakeAt { at: platform.clock().now().plus(1000) }).await;
    ask(&platform, Command::Move).await;
    platform.advance(2000);
    maintain(&platform).await;
    assert_eq!(ask(&platform, Command::Get).await.woken_at, []);
}

#[tokio::test]
async fn an_effect_survives_the_death_of_its_process_and_is_done_once() {
    let platform = TestPlatform::new();
    counter::prepare(&platform).await.unwrap();
    ask(&platform, Command::AddWithEffect { flag: String::new() }).await;
    platform.lose_tasks();
    assert_eq!(counter::effects(&platform, "e").await.unwrap(), (0, 0));
    maintain(&platform).await;
    maintain(&platform).await;
    assert_eq!(counter::effects(&platform, "e").await.unwrap(), (1, 1));
    assert_eq!(ask(&platform, Command::Get).await.confirmed, 1);
}

#[tokio::test]
async fn a_failed_effect_is_tried_again_until_it_is_done() {
    let platform = TestPlatform::new();
    counter::prepare(&platform).await.unwrap();
    ask(&platform, Command::AddWithEffect { flag: "ready".into() }).await;
    platform.run_tasks().await;
    for _ in 0..3 {
        platform.advance(60_000);
        maintain(&platform).await;
    }
    let (done, runs) = counter::effects(&platform, "e").await.unwrap();
    assert_eq!((done, runs), (0, 4));
    counter::set_flag(&platform, "ready").await.unwrap();
    platform.advance(300_000);
    maintain(&platform).await;
    maintain(&platform).await;
    assert_eq!(counter::effects(&platform, "e").await.unwrap(), (1, 5));
}
