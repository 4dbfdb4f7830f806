//! The audit log's seals: a chain, so that a row that was changed or taken away is found by whoever has the key.
//!
//! ```text
//!  seal(n) = HMAC-SHA256(key, seal(n-1), n, every field of row n)          the first one is made on an empty text
//!  a checkpoint: HMAC over number and seal of the last row that retention took away: where the chain begins
//! ```
//!
//! What it cannot tell is whether rows at the end went that nobody remembers: whoever keeps the last number and seal elsewhere can
//! (maintenance writes them to the log).

use crate::service::ServiceKeys;
use crate::time::Millis;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// A row of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRow {
    /// Unique.
    pub id: String,
    /// When.
    pub at: Millis,
    /// What, in dotted words.
    pub action: String,
    /// `ok`, `refused`, `noticed`.
    pub outcome: String,
    /// Who, by internal id.
    pub actor: Option<String>,
    /// On whom or what.
    pub target: Option<String>,
    /// From where, truncated.
    pub address: Option<String>,
    /// The request.
    pub request_id: Option<String>,
    /// Anything else, as JSON.
    pub detail: Option<String>,
    /// Its number, once it is sealed.
    pub seq: Option<i64>,
    /// Its seal.
    pub seal: Option<String>,
}

/// A place in the chain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The number of a row; 0 before the first.
    pub seq: i64,
    /// Its seal; empty before the first.
    pub seal: String,
}

fn mac(key: &[u8], parts: &[Option<&str>]) -> String {
    // Keys have 32 bytes and more; HMAC takes any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return String::new() };
    for part in parts {
        // None is told from an empty text.
        mac.update(&[u8::from(part.is_some())]);
        mac.update(&(part.unwrap_or_default().len() as u64).to_be_bytes());
        mac.update(part.unwrap_or_default().as_bytes());
    }
    crate::hex::hex(&mac.finalize().into_bytes())
}

fn seal_with(key: &[u8], before: &Place, row: &AuditRow) -> Place {
    let (seq, at) = (before.seq + 1, row.at.0.to_string());
    let number = seq.to_string();
    let text = |field: &'_ Option<String>| field.clone();
    let fields = [&row.actor, &row.target, &row.address, &row.request_id, &row.detail].map(text);
    let mut parts =
        vec![Some("row"), Some(&before.seal), Some(&number), Some(&row.id), Some(&at), Some(&row.action), Some(&row.outcome)];
    parts.extend(fields.iter().map(Option::as_deref));
    Place { seq, seal: mac(key, &parts) }
}

/// The place of a row behind `before`, by the current key.
pub fn seal(keys: &ServiceKeys, before: &Place, row: &AuditRow) -> Option<Place> {
    keys.all().next().map(|key| seal_with(key, before, row))
}

/// The signature of a checkpoint, by the current key.
pub fn checkpoint(keys: &ServiceKeys, place: &Place) -> Option<String> {
    keys.all().next().map(|key| mac(key, &[Some("checkpoint"), Some(&place.seq.to_string()), Some(&place.seal)]))
}

/// Whether a checkpoint was made with one of the keys.
pub fn is_checkpoint(keys: &ServiceKeys, place: &Place, signature: &str) -> bool {
    keys.all().any(|key| mac(key, &[Some("checkpoint"), Some(&place.seq.to_string()), Some(&place.seal)]) == signature)
}

/// What is wrong with the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Rows went.
    #[error("rows {0} to {1} are missing")]
    Missing(i64, i64),
    /// A row is other than it was when it was sealed, or stands in another place.
    #[error("row {0} ({1}) was changed, or the seal before it")]
    Changed(i64, String),
    /// The log begins behind its beginning, and no checkpoint says why.
    #[error("the log begins with row {0}, and no checkpoint with a signature of ours says that what was before it was to go")]
    Beginning(i64),
}

/// Follows the chain, row by row in the order of their numbers. Two keys hold while one is replaced.
pub struct Verifier<'a> {
    keys: &'a ServiceKeys,
    at: Place,
    /// What was found.
    pub problems: Vec<Problem>,
}

impl<'a> Verifier<'a> {
    /// From the beginning, or from a checkpoint.
    pub fn new(keys: &'a ServiceKeys, from: Place) -> Self {
        Self { keys, at: from, problems: Vec::new() }
    }

