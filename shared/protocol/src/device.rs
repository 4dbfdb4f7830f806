//! User codes of the device grant (RFC 8628 section 6.1): eight letters without vowels, so that no code is a word.

/// Twenty letters: eight of them are 34 bits.
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const LENGTH: usize = 8;

/// A user code in its one form: upper case, without a dash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserCode(String);

impl UserCode {
    /// A fresh code of random bytes. A byte chooses one of twenty letters; those from 240 on would prefer some, and go.
    pub fn new(random: [u8; 32]) -> Self {
        let fair = random.iter().copied().filter(|byte| *byte < 240).chain(std::iter::repeat(0));
        let letter = |byte: u8| LETTERS.get(usize::from(byte) % LETTERS.len()).copied().map_or('B', char::from);
        Self(fair.take(LENGTH).map(letter).collect())
    }

    /// What a person typed: small letters, dashes and spaces do not matter. `None` where it cannot be one.
    pub fn parse(typed: &str) -> Option<Self> {
        if typed.len() > 40 {
            return None;
        }
        let letters: String =
            typed.chars().filter(|letter| !"- ".contains(*letter)).map(|letter| letter.to_ascii_uppercase()).collect();
        (letters.len() == LENGTH && letters.bytes().all(|letter| LETTERS.contains(&letter))).then_some(Self(letters))
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As a person reads it: `BCDF-GHJK`.
    pub fn shown(&self) -> String {
        let (first, second) = self.0.split_at_checked(LENGTH / 2).unwrap_or_default();
        format!("{first}-{second}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_eight_consonants_and_is_read_as_people_type() {
        let mut random = [0; 32];
        random.iter_mut().zip((0..=255u8).rev()).for_each(|(byte, value)| *byte = value);
        let code = UserCode::new(random);
        assert_eq!((code.as_str().len(), code.shown().len()), (8, 9));
        for typed in [code.shown(), code.shown().to_lowercase(), code.as_str().to_owned(), format!(" {} ", code.shown())] {
            assert_eq!(UserCode::parse(&typed).as_ref(), Some(&code), "{typed}");
        }
        for wrong in ["", "BCDFGHJ", "BCDFGHJKL", "ABCDEFGH", "BCDF-GHJ1", "BCDFGHJÉ", &"B".repeat(41)] {
            assert_eq!(UserCode::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_letter_is_as_likely_as_any_other() {
        let mut counts = std::collections::BTreeMap::new();
        for byte in 0..240u8 {
            let mut random = [0; 32];
            random[0] = byte;
            *counts.entry(UserCode::new(random).as_str().chars().next().unwrap()).or_insert(0) += 1;
        }
        assert!(counts.len() == 20 && counts.values().all(|count| *count == 12), "{counts:?}");
    }
}
