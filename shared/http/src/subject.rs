//! The subject of a request, as an entity: one per (user, app), with `platform` as an app, and one per source address.
//!
//! The races it prevents: two requests that both take the last token of a bucket, and a request that slips past a revocation. One
//! hop answers both "not too many" and "not revoked". Revoking raises the generation: tokens of an older one are refused from the
//! next request on, everywhere.

mod asking;

pub use asking::{admit, admit_holder, end_session, enter, holds, issue, revoke_all, stand};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tmcp_ports::{Context, Decision, EffectError, EffectId, EntityKind, Platform, Store, Wake};
use tmcp_protocol::bucket::{Admission, Bucket};
use tmcp_protocol::limits::Limit;
use tmcp_protocol::{Millis, Uid};

/// A subject that nobody asked for so long has full buckets and no live tokens: it is forgotten. Longer than the longest window
/// (a day) and the longest life of an access token.
const IDLE_MS: i64 = 25 * 60 * 60 * 1000;

/// The platform itself, where an app's id would stand.
pub const PLATFORM: &str = "platform";

/// Names a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectId(String);

impl SubjectId {
    /// A user in an app, or on the [`PLATFORM`].
    pub fn user(uid: &Uid, app: &str) -> Self {
        Self(["u:", uid.as_str(), ":", app].concat())
    }

    /// A confidential client, acting for itself.
    pub fn client(id: &tmcp_protocol::ClientId) -> Self {
        Self(format!("c:{id}"))
    }

    /// The recipient of mail, by the hash of their address.
    pub fn mail(hash: &str) -> Self {
        Self(format!("m:{hash}"))
    }

    /// Whoever invites us into rooms, by the hash of their Matrix id.
    pub fn inviter(hash: &str) -> Self {
        Self(format!("i:{hash}"))
    }

    /// A source address.
    pub fn address(address: &crate::Address) -> Self {
        Self(["a:", address.as_str()].concat())
    }
}

/// What is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Tokens of a smaller generation are revoked. It is the moment of the last revocation (or one more than before), so that it
    /// never falls behind an old token's, not even when the subject was forgotten in between.
    pub generation: i64,
    /// Buckets by limit class.
    pub buckets: BTreeMap<String, Bucket>,
    /// Ended sessions, each until its last token has expired.
    pub ended: BTreeMap<String, Millis>,
    /// When it was last asked.
    pub used_at: Millis,
    /// What an administrator said last about the person; nothing where nobody ever did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
    /// The limits that were exceeded of late, each once in its window.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceeded: Vec<Exceeded>,
    /// Why the person has to wait here, because of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<Pause>,
}

/// How long somebody has to wait whose limits were exceeded too often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// When it began.
    pub at: Millis,
    /// Its end.
    pub until: Millis,
}

/// A limit that was exceeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exceeded {
    /// Its class' name.
    pub class: String,
    /// When it was counted.
    pub at: Millis,
}

/// What an administrator said about a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Counts what was said: of two that arrive in the wrong order, the later one stays.
    pub version: i64,
    /// The suspension; none once it is lifted.
    pub suspension: Option<Suspension>,
}

/// Why somebody has to wait, and until when (TMCP 8.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    /// Its end, if it ends by itself.
    pub until: Option<Millis>,
    /// What the person is told: a JSON object of `suspended_until`, `reason` and `appeal_url`. A subject only passes it on.
    pub told: String,
}

impl Suspension {
    /// Whether it is still in force.
    pub fn is_in_force(&self, now: Millis) -> bool {
        self.until.is_none_or(|until| until > now)
    }
}

/// The part of a token that can be revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Its generation.
    pub generation: i64,
    /// Its session.
    pub session: String,
}

/// The figures of a limit, sent along so that the entity needs no configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    capacity: u32,
    burst: u32,
    window_s: u32,
    refill: u32,
}

impl From<Limit> for Figures {
    fn from(limit: Limit) -> Self {
        Self { capacity: limit.capacity, burst: limit.burst, window_s: limit.window_s, refill: limit.refill }
    }
}

impl From<Figures> for Limit {
    fn from(figures: Figures) -> Self {
        Self { capacity: figures.capacity, burst: figures.burst, window_s: figures.window_s, refill: figures.refill }
    }
}

