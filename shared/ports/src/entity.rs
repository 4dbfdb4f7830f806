//! `Entity`: one aggregate at a time. Load, decide, store, wake me at: all or nothing, one command at a time per id.
//!
//! ```text
//!  command ──▶ [one at a time per id]  load ▶ decide (pure) ▶ store state + effects + wake-up ──▶ reply
//!                                                                   │
//!                         after the response, then by wake-up: run each effect until it is done
//! ```
//!
//! On Workers an id is a Durable Object with its SQLite and its alarm. On Spin it is a versioned row, written under its version, and
//! its due wake-ups come with maintenance or with the next command. If the process dies after the store, effects are still there and
//! run later: each at least once, so each is idempotent by its [`EffectId`]. What a command changes is computed in one place, [`step`];
//! the adapters load and store.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
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
    /// It is replaced, and the answer need not wait until that is safe: a crash may take the last second of such changes back. For
    /// what a limit counts, not for what is owed. Where an entity has no memory of its own, it is [`Store::Put`].
    Soon(S),
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
    type Command: Serialize + DeserializeOwned + Clone + Send;
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

/// An entity as it is stored, but for its effects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored<S> {
    /// Grows with every change, and is never used twice, not even by an entity that was deleted and came back: effect ids hang on it.
    pub version: i64,
    /// The state.
    pub state: Option<S>,
    /// When it is to be woken.
    pub due_at: Option<i64>,
}

/// What is to be stored after a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<S> {
    /// Nothing.
    Nothing,
    /// This, within a second.
    Soon(Stored<S>),
    /// This, before anybody hears of it.
    Put(Stored<S>),
    /// Nothing stays.
    Remove,
}

/// An effect that a step left behind.
pub struct NewEffect<E: EntityKind> {
    /// The version that caused it.
    pub version: i64,
    /// Its place among that version's effects.
    pub n: i64,
    /// What is to be done.
    pub effect: E::Effect,
}

/// What one command, or one wake-up, comes to.
pub struct Step<E: EntityKind> {
    /// The answer; none for a wake-up.
    pub reply: Option<E::Reply>,
    /// What is to be stored.
    pub change: Change<E::State>,
    /// What is to be done outside; stored together with the change.
    pub effects: Vec<NewEffect<E>>,
}

/// Wakes the entity if that is due, and then decides the command, if there is one. Pure.
pub fn step<E: EntityKind>(stored: Option<&Stored<E::State>>, command: Option<E::Command>, context: Context) -> Step<E> {
    let last = stored.map(|stored| stored.version);
    let mut moving = Moving::<E> { stored: stored.map(Present::of), last, change: Urgency::None, effects: Vec::new(), context };
    moving.wake_if_due();
    let reply = command.map(|command| {
        let state = moving.stored.as_ref().and_then(Present::state);
        moving.apply(E::decide(state, command, context))
    });
    let change = match (moving.change, moving.stored) {
        (Urgency::None, _) => Change::Nothing,
        (_, None) => Change::Remove,
        (Urgency::Soon, Some(stored)) => Change::Soon(stored.into_stored()),
        (Urgency::Now, Some(stored)) => Change::Put(stored.into_stored()),
    };
    Step { reply, change, effects: moving.effects }
}

/// Where an entity begins to count. One that was deleted and comes back within the same millisecond begins elsewhere: the number
/// stays below 2^53 until the year 2248.
fn first_version(context: &Context) -> i64 {
    let [low, high, ..] = context.random;
    context.now.0.saturating_mul(1024) + i64::from(u16::from_le_bytes([low, high]) % 1024)
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    None,
    Soon,
    Now,
}

/// A [`Stored`] whose state is copied only where it is to be stored again: most commands look at it, and leave it or make another.
struct Present<'a, S: Clone> {
    version: i64,
    state: Option<Cow<'a, S>>,
    due_at: Option<i64>,
}

impl<'a, S: Clone> Present<'a, S> {
    fn of(stored: &'a Stored<S>) -> Self {
        Self { version: stored.version, state: stored.state.as_ref().map(Cow::Borrowed), due_at: stored.due_at }
    }

    fn state(&self) -> Option<&S> {
        self.state.as_deref()
    }

    fn into_stored(self) -> Stored<S> {
        Stored { version: self.version, state: self.state.map(Cow::into_owned), due_at: self.due_at }
    }
}

/// An entity in the middle of a step.
struct Moving<'a, E: EntityKind> {
    stored: Option<Present<'a, E::State>>,
    last: Option<i64>,
    change: Urgency,
    effects: Vec<NewEffect<E>>,
    context: Context,
}

impl<E: EntityKind> Moving<'_, E> {
    fn wake_if_due(&mut self) {
        let now = self.context.now.0;
        let Some(stored) = self.stored.as_mut().filter(|stored| stored.due_at.is_some_and(|due| due <= now)) else { return };
        // The wake-up is spent unless the decision sets another.
        stored.due_at = None;
        self.change = Urgency::Now;
        if let Some(decision) = E::wake(stored.state(), self.context) {
            self.apply(decision);
        }
    }

    fn apply(&mut self, decision: Decision<E>) -> E::Reply {
        let Decision { store, reply, wake, effects } = decision;
        let due_before = self.stored.as_ref().and_then(|stored| stored.due_at);
        let due_at = match wake {
            Wake::Keep => due_before,
            Wake::At(moment) => Some(moment.0),
            Wake::Never => None,
        };
        let quiet = effects.is_empty() && due_at == due_before;
        if quiet && matches!(store, Store::Keep) {
            return reply;
        }
        let version = self.last.map_or_else(|| first_version(&self.context), |last| last + 1);
        self.last = Some(version);
        let numbered = (0..).zip(effects).map(|(n, effect)| NewEffect { version, n, effect });
        self.effects.extend(numbered);
        let soon = quiet && self.stored.is_some() && matches!(store, Store::Soon(_));
        self.change = self.change.max(if soon { Urgency::Soon } else { Urgency::Now });
        self.stored = match store {
            Store::Put(state) | Store::Soon(state) => Some(Present { version, state: Some(Cow::Owned(state)), due_at }),
            Store::Keep => Some(Present { version, state: self.stored.take().and_then(|stored| stored.state), due_at }),
            Store::Delete => None,
        };
        reply
    }
}

