//! What the homeserver tells of, as an Application Service is told: a real Synapse, and our own user in one of its rooms.

use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tmcp_e2e::{Ask, Person, World, unique};

/// A call of the homeserver's client-server API.
async fn matrix(world: &World, method: &str, path: &str, token: &str, body: Value) -> Value {
    let url = format!("{}{path}", world.up.matrix_url.as_deref().expect("a homeserver"));
    let client = reqwest::Client::new();
    let request = client.request(method.parse().unwrap(), url).bearer_auth(token).json(&body);
    request.ask().await.ok()
}

fn encoded(id: &str) -> String {
    id.replace('@', "%40").replace(':', "%3A").replace('!', "%21")
}

async fn profile(world: &World, person: &Person) -> Value {
    world.get("/api/v1/profile").bearer_auth(&person.token).ask().await.ok()
}

/// Waits for a profile that has a member of a value.
async fn becomes(world: &World, person: &Person, name: &str, value: &Value, limit: Duration) {
    let began = Instant::now();
    loop {
        let profile = profile(world, person).await;
        if profile[name] == *value {
            return;
        }
        assert!(began.elapsed() < limit, "{name} is {}, not {value}", profile[name]);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn maintain(world: &World) {
    world.post("/ops/maintenance").bearer_auth(&world.up.operator_token).ask().await.ok();
}

#[tokio::test]
async fn a_change_of_profile_between_sign_ins_is_told_and_taken_over() {
    let world = World::new();
    let person = world.person().await;
    let own = &person.matrix.access_token;
    // Our user is invited, and joins by itself: from then on the homeserver tells of this room.
    let room = matrix(&world, "POST", "/_matrix/client/v3/createRoom", own, json!({"invite": ["@_tmcp:localhost"]})).await;
    let room = encoded(room["room_id"].as_str().unwrap());
    let began = Instant::now();
    loop {
        let members = matrix(&world, "GET", &format!("/_matrix/client/v3/rooms/{room}/joined_members"), own, json!({})).await;
        if members["joined"].get("@_tmcp:localhost").is_some() {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "nobody joined: {members}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let name = format!("Told {}", unique("name"));
    let path = format!("/_matrix/client/v3/profile/{}/displayname", encoded(&person.matrix.user_id));
    matrix(&world, "PUT", &path, own, json!({ "displayname": name })).await;
    // They signed in a moment ago, so that maintenance looks, a minute later; a look before that is of no harm.
    let began = Instant::now();
    while profile(&world, &person).await["display_name"] != json!(name) {
        assert!(began.elapsed() < Duration::from_secs(150), "the change never came");
        maintain(&world).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

async fn told(world: &World, events: Value) -> u16 {
    let request = world.request("PUT", &format!("/_matrix/app/v1/transactions/{}", unique("txn")));
    let token = world.up.matrix_hs_token.as_deref().unwrap();
    request.bearer_auth(token).json(&json!({ "events": events })).ask().await.status
}

#[tokio::test]
async fn what_an_event_says_is_a_hint_and_never_believed() {
    let world = World::new();
    let person = world.person().await;
    becomes(&world, &person, "display_name", &profile(&world, &person).await["display_name"], Duration::from_secs(1)).await;
    let before = profile(&world, &person).await["display_name"].clone();
    let member = |sender: &str, user: &str| {
        json!({"type": "m.room.member", "sender": sender, "state_key": user, "room_id": "!r", "event_id": "$1",
            "content": {"membership": "join", "displayname": "Mallory"}})
    };
    let id = person.matrix.user_id.as_str();
    let events = json!([1, {}, {"type": "m.room.member"}, member("@mallory:localhost", id), member(id, id), member("@x:other", "@x:other")]);
    assert_eq!(told(&world, events.clone()).await, 200);
    assert_eq!(told(&world, events).await, 200, "the same again");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(profile(&world, &person).await["display_name"], before);
    assert_eq!(told(&world, json!([])).await, 200);
    for (path, token, status, code) in [
        ("users/%40_tmcp_x%3Alocalhost", world.up.matrix_hs_token.as_deref(), 404, "M_NOT_FOUND"),
        ("rooms/%23_tmcp_x%3Alocalhost", world.up.matrix_hs_token.as_deref(), 404, "M_NOT_FOUND"),
        ("users/%40_tmcp_x%3Alocalhost", world.up.matrix_as_token.as_deref(), 403, "M_FORBIDDEN"),
    ] {
        let answer = world.get(&format!("/_matrix/app/v1/{path}")).bearer_auth(token.unwrap()).ask().await;
        assert_eq!((answer.status, &answer.json()["errcode"]), (status, &json!(code)), "{path}");
    }
}

#[tokio::test]
async fn the_homeserver_reaches_us() {
    let world = World::new();
    let token = world.up.matrix_as_token.as_deref().unwrap();
    let body = json!({"transaction_id": unique("ping")});
    let answer = matrix(&world, "POST", "/_matrix/client/v1/appservice/tween-miniapps/ping", token, body).await;
    assert!(answer["duration_ms"].is_number(), "{answer}");
}
