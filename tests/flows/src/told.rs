//! What a homeserver tells between sign-ins, through lifecycle and identity.

use super::world::{HS, HS_TOKEN, World};
use serde_json::{Value as Json, json};
use tmcp_protocol::routes::INTERNAL_MAINTAIN_IDENTITY;
use tmcp_testkit::{Answer, dies};

struct Alice {
    world: World,
    token: String,
}

impl Alice {
    async fn new() -> Self {
        let world = World::new().await;
        let token = world.sign_in_as("alice").await;
        let alice = Self { world, token };
        alice.says("Alice");
        alice.world.platform.run_tasks().await;
        alice.world.platform.advance(1000);
        let synced = alice.world.identity.json("POST", "/api/v1/profile/sync", &alice.token, Json::Null).await;
        assert_eq!(synced.status, 200, "{synced:?}");
        alice.world.platform.advance(61_000);
        alice
    }

    fn says(&self, name: &str) {
        let document = json!({ "displayname": name }).to_string();
        self.world.platform.recorded().answer("GET", &format!("{HS}/profile/%40alice%3Ahs"), 200, &document);
    }

    async fn told(&self, name: &str) -> Answer {
        let event = json!({"type": "m.room.member", "sender": "@alice:hs", "state_key": "@alice:hs", "room_id": "!r",
            "content": {"membership": "join", "displayname": name}});
        self.world.lifecycle.json("PUT", "/_matrix/app/v1/transactions/1", HS_TOKEN, json!({ "events": [event] })).await
    }

    async fn name(&self) -> Json {
        self.world.identity.json("GET", "/api/v1/profile", &self.token, Json::Null).await.body["display_name"].clone()
    }

    fn looks(&self) -> usize {
        self.world.platform.recorded().seen().iter().filter(|request| request.url.contains("/profile/")).count()
    }

