//! Profiles, with a homeserver that answers from a table.

use super::world::World;
use bytes::Bytes;
use serde_json::{Value as Json, json};
use tmcp_testkit::{Answer, Client, TestPlatform, dies};

const PROFILE: &str = "http://hs:8008/_matrix/client/v3/profile/%40alice%3Ahs";
const WHOAMI: &str = "http://hs:8008/_matrix/client/v3/account/whoami";
const USERINFO: &str = "http://hs:8008/_matrix/federation/v1/openid/userinfo?access_token=open";

/// Alice, signed in, and what her homeserver says of her.
struct Alice {
    platform: TestPlatform,
    client: Client,
    auth: Client,
    token: String,
}

impl Alice {
    async fn new(says: &str) -> Self {
        let World { platform, identity, auth, .. } = World::new().await;
        platform.recorded().answer("GET", WHOAMI, 200, r#"{"user_id":"@alice:hs","device_id":"D"}"#);
        platform.recorded().answer("GET", PROFILE, 200, says);
        let mut alice = Self { platform, client: identity, auth, token: String::new() };
        alice.token = alice.sign_in_with(json!({"access_token": "syt_token"})).await;
        alice
    }

    async fn sign_in_with(&self, credentials: Json) -> String {
        let mut body = json!({"matrix_user_id": "@alice:hs"});
        body.as_object_mut().unwrap().extend(credentials.as_object().unwrap().clone());
        let answer = self.auth.json("POST", "/api/v1/auth/matrix", "", body).await;
        answer.body["access_token"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
    }

    fn says(&self, document: &str) {
        self.platform.recorded().answer("GET", PROFILE, 200, document);
    }

    async fn shown(&self) -> Json {
        let answer = self.client.json("GET", "/api/v1/profile", &self.token, Json::Null).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }

    async fn change(&self, body: Json) -> Answer {
        self.platform.advance(1000);
        self.client.json("PATCH", "/api/v1/profile", &self.token, body).await
    }

    async fn change_there(&self, body: &Json) -> Answer {
        self.send("PATCH", "/api/v1/profile", "application/json", body.to_string().into()).await
    }

    async fn send(&self, method: &str, path: &str, kind: &str, body: Bytes) -> Answer {
        self.platform.advance(1000);
        let request = http::Request::builder().method(method).uri(path).header("content-type", kind);
        let request = request.header("authorization", format!("Bearer {}", self.token)).header("x-matrix-access-token", "syt");
        self.client.send(request.body(body).unwrap()).await
    }

    async fn sync(&self) -> Answer {
        self.platform.advance(1000);
        self.client.json("POST", "/api/v1/profile/sync", &self.token, Json::Null).await
    }

    async fn sign_in(&self) {
        self.sign_in_with(json!({"access_token": "syt_token"})).await;
        self.platform.run_tasks().await;
    }
}

#[tokio::test]
async fn what_changed_last_stays_and_the_homeserver_changed_when_we_saw_it() {
    let alice = Alice::new(r#"{"displayname":"Alice","avatar_url":"mxc://hs/a","m.tz":"Europe/Berlin"}"#).await;
    let shown = alice.shown().await;
    assert_eq!((&shown["display_name"], &shown["avatar_url"]), (&json!("Alice"), &json!("mxc://hs/a")));
    assert_eq!((&shown["matrix_data"]["m.tz"], &shown["bio"]), (&json!("Europe/Berlin"), &Json::Null));
    assert_eq!(alice.change(json!({"display_name": "Ally", "bio": "two\nlines"})).await.status, 200);
    // The homeserver says what it said before: nothing changed there, so ours is newer.
    let synced = alice.sync().await.body;
    assert_eq!((&synced["display_name"], &synced["bio"]), (&json!("Ally"), &json!("two\nlines")));
    // Something changed there, which we see now: the name. The picture did not.
    assert_eq!(alice.change(json!({"avatar_url": null})).await.status, 200);
    alice.says(r#"{"displayname":"Alicia","avatar_url":"mxc://hs/a"}"#);
    let synced = alice.sync().await.body;
    assert_eq!((&synced["display_name"], &synced["avatar_url"]), (&json!("Alicia"), &Json::Null));
    // And ours again.
    assert_eq!(alice.change(json!({"display_name": "A"})).await.body["display_name"], "A");
    assert_eq!(alice.sync().await.body["display_name"], "A");
    // Gone there is gone.
    alice.says("{}");
    let synced = alice.sync().await.body;
    assert_eq!((&synced["display_name"], &synced["bio"]), (&Json::Null, &json!("two\nlines")));
}

#[tokio::test]
async fn a_sign_in_looks_once_its_answer_has_left_and_not_again_at_once() {
    let alice = Alice::new(r#"{"displayname":"Alice"}"#).await;
    alice.says(r#"{"displayname":"Alicia"}"#);
    alice.sign_in().await;
    assert_eq!(alice.shown().await["display_name"], "Alice", "looked at a moment ago");
    alice.platform.advance(10 * 60_000 + 1);
    alice.sign_in().await;
    assert_eq!(alice.shown().await["display_name"], "Alicia");
    // A homeserver without a profile of hers keeps nobody out.
    alice.platform.advance(10 * 60_000 + 1);
    alice.platform.recorded().answer("GET", PROFILE, 500, "");
    alice.sign_in().await;
    assert_eq!(alice.shown().await["display_name"], "Alicia");
    assert_eq!(alice.sync().await.status, 503, "who asks for it is told");
}

#[tokio::test]
async fn of_two_looks_at_once_both_find_the_same_and_neither_undoes_a_change() {
    let alice = Alice::new(r#"{"displayname":"Alice"}"#).await;
    alice.says(r#"{"displayname":"Alicia"}"#);
    alice.platform.advance(1000);
    let looks = [alice.client.clone(), alice.client.clone()].map(|client| {
        let token = alice.token.clone();
        tokio::spawn(async move { client.json("POST", "/api/v1/profile/sync", &token, Json::Null).await.status })
    });
    for look in looks {
        assert_eq!(look.await.unwrap(), 200);
    }
    assert_eq!(alice.change(json!({"display_name": "A"})).await.status, 200);
    assert_eq!(alice.sync().await.body["display_name"], "A");
}

#[tokio::test]
async fn with_the_matrix_token_a_change_is_made_there_too_and_the_token_is_not_kept() {
    let alice = Alice::new(r#"{"displayname":"Alice"}"#).await;
    let recorded = alice.platform.recorded();
    recorded.answer("PUT", &format!("{PROFILE}/displayname"), 200, "{}");
    alice.says(r#"{"displayname":"Ally"}"#);
    let answer = alice.change_there(&json!({"display_name": "Ally", "bio": "b"})).await;
    assert_eq!(
        (answer.status, &answer.body["display_name"], &answer.body["bio"]),
        (200, &json!("Ally"), &json!("b")),
        "{answer:?}"
    );
    let put = recorded.seen().into_iter().find(|request| request.method == http::Method::PUT).unwrap();
    assert_eq!(&put.body[..], br#"{"displayname":"Ally"}"#);
    assert!(put.headers.iter().any(|(name, value)| name == "authorization" && value == "Bearer syt"));
    // What was said there by us is no change of theirs.
    assert_eq!(alice.change(json!({"display_name": "A"})).await.status, 200);
    assert_eq!(alice.sync().await.body["display_name"], "A");
    assert!(alice.platform.log_lines().iter().all(|line| !line.contains("syt")));
    // Somebody else's token, and a homeserver that does not allow it: nothing of ours changes.
    recorded.answer("PUT", &format!("{PROFILE}/displayname"), 403, r#"{"errcode":"M_FORBIDDEN"}"#);
    assert_eq!(alice.change_there(&json!({"display_name": "X"})).await.code(), "INSUFFICIENT_PERMISSIONS");
    recorded.answer("PUT", &format!("{PROFILE}/displayname"), 500, "");
    assert_eq!(alice.change_there(&json!({"display_name": "X"})).await.status, 503);
    recorded.answer("GET", WHOAMI, 200, r#"{"user_id":"@bob:hs","device_id":"D"}"#);
    assert_eq!(alice.change_there(&json!({"display_name": "X"})).await.code(), "invalid_matrix_credentials");
    assert_eq!(alice.shown().await["display_name"], "A");
}

#[tokio::test]
async fn a_picture_goes_to_the_homeserver_and_its_address_comes_here() {
    let alice = Alice::new("{}").await;
    let recorded = alice.platform.recorded();
    let picture = Bytes::from([b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".as_slice(), &[0; 20]].concat());
    recorded.answer("POST", "http://hs:8008/_matrix/media/v3/upload", 200, r#"{"content_uri":"mxc://hs/new"}"#);
    recorded.answer("PUT", &format!("{PROFILE}/avatar_url"), 200, "{}");
    alice.says(r#"{"avatar_url":"mxc://hs/new"}"#);
    // Its type is told by its content, whatever the request says.
    let answer = alice.send("PUT", "/api/v1/profile/avatar", "image/jpeg", picture.clone()).await;
    assert_eq!((answer.status, &answer.body["avatar_url"]), (200, &json!("mxc://hs/new")), "{answer:?}");
    let sent = recorded.seen().into_iter().find(|request| request.url.ends_with("/upload")).unwrap();
    assert_eq!(sent.body, picture);
    assert!(sent.headers.iter().any(|(name, value)| name == "content-type" && value == "image/png"), "{:?}", sent.headers);
    let answer = alice.send("PUT", "/api/v1/profile/avatar", "image/png", Bytes::from_static(b"<svg/>")).await;
    assert_eq!((answer.status, answer.code()), (415, "UNSUPPORTED_MEDIA_TYPE"));
    let request = http::Request::builder().method("PUT").uri("/api/v1/profile/avatar").header("content-type", "image/png");
    let request = request.header("authorization", format!("Bearer {}", alice.token)).body(picture.clone()).unwrap();
    assert_eq!(alice.client.send(request).await.status, 400, "without the Matrix token");
    recorded.answer("POST", "http://hs:8008/_matrix/media/v3/upload", 200, r#"{"content_uri":"http://169.254.169.254/"}"#);
    assert_eq!(
        alice.send("PUT", "/api/v1/profile/avatar", "image/png", picture).await.status,
        503,
        "no address of a media store"
    );
    assert_eq!(alice.shown().await["avatar_url"], "mxc://hs/new");
}

#[tokio::test]
async fn what_cannot_be_said_is_refused() {
    let alice = Alice::new(r#"{"displayname":"Alice"}"#).await;
    for body in [
        json!({}),
        json!([]),
        json!({"display_name": ""}),
        json!({"display_name": " "}),
        json!({"display_name": "a\nb"}),
        json!({"display_name": "x".repeat(257)}),
        json!({"bio": "x".repeat(1001)}),
        json!({"avatar_url": "https://example.org/a.png"}),
        json!({"user_id": "x"}),
        json!({"bio": 5}),
    ] {
        let answer = alice.change(body.clone()).await;
        assert_eq!((answer.status, answer.code()), (400, "INVALID_REQUEST"), "{body}: {answer:?}");
    }
    assert_eq!(alice.change(json!({"display_name": "é".repeat(256), "bio": "é".repeat(1000)})).await.status, 200);
    alice.platform.recorded().answer("GET", USERINFO, 200, r#"{"sub":"@alice:hs"}"#);
    let weak = alice.sign_in_with(json!({"openid_token": {"access_token": "open", "matrix_server_name": "hs"}})).await;
    let answer = alice.client.json("PATCH", "/api/v1/profile", &weak, json!({"bio": "x"})).await;
    assert_eq!((answer.status, answer.code()), (403, "INSUFFICIENT_PERMISSIONS"));
}

/// Wherever a change at both ends dies, the next look makes them agree.
#[tokio::test]
async fn a_change_that_dies_is_found_by_the_next_look() {
    for step in 0.. {
        let alice = Alice::new(r#"{"displayname":"Alice"}"#).await;
        let recorded = alice.platform.recorded();
        recorded.answer("PUT", &format!("{PROFILE}/displayname"), 200, "{}");
        alice.platform.faults().die_at(Some(step));
        let died = dies(alice.change_there(&json!({"display_name": "Ally"}))).is_none();
        alice.platform.faults().die_at(None);
        let is_made = recorded.seen().iter().any(|request| request.method == http::Method::PUT);
        alice.says(if is_made { r#"{"displayname":"Ally"}"# } else { r#"{"displayname":"Alice"}"# });
        let synced = alice.sync().await;
        assert_eq!(synced.body["display_name"], if is_made { "Ally" } else { "Alice" }, "step {step}");
        if !died {
            assert!(step > 4, "{step} steps");
            return;
        }
    }
}