/// What can be asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// May this request go on?
    Admit {
        /// The limit class' name.
        class: String,
        /// Its figures.
        limit: Figures,
        /// The token, where there is one.
        held: Option<Held>,
        /// How much of it is put up with, of a person.
        #[serde(default)]
        patience: Option<Figures>,
    },
    /// Which generation does a token get that is issued now, and is the session that it is issued for still alive?
    Issue {
        /// The session, where it exists already.
        session: Option<String>,
    },
    /// Both at once, for a token that is issued as part of a request of its own: which generation does it get, is its session still
    /// alive, and may the request go on? Draws from the bucket only where the session is.
    Enter {
        /// The limit class' name.
        class: String,
        /// Its figures.
        limit: Figures,
        /// The session, where it exists already.
        session: Option<String>,
    },
    /// Does this token still hold? Draws from no bucket.
    Check {
        /// The token.
        held: Held,
    },
    /// Ends one session: its tokens are refused from now on.
    EndSession {
        /// The session.
        session: String,
        /// When its last token expires.
        until: Millis,
    },
    /// Refuses every token that was issued until now.
    RevokeAll,
    /// An administrator says how the person stands.
    Stand(Standing),
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The request may go on, or has to wait.
    Admission(Admission),
    /// The token is revoked.
    Revoked,
    /// The person is suspended: what they are told.
    Suspended(String),
    /// The person has to wait here, since their limits were exceeded too often.
    Paused(Pause),
    /// The request may go on and its token gets this generation, or it has to wait.
    Entered {
        /// What the bucket says.
        admission: Admission,
        /// The generation.
        generation: i64,
    },
    /// The token holds.
    Holds,
    /// The generation of tokens issued now.
    Generation(i64),
    /// It is done.
    Done,
}

/// The kind.
pub struct Subject;

impl State {
    fn draw(&mut self, class: String, limit: Limit, now: Millis) -> Admission {
        self.buckets.entry(class).or_insert_with(|| Bucket::new(&limit, now)).draw(&limit, 1, now)
    }

    /// The suspension that is in force by an administrator.
    fn suspension(&self, now: Millis) -> Option<&Suspension> {
        self.standing.as_ref()?.suspension.as_ref().filter(|suspension| suspension.is_in_force(now))
    }

    /// What a request with a token is answered instead of what it asks for: an administrator's suspension comes first.
    fn pause(&self, now: Millis) -> Option<Answer> {
        if let Some(suspension) = self.suspension(now) {
            return Some(Answer::Suspended(suspension.told.clone()));
        }
        self.own.as_ref().filter(|own| own.until > now).map(|own| Answer::Paused(own.clone()))
    }

    /// A limit was exceeded: answered with `answer`, unless it was one too many within the window of `patience`.
    fn refuse(
        mut self,
        (class, limit): (String, Limit),
        patience: Option<Figures>,
        answer: Answer,
        now: Millis,
        wake: Wake,
    ) -> Decision<Subject> {
        let Some(patience) = patience.map(Limit::from).filter(|patience| patience.capacity > 0) else {
            return Decision::reply(answer);
        };
        self.exceeded.retain(|one| now.0 - one.at.0 < patience.window_ms());
        // A client that does not wait is refused a hundred times in a second: that is one limit exceeded.
        if self.exceeded.iter().any(|one| one.class == class && now.0 - one.at.0 < limit.window_ms()) {
            return Decision::reply(answer);
        }
        self.exceeded.push(Exceeded { class, at: now });
        if self.exceeded.len() < patience.capacity as usize {
            return Decision { store: Store::Soon(self), reply: answer, wake, effects: Vec::new() };
        }
        let pause = Pause { at: now, until: now.plus(patience.window_ms()) };
        self.exceeded.clear();
        self.own = Some(pause.clone());
        Decision { store: Store::Put(self), reply: Answer::Paused(pause), wake, effects: Vec::new() }
    }

    fn holds(&self, held: &Held) -> bool {
        held.generation >= self.generation && !self.ended.contains_key(&held.session)
    }
}

impl EntityKind for Subject {
    const NAME: &'static str = "subject";
    type State = State;
    type Command = Command;
    type Reply = Answer;
    type Effect = ();

