//! Who is known by a secret of their own: the developers' console, and homeservers with which we are registered.

use crate::same_secret;
use crate::settings::{InvalidSetting, remembered, require};
use std::sync::Arc;
use tmcp_ports::{Config, Platform};
use tmcp_protocol::appservice::{self, Registration};
use tmcp_protocol::developer::Console;

/// The configured developers' console; none where nothing is configured.
pub fn console<P: Platform>(platform: &P) -> Result<Option<Arc<Console>>, InvalidSetting> {
    let name = "DEVELOPER_CONSOLE";
    match platform.config().get(name) {
        Some(value) if !value.expose().is_empty() => {
            remembered(platform, "console", |platform| require(platform.config(), name, Console::parse)).map(Some)
        }
        _ => Ok(None),
    }
}

/// Whether these are the console's credentials.
pub fn is_console(console: &Console, id: &str, secret: &str) -> bool {
    // Both are compared, whatever the first says.
    let (id, secret) = (same_secret(id, &console.client_id), same_secret(secret, console.client_secret.expose()));
    id && secret
}

/// The configured registrations with homeservers; none where nothing is configured.
pub fn registrations<P: Platform>(platform: &P) -> Result<Arc<Vec<Registration>>, InvalidSetting> {
    remembered(platform, "appservices", |platform| {
        let name = "APPSERVICES";
        match platform.config().get(name) {
            Some(value) if !value.expose().is_empty() => require(platform.config(), name, appservice::parse),
            _ => Ok(Vec::new()),
        }
    })
}
