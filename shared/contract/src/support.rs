//! The small ports: time, randomness, configuration, memory.

use crate::{Broken, promise};
use tmcp_ports::{Clock, Config, Memo, Platform, Random};

/// The suite.
pub async fn suite<P: Platform>(platform: &P) -> Result<(), Broken> {
    let (first, second) = (platform.clock().now(), platform.clock().now());
    promise(first.0 > 1_700_000_000_000 && second >= first, "the clock tells the time in milliseconds")?;
    let (a, b): ([u8; 32], [u8; 32]) = (platform.random().bytes(), platform.random().bytes());
    promise(a != b && a != [0; 32], "random bytes differ")?;
    promise(platform.config().get("NO_SUCH_SETTING").is_none(), "what is not configured is none")?;
    promise(platform.config().get("ISSUER").is_some(), "what is configured is there")?;
    let memo = platform.memo();
    memo.put("contract", 7_u32, first.plus(1000));
    let found = memo.get::<u32>("contract", first);
    promise(found.is_none() || found == Some(7), "what is remembered is what was put")?;
    promise(memo.get::<u32>("contract", first.plus(1000)).is_none(), "nothing is remembered past its end")?;
    promise(memo.get::<String>("contract", first).is_none(), "a value of another type is not found")
}
