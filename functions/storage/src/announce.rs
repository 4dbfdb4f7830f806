//! Announcing blobs: an id stands in `storage_intents` before its bytes go to KV, so that whatever a death leaves there is found.
//!
//! ```text
//!  large values ─▶ the isolate's stock has ids, and the namespace had room ──────────────────────────▶ KV ─▶ batch
//!              └▶ otherwise: INTEND announces theirs and a few for the stock, and asks for the room ─▶ KV ─▶ batch
//!
//!  block 019ad0c5e1f8a1b2c3d4e5f6, 5 ids   unused 11111 ─▶ the batch that writes blob …-2 ─▶ 11011 ─▶ … ─▶ 00000: the row goes
//! ```
//!
//! Ids are announced in blocks: a row says which of a block's ids nobody has used. Its id begins with the time, so that the rows lie
//! in the order in which they grow old, and the sweep needs no index.
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
/// Ids of one block at most: what is unused of it is a number, and D1 gives numbers as JavaScript has them, of 53 bits.
const MOST: usize = 50;
const _: () = assert!(MOST <= 53, "JavaScript would round what is unused of a block");
/// Where an isolate keeps its stock.
const MEMO: &str = "announced";

/// A random id for a value that lies in its row, and is not announced.
pub fn fresh_id(platform: &impl Platform) -> String {
    let random: [u8; 16] = platform.random().bytes();
    tmcp_protocol::hex::hex(&random)
}

/// Where the ids of blocks that are announced from a time on begin: its milliseconds, in twelve hexadecimal digits.
pub fn begin_of(time: Millis) -> String {
    format!("{:012x}", time.0.max(0))
}

/// Blob ids that are about to be announced, in the order in which they are taken.
#[derive(Default)]
pub struct Blocks(Vec<Block>);

struct Block {
    id: String,
    taken: usize,
}

impl Block {
    fn new(platform: &impl Platform) -> Self {
        let random: [u8; 6] = platform.random().bytes();
        Self { id: format!("{}{}", begin_of(platform.clock().now()), tmcp_protocol::hex::hex(&random)), taken: 0 }
    }

    fn take(&mut self) -> String {
        let place = self.taken;
        self.taken += 1;
        name(&self.id, place)
    }

    /// A bit for each id.
    fn bits(&self) -> i64 {
        (1 << self.taken) - 1
    }
}

/// A blob's id: its block's, and its place there.
fn name(block: &str, place: usize) -> String {
    format!("{block}-{place}")
}

/// The ids of a block that these bits stand for.
pub fn ids(block: &str, bits: i64) -> impl Iterator<Item = String> {
    (0..MOST).filter(move |place| (bits >> place) & 1 == 1).map(move |place| name(block, place))
}

impl Blocks {
    /// The next id.
    pub fn next(&mut self, platform: &impl Platform) -> String {
        match self.0.last_mut() {
            Some(block) if block.taken < MOST => block.take(),
            _ => {
                let mut block = Block::new(platform);
                let id = block.take();
                self.0.push(block);
                id
            }
        }
    }

    /// So many ids that the last block still has.
    fn left(&self) -> usize {
        self.0.last().map_or(0, |block| MOST - block.taken)
    }

    /// For [`sql::INTEND`]: each block, the chunks of its largest blob, and the bits of its ids.
    fn rows(&self, chunks: i64) -> Vec<(&str, i64, i64)> {
        self.0.iter().map(|block| (block.id.as_str(), chunks, block.bits())).collect()
    }
}

/// Announced ids that nobody uses yet, each for one chunk.
#[derive(Default)]
struct Stock {
    ids: Vec<String>,
    /// How many are being announced.
    coming: usize,
    /// When all of them are too old.
    until: Millis,
    /// How many are announced the next time, where their block has room: 0, 1, 3, 7, …, so that no more lie here than were used.
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

