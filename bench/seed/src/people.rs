//! People of one mini-app, each with a platform token, a token for the app, and a refresh token.

use serde_json::{Value, json};
use tmcp_e2e::{Storage, World, at_once, unique};

/// How many are signed in at once.
const WIDTH: usize = 4;
/// How many keys one batch sets.
const BATCH: usize = 100;
/// Bytes of a value that is there to be read among many.
const VALUE_BYTES: usize = 100;

/// Makes them and gives what the load needs to know.
pub async fn make(count: usize, keys: usize) -> Value {
    let world = World::new();
    let app = world.app().await;
    let people = at_once(
        WIDTH,
        (0..count).map(|_| {
            let (world, app) = (world.clone(), app.clone());
            async move {
                let person = world.person().await;
                let session = world.session(&app, &person).await;
                let names: Vec<usize> = (0..keys).collect();
                let storage = Storage::new(world.clone(), session.access.clone());
                for names in names.chunks(BATCH) {
                    let items: Vec<Value> =
                        names.iter().map(|n| json!({"key": format!("k{n}"), "value": "x".repeat(VALUE_BYTES)})).collect();
                    storage.batch("set", &json!({ "items": items })).await.ok();
                }
                json!({
                    "uid": person.uid, "platform": person.token, "access": session.access, "refresh": session.refresh,
                    "matrix_id": person.matrix.user_id, "matrix_token": person.matrix.access_token,
                })
            }
        }),
    )
    .await;
    json!({"client_id": app.client_id, "run": unique("bench"), "people": people})
}
