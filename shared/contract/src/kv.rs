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
    let keys = [0, 1, 1000, MAX_BYTES].map(|size| (size, format!("{key}/{size}")));
    for (size, key) in &keys {
        let size = *size;
        let bytes: Vec<u8> = (0..size).map(|n| u8::try_from(n % 251).unwrap_or(0)).collect();
        kv.put(key, bytes.clone()).await?;
        promise(kv.get(key).await? == Some(bytes), &format!("{size} bytes come back as they were"))?;
    }
    let [kept, gone @ ..] = keys.map(|(_, key)| key);
    kv.remove(gone.iter().chain([&key]).cloned().collect()).await?;
    for key in gone {
        promise(kv.get(&key).await?.is_none(), "what was removed is gone, and removing nothing is no error")?;
    }
    promise(kv.get(&kept).await?.is_some(), "what was not removed is there")?;
    kv.remove(vec![kept]).await?;
    kv.remove(Vec::new()).await?;
    Ok(())
}
