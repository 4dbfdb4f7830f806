//! PUT /_matrix/app/v1/transactions/{txn_id} (Application Service API v1; TMCP 6.2): events of rooms that we are in. Body: `events!`.
//!
//! | answer | when |
//! |---|---|
//! | 200 | `success: true`: what is of interest is stored |
//! | 400 `M_BAD_JSON` | no `events` |
//! | 401 `M_UNAUTHORIZED`, 403 `M_FORBIDDEN` | no token, or no homeserver's |
//! | 503 `M_UNKNOWN` | it could not be stored: the homeserver sends it again |
//!
//! An event that cannot be read is passed over, so that it does not stop those behind it: a homeserver that is refused sends the same
//! again for ever. Of interest are members of rooms: who
//! changed their name or picture (identity is told, which looks at the homeserver), and an invitation of our own user, which is accepted once
//! the answer has left. What if it dies? Before the answer the homeserver sends the transaction again; after it, an invitation is open
//! still, and the next one is accepted.

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tmcp_http::subject::{self, SubjectId};
use tmcp_http::{Call, Failure, Reply, sha256_hex};
use tmcp_ports::{HttpClient, OutboundRequest, Platform, Tasks};
use tmcp_proof::matrix::is_media;
use tmcp_protocol::MatrixUserId;
use tmcp_protocol::appservice::SENDER;
use tmcp_protocol::limits::LimitClass;
use tmcp_protocol::routes::INTERNAL_TOLD;
use url::form_urlencoded;

/// That there are events, whatever each is: a look at their outlines has no limit of depth.
#[derive(Deserialize)]
struct Outline {
    #[allow(dead_code, reason = "checked")]
    events: Vec<IgnoredAny>,
}

/// Each event by itself: one that cannot be read does not stop those behind it.
#[derive(Deserialize)]
struct Transaction<'a> {
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
}

/// Longer names are nobody's: what is cut differs from what is known, and is looked at.
const MAX_NAME: usize = 256;

/// What a member's event says.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// Somebody of the homeserver's is called so, in some room.
    Called { user_id: MatrixUserId, display_name: Option<String>, avatar_url: Option<String> },
    /// Our own user is invited, by somebody of the homeserver's.
    Invited { room_id: String, by: MatrixUserId },
}

/// What an event says, if it is of interest. A homeserver vouches for its own people alone.
fn read(event: &Value, server: &str) -> Option<Said> {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
    if text("/type") != Some("m.room.member") {
        return None;
    }
    let sender = MatrixUserId::parse(text("/sender")?).ok().filter(|sender| sender.server() == server)?;
    let state_key = text("/state_key")?;
    match text("/content/membership")? {
        "invite" if state_key == format!("@{SENDER}:{server}") => {
            let room_id = text("/room_id").filter(|id| id.starts_with('!') && id.len() <= 255)?;
            Some(Said::Invited { room_id: room_id.to_owned(), by: sender })
        }
        // A person's own; whoever is named by somebody else has said nothing.
        "join" if state_key == sender.as_str() && !sender.localpart().starts_with(SENDER) => {
            let name = text("/content/displayname").filter(|name| !name.is_empty());
            Some(Said::Called {
                display_name: name.map(|name| name.chars().take(MAX_NAME).collect()),
                avatar_url: text("/content/avatar_url").filter(|url| is_media(url)).map(str::to_owned),
                user_id: sender,
            })
        }
        _ => None,
    }
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let registration = call.homeserver()?;
    let server = registration.server_name.as_str();
    let Outline { .. } = call.json()?;
    let Transaction { events } = call.message()?;
    // Of somebody in many rooms the last word, and a room once.
    let (mut told, mut rooms) = (BTreeMap::new(), BTreeMap::new());
    let parsed = events.iter().filter_map(|event| serde_json::from_str::<Value>(event.get()).ok());
    for said in parsed.filter_map(|event| read(&event, server)) {
        match said {
            Said::Called { user_id, display_name, avatar_url } => {
                let word = json!({"user_id": user_id, "display_name": display_name, "avatar_url": avatar_url});
                told.insert(user_id, word);
            }
            Said::Invited { room_id, by } => {
                rooms.insert(room_id, by);
            }
        }
    }
    if !told.is_empty() {
        let told: Vec<Value> = told.into_values().collect();
        let _: Value = call.ask(&INTERNAL_TOLD, &json!({"server": server, "told": told})).await??;
    }
    if !rooms.is_empty() {
        join(&call, rooms).await?;
    }
    Reply::json(&json!({ "success": true }))
}

