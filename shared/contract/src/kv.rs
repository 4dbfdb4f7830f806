//! `Kv`: what was put is got, up to the size limit; what was deleted is gone.

use crate::{Broken, promise};
use tmcp_ports::kv::MAX_BYTES;
use tmcp_ports::{Kv, Platform, Random};

/// The suite.
pub async fn suite<P: Platform>(platform: &P) -> Result<(), Broken> {
    let kv = platform.kv();
    let run = tmcp_protocol::hex::hex(&platform.random().bytes::<8>());
    let key = format!("contract/{run}");
    promise(kv.get(&key).await?.is_none(), "what was never put is not there")?;
    for size in [0, 1, 1000, MAX_BYTES] {
        let key = format!("{key}/{size}");
        let bytes: Vec<u8> = (0..size).map(|n| u8::try_from(n % 251).unwrap_or(0)).collect();
        kv.put(&key, bytes.clone()).await?;
        promise(kv.get(&key).await? == Some(bytes), &format!("{size} bytes come back as they were"))?;
        kv.delete(&key).await?;
    }
    kv.delete(&key).await?;
    promise(kv.get(&key).await?.is_none(), "what was deleted is gone, and deleting nothing is no error")
}
