//! `Config`: variables and secrets of the Worker.

use crate::map::{Map, map};
use std::cell::RefCell;
use tmcp_ports::Config;
use tmcp_protocol::Secret;
use worker::Env;

thread_local! {
    /// What is not set: most settings are not, and some are looked for at every request. What is set is not kept, since it may be secret.
    static ABSENT: RefCell<Map<String, ()>> = RefCell::new(map());
}

/// `env`.
pub struct EnvConfig(Env);

impl EnvConfig {
    pub(crate) fn new(env: &Env) -> Self {
        Self(env.clone())
    }
}

impl Config for EnvConfig {
    fn get(&self, name: &str) -> Option<Secret> {
        if ABSENT.with_borrow(|absent| absent.contains_key(name)) {
            return None;
        }
        // Variables and secrets are read alike; a variable of JSON type would come as an object and counts as not set.
        let value = self.0.var(name).map(|value| value.to_string()).unwrap_or_default();
        if value.is_empty() {
            ABSENT.with_borrow_mut(|absent| absent.insert(name.to_owned(), ()));
            return None;
        }
        Some(Secret::new(value))
    }
}
