//! Sealing the audit log, what is noticed on the way, telling of it, and taking old rows away.

use serde_json::{Value as Json, json};
use tmcp_http::audit::{Entry, statement};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::audit::{AuditRow, Place, Verifier, is_checkpoint};
use tmcp_protocol::routes::Function;
use tmcp_testkit::{Client, TestPlatform, dies};

const OPERATOR: &str = "operator-secret-operator-secret-";
const HOOK: &str = "https://alerts.example/hook";
const DAY_MS: i64 = 24 * 3_600_000;

struct World {
    platform: TestPlatform,
    client: Client,
}

impl World {
    fn new() -> Self {
        let platform = TestPlatform::new();
        platform.set("LIMITS", r#"{"scale":1000}"#);
        for function in Function::ALL.iter().filter(|function| **function != Function::Ops) {
            platform.in_process().connect(*function, |_| async { http::Response::new("{}".into()) });
        }
        Self { client: Client::new(crate::routes(), &platform), platform }
    }

    async fn write(&self, entry: Entry<'_>) {
        self.platform.advance(1);
        self.platform.sql().query(statement(&self.platform, entry)).await.unwrap();
    }

    async fn refused(&self, target: &str, address: &str) {
        let address = Some(address.to_owned());
        self.write(Entry { action: "sign_in.matrix", outcome: "refused", target: Some(target), address, ..Entry::default() })
            .await;
    }

    async fn maintain(&self) -> Json {
        let answer = self.client.json("POST", "/ops/maintenance", OPERATOR, Json::Null).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["audit"].clone()
    }

    /// The log as the operator reads it; whether it holds.
    async fn holds(&self) -> (usize, Vec<String>) {
        let keys = crate::audit_log::keys(&self.platform).unwrap();
        let first = self.client.json("GET", "/ops/audit", OPERATOR, Json::Null).await.body;
        let begins = &first["checkpoint"];
        let place: Place = serde_json::from_value(begins.clone()).unwrap_or_default();
        assert!(begins.is_null() || is_checkpoint(&keys, &place, begins["signature"].as_str().unwrap()));
        let (mut verifier, mut count, mut portion) = (Verifier::new(&keys, place), 0, first);
        loop {
            let rows: Vec<AuditRow> = serde_json::from_value(portion["rows"].clone()).unwrap();
            let Some(last) = rows.last() else { break };
            count += rows.len();
            rows.iter().for_each(|row| verifier.follow(row));
            let path = format!("/ops/audit?after={}", last.seq.unwrap());
            portion = self.client.json("GET", &path, OPERATOR, Json::Null).await.body;
        }
        (count, verifier.end().1.iter().map(ToString::to_string).collect())
    }

    async fn signs(&self) -> Vec<(String, String)> {
        let rows = self
            .rows("SELECT action, target, address FROM audit WHERE action LIKE 'attack.%' ORDER BY action, target, address")
            .await;
        let text = |row: &Json, name: &str| row[name].as_str().unwrap_or_default().to_owned();
        rows.iter().map(|row| (text(row, "action"), text(row, "target") + &text(row, "address"))).collect()
    }

    async fn rows(&self, query: &'static str) -> Vec<Json> {
        let rows = self.platform.sql().query(stmt!(query)).await.unwrap();
        rows.into_iter().map(|row| row.decode().unwrap()).collect()
    }
}

#[tokio::test]
async fn every_row_is_sealed_and_a_change_is_found() {
    let world = World::new();
    for n in 0..450 {
        world.write(Entry { action: "test", outcome: "ok", actor: Some(&n.to_string()), ..Entry::default() }).await;
    }
    let told = world.maintain().await;
    assert_eq!((&told["sealed"], &told["head"]["seq"]), (&json!(450), &json!(450)), "{told}");
    assert_eq!(world.holds().await, (450, vec![]));
    assert_eq!(world.maintain().await["sealed"], 0);
    world.rows("UPDATE audit SET actor = 'somebody else' WHERE seq = 7").await;
    world.rows("DELETE FROM audit WHERE seq IN (100, 101)").await;
    let (count, problems) = world.holds().await;
    assert_eq!((count, problems.len()), (448, 2), "{problems:?}");
    assert!(problems[0].starts_with("row 7 ") && problems[1] == "rows 100 to 101 are missing", "{problems:?}");
}

#[tokio::test]
async fn two_runs_at_once_and_rows_between_seal_each_once() {
    let world = World::new();
    for n in 0..30 {
        world.write(Entry { action: "test", outcome: "ok", actor: Some(&n.to_string()), ..Entry::default() }).await;
    }
    let runs: Vec<_> = (0..4)
        .map(|_| {
            let platform = world.platform.clone();
            tokio::spawn(async move { crate::audit_log::seal_all(&platform).await.map_err(|failure| format!("{failure:?}")) })
        })
        .collect();
    for n in 0..30 {
        world.write(Entry { action: "between", outcome: "ok", actor: Some(&n.to_string()), ..Entry::default() }).await;
    }
    for run in runs {
        run.await.unwrap().unwrap();
    }
    world.maintain().await;
    assert_eq!(world.holds().await, (60, vec![]));
}

#[tokio::test]
async fn a_run_that_dies_leaves_a_chain_that_holds() {
    for step in 0.. {
        let world = World::new();
        world.platform.set("ALERT_WEBHOOK", HOOK);
        world.platform.recorded().answer("POST", HOOK, 204, "");
        for n in 0..12 {
            world.refused("@alice:hs", &format!("192.0.{n}.0/24")).await;
        }
        world.platform.faults().die_at(Some(step));
        let died = dies(world.maintain()).is_none();
        world.platform.faults().die_at(None);
        world.maintain().await;
        world.maintain().await;
        assert_eq!(world.holds().await, (13, vec![]), "step {step}: twelve, and what they are a sign of");
        assert_eq!(world.signs().await, [("attack.many_failures".to_owned(), "@alice:hs".to_owned())], "step {step}");
        let heard = world.platform.recorded().seen().iter().filter(|request| request.url == HOOK).count();
        assert!(heard == 1 || (heard == 2 && died), "step {step}: {heard}");
        if !died {
            assert!(step > 5, "{step} steps");
            return;
        }
    }
}

#[tokio::test]
async fn signs_of_an_attack_are_noticed_once() {
    let world = World::new();
    for n in 0..9 {
        world.refused("@alice:hs", &format!("192.0.{n}.0/24")).await;
    }
    world.maintain().await;
    assert_eq!(world.signs().await, [], "not yet");
    world.refused("@alice:hs", "198.51.100.0/24").await;
    world.maintain().await;
    for n in 0..20 {
        world.refused("@alice:hs", &format!("192.1.{n}.0/24")).await;
    }
    world.maintain().await;
    let sign = |name: &str, about: &str| (format!("attack.{name}"), about.to_owned());
    assert_eq!(world.signs().await, [sign("many_failures", "@alice:hs")], "once");
    // An hour later it counts anew.
    world.platform.advance(3_600_001);
    for n in 0..50 {
        world.refused(&format!("@{n}:hs"), "203.0.113.0/24").await;
    }
    world
        .write(Entry {
            action: "token.refresh.reuse",
            outcome: "refused",
            actor: Some("uid"),
            target: Some("ma_a"),
            ..Entry::default()
        })
        .await;
    let detail = Some(json!({"reason": "OpenID token used before"}));
    let replay = Entry { action: "sign_in.matrix", outcome: "refused", target: Some("@bob:hs"), detail, ..Entry::default() };
    world.write(replay).await;
    for server in ["hs", "other.example", "hs"] {
        world.write(Entry { action: "sign_in.matrix.first", outcome: "ok", target: Some(server), ..Entry::default() }).await;
    }
    world.maintain().await;
    let expected = [
        sign("many_failures", "203.0.113.0/24"),
        sign("many_failures", "@alice:hs"),
        sign("new_homeserver", "hs"),
        sign("new_homeserver", "other.example"),
        sign("openid_replay", "@bob:hs"),
        sign("token_reuse", "uid"),
    ];
    assert_eq!(world.signs().await, expected);
    world.maintain().await;
    assert_eq!((world.holds().await.1, world.signs().await.len()), (vec![], 6));
    let counted = world.rows("SELECT labels, count FROM metrics WHERE kind = 'sign' ORDER BY labels").await;
    assert_eq!(counted[0], json!({"labels": r#"["many_failures"]"#, "count": 2}));
}

#[tokio::test]
async fn the_operator_is_told_until_somebody_hears() {
    let world = World::new();
    world.write(Entry { action: "token.code.reuse", outcome: "refused", actor: Some("uid"), ..Entry::default() }).await;
    world.maintain().await;
    assert_eq!(world.rows("SELECT id FROM alerts").await.len(), 0, "nobody is to be told");
    world.platform.set("ALERT_WEBHOOK", HOOK);
    world.platform.recorded().answer("POST", HOOK, 503, "");
    world.write(Entry { action: "token.code.reuse", outcome: "refused", actor: Some("uid2"), ..Entry::default() }).await;
    world.maintain().await;
    let sent = || world.platform.recorded().seen().into_iter().filter(|request| request.url == HOOK).collect::<Vec<_>>();
    assert_eq!(sent().len(), 1);
    world.maintain().await;
    assert_eq!(sent().len(), 1, "not at once again");
    world.platform.advance(60_001);
    world.platform.recorded().answer("POST", HOOK, 200, "ok");
    world.maintain().await;
    let sent = sent();
    let [first, second] = [&sent[0], &sent[1]].map(|request| serde_json::from_slice::<Json>(&request.body).unwrap());
    assert_eq!(first, second, "the same, by its id");
    assert_eq!(
        (&first["sign"], &first["about"], &first["server"]),
        (&json!("token_reuse"), &json!("uid2"), &json!("https://tmcp.example"))
    );
    assert_eq!(world.rows("SELECT id FROM alerts").await.len(), 0);
    // One that nobody hears is given up, and the row stays.
    world.platform.recorded().answer("POST", HOOK, 500, "");
    world.write(Entry { action: "token.code.reuse", outcome: "refused", actor: Some("uid3"), ..Entry::default() }).await;
    for _ in 0..12 {
        world.maintain().await;
        world.platform.advance(2 * 3_600_000);
    }
    assert_eq!((world.rows("SELECT id FROM alerts").await.len(), world.signs().await.len()), (0, 3));
    assert!(world.platform.log_lines().iter().any(|line| line.contains("given up")));
    assert!(world.platform.log_lines().iter().all(|line| !line.contains(HOOK)), "the address is a secret");
}

/// Who can write to the database has nobody seal or sign for them.
#[tokio::test]
async fn what_does_not_hold_is_neither_sealed_anew_nor_taken_away() {
    let filled = || async {
        let world = World::new();
        world.platform.set("AUDIT_DAYS", "10");
        for n in 0..20 {
            world.write(Entry { action: "old", outcome: "ok", actor: Some(&n.to_string()), ..Entry::default() }).await;
        }
        world.maintain().await;
        world.platform.advance(2 * DAY_MS);
        world.write(Entry { action: "new", outcome: "ok", ..Entry::default() }).await;
        world.maintain().await;
        world
    };
    let fails = async |world: &World, why: &str| {
        let answer = world.client.json("POST", "/ops/maintenance", OPERATOR, Json::Null).await;
        let cause = answer.body["error"]["details"]["audit"]["cause"].as_str().unwrap_or_default().to_owned();
        assert!(answer.status == 503 && cause.contains(why), "{answer:?}");
    };
    // Rows that are said to be old, so that they are signed away.
    let world = filled().await;
    world.rows("UPDATE audit SET at = 0 WHERE seq <= 5").await;
    fails(&world, "does not hold").await;
    assert_eq!(world.holds().await.0, 21, "nothing went");
    // The head is put back, and rows behind it lose their seals, to be sealed anew with what they say now.
    let world = filled().await;
    world.rows("UPDATE audit SET seq = NULL, seal = NULL, actor = 'forged' WHERE seq > 10").await;
    world.rows("UPDATE audit_head SET seq = 10, seal = (SELECT seal FROM audit WHERE seq = 10)").await;
    world.maintain().await;
    assert_eq!(world.signs().await.len(), 0, "what is not an hour older than its neighbour tells nothing here: a kept head does");
    let world = filled().await;
    world.rows("UPDATE audit SET seq = NULL, seal = NULL, actor = 'forged' WHERE seq = 10").await;
    world.maintain().await;
    assert_eq!(world.signs().await[0].0, "attack.log_changed");
    assert!(world.holds().await.1[0].starts_with("rows 10 to 10"), "and it is missed where it was");
    let world = filled().await;
    world.rows("UPDATE audit_head SET seq = 3").await;
    world.write(Entry { action: "more", outcome: "ok", ..Entry::default() }).await;
    fails(&world, "head is not its last row").await;
    let world = filled().await;
    world.rows("INSERT INTO audit_checkpoint (one, seq, seal, signature, made_at) VALUES (1, 0, '', 'x', 0)").await;
    world.platform.advance(20 * DAY_MS);
    fails(&world, "checkpoint is not ours").await;
}

#[tokio::test]
async fn old_rows_go_and_the_log_says_where_it_begins() {
    let world = World::new();
    world.platform.set("AUDIT_DAYS", "10");
    for n in 0..20 {
        world.write(Entry { action: "old", outcome: "ok", actor: Some(&n.to_string()), ..Entry::default() }).await;
    }
    world.maintain().await;
    world.platform.advance(10 * DAY_MS - 1000);
    world.write(Entry { action: "new", outcome: "ok", ..Entry::default() }).await;
    world.maintain().await;
    assert_eq!(world.holds().await, (21, vec![]), "not yet");
    world.platform.advance(2000);
    world.maintain().await;
    assert_eq!(world.holds().await, (1, vec![]));
    // Who takes a row away and says that it was old has no signature for that.
    world.write(Entry { action: "newer", outcome: "ok", ..Entry::default() }).await;
    world.maintain().await;
    world.rows("DELETE FROM audit WHERE action = 'new'").await;
    assert_eq!(world.holds().await.1, ["rows 21 to 21 are missing"]);
}
