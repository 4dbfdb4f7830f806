//! The keys of service tokens, with which functions sign their calls of each other.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

const LEAST_BYTES: usize = 32;

/// What a setting of service keys must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be base64 of at least 32 random bytes, or two of that with a comma between while one is replaced")]
pub struct InvalidServiceKeys;

/// The keys of service tokens: the first signs, every one verifies. There are two while a key is being replaced, so that functions that
/// have the new one already and functions that do not have it yet understand each other.
pub struct ServiceKeys(Vec<Zeroizing<Vec<u8>>>);

impl ServiceKeys {
    /// One key in base64, or two with a comma between.
    pub fn parse(text: &str) -> Result<Self, InvalidServiceKeys> {
        let key = |text: &str| STANDARD.decode(text).ok().filter(|bytes| bytes.len() >= LEAST_BYTES).map(Zeroizing::new);
        let keys = text.split(',').map(key).collect::<Option<Vec<_>>>().ok_or(InvalidServiceKeys)?;
        if keys.len() > 2 { Err(InvalidServiceKeys) } else { Ok(Self(keys)) }
    }

    /// The keys; the first signs.
    pub fn all(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|key| key.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_or_two() {
        let long = STANDARD.encode([7; 32]);
        assert_eq!(ServiceKeys::parse(&long).ok().unwrap().all().count(), 1);
        assert_eq!(ServiceKeys::parse(&format!("{long},{long}")).ok().unwrap().all().count(), 2);
        for bad in ["", ",", &format!("{long},"), &format!("{long},{long},{long}"), &format!("{long}, {long}"), "c2hvcnQ="] {
            assert!(ServiceKeys::parse(bad).is_err(), "{bad}");
        }
    }
}
