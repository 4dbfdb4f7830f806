//! Whose data: one person in one mini-app, from the token and from nowhere else.

use tmcp_http::{Call, Failure};
use tmcp_ports::Platform;
use tmcp_protocol::storage::StorageKey;
use tmcp_protocol::{AppId, Uid};

/// One person in one mini-app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// The person.
    pub uid: Uid,
    /// The mini-app.
    pub app: AppId,
}

impl Namespace {
    /// The caller's own.
    pub fn of<P: Platform>(call: &Call<P>) -> Result<Self, Failure> {
        let claims = call.tep()?;
        Ok(Self { uid: claims.uid.clone(), app: claims.aud.clone() })
    }
}

/// The key in the path.
pub fn key_of<P: Platform>(call: &Call<P>) -> Result<StorageKey, Failure> {
    Ok(StorageKey::parse(call.rest_of_path("/api/v1/storage/")?)?)
}
