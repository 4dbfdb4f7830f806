//! A mini-app's view of storage: one TEP.

use crate::answer::{Answer, Ask};
use crate::world::World;
use serde_json::{Value, json};

/// Storage under one TEP. Cheap to clone.
#[derive(Clone)]
pub struct Storage {
    /// The server.
    pub world: World,
    /// The TEP.
    pub token: String,
}

/// The path of a key, everything encoded that is not a letter or digit.
pub fn path_of(key: &str) -> String {
    let encoded = key.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    });
    format!("/api/v1/storage/{}", encoded.collect::<String>())
}

impl Storage {
    /// Of a TEP.
    pub fn new(world: World, token: impl Into<String>) -> Self {
        Self { world, token: token.into() }
    }

    async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let request = self.world.request(method, path).bearer_auth(&self.token);
        match body {
            Some(body) => request.json(body).ask().await,
            None => request.ask().await,
        }
    }

    /// Gets a value.
    pub async fn get(&self, key: &str) -> Answer {
        self.send("GET", &path_of(key), None).await
    }

    /// The value under a key, which must be there.
    pub async fn value(&self, key: &str) -> String {
        let body = self.get(key).await.ok();
        body["value"].as_str().expect("a value").to_owned()
    }

    /// Sets a value.
    pub async fn put(&self, key: &str, value: &str) -> Answer {
        self.put_with(key, &json!({ "value": value })).await
    }

    /// Sets a value with more members.
    pub async fn put_with(&self, key: &str, body: &Value) -> Answer {
        self.send("PUT", &path_of(key), Some(body)).await
    }

    /// Deletes a value.
    pub async fn delete(&self, key: &str) -> Answer {
        self.send("DELETE", &path_of(key), None).await
    }

    /// One page of keys; `query` begins with `?` or is empty.
    pub async fn list(&self, query: &str) -> Answer {
        self.send("GET", &format!("/api/v1/storage{query}"), None).await
    }

    /// All keys with their sizes, page by page.
    pub async fn listing(&self, prefix: &str, limit: usize) -> Vec<(String, i64)> {
        let (mut keys, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.list(&format!("?prefix={prefix}&limit={limit}{cursor}")).await.ok();
            for row in page["keys"].as_array().expect("keys") {
                keys.push((row["key"].as_str().expect("a key").to_owned(), row["size_bytes"].as_i64().expect("a size")));
            }
            match page["pagination"]["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return keys,
            }
        }
    }

    /// Usage in bytes and keys.
    pub async fn usage(&self) -> (i64, i64) {
        let usage = self.send("GET", "/api/v1/storage-info", None).await.ok()["usage"].clone();
        (usage["bytes"].as_i64().expect("bytes"), usage["keys"].as_i64().expect("keys"))
    }

    /// That usage is the sum of the listing; gives it.
    pub async fn usage_is_the_sum(&self) -> (i64, i64) {
        let keys = self.listing("", 1000).await;
        let sum = (keys.iter().map(|(_, size)| size).sum::<i64>(), i64::try_from(keys.len()).expect("few keys"));
        assert_eq!(self.usage().await, sum, "usage against the sum of the listing");
        sum
    }

    /// `POST …/batch/{operation}`.
    pub async fn batch(&self, operation: &str, body: &Value) -> Answer {
        self.send("POST", &format!("/api/v1/storage/batch/{operation}"), Some(body)).await
    }

    /// `POST …/sync`.
    pub async fn sync(&self, body: &Value) -> Answer {
        self.send("POST", "/api/v1/storage/sync", Some(body)).await
    }
}
