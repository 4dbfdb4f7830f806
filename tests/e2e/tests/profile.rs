//! The person's own profile, against a real Synapse: what it says, what is changed here and there, and a picture in its media store.

use serde_json::{Value, json};
use tmcp_e2e::{Answer, Ask, Person, World};

/// A PNG of one pixel.
const PIXEL: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\xf8\xff\xff?\0\x05\xfe\x02\xfe\xdc\xccY\xe7\0\0\0\0IEND\xaeB`\x82";

struct Own {
    world: World,
    person: Person,
}

impl Own {
    async fn new() -> Self {
        let world = World::new();
        let person = world.person().await;
        Self { world, person }
    }

    async fn shown(&self) -> Value {
        self.world.get("/api/v1/profile").bearer_auth(&self.person.token).ask().await.ok()
    }

    async fn change(&self, matrix_token: Option<&str>, body: &Value) -> Answer {
        let mut request = self.world.request("PATCH", "/api/v1/profile").bearer_auth(&self.person.token).json(body);
        if let Some(token) = matrix_token {
            request = request.header("x-matrix-access-token", token);
        }
        request.ask().await
    }

    async fn sync(&self) -> Value {
        self.world.post("/api/v1/profile/sync").bearer_auth(&self.person.token).ask().await.ok()
    }

    /// What Synapse says of the person.
    async fn there(&self) -> Value {
        let path = format!("/_matrix/client/v3/profile/{}", self.person.matrix.user_id);
        self.world.at_homeserver("GET", &path).ask().await.ok()
    }

    /// The person changes their name in their own client.
    async fn rename_there(&self, name: &str) {
        let path = format!("/_matrix/client/v3/profile/{}/displayname", self.person.matrix.user_id);
        let request = self.world.at_homeserver("PUT", &path).bearer_auth(&self.person.matrix.access_token);
        request.json(&json!({ "displayname": name })).ask().await.ok();
    }
}

#[tokio::test]
async fn the_newer_change_stays() {
    let own = Own::new().await;
    let shown = own.shown().await;
    let local = own.person.matrix.user_id.trim_start_matches('@').split(':').next().unwrap();
    assert_eq!((&shown["user_id"], &shown["matrix_user_id"]), (&json!(own.person.uid), &json!(own.person.matrix.user_id)));
    assert_eq!((&shown["display_name"], &shown["matrix_data"]["displayname"]), (&json!(local), &json!(local)));
    let changed = own.change(None, &json!({"display_name": "Here", "bio": "A line\nand another"})).await.ok();
    assert_eq!((&changed["display_name"], &changed["bio"]), (&json!("Here"), &json!("A line\nand another")));
    assert_eq!(own.there().await["displayname"], local, "without their Matrix token nothing is changed there");
    assert_eq!(own.sync().await["display_name"], "Here");
    own.rename_there("There").await;
    let synced = own.sync().await;
    assert_eq!((&synced["display_name"], &synced["bio"]), (&json!("There"), &json!("A line\nand another")));
}

#[tokio::test]
async fn a_change_with_the_matrix_token_is_made_there_too() {
    let (own, other) = (Own::new().await, Own::new().await);
    let token = own.person.matrix.access_token.as_str();
    own.change(Some(token), &json!({"display_name": "Both"})).await.ok();
    assert_eq!(own.there().await["displayname"], "Both");
    assert_eq!(own.sync().await["display_name"], "Both");
    let refused = own.change(Some(&other.person.matrix.access_token), &json!({"display_name": "Not"})).await;
    refused.is_refused(401, "invalid_matrix_credentials");
    own.change(Some("syt_nonsense"), &json!({"display_name": "Not"})).await.is_refused(401, "invalid_matrix_credentials");
    assert_eq!(
        (own.there().await["displayname"].clone(), own.shown().await["display_name"].clone()),
        (json!("Both"), json!("Both"))
    );
}

#[tokio::test]
async fn a_picture_lies_in_the_homeservers_media_store() {
    let own = Own::new().await;
    let put = |body: Vec<u8>| {
        let request = own.world.request("PUT", "/api/v1/profile/avatar").bearer_auth(&own.person.token);
        request.header("x-matrix-access-token", &own.person.matrix.access_token).header("content-type", "image/png").body(body)
    };
    // Padding behind the picture is part of it: five megabytes pass, one byte more does not.
    let mut large = PIXEL.to_vec();
    large.resize(5 * 1_048_576, 0);
    for picture in [PIXEL.to_vec(), large] {
        let shown = put(picture.clone()).ask().await.ok();
        let url = shown["avatar_url"].as_str().unwrap().to_owned();
        assert_eq!(own.there().await["avatar_url"], url);
        let path = format!("/_matrix/client/v1/media/download/{}", url.trim_start_matches("mxc://"));
        let request = own.world.at_homeserver("GET", &path).bearer_auth(&own.person.matrix.access_token);
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "image/png");
        assert!(response.bytes().await.unwrap() == picture, "{} bytes came back other", picture.len());
    }
    put(vec![0; 64]).ask().await.is_refused(415, "UNSUPPORTED_MEDIA_TYPE");
    let mut request = own.world.request("PUT", "/api/v1/profile/avatar").bearer_auth(&own.person.token);
    request = request.header("content-type", "image/png").body(PIXEL.to_vec());
    request.ask().await.is_refused(400, "INVALID_REQUEST");
    // Taken away here and there.
    let token = own.person.matrix.access_token.clone();
    assert_eq!(own.change(Some(&token), &json!({"avatar_url": null})).await.ok()["avatar_url"], Value::Null);
    assert!(own.there().await["avatar_url"].as_str().unwrap_or_default().is_empty());
    assert_eq!(own.sync().await["avatar_url"], Value::Null);
}

#[tokio::test]
async fn an_app_sees_what_its_scopes_allow() {
    let own = Own::new().await;
    own.change(None, &json!({"display_name": "Name", "bio": "Words"})).await.ok();
    let app = own.world.app().await;
    let told = async |scope: &str| {
        let session = own.world.agreed(&app, &own.person, scope).await;
        own.world.get("/oauth2/userinfo").bearer_auth(&session.access).ask().await.ok()
    };
    let basic = told("user:read").await;
    assert_eq!((&basic["name"], basic.get("bio")), (&json!("Name"), None), "{basic}");
    let extended = told("user:read user:read:extended").await;
    assert_eq!((&extended["name"], &extended["bio"]), (&json!("Name"), &json!("Words")), "{extended}");
    // And never the person's own view.
    let session = own.world.session(&app, &own.person).await;
    own.world.get("/api/v1/profile").bearer_auth(&session.access).ask().await.is_refused(403, "INSUFFICIENT_PERMISSIONS");
}
