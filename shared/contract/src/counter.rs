//! An entity that only tests use: it counts, wakes up, and has effects that can be made to fail.
//!
//! Every run of an effect leaves a row in `contract_runs`, and every effect that was done one in `contract_done`, so that "at least
//! once" and "once by id" can both be seen from outside.

use serde::{Deserialize, Serialize};
use tmcp_ports::{Context, Decision, EffectError, EffectId, EntityKind, Platform, Random, Sql, SqlError, Store, Wake, stmt};
use tmcp_protocol::Millis;

const TABLES: [&str; 3] = [
    "CREATE TABLE IF NOT EXISTS contract_runs (id TEXT NOT NULL PRIMARY KEY, effect TEXT NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS contract_done (effect TEXT NOT NULL PRIMARY KEY, entity TEXT NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS contract_flags (name TEXT NOT NULL PRIMARY KEY) STRICT",
];
const RUN: &str = "INSERT INTO contract_runs (id, effect) VALUES (?1, ?2)";
const DONE: &str = "INSERT INTO contract_done (effect, entity) VALUES (?1, ?2) ON CONFLICT (effect) DO NOTHING";
const FLAG: &str = "SELECT name FROM contract_flags WHERE name = ?1";
const SET_FLAG: &str = "INSERT INTO contract_flags (name) VALUES (?1) ON CONFLICT (name) DO NOTHING";
const COUNT_DONE: &str = "SELECT COUNT(*) AS n FROM contract_done WHERE entity = ?1";
const COUNT_RUNS: &str = "SELECT COUNT(*) AS n FROM contract_runs WHERE effect LIKE ?1 || '/%'";

/// What is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The count.
    pub value: i64,
    /// When it wants to be woken.
    pub due_at: Option<Millis>,
    /// When it was woken, each time.
    pub woken_at: Vec<Millis>,
    /// How many effects told that they were done.
    pub confirmed: i64,
}

/// What can be asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Adds one.
    Add,
    /// Adds one, with an effect that fails until the flag is set (an empty name never fails).
    AddWithEffect {
        /// The flag's name.
        flag: String,
    },
    /// Wants to be woken.
    WakeAt {
        /// When.
        at: Millis,
    },
    /// Moves the state on without touching the wake-up: it then finds nothing to do.
    Move,
    /// Shows itself.
    Get,
    /// An effect was done.
    Confirm,
}

/// What is to be done outside.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Effect {
    flag: String,
}

/// The kind.
pub struct Counter;

impl EntityKind for Counter {
    const NAME: &'static str = "counter";
    type State = State;
    type Command = Command;
    type Reply = State;
    type Effect = Effect;

    fn decide(state: Option<&State>, command: Command, _: Context) -> Decision<Self> {
        let mut next = state.cloned().unwrap_or_default();
        let (mut wake, mut effects) = (Wake::Keep, Vec::new());
        match command {
            Command::Add => next.value += 1,
            Command::AddWithEffect { flag } => {
                next.value += 1;
                effects.push(Effect { flag });
            }
            Command::WakeAt { at } => {
                next.due_at = Some(at);
                wake = Wake::At(at);
            }
            Command::Move => next.due_at = None,
            Command::Get => return Decision::reply(next),
            Command::Confirm => next.confirmed += 1,
        }
        Decision { store: Store::Put(next.clone()), reply: next, wake, effects }
    }

    fn wake(state: Option<&State>, context: Context) -> Option<Decision<Self>> {
        let mut next = state.cloned()?;
        next.due_at.filter(|due| *due <= context.now)?;
        next.due_at = None;
        next.woken_at.push(context.now);
        Some(Decision { store: Store::Put(next.clone()), reply: next, wake: Wake::Never, effects: Vec::new() })
    }

    async fn run<P: Platform>(platform: &P, id: &EffectId, effect: &Effect) -> Result<Option<Command>, EffectError> {
        run(platform, id, effect).await.map_err(|error| EffectError(error.to_string()))?;
        Ok(Some(Command::Confirm))
    }
}

async fn run<P: Platform>(platform: &P, id: &EffectId, effect: &Effect) -> Result<(), SqlError> {
    let sql = platform.sql();
    let run = tmcp_protocol::hex::hex(&platform.random().bytes::<12>());
    sql.query(stmt!(RUN, run, id.to_string())).await?;
    if !effect.flag.is_empty() && sql.query(stmt!(FLAG, effect.flag.as_str())).await?.is_empty() {
        return Err(SqlError::Unavailable("the flag is not set".to_owned()));
    }
    sql.query(stmt!(DONE, id.to_string(), id.entity.as_str())).await.map(|_| ())
}

/// Makes the tables.
pub async fn prepare(platform: &impl Platform) -> Result<(), SqlError> {
    for table in TABLES {
        platform.sql().query(stmt!(table)).await?;
    }
    Ok(())
}

/// Lets effects that wait for a flag succeed.
pub async fn set_flag(platform: &impl Platform, name: &str) -> Result<(), SqlError> {
    platform.sql().query(stmt!(SET_FLAG, name)).await.map(|_| ())
}

/// Whether a flag is set.
pub async fn is_set(platform: &impl Platform, name: &str) -> Result<bool, SqlError> {
    Ok(!platform.sql().query(stmt!(FLAG, name)).await?.is_empty())
}

/// How many effects of an entity were done, and how often any was run.
pub async fn effects(platform: &impl Platform, entity: &str) -> Result<(i64, i64), SqlError> {
    #[derive(Deserialize)]
    struct Count {
        n: i64,
    }
    let done: Option<Count> = platform.sql().first(stmt!(COUNT_DONE, entity)).await?;
    let runs: Option<Count> = platform.sql().first(stmt!(COUNT_RUNS, entity)).await?;
    Ok((done.map_or(0, |count| count.n), runs.map_or(0, |count| count.n)))
}