/// Whoever takes an effect has this long to do it; then it counts as dead, and the effect is taken again.
pub const LEASE_MS: i64 = 60_000;

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

    /// How often, in this request, somebody else had changed an entity between its being read and written.
    fn conflicts(&self) -> u64 {
        0
    }

    /// How many effects of all entities wait to be done; none where the entities are not to be counted.
    fn waiting(&self) -> impl Future<Output = Result<Option<i64>, EntityError>> + Send {
        std::future::ready(Ok(None))
    }

    /// Wakes what is due and runs effects that are left over, at most `limit` entities; returns how many it found. On Workers
    /// alarms do it, and this does nothing.
    fn maintain<E: EntityKind>(&self, limit: i64) -> impl Future<Output = Result<i64, EntityError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says what it was told to decide.
    struct Puppet;

    #[derive(Clone, Serialize, Deserialize)]
    enum Told {
        Keep,
        Put,
        Soon,
        SoonAndWake(i64),
        WithEffects,
        Delete,
    }

    impl EntityKind for Puppet {
        const NAME: &'static str = "puppet";
        type State = u8;
        type Command = Told;
        type Reply = ();
        type Effect = u8;

        fn decide(state: Option<&u8>, command: Told, _: Context) -> Decision<Self> {
            let next = state.map_or(0, |n| n + 1);
            let (store, wake, effects) = match command {
                Told::Keep => (Store::Keep, Wake::Keep, vec![]),
                Told::Put => (Store::Put(next), Wake::Keep, vec![]),
                Told::Soon => (Store::Soon(next), Wake::Keep, vec![]),
                Told::SoonAndWake(at) => (Store::Soon(next), Wake::At(Millis(at)), vec![]),
                Told::WithEffects => (Store::Soon(next), Wake::Keep, vec![7, 8]),
                Told::Delete => (Store::Delete, Wake::Keep, vec![]),
            };
            Decision { store, reply: (), wake, effects }
        }

        fn wake(_: Option<&u8>, _: Context) -> Option<Decision<Self>> {
            Some(Decision { store: Store::Put(100), reply: (), wake: Wake::Keep, effects: vec![9] })
        }

        async fn run<P: crate::Platform>(_: &P, _: &EffectId, _: &u8) -> Result<Option<Told>, EffectError> {
            Ok(None)
        }
    }

    fn told(stored: Option<(i64, u8, Option<i64>)>, command: Told) -> (Change<u8>, Vec<(i64, i64, u8)>) {
        let context = Context { now: Millis(50), random: [0; 16] };
        let stored = stored.map(|(version, state, due_at)| Stored { version, state: Some(state), due_at });
        let step = step::<Puppet>(stored.as_ref(), Some(command), context);
        (step.change, step.effects.into_iter().map(|e| (e.version, e.n, e.effect)).collect())
    }

    fn stored(version: i64, state: u8, due_at: Option<i64>) -> Stored<u8> {
        Stored { version, state: Some(state), due_at }
    }

    #[test]
    fn only_what_changed_is_stored_and_only_what_may_be_late_is_late() {
        let old = Some((5, 1, None));
        assert_eq!(told(old, Told::Keep).0, Change::Nothing);
        assert_eq!(told(old, Told::Put).0, Change::Put(stored(6, 2, None)));
        assert_eq!(told(old, Told::Soon).0, Change::Soon(stored(6, 2, None)));
        assert_eq!(told(old, Told::SoonAndWake(60)).0, Change::Put(stored(6, 2, Some(60))));
        assert_eq!(told(None, Told::Soon).0, Change::Put(stored(51_200, 0, None)));
        assert_eq!(told(old, Told::WithEffects), (Change::Put(stored(6, 2, None)), vec![(6, 0, 7), (6, 1, 8)]));
        assert_eq!(told(old, Told::Delete).0, Change::Remove);
        assert_eq!(told(None, Told::Delete).0, Change::Remove);
    }

    #[test]
    fn a_due_wake_up_comes_first_once_and_under_a_version_of_its_own() {
        let due = Some((5, 1, Some(50)));
        assert_eq!(told(due, Told::Keep), (Change::Put(stored(6, 100, None)), vec![(6, 0, 9)]));
        assert_eq!(told(due, Told::WithEffects), (Change::Put(stored(7, 101, None)), vec![(6, 0, 9), (7, 0, 7), (7, 1, 8)]));
        assert_eq!(told(Some((5, 1, Some(51))), Told::Keep), (Change::Nothing, vec![]));
        assert_eq!(told(due, Told::Delete), (Change::Remove, vec![(6, 0, 9)]));
    }

    #[test]
    fn retries_back_off() {
        let delays: Vec<i64> = (0..11).map(retry_delay_ms).collect();
        assert_eq!(delays[..3], [1_000, 2_000, 4_000]);
        assert_eq!(delays[8..], [256_000, 300_000, 300_000]);
    }
}
