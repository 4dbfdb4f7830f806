//! What is still to be told to others: events for Matrix rooms and webhooks for apps. A row stands in the batch of the change that it
//! tells of, so that neither comes without the other; the lifecycle function delivers, and repeats until it is heard.

use serde_json::Value;
use tmcp_ports::{Clock, Platform, Random, Statement, stmt};
use tmcp_protocol::ids::ulid;

const PUT: &str = "INSERT INTO outbox (id, channel, kind, uid, app_id, content, created_at, due_at, attempts) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, 0)";

/// Forgets what was still to be told of a person who is erased.
pub const FORGET: &str = "DELETE FROM outbox WHERE uid = ?1";

/// How a message goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// An event in the person's rooms with the app.
    Matrix,
    /// A request to the app's webhook.
    Webhook,
}

impl Channel {
    const fn as_str(self) -> &'static str {
        match self {
            Channel::Matrix => "matrix",
            Channel::Webhook => "webhook",
        }
    }
}

/// One message.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    /// How it goes out.
    pub channel: Channel,
    /// The type of the event or webhook.
    pub kind: &'a str,
    /// Whom it is about, by internal id.
    pub uid: &'a str,
    /// The app.
    pub app: &'a str,
    /// Its content, without secrets.
    pub content: &'a Value,
}

/// The statement that puts a message, for the batch of the change. Its id is what makes a repeated delivery harmless.
pub fn put(platform: &impl Platform, message: Message<'_>) -> Statement {
    let now = platform.clock().now();
    stmt!(
        PUT,
        format!("evt_{}", ulid(now, platform.random().bytes())),
        message.channel.as_str(),
        message.kind,
        message.uid,
        message.app,
        message.content.to_string(),
        now,
    )
}
