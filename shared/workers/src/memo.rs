//! `Memo`: a map in the isolate. It is never borrowed across an await.

use crate::map::{Map, map};
use std::any::Any;
use std::cell::RefCell;
use tmcp_ports::Memo;
use tmcp_protocol::Millis;

type Remembered = (Box<dyn Any>, Millis);

/// More entries than this are forgotten all at once: cheap, and an attacker's tokens do not pile up.
const MOST: usize = 4096;

thread_local! {
    static MEMO: RefCell<Map<String, Remembered>> = RefCell::new(map());
}

/// The isolate's memory.
pub struct IsolateMemo;

impl Memo for IsolateMemo {
    fn get<T: Any + Clone + Send + Sync>(&self, key: &str, now: Millis) -> Option<T> {
        MEMO.with_borrow(|memo| {
            let (value, until) = memo.get(key)?;
            (now < *until).then(|| value.downcast_ref::<T>().cloned()).flatten()
        })
    }

    fn put<T: Any + Clone + Send + Sync>(&self, key: &str, value: T, until: Millis) {
        MEMO.with_borrow_mut(|memo| {
            if memo.len() >= MOST {
                memo.clear();
            }
            memo.insert(key.to_owned(), (Box::new(value), until));
        });
    }
}
