//! `Memo`: nothing. Every request is a fresh instance, so there is nobody to remember for.

use std::any::Any;
use tmcp_ports::Memo;
use tmcp_protocol::Millis;

/// Remembers nothing.
pub struct NoMemo;

impl Memo for NoMemo {
    const REMEMBERS: bool = false;

    fn get<T: Any + Clone + Send + Sync>(&self, _: &str, _: Millis) -> Option<T> {
        None
    }

    fn put<T: Any + Clone + Send + Sync>(&self, _: &str, _: T, _: Millis) {}
}
