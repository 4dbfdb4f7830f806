//! `Aead`: the bytes are those of the standard, at every length, whoever makes them; and nothing else opens.

use crate::{Broken, promise};
use tmcp_ports::{Aead, AeadError, Platform, Sealing};

/// Key, nonce and text all zero, nothing associated: test case 14 of the GCM specification (McGrew and Viega).
const ZEROS: [u8; 32] = [
    0xce, 0xa7, 0x40, 0x3d, 0x4d, 0x60, 0x6b, 0x6e, 0x07, 0x4e, 0xc5, 0xd3, 0xba, 0xf3, 0x9d, 0x18, // text
    0xd0, 0xd1, 0xc8, 0xa7, 0x99, 0x99, 0x6b, 0xf0, 0x26, 0x5b, 0x98, 0xb5, 0xd4, 0x8a, 0xb9, 0x19, // tag
];

/// The suite.
pub async fn suite<P: Platform>(platform: &P) -> Result<(), Broken> {
    let aead = platform.aead();
    let zeros = Sealing { key: &[0; 32], nonce: &[0; 12], associated: b"" };
    promise(aead.seal(zeros, &[0; 16]).await? == ZEROS, "the standard's test vector is met")?;
    let sealing = Sealing { key: &[7; 32], nonce: &[9; 12], associated: b"whose it is" };
    // Encryption is by counter: what is short is the beginning of what is long, though another implementation may have made it.
    let text: Vec<u8> = (0_u8..=255).cycle().take(70_000).collect();
    let longest = aead.seal(sealing, &text).await?;
    for length in [0, 1, 16, 1024, 4079, 4080, 4081, 4095, 4096, 4097, 16_384, 65_537] {
        let plain = text.get(..length).unwrap_or_default();
        let sealed = aead.seal(sealing, plain).await?;
        promise(sealed.len() == length + 16, "a tag of 16 bytes is added")?;
        promise(sealed.get(..length) == longest.get(..length), "the text is encrypted alike at every length")?;
        promise(aead.open(sealing, &sealed).await? == plain, "what was sealed opens")?;
        for at in [0, length / 2, length + 15] {
            let mut changed = sealed.clone();
            if let Some(byte) = changed.get_mut(at) {
                *byte ^= 1;
            }
            promise(aead.open(sealing, &changed).await == Err(AeadError::Corrupt), "what was changed does not open")?;
        }
        let cut = sealed.get(..length + 15).unwrap_or_default();
        promise(aead.open(sealing, cut).await == Err(AeadError::Corrupt), "what was cut off does not open")?;
        for other in [
            Sealing { key: &[8; 32], ..sealing },
            Sealing { nonce: &[8; 12], ..sealing },
            Sealing { associated: b"whose it isn't", ..sealing },
        ] {
            promise(aead.open(other, &sealed).await == Err(AeadError::Corrupt), "nothing opens under anything else")?;
        }
    }
    promise(aead.open(sealing, b"").await == Err(AeadError::Corrupt), "nothing is not sealed")
}
