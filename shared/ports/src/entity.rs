//! `Entity`: one aggregate at a time. Load, decide, store, wake me at: all or nothing, one command at a time per id.
//!
//! ```text
//!  command ──▶ [one at a time per id]  load ▶ decide (pure) ▶ store state + effects + wake-up ──▶ reply
//!                                                                   │
//!                         after the response, then by wake-up: run each effect until it is done
//! ```
//!
//! On Workers an id is a Durable Object with its SQLite and its alarm. On Spin it is a versioned row, decided inside
//! `BEGIN IMMEDIATE`, and its due wake-ups come with maintenance or with the next command. If the process dies after the store,
//! effects are still there and run later: each at least once, so each is idempotent by its [`EffectId`].

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::future::Future;
use tmcp_protocol::Millis;

/// What `decide` is given beside state and command.
#[derive(Debug, Clone, Copy)]
pub struct Context {
    /// The moment of the decision.
    pub now: Millis,
    /// Fresh random bytes.
    pub random: [u8; 16],
}

/// What becomes of the stored state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Store<S> {
    /// It stays as it is.
    Keep,
    /// It is replaced.
    Put(S),
    /// The entity is gone; the next command finds none.
    Delete,
}

/// What becomes of the wake-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// It stays as it is.
    Keep,
    /// At this moment or later, at least once.
    At(Millis),
    /// None.
    Never,
}

/// The outcome of a decision.
pub struct Decision<E: EntityKind> {
    /// The state afterwards.
    pub store: Store<E::State>,
    /// The answer to the command.
    pub reply: E::Reply,
    /// The wake-up afterwards.
    pub wake: Wake,
    /// What is to be done outside, each at least once, in any order.
    pub effects: Vec<E::Effect>,
}

impl<E: EntityKind> Decision<E> {
    /// An answer that changes nothing.
    pub fn reply(reply: E::Reply) -> Self {
        Self { store: Store::Keep, reply, wake: Wake::Keep, effects: Vec::new() }
    }

    /// An answer with a new state.
    pub fn put(state: E::State, reply: E::Reply) -> Self {
        Self { store: Store::Put(state), reply, wake: Wake::Keep, effects: Vec::new() }
    }
}

/// Names one effect for ever: the same effect has the same id however often it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectId {
    /// The entity.
    pub entity: String,
    /// The entity's version that caused it.
    pub version: i64,
    /// Its place among that version's effects.
    pub n: i64,
}

impl std::fmt::Display for EffectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.entity, self.version, self.n)
    }
}

/// The effect could not be done now and is to be tried again; the text is for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("effect: {0}")]
pub struct EffectError(pub String);

/// A kind of entity: its types, its decisions and its effects.
pub trait EntityKind: Sized + Send + Sync + 'static {
    /// The name in stored rows, and of the Durable Object binding in upper case.
    const NAME: &'static str;
    /// What is stored, as JSON: an interface to be pinned by tests.
    type State: Serialize + DeserializeOwned + Clone + Send + Sync;
    /// What can be asked.
    type Command: Serialize + DeserializeOwned + Send;
    /// What is answered.
    type Reply: Serialize + DeserializeOwned + Send;
    /// What is to be done outside.
    type Effect: Serialize + DeserializeOwned + Send + Sync;

    /// Decides a command. Pure.
    fn decide(state: Option<&Self::State>, command: Self::Command, context: Context) -> Decision<Self>;

    /// Decides a wake-up; the reply is not seen by anybody. Pure. It may come late or twice, never early.
    fn wake(state: Option<&Self::State>, context: Context) -> Option<Decision<Self>>;

    /// Does one effect. A command that it returns is decided next.
    fn run<P: crate::Platform>(
        platform: &P,
        id: &EffectId,
        effect: &Self::Effect,
    ) -> impl Future<Output = Result<Option<Self::Command>, EffectError>> + Send;
}

/// The entity could not be asked. Whether the command was decided is unknown; commands that matter are idempotent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntityError {
    /// Too many commands at once; the same call may succeed later.
    #[error("entity is busy")]
    Busy,
    /// Anything else; the text is for the log.
    #[error("entity: {0}")]
    Unavailable(String),
}

impl From<crate::SqlError> for EntityError {
    fn from(error: crate::SqlError) -> Self {
        match error {
            crate::SqlError::Busy => EntityError::Busy,
            other => EntityError::Unavailable(other.to_string()),
        }
    }
}

/// How long after a failed effect the `attempt`th retry comes: 1 s, doubled up to five minutes.
pub fn retry_delay_ms(attempt: i64) -> i64 {
    let doublings = u32::try_from(attempt.clamp(0, 9)).unwrap_or(9);
    (1000_i64 << doublings).min(300_000)
}

/// Entities by kind and id.
pub trait Entities: Send + Sync {
    /// Asks the entity `id`, and waits for its decision to be stored.
    fn ask<E: EntityKind>(&self, id: &str, command: E::Command) -> impl Future<Output = Result<E::Reply, EntityError>> + Send;

    /// Wakes what is due and runs effects that are left over, at most `limit` entities; returns how many it found. On Workers
    /// alarms do it, and this does nothing.
    fn maintain<E: EntityKind>(&self, limit: i64) -> impl Future<Output = Result<i64, EntityError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_back_off() {
        let delays: Vec<i64> = (0..11).map(retry_delay_ms).collect();
        assert_eq!(delays[..3], [1_000, 2_000, 4_000]);
        assert_eq!(delays[8..], [256_000, 300_000, 300_000]);
    }
}