/// Our own user joins, once the answer has left: the homeserver is busy with telling us.
async fn join<P: Platform>(call: &Call<P>, invited: BTreeMap<String, MatrixUserId>) -> Result<(), Failure> {
    let registration = call.homeserver()?;
    let Some(homeserver) = tmcp_proof::find(call, Some(registration.server_name.as_str())).await? else {
        call.note("invited by a homeserver that is not one of HOMESERVERS");
        return Ok(());
    };
    let requests: Vec<(SubjectId, OutboundRequest)> = invited
        .iter()
        .map(|(room, by)| {
            let room: String = form_urlencoded::byte_serialize(room.as_bytes()).collect();
            let mut request = OutboundRequest::get(format!("{}/_matrix/client/v3/join/{room}", homeserver.client_url));
            (request.method, request.body) = (http::Method::POST, Bytes::from_static(b"{}"));
            let request = request.header("authorization", format!("Bearer {}", registration.as_token.expose()));
            let request = call.outbound(request.header("content-type", "application/json"));
            (SubjectId::inviter(&sha256_hex(by.as_str())), request)
        })
        .collect();
    let (platform, settings) = (call.platform.clone(), call.settings.clone());
    call.platform.tasks().after(async move {
        for (inviter, request) in requests {
            // Each room that we are in is work for the homeserver and for us: nobody leads us into many. Whoever invites into a room
            // that cannot be joined has invited for nothing.
            let admission = subject::admit(&platform, &inviter, &settings.limits, LimitClass::Invitation).await;
            if matches!(admission, Ok(Some(admission)) if admission.allowed) {
                let _ = platform.http().send(homeserver.trust, request).await;
            }
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(sender: &str, state_key: &str, content: Value) -> Value {
        json!({"type": "m.room.member", "sender": sender, "state_key": state_key, "room_id": "!a", "event_id": "$1", "content": content})
    }

    #[test]
    fn who_calls_themselves_what_is_of_interest_and_nothing_that_others_say() {
        let joins = |name: Value| json!({"membership": "join", "displayname": name, "avatar_url": "mxc://hs/1"});
        let called = |name: Option<&str>| {
            Some(Said::Called {
                user_id: MatrixUserId::parse("@a:hs").unwrap(),
                display_name: name.map(str::to_owned),
                avatar_url: Some("mxc://hs/1".to_owned()),
            })
        };
        assert_eq!(read(&member("@a:hs", "@a:hs", joins(json!("A"))), "hs"), called(Some("A")));
        assert_eq!(read(&member("@a:hs", "@a:hs", joins(json!(null))), "hs"), called(None));
        assert_eq!(read(&member("@a:hs", "@a:hs", joins(json!(""))), "hs"), called(None));
        assert_eq!(read(&member("@a:hs", "@a:hs", joins(json!("x".repeat(5000)))), "hs"), called(Some(&"x".repeat(256))));
        for (sender, state_key) in [("@b:hs", "@a:hs"), ("@a:other", "@a:other"), ("@_tmcp:hs", "@_tmcp:hs"), ("a", "a")] {
            assert_eq!(read(&member(sender, state_key, joins(json!("A"))), "hs"), None, "{sender} {state_key}");
        }
        for event in [
            json!(1),
            json!({}),
            json!({"type": "m.room.message", "sender": "@a:hs", "content": {}}),
            json!({"type": "m.room.member"}),
        ] {
            assert_eq!(read(&event, "hs"), None, "{event}");
        }
    }

    #[test]
    fn our_own_user_is_invited_by_people_of_the_homeserver() {
        let invite = json!({"membership": "invite"});
        let invited = Some(Said::Invited { room_id: "!a".to_owned(), by: MatrixUserId::parse("@a:hs").unwrap() });
        assert_eq!(read(&member("@a:hs", "@_tmcp:hs", invite.clone()), "hs"), invited);
        for (sender, state_key) in [("@a:other", "@_tmcp:hs"), ("@a:hs", "@_tmcp:other"), ("@a:hs", "@b:hs")] {
            assert_eq!(read(&member(sender, state_key, invite.clone()), "hs"), None, "{sender} {state_key}");
        }
    }
}