    fn decide(state: Option<&State>, command: Command, context: Context) -> Decision<Self> {
        let first = state.is_none();
        let mut next = state.cloned().unwrap_or_else(|| State {
            generation: 0,
            buckets: BTreeMap::new(),
            ended: BTreeMap::new(),
            used_at: context.now,
            standing: None,
            exceeded: Vec::new(),
            own: None,
        });
        next.used_at = next.used_at.max(context.now);
        let wake = if first { Wake::At(context.now.plus(IDLE_MS)) } else { Wake::Keep };
        let suspended = next.suspension(context.now).map(|suspension| suspension.told.clone());
        let answer = match command {
            Command::Admit { class, limit, held, patience } => {
                if held.is_some_and(|held| !next.holds(&held)) {
                    return Decision::reply(Answer::Revoked);
                }
                if let Some(pause) = next.pause(context.now) {
                    return Decision::reply(pause);
                }
                let admission = next.draw(class.clone(), limit.into(), context.now);
                if !admission.allowed {
                    return next.refuse((class, limit.into()), patience, Answer::Admission(admission), context.now, wake);
                }
                Answer::Admission(admission)
            }
            Command::Enter { class, limit, session } => {
                if session.is_some_and(|session| next.ended.contains_key(&session)) {
                    return Decision::reply(Answer::Revoked);
                }
                if let Some(pause) = next.pause(context.now) {
                    return Decision::reply(pause);
                }
                let generation = next.generation;
                let admission = next.draw(class, limit.into(), context.now);
                if !admission.allowed {
                    return Decision::reply(Answer::Entered { admission, generation });
                }
                Answer::Entered { admission, generation }
            }
            Command::Issue { session } => {
                let ended = session.is_some_and(|session| next.ended.contains_key(&session));
                return Decision::reply(match suspended {
                    _ if ended => Answer::Revoked,
                    Some(told) => Answer::Suspended(told),
                    None => Answer::Generation(next.generation),
                });
            }
            Command::Check { held } => {
                return Decision::reply(match suspended {
                    _ if !next.holds(&held) => Answer::Revoked,
                    Some(told) => Answer::Suspended(told),
                    None => Answer::Holds,
                });
            }
            Command::EndSession { session, until } => {
                next.ended.retain(|_, until| *until > context.now);
                next.ended.insert(session, until);
                Answer::Done
            }
            Command::RevokeAll => {
                next.generation = context.now.0.max(next.generation + 1);
                next.ended.clear();
                Answer::Done
            }
            Command::Stand(standing) => {
                if next.standing.as_ref().is_some_and(|said| said.version >= standing.version) {
                    return Decision::reply(Answer::Done);
                }
                // Who is let in again is let in everywhere.
                if standing.suspension.is_none() {
                    next.own = None;
                    next.exceeded.clear();
                }
                next.standing = Some(standing);
                Answer::Done
            }
        };
        // A draw that a crash takes back lets one more request through; a revocation that it takes back lets a thief in.
        let drawn = matches!(answer, Answer::Admission(_) | Answer::Entered { .. });
        let store = if drawn { Store::Soon(next) } else { Store::Put(next) };
        Decision { store, reply: answer, wake, effects: Vec::new() }
    }

    fn wake(state: Option<&State>, context: Context) -> Option<Decision<Self>> {
        let state = state?;
        let idle_at = state.ended.values().copied().fold(state.used_at.plus(IDLE_MS), Millis::max);
        // Who is suspended is not forgotten: looked at again when it ends, or a day later where it has no end.
        let idle_at = match state.suspension(context.now) {
            Some(suspension) => idle_at.max(suspension.until.unwrap_or(context.now.plus(IDLE_MS))),
            None => state.own.as_ref().map_or(idle_at, |own| idle_at.max(own.until)),
        };
        let (store, wake) = if idle_at > context.now { (Store::Keep, Wake::At(idle_at)) } else { (Store::Delete, Wake::Never) };
        Some(Decision { store, reply: Answer::Done, wake, effects: Vec::new() })
    }

    async fn run<P: Platform>(_: &P, _: &EffectId, (): &()) -> Result<Option<Command>, EffectError> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