    /// The next sealed row.
    pub fn follow(&mut self, row: &AuditRow) {
        let (seq, seal) = (row.seq.unwrap_or_default(), row.seal.clone().unwrap_or_default());
        if seq != self.at.seq + 1 {
            self.problems.push(Problem::Missing(self.at.seq + 1, seq - 1));
        } else if !self.keys.all().any(|key| seal_with(key, &self.at, row).seal == seal) {
            self.problems.push(Problem::Changed(seq, row.id.clone()));
        }
        // From what the row says on, so that each problem is told once.
        self.at = Place { seq, seal };
    }

    /// How far it came.
    pub fn end(self) -> (Place, Vec<Problem>) {
        (self.at, self.problems)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> ServiceKeys {
        ServiceKeys::parse("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").ok().unwrap()
    }

    fn log() -> Vec<AuditRow> {
        let keys = keys();
        let mut before = Place::default();
        let row = |n: i64| AuditRow {
            id: format!("aud_{n}"),
            at: Millis(1_800_000_000_000 + n),
            action: "sign_in.matrix".into(),
            outcome: "ok".into(),
            actor: Some("u".into()),
            target: None,
            address: Some("192.0.2.0/24".into()),
            request_id: None,
            detail: Some("{}".into()),
            seq: None,
            seal: None,
        };
        (1..=5)
            .map(|n| {
                before = seal(&keys, &before, &row(n)).unwrap();
                AuditRow { seq: Some(before.seq), seal: Some(before.seal.clone()), ..row(n) }
            })
            .collect()
    }

    fn problems(rows: &[AuditRow]) -> Vec<String> {
        let keys = keys();
        let mut verifier = Verifier::new(&keys, Place::default());
        rows.iter().for_each(|row| verifier.follow(row));
        verifier.end().1.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_changed_a_missing_and_a_moved_row_are_found() {
        assert_eq!(problems(&log()), [] as [&str; 0]);
        type Edit = fn(&mut AuditRow);
        let edits: [Edit; 9] = [
            |row| row.id.push('x'),
            |row| row.at = row.at.plus(1),
            |row| row.action = "sign_in.oidc".into(),
            |row| row.outcome = "refused".into(),
            |row| row.actor = None,
            |row| row.target = Some(String::new()),
            |row| row.address = Some("198.51.100.0/24".into()),
            |row| row.request_id = Some("req".into()),
            |row| row.detail = Some("{ }".into()),
        ];
        for edit in edits {
            let mut rows = log();
            edit(&mut rows[2]);
            assert_eq!(problems(&rows).len(), 1, "{:?}", rows[2]);
            assert!(problems(&rows)[0].starts_with("row 3 "), "{:?}", problems(&rows));
        }
        let mut rows = log();
        rows.remove(1);
        assert_eq!(problems(&rows), ["rows 2 to 2 are missing"]);
        let mut rows = log();
        rows[3].actor = rows[4].actor.replace("w".into());
        assert_eq!(problems(&rows).len(), 1);
        let mut rows = log();
        let (third, fourth) = (rows[2].id.clone(), rows[3].id.clone());
        (rows[2].id, rows[3].id) = (fourth, third);
        assert_eq!(problems(&rows).len(), 2, "two that changed places");
        // Who has no key cannot seal again what they changed.
        let mut rows = log();
        rows[4].seal = Some("0".repeat(64));
        assert_eq!(problems(&rows).len(), 1);
    }

    #[test]
    fn a_checkpoint_counts_with_our_signature() {
        let (keys, place) = (keys(), Place { seq: 3, seal: log()[2].seal.clone().unwrap() });
        let signature = checkpoint(&keys, &place).unwrap();
        assert!(is_checkpoint(&keys, &place, &signature));
        assert!(!is_checkpoint(&keys, &Place { seq: 4, ..place.clone() }, &signature));
        let mut verifier = Verifier::new(&keys, place);
        log()[3..].iter().for_each(|row| verifier.follow(row));
        assert_eq!(verifier.end().1, []);
    }

    #[test]
    fn a_replaced_key_still_verifies() {
        let old = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let both = ServiceKeys::parse(&format!("{},{old}", "//////////////////////////////////////////8=")).ok().unwrap();
        let mut verifier = Verifier::new(&both, Place::default());
        log().iter().for_each(|row| verifier.follow(row));
        assert_eq!(verifier.end().1, []);
    }
}
