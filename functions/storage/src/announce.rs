//! Announcing blobs: an id stands in `storage_intents` before its bytes go to KV, so that whatever a death leaves there is found.
//!
//! ```text
//!  large values ─▶ the isolate's stock has ids, and the namespace had room ──────────────────────────▶ KV ─▶ batch
//!              └▶ otherwise: INTEND announces theirs and a few for the stock, and asks for the room ─▶ KV ─▶ batch
//! ```
//!
//! A busy isolate so asks once for many writes. Ids in stock are used up to ten minutes after they were announced, and are swept an
//! hour after: no write can hold one that is being swept. An isolate that dies leaves at most as many as it has used, for the sweep.
//! Where there is no memory (Spin), every large write announces for itself.

use crate::namespace::Namespace;
use crate::sql::{self, Item};
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tmcp_http::Failure;
use tmcp_ports::{Clock, Memo, Platform, Random, Sql, stmt};
use tmcp_protocol::Millis;

/// So long after it was announced an id may be used.
pub const GOOD_MS: i64 = 10 * 60 * 1000;
/// So long what is known of a namespace's room counts.
const ROOM_MS: i64 = 60 * 1000;
/// Ids that are announced for the stock at once, at most.
const MOST: usize = 63;
/// Where an isolate keeps its stock.
const MEMO: &str = "announced";

/// A fresh random blob id.
pub fn fresh_id(platform: &impl Platform) -> String {
    let random: [u8; 16] = platform.random().bytes();
    tmcp_protocol::hex::hex(&random)
}

/// Announced ids that nobody uses yet, each for one chunk.
#[derive(Default)]
struct Stock {
    ids: Vec<String>,
    /// How many are being announced.
    coming: usize,
    /// When all of them are too old.
    until: Millis,
    /// How many are announced the next time: 0, 1, 3, 7, …, so that no more lie here than were used.
    portion: usize,
}

impl Stock {
    fn forget_old(&mut self, now: Millis) {
        if now >= self.until {
            *self = Self { until: now.plus(GOOD_MS), ..Self::default() };
        }
    }

    /// So many ids, or none.
    fn take(&mut self, count: usize, now: Millis) -> Option<Vec<String>> {
        self.forget_old(now);
        let rest = self.ids.len().checked_sub(count)?;
        Some(self.ids.split_off(rest))
    }

    /// How many to announce now for later.
    fn order(&mut self, now: Millis) -> usize {
        self.forget_old(now);
        if !self.ids.is_empty() || self.coming > 0 {
            return 0;
        }
        self.until = now.plus(GOOD_MS);
        self.coming = self.portion;
        self.portion = (self.portion * 2 + 1).min(MOST);
        self.coming
    }

    /// What was ordered at `at` is here, or is nothing.
    fn deliver(&mut self, ids: Vec<String>, at: Millis) {
        // An order from before the stock was forgotten is forgotten too.
        if self.until == at.plus(GOOD_MS) {
            self.coming = 0;
            self.ids.extend(ids);
        }
    }
}

fn locked(stock: &Mutex<Stock>) -> MutexGuard<'_, Stock> {
    stock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a namespace had left when it was asked for last, less what was written since.
#[derive(Debug, Clone, Copy)]
struct Room {
    left: i64,
    until: Millis,
}

fn room_of(namespace: &Namespace) -> String {
    format!("room:{}:{}", namespace.uid, namespace.app)
}

/// Announced ids for so many blobs of one chunk each, in a namespace that has room for `bytes` as far as is known; none where the
/// stock is too small or the room unknown.
pub fn in_stock(platform: &impl Platform, namespace: &Namespace, count: usize, bytes: i64) -> Option<Vec<String>> {
    let (now, name) = (platform.clock().now(), room_of(namespace));
    let room: Room = platform.memo().get(&name, now)?;
    let left = room.left.checked_sub(bytes).filter(|left| *left >= 0)?;
    let ids = locked(&platform.memo().kept(MEMO, now)).take(count, now)?;
    platform.memo().put(&name, Room { left, ..room }, room.until);
    Some(ids)
}

