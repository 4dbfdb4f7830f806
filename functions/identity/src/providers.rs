//! The configured providers.

use std::sync::Arc;
use tmcp_http::settings::{InvalidSetting, remembered};
use tmcp_http::{Call, Failure};
use tmcp_ports::{Config, Platform};
use tmcp_protocol::ErrorCode;
use tmcp_protocol::provider::{self, Provider};

/// All of them, in the order of the sign-in page.
pub fn all(platform: &impl Platform) -> Result<Arc<Vec<Provider>>, InvalidSetting> {
    remembered(platform, "providers", |platform| match platform.config().get("PROVIDERS") {
        None => Ok(Vec::new()),
        Some(json) => provider::parse(json.expose()).map_err(|problem| InvalidSetting { name: "PROVIDERS", problem }),
    })
}

/// The provider of that id, or 404.
pub fn find<P: Platform>(call: &Call<P>, id: &str) -> Result<Provider, Failure> {
    let found = all(&call.platform)?.iter().find(|provider| provider.id == id).cloned();
    found.ok_or_else(|| Failure::new(ErrorCode::NotFound, "there is no such provider to sign in with"))
}
