//! `Config`: variables and secrets of the Worker.

use tmcp_ports::Config;
use tmcp_protocol::Secret;
use worker::Env;

/// `env`.
pub struct EnvConfig(Env);

impl EnvConfig {
    pub(crate) fn new(env: &Env) -> Self {
        Self(env.clone())
    }
}

impl Config for EnvConfig {
    fn get(&self, name: &str) -> Option<Secret> {
        // Variables and secrets are read alike; a variable of JSON type would come as an object and counts as not set.
        let value = self.0.var(name).ok()?.to_string();
        (!value.is_empty()).then(|| Secret::new(value))
    }
}
