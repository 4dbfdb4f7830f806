//! `Config`: Spin variables, whose names are in lower case.

use tmcp_ports::Config;
use tmcp_protocol::Secret;

/// The component's variables.
pub struct Variables;

impl Config for Variables {
    fn get(&self, name: &str) -> Option<Secret> {
        let value = spin_sdk::variables::get(&name.to_ascii_lowercase()).ok()?;
        (!value.is_empty()).then(|| Secret::new(value))
    }
}
