//! GET /_matrix/app/v1/users/{user_id} and /rooms/{room_alias}: whether we would make a user or a room of our namespaces that somebody asks
//! for. Never: who and what there is was made by us before (404 `M_NOT_FOUND`).

use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::Platform;
use tmcp_protocol::ErrorCode;

/// GET …/users/{user_id}
pub async fn user<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    call.homeserver()?;
    Err(Failure::new(ErrorCode::NotFound, "there is no such user"))
}

/// GET …/rooms/{room_alias}
pub async fn room<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    call.homeserver()?;
    Err(Failure::new(ErrorCode::NotFound, "there is no such room"))
}
