//! The port contracts inside the runtime, driven through the test-only function (`cargo xtask up --with-contract`). Races come from
//! here, by many requests: within one Spin instance host calls run one after another.

use serde_json::{Value, json};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tmcp_e2e::{Ask, World, at_once, unique};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// How long something that will come may take: effects wait five seconds for their request, then for their turn.
const SOON: Duration = Duration::from_secs(45);

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

#[derive(Clone)]
struct Contract(World);

impl Contract {
    fn new() -> Self {
        Self(World::new())
    }

    async fn post(&self, path: &str) -> Value {
        self.0.post(path).ask().await.ok()
    }

    async fn get(&self, path: &str) -> Value {
        self.0.get(path).ask().await.ok()
    }

    async fn entity(&self, id: &str, command: Value) -> Value {
        self.0.post(&format!("/contract/entity/{id}")).json(&command).ask().await.ok()
    }

    async fn effects(&self, id: &str) -> (i64, i64) {
        let effects = self.get(&format!("/contract/effects/{id}")).await;
        (effects["done"].as_i64().unwrap(), effects["runs"].as_i64().unwrap())
    }

    async fn set_flag(&self, name: &str) {
        self.0.post(&format!("/contract/flag/{name}")).ask().await.expect(204);
    }

    /// The entity's state as soon as `holds` of it; maintenance runs meanwhile, as a ticker does.
    async fn state_when(&self, id: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            self.post("/contract/maintain").await;
            let state = self.entity(id, json!("get")).await;
            if holds(&state) {
                return state;
            }
            assert!(began.elapsed() < SOON, "{what} did not come: {state}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn fetch(&self, body: Value) -> Value {
        self.0.post("/contract/fetch").json(&body).ask().await.ok()
    }
}

#[tokio::test]
async fn every_suite_passes_inside_the_runtime() {
    let contract = Contract::new();
    let suites = contract.get("/contract/suites").await["suites"].clone();
    let suites = suites.as_array().unwrap();
    assert!(suites.len() >= 5, "{suites:?}");
    for suite in suites {
        let outcome = contract.post(&format!("/contract/run/{}", suite.as_str().unwrap())).await;
        assert_eq!(outcome["passed"], true, "{suite}: {}", outcome["detail"]);
    }
}

#[tokio::test]
async fn a_hundred_concurrent_requests_on_one_entity_are_a_hundred_decisions() {
    let contract = Contract::new();
    let id = unique("race-");
    let adds = (0..100).map(|_| {
        let (contract, id) = (contract.clone(), id.clone());
        async move { contract.entity(&id, json!("add")).await["value"].as_i64().unwrap() }
    });
    let mut values = at_once(100, adds).await;
    values.sort_unstable();
    assert_eq!(values, (1..=100).collect::<Vec<_>>());
    assert_eq!(contract.entity(&id, json!("get")).await["value"], 100);
    assert_eq!(contract.entity(&unique("other-"), json!("get")).await["value"], 0, "another id is another entity");
}

#[tokio::test]
async fn a_wake_up_comes_and_not_before_its_time() {
    let contract = Contract::new();
    for wait in [0, 1500, 4000] {
        let (id, at) = (unique("wake-"), now_ms() + wait);
        contract.entity(&id, json!({"wake_at": {"at": at}})).await;
        let state = contract.state_when(&id, "a wake-up", |state| state["woken_at"] != json!([])).await;
        assert_eq!((&state["due_at"], state["woken_at"].as_array().unwrap().len()), (&Value::Null, 1), "{state}");
        let woken = state["woken_at"][0].as_i64().unwrap();
        assert!((at..at + 30_000).contains(&woken), "due at {at}, woken at {woken}");
    }
}

#[tokio::test]
async fn a_wake_up_whose_state_has_moved_does_nothing() {
    let contract = Contract::new();
    let (moved, later) = (unique("moved-"), unique("later-"));
    let at = now_ms() + 1500;
    contract.entity(&moved, json!({"wake_at": {"at": at}})).await;
    contract.entity(&moved, json!("move")).await;
    contract.entity(&later, json!({"wake_at": {"at": at}})).await;
    contract.entity(&later, json!({"wake_at": {"at": at + 4000}})).await;
    while now_ms() < at + 2000 {
        contract.post("/contract/maintain").await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    for id in [&moved, &later] {
        assert_eq!(contract.entity(id, json!("get")).await["woken_at"], json!([]), "{id}");
    }
    let state = contract.state_when(&later, "the later wake-up", |state| state["woken_at"] != json!([])).await;
    assert!(state["woken_at"][0].as_i64().unwrap() >= at + 4000, "{state}");
}

#[tokio::test]
async fn effects_are_done_once_by_their_id() {
    let contract = Contract::new();
    let id = unique("effects-");
    let adds = (0..20).map(|_| {
        let (contract, id) = (contract.clone(), id.clone());
        async move { contract.entity(&id, json!({"add_with_effect": {"flag": ""}})).await }
    });
    at_once(20, adds).await;
    let state = contract.state_when(&id, "twenty confirmations", |state| state["confirmed"].as_i64() >= Some(20)).await;
    let (done, runs) = contract.effects(&id).await;
    assert_eq!((&state["value"], &state["confirmed"], done), (&json!(20), &json!(20), 20));
    assert!(runs >= 20);
}

#[tokio::test]
async fn an_effect_that_fails_comes_again_until_it_is_done() {
    let contract = Contract::new();
    let (id, flag) = (unique("failing-"), unique("flag-"));
    for _ in 0..2 {
        contract.entity(&id, json!({"add_with_effect": {"flag": flag}})).await;
    }
    let began = Instant::now();
    while contract.effects(&id).await.1 < 4 {
        assert!(began.elapsed() < SOON, "the effects are not tried again: {:?}", contract.effects(&id).await);
        contract.post("/contract/maintain").await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(contract.effects(&id).await.0, 0);
    assert_eq!(contract.entity(&id, json!("add")).await["confirmed"], 0, "commands go on meanwhile");
    contract.set_flag(&flag).await;
    let state = contract.state_when(&id, "both confirmations", |state| state["confirmed"].as_i64() >= Some(2)).await;
    assert_eq!(state["confirmed"], 2, "what an effect brings back is decided once");
    let before = contract.effects(&id).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    contract.post("/contract/maintain").await;
    assert_eq!((before.0, contract.effects(&id).await), (2, before), "what is done is not run again");
}

#[tokio::test]
async fn effects_that_fail_are_tried_ever_more_rarely() {
    let contract = Contract::new();
    let (id, flag) = (unique("rare-"), unique("flag-"));
    for _ in 0..3 {
        contract.entity(&id, json!({"add_with_effect": {"flag": flag}})).await;
    }
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(15) {
        contract.post("/contract/maintain").await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // Three requests, then five seconds of lease, then one, two, four, eight seconds of waiting.
    let (done, runs) = contract.effects(&id).await;
    assert!(done == 0 && (3..=30).contains(&runs), "{runs} runs of 3 effects in fifteen seconds");
    contract.set_flag(&flag).await;
    contract.state_when(&id, "three confirmations", |state| state["confirmed"].as_i64() >= Some(3)).await;
}

#[tokio::test]
async fn a_task_runs_after_its_response() {
    let contract = Contract::new();
    let name = unique("after-");
    assert_eq!(contract.get(&format!("/contract/flag/{name}")).await["set"], false);
    contract.0.post(&format!("/contract/after/{name}")).ask().await.expect(204);
    let began = Instant::now();
    while contract.get(&format!("/contract/flag/{name}")).await["set"] == false {
        assert!(began.elapsed() < SOON, "the task did not run");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn one_function_asks_another() {
    let answer = Contract::new().post("/contract/services").await;
    assert!(answer.is_object(), "{answer}");
}

/// A server of one answer: it reads a request, writes these bytes after a while, and leaves the connection open where they are not
/// a whole answer.
async fn answering(bytes: Vec<u8>, after: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let bytes = bytes.clone();
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                tokio::time::sleep(after).await;
                let _ = stream.write_all(&bytes).await;
                if bytes.ends_with(b"unfinished") {
                    tokio::time::sleep(Duration::from_secs(20)).await;
                }
                let _ = stream.shutdown().await;
            });
        }
    });
    format!("http://127.0.0.1:{port}/")
}

#[tokio::test]
async fn outgoing_calls_end_at_their_limits_and_follow_no_redirect() {
    let contract = Contract::new();
    let answer = |length: usize, body: &[u8]| {
        [format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n").as_bytes(), body].concat()
    };
    let small = answering(answer(1000, &[b'x'; 1000]), Duration::ZERO).await;
    let large = answering(answer(3_000_000, &vec![b'x'; 3_000_000]), Duration::ZERO).await;
    let late = answering(answer(10, &[b'x'; 10]), Duration::from_secs(8)).await;
    let unfinished = answering(answer(5000, b"unfinished"), Duration::ZERO).await;
    assert_eq!(contract.fetch(json!({"url": small, "max_bytes": 1000})).await, json!({"status": 200, "bytes": 1000}));
    for (what, request) in [
        ("a body over the limit", json!({"url": small, "max_bytes": 999})),
        ("a large body over the limit", json!({"url": large, "max_bytes": 1000})),
        ("an answer too late", json!({"url": late, "timeout_ms": 500})),
        ("a body that does not end", json!({"url": unfinished, "timeout_ms": 500})),
        ("nobody", json!({"url": "http://127.0.0.1:9/", "timeout_ms": 2000})),
    ] {
        let began = Instant::now();
        let outcome = contract.fetch(request).await;
        assert!(outcome["error"].is_string(), "{what}: {outcome}");
        assert!(began.elapsed() < Duration::from_secs(5), "{what} took {:?}: {outcome}", began.elapsed());
    }
    let redirect = format!("HTTP/1.1 302 Found\r\nconnection: close\r\nlocation: {small}\r\ncontent-length: 0\r\n\r\n");
    let outcome = contract.fetch(json!({"url": answering(redirect.into_bytes(), Duration::ZERO).await})).await;
    assert!(outcome["status"] == 302 || outcome["error"].is_string(), "{outcome}");
}
