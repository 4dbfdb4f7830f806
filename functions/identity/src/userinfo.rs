//! GET /oauth2/userinfo: what a mini-app may know of the person, by the scopes of its TEP (TMCP 1.9). Names as OpenID Connect has them
//! where it has them; the picture is a Matrix address, which homeservers resolve.
//!
//! | scope | members |
//! |---|---|
//! | any of the three | `sub`, the Matrix id |
//! | `user:read` | `preferred_username`, `name`, `picture` (`mxc://…`, or null) |
//! | `user:read:extended` | `homeserver`, `bio` (or null), `updated_at` (epoch seconds) |
//! | `user:read:contacts` | `contacts_status`: no source of contacts is configured |

use crate::profile;
use serde_json::{Map, json};
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::Platform;
use tmcp_protocol::Scope;

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let claims = call.tep()?;
    let row = profile::of(&call, &claims.uid).await?;
    let (local, server) = claims.sub.as_str().trim_start_matches('@').split_once(':').unwrap_or_default();
    let mut told = Map::new();
    let mut tell = |name: &str, value| told.insert(name.to_owned(), value);
    tell("sub", json!(claims.sub));
    if claims.scope.contains(Scope::UserRead) {
        tell("preferred_username", json!(local));
        tell("name", json!(row.display_name));
        tell("picture", json!(row.avatar_url));
    }
    if claims.scope.contains(Scope::UserReadExtended) {
        tell("homeserver", json!(server));
        tell("bio", json!(row.bio));
        tell("updated_at", json!(row.updated_at.seconds()));
    }
    if claims.scope.contains(Scope::UserReadContacts) {
        tell("contacts_status", json!("no_source_configured"));
    }
    Reply::json(&told)
}