    async fn maintain(&self) {
        let answer = self.world.identity.internal(&INTERNAL_MAINTAIN_IDENTITY, json!({})).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

#[tokio::test]
async fn who_is_called_otherwise_is_looked_at_and_once_for_a_hundred_rooms() {
    let alice = Alice::new().await;
    let before = alice.looks();
    alice.says("Ally");
    for _ in 0..100 {
        let answer = alice.told("Ally").await;
        assert_eq!((answer.status, &answer.body), (200, &json!({"success": true})));
        alice.world.platform.advance(1);
        alice.world.platform.run_tasks().await;
    }
    assert_eq!((alice.name().await, alice.looks() - before), (json!("Ally"), 1));
    // A name for one room alone: looked at, and nothing changes; not again within a minute, and then once more by maintenance.
    alice.told("Ally of this room").await;
    alice.world.platform.run_tasks().await;
    assert_eq!(alice.looks() - before, 1, "looked at a moment ago");
    alice.world.platform.advance(61_000);
    alice.maintain().await;
    alice.maintain().await;
    assert_eq!((alice.name().await, alice.looks() - before), (json!("Ally"), 2));
}

#[tokio::test]
async fn a_hundred_rooms_in_one_transaction_are_one_look_and_what_cannot_be_read_stops_nobody() {
    let alice = Alice::new().await;
    let before = alice.looks();
    alice.says("Ally");
    let event = r#"{"type":"m.room.member","sender":"@alice:hs","state_key":"@alice:hs","room_id":"!r","content":{"membership":"join","displayname":"Ally"}}"#;
    let deep = format!(r#"{{"type":"m.room.member","content":{}{}}}"#, "[".repeat(500), "]".repeat(500));
    let large = r#"{"type":"m.room.member","content":1e999}"#;
    let events = [&[deep.as_str(), large][..], &[event; 100][..]].concat().join(",");
    let request = http::Request::builder().method("PUT").uri("/_matrix/app/v1/transactions/9");
    let request = request.header("authorization", format!("Bearer {HS_TOKEN}")).header("content-type", "application/json");
    let answer = alice.world.lifecycle.send(request.body(format!(r#"{{"events":[{events}]}}"#).into()).unwrap()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    alice.world.platform.advance(1);
    alice.world.platform.run_tasks().await;
    assert_eq!((alice.name().await, alice.looks() - before), (json!("Ally"), 1));
}

#[tokio::test]
async fn a_homeserver_tells_of_its_own_people_alone() {
    let alice = Alice::new().await;
    let before = alice.looks();
    alice.says("Ally");
    let event = json!({"type": "m.room.member", "sender": "@mallory:hs", "state_key": "@alice:hs", "room_id": "!r",
        "content": {"membership": "join", "displayname": "Ally"}});
    let body = json!({ "events": [event] });
    let lifecycle = &alice.world.lifecycle;
    assert_eq!(lifecycle.json("PUT", "/_matrix/app/v1/transactions/1", HS_TOKEN, body.clone()).await.status, 200);
    assert_eq!(lifecycle.json("PUT", "/_matrix/app/v1/transactions/1", &"a".repeat(32), body.clone()).await.status, 403);
    assert_eq!(lifecycle.json("PUT", "/_matrix/app/v1/transactions/1", "", body).await.status, 401);
    alice.world.platform.run_tasks().await;
    assert_eq!((alice.looks() - before, alice.name().await), (0, json!("Alice")));
}

/// Wherever telling dies, the homeserver tells again or maintenance looks.
#[tokio::test]
async fn what_was_told_and_died_is_looked_at_by_maintenance() {
    for step in 0.. {
        let alice = Alice::new().await;
        alice.says("Ally");
        alice.world.platform.faults().die_at(Some(step));
        let answered = dies(alice.told("Ally"));
        alice.world.platform.faults().die_at(None);
        // What was to be done after the answer died with it.
        alice.world.platform.lose_tasks();
        if answered.as_ref().is_none_or(|answer| answer.status != 200) {
            assert_eq!(alice.told("Ally").await.status, 200, "step {step}");
            alice.world.platform.lose_tasks();
        }
        alice.world.platform.advance(61_000);
        alice.maintain().await;
        assert_eq!(alice.name().await, json!("Ally"), "step {step}");
        if answered.is_some() {
            assert!(step > 2, "{step} steps");
            return;
        }
    }
}

#[tokio::test]
async fn our_own_user_accepts_an_invitation() {
    let alice = Alice::new().await;
    let join = "http://hs:8008/_matrix/client/v3/join/%21room%3Ahs";
    alice.world.platform.recorded().answer("POST", join, 200, "{}");
    let event = json!({"type": "m.room.member", "sender": "@alice:hs", "state_key": "@_tmcp:hs", "room_id": "!room:hs",
        "content": {"membership": "invite"}});
    let body = json!({ "events": [event] });
    assert_eq!(alice.world.lifecycle.json("PUT", "/_matrix/app/v1/transactions/2", HS_TOKEN, body).await.status, 200);
    alice.world.platform.run_tasks().await;
    let seen = alice.world.platform.recorded().seen();
    let joined = seen.iter().find(|request| request.url == join).expect("a join");
    assert!(joined.headers.iter().any(|(name, value)| name == "authorization" && *value == format!("Bearer {}", "a".repeat(32))));
}

#[tokio::test]
async fn nobody_leads_our_own_user_into_many_rooms() {
    let alice = Alice::new().await;
    let join = |n: usize| format!("http://hs:8008/_matrix/client/v3/join/%21room{n}%3Ahs");
    let events: Vec<Json> = (0..15)
        .map(|n| {
            alice.world.platform.recorded().answer("POST", &join(n), 200, "{}");
            json!({"type": "m.room.member", "sender": "@alice:hs", "state_key": "@_tmcp:hs", "room_id": format!("!room{n}:hs"),
                "content": {"membership": "invite"}})
        })
        .collect();
    let body = json!({ "events": events });
    assert_eq!(alice.world.lifecycle.json("PUT", "/_matrix/app/v1/transactions/3", HS_TOKEN, body).await.status, 200);
    alice.world.platform.run_tasks().await;
    let seen = alice.world.platform.recorded().seen();
    assert_eq!(seen.iter().filter(|request| request.url.contains("/join/")).count(), 10);
}