/// Forgets what is known of a namespace's room.
pub fn forget_room(platform: &impl Platform, namespace: &Namespace) {
    let none = Room { left: 0, until: Millis(0) };
    platform.memo().put(&room_of(namespace), none, none.until);
}

/// What is announced: a blob of a batch, or one for the stock, which is of no key.
#[derive(Serialize)]
struct Announcement<'a> {
    key: Option<&'a str>,
    client_ts: Option<Millis>,
    size: i64,
    blob: Option<&'a str>,
    chunks: i64,
}

#[derive(Deserialize)]
struct Announced {
    room: i64,
}

/// Announces the blobs of a batch; false where the namespace is too full for it.
pub async fn announce(platform: &impl Platform, namespace: &Namespace, items: &[Item], quota: i64) -> Result<bool, Failure> {
    let now = platform.clock().now();
    let stock = platform.memo().kept(MEMO, now);
    let ordered = locked(&stock).order(now);
    let ahead: Vec<String> = (0..ordered).map(|_| fresh_id(platform)).collect();
    let own = items.iter().map(|item| Announcement {
        key: Some(&item.key),
        client_ts: item.client_ts,
        size: item.size,
        blob: item.blob.as_deref(),
        chunks: item.chunks,
    });
    let more = ahead.iter().map(|id| Announcement { key: None, client_ts: None, size: 0, blob: Some(id), chunks: 1 });
    let payload = serde_json::to_string(&own.chain(more).collect::<Vec<_>>());
    let payload = payload.map_err(|error| Failure::internal(error.to_string()))?;
    let (uid, app) = (namespace.uid.as_str(), namespace.app.as_str());
    let announced = platform.sql().first::<Announced>(stmt!(sql::INTEND, now, payload, uid, app, true, quota)).await;
    let done = matches!(announced, Ok(Some(_)));
    locked(&stock).deliver(if done { ahead } else { Vec::new() }, now);
    let Some(Announced { room }) = announced? else { return Ok(false) };
    let left = items.iter().fold(room, |left, item| left.saturating_sub(item.size));
    let until = now.plus(ROOM_MS);
    platform.memo().put(&room_of(namespace), Room { left, until }, until);
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_800_000_000_000);

    fn fill(stock: &mut Stock, now: Millis) -> usize {
        let ordered = stock.order(now);
        stock.deliver((0..ordered).map(|n| n.to_string()).collect(), now);
        ordered
    }

    #[test]
    fn the_stock_grows_with_what_is_used_of_it() {
        let mut stock = Stock::default();
        let mut filled = Vec::new();
        for _ in 0..8 {
            filled.push(fill(&mut stock, NOW));
            while stock.take(1, NOW).is_some() {}
        }
        assert_eq!(filled, [0, 1, 3, 7, 15, 31, 63, 63]);
    }

    #[test]
    fn one_at_a_time_orders_and_nobody_takes_less_than_asked() {
        let mut stock = Stock { portion: 3, until: NOW.plus(1), ..Stock::default() };
        assert_eq!((stock.order(NOW), stock.order(NOW)), (3, 0));
        stock.deliver(vec!["a".into(), "b".into(), "c".into()], NOW);
        assert_eq!((stock.take(4, NOW), stock.order(NOW)), (None, 0));
        assert_eq!(stock.take(2, NOW), Some(vec!["b".to_owned(), "c".to_owned()]));
        assert_eq!(stock.take(2, NOW), None);
    }

    #[test]
    fn old_ids_are_forgotten_with_the_orders_that_are_late() {
        let mut stock = Stock { portion: 3, until: NOW.plus(1), ..Stock::default() };
        assert_eq!(fill(&mut stock, NOW), 3);
        assert!(stock.take(1, NOW.plus(GOOD_MS - 1)).is_some());
        assert!(stock.take(1, NOW.plus(GOOD_MS)).is_none());
        assert_eq!(stock.order(NOW.plus(GOOD_MS)), 0, "it begins anew");
        assert_eq!(stock.order(NOW.plus(GOOD_MS)), 1);
        stock.deliver(vec!["late".into()], NOW);
        assert!(stock.ids.is_empty());
    }
}