    /// How many to announce now for later, `most` at most.
    fn order(&mut self, most: usize, now: Millis) -> usize {
        self.forget_old(now);
        if most == 0 || !self.ids.is_empty() || self.coming > 0 {
            return 0;
        }
        self.until = now.plus(GOOD_MS);
        self.coming = self.portion.min(most);
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

/// An item of a batch, as far as the room for it matters.
#[derive(Serialize)]
struct Wanted<'a> {
    key: &'a str,
    client_ts: Option<Millis>,
    size: i64,
}

#[derive(Deserialize)]
struct Announced {
    room: i64,
}

/// Announces the ids of these blocks; with a quota, only where the items have room under it. The room there was, or none.
async fn intend(
    platform: &impl Platform,
    namespace: &Namespace,
    rows: &[(&str, i64, i64)],
    items: &[Wanted<'_>],
    quota: Option<i64>,
) -> Result<Option<i64>, Failure> {
    let malformed = |error: serde_json::Error| Failure::internal(error.to_string());
    let rows = serde_json::to_string(rows).map_err(malformed)?;
    let items = serde_json::to_string(items).map_err(malformed)?;
    let (now, uid, app) = (platform.clock().now(), namespace.uid.as_str(), namespace.app.as_str());
    let statement = stmt!(sql::INTEND, now, items, uid, app, quota.is_some(), quota.unwrap_or_default(), rows);
    Ok(platform.sql().first::<Announced>(statement).await?.map(|announced| announced.room))
}

/// Announces the ids that a batch took of `blocks`, and some for the stock; false where the namespace is too full for the batch.
pub async fn announce(
    platform: &impl Platform,
    namespace: &Namespace,
    mut blocks: Blocks,
    items: &[Item],
    quota: i64,
) -> Result<bool, Failure> {
    let now = platform.clock().now();
    let stock = platform.memo().kept(MEMO, now);
    let chunks = items.iter().map(|item| item.chunks).max().unwrap_or_default();
    // Whatever is swept of a block counts as large as its largest: ids of one chunk share none with others.
    let ordered = locked(&stock).order(if chunks > 1 { 0 } else { blocks.left() }, now);
    let ahead: Vec<String> = (0..ordered).map(|_| blocks.next(platform)).collect();
    let wanted: Vec<Wanted<'_>> =
        items.iter().map(|item| Wanted { key: &item.key, client_ts: item.client_ts, size: item.size }).collect();
    let announced = intend(platform, namespace, &blocks.rows(chunks), &wanted, Some(quota)).await;
    let done = matches!(announced, Ok(Some(_)));
    if ordered > 0 {
        locked(&stock).deliver(if done { ahead } else { Vec::new() }, now);
    }
    let Some(room) = announced? else { return Ok(false) };
    let left = items.iter().fold(room, |left, item| left.saturating_sub(item.size));
    let until = now.plus(ROOM_MS);
    platform.memo().put(&room_of(namespace), Room { left, until }, until);
    Ok(true)
}

/// Announces the ids of `blocks` for a value that is sealed anew, whatever the quota says.
pub async fn announce_anew(platform: &impl Platform, namespace: &Namespace, blocks: &Blocks, chunks: i64) -> Result<(), Failure> {
    intend(platform, namespace, &blocks.rows(chunks), &[], None).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_800_000_000_000);

    fn fill(stock: &mut Stock, now: Millis) -> usize {
        let ordered = stock.order(MOST - 1, now);
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
        assert_eq!(filled, [0, 1, 3, 7, 15, 31, 49, 49]);
    }

    #[test]
    fn one_at_a_time_orders_and_nobody_takes_less_than_asked() {
        let mut stock = Stock { portion: 3, until: NOW.plus(1), ..Stock::default() };
        assert_eq!((stock.order(MOST, NOW), stock.order(MOST, NOW)), (3, 0));
        stock.deliver(vec!["a".into(), "b".into(), "c".into()], NOW);
        assert_eq!((stock.take(4, NOW), stock.order(MOST, NOW)), (None, 0));
        assert_eq!(stock.take(2, NOW), Some(vec!["b".to_owned(), "c".to_owned()]));
        assert_eq!(stock.take(2, NOW), None);
    }

    #[test]
    fn old_ids_are_forgotten_with_the_orders_that_are_late() {
        let mut stock = Stock { portion: 3, until: NOW.plus(1), ..Stock::default() };
        assert_eq!(fill(&mut stock, NOW), 3);
        assert!(stock.take(1, NOW.plus(GOOD_MS - 1)).is_some());
        assert!(stock.take(1, NOW.plus(GOOD_MS)).is_none());
        assert_eq!(stock.order(MOST, NOW.plus(GOOD_MS)), 0, "it begins anew");
        assert_eq!(stock.order(MOST, NOW.plus(GOOD_MS)), 1);
        stock.deliver(vec!["late".into()], NOW);
        assert!(stock.ids.is_empty());
    }

    #[test]
    fn a_batch_that_fills_its_blocks_announces_less_for_the_stock() {
        let platform = tmcp_testkit::TestPlatform::new();
        let mut blocks = Blocks::default();
        assert_eq!(blocks.left(), 0);
        let ids: Vec<String> = (0..2 * MOST - 2).map(|_| blocks.next(&platform)).collect();
        let rows = blocks.rows(3);
        assert_eq!(
            rows.iter().map(|(_, chunks, bits)| (*chunks, *bits)).collect::<Vec<_>>(),
            [(3, (1 << 50) - 1), (3, (1 << 48) - 1)]
        );
        assert_eq!(ids, rows.iter().flat_map(|(block, _, bits)| super::ids(block, *bits)).collect::<Vec<_>>());
        let mut stock = Stock { portion: 31, until: NOW.plus(1), ..Stock::default() };
        assert_eq!(stock.order(0, NOW), 0);
        assert_eq!(stock.order(blocks.left(), NOW), 2, "an order of nothing makes the next no larger");
    }

    #[test]
    fn blocks_lie_in_the_order_of_their_time() {
        let platform = tmcp_testkit::TestPlatform::new();
        let mut last = String::new();
        for _ in 0..20 {
            let block = Block::new(&platform);
            assert_eq!(block.id.len(), 24);
            assert!(block.id > last && block.id < begin_of(platform.clock().now().plus(1)), "{} after {last}", block.id);
            last = block.id;
            platform.advance(1);
        }
    }

    #[test]
    fn bits_are_of_the_ids_that_they_stand_for() {
        assert_eq!(ids("b", 0b1010).collect::<Vec<_>>(), ["b-1", "b-3"]);
        assert_eq!(ids("b", (1 << MOST) - 1).count(), MOST);
    }
}
