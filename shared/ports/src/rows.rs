//! Entities and batches over a plain SQLite connection, for runtimes that have no Durable Objects: Spin, and host tests.
//!
//! The race it prevents: two requests read the same state and both decide on it. A decision is therefore written under the version
//! that was read, and decided again where that has moved; several statements that belong together run inside `BEGIN IMMEDIATE`, which
//! takes SQLite's write lock before the first read.

use crate::entity::{
    self, Change, Context, EffectError, EffectId, EntityError, EntityKind, LEASE_MS, NewEffect, Step, Stored, retry_delay_ms,
};
use crate::sql::{Row, SqlError, Statement, Value};
use crate::{Clock, Log, Platform, Random, stmt};
use serde::Deserialize;

/// One open connection. Dropping it rolls back what was not committed.
pub trait Connection {
    /// Runs one statement.
    fn execute(&self, sql: &str, args: &[Value]) -> Result<Vec<Row>, SqlError>;
}

/// Runs one checked statement.
pub fn query(connection: &(impl Connection + ?Sized), statement: &Statement) -> Result<Vec<Row>, SqlError> {
    statement.check()?;
    connection.execute(statement.sql, &statement.args)
}

/// Runs `work` between `BEGIN IMMEDIATE` and `COMMIT`; an error rolls everything back.
pub fn transaction<C: Connection + ?Sized, T>(
    connection: &C,
    work: impl FnOnce(&C) -> Result<T, SqlError>,
) -> Result<T, SqlError> {
    begin(connection)?;
    let outcome = work(connection).and_then(|value| connection.execute("COMMIT", &[]).map(|_| value));
    if outcome.is_err() {
        // A failed COMMIT leaves the transaction open, most errors too; after those that do not, this one is harmless.
        let _ = connection.execute("ROLLBACK", &[]);
    }
    outcome
}

/// Takes the write lock.
fn begin(connection: &(impl Connection + ?Sized)) -> Result<(), SqlError> {
    patiently(|| connection.execute("BEGIN IMMEDIATE", &[])).map(|_| ())
}

/// SQLite's waiting is not fair, so that under many writers one may come away empty-handed: it tries again, which is safe, since
/// nothing has happened yet.
pub fn patiently<T>(work: impl Fn() -> Result<T, SqlError>) -> Result<T, SqlError> {
    for _ in 0..2 {
        match work() {
            Err(SqlError::Busy) => {}
            outcome => return outcome,
        }
    }
    work()
}

/// [`crate::Sql::batch`].
pub fn batch(connection: &(impl Connection + ?Sized), statements: &[Statement]) -> Result<Vec<Vec<Row>>, SqlError> {
    transaction(connection, |connection| statements.iter().map(|statement| query(connection, statement)).collect())
}

/// [`crate::Sql::migrate`]: in one transaction with the row that records it.
pub fn migrate(connection: &(impl Connection + ?Sized), name: &str, statements: &[String]) -> Result<bool, SqlError> {
    // It lasts once set, and lets readers go on while somebody writes. Where a service has no such mode, it says so and goes on.
    let _ = connection.execute("PRAGMA journal_mode = WAL", &[]);
    let table = "CREATE TABLE IF NOT EXISTS schema_migrations (name TEXT NOT NULL PRIMARY KEY) STRICT";
    connection.execute(table, &[])?;
    transaction(connection, |connection| {
        let record = "INSERT INTO schema_migrations (name) VALUES (?1) ON CONFLICT (name) DO NOTHING RETURNING name";
        if connection.execute(record, &[Value::from(name)])?.is_empty() {
            return Ok(false);
        }
        statements.iter().try_for_each(|statement| connection.execute(statement, &[]).map(|_| ()))?;
        Ok(true)
    })
}

const LOAD: &str = "SELECT version, state, due_at FROM entities WHERE kind = ?1 AND id = ?2";
/// The guarded writes: each changes one row, or none where somebody else was faster.
const ADD: &str = "INSERT INTO entities (kind, id, version, state, due_at) VALUES (?1, ?2, ?3, ?4, ?5) \
    ON CONFLICT (kind, id) DO NOTHING RETURNING version";
const SAVE: &str = "UPDATE entities SET version = ?3, state = ?4, due_at = ?5 WHERE kind = ?1 AND id = ?2 AND version = ?6 \
    RETURNING version";
const REMOVE: &str = "DELETE FROM entities WHERE kind = ?1 AND id = ?2 AND version = ?3 RETURNING version";
const ADD_EFFECT: &str =
    "INSERT INTO entity_effects (kind, id, version, n, body, attempts, due_at) VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6)";
/// Takes the first effect that is due, so that nobody else runs it meanwhile.
const CLAIM_EFFECT: &str = "UPDATE entity_effects SET attempts = attempts + 1, due_at = ?4 WHERE kind = ?1 AND id = ?2 \
    AND (version, n) = (SELECT e.version, e.n FROM entity_effects e WHERE e.kind = ?1 AND e.id = ?2 AND e.due_at <= ?3 \
    ORDER BY e.version, e.n LIMIT 1) RETURNING version, n, body, attempts";
const DROP_EFFECT: &str = "DELETE FROM entity_effects WHERE kind = ?1 AND id = ?2 AND version = ?3 AND n = ?4 RETURNING n";
const DELAY_EFFECT: &str =
    "UPDATE entity_effects SET attempts = attempts + 1, due_at = ?5 WHERE kind = ?1 AND id = ?2 AND version = ?3 AND n = ?4";
const DUE: &str = "SELECT id FROM entities WHERE kind = ?1 AND due_at <= ?2 \
    UNION SELECT id FROM entity_effects WHERE kind = ?1 AND due_at <= ?2 LIMIT +?3";

const WAITING: &str = "SELECT COUNT(*) AS waiting FROM (SELECT 1 FROM entity_effects LIMIT 10001)";

/// So often a command is decided without taking the write lock first. Who loses as often to others waits in line.
const HOPEFUL: u32 = 3;

#[derive(Deserialize)]
struct EntityRow {
    version: i64,
    state: Option<String>,
    due_at: Option<i64>,
}

#[derive(Deserialize)]
struct EffectRow {
    version: i64,
    n: i64,
    body: String,
    attempts: i64,
}

fn corrupt(error: impl std::fmt::Display) -> SqlError {
    SqlError::Unavailable(format!("stored entity: {error}"))
}

fn load<E: EntityKind>(connection: &(impl Connection + ?Sized), id: &str) -> Result<Option<Stored<E::State>>, SqlError> {
    let Some(row) = query(connection, &stmt!(LOAD, E::NAME, id))?.into_iter().next() else {
        return Ok(None);
    };
    let row: EntityRow = row.decode()?;
    let state = row.state.map(|json| serde_json::from_slice(json.as_bytes())).transpose().map_err(corrupt)?;
    Ok(Some(Stored { version: row.version, state, due_at: row.due_at }))
}

/// Stores a change of what was read under version `before`; false when somebody else has changed it since.
fn store<E: EntityKind>(
    connection: &(impl Connection + ?Sized),
    id: &str,
    before: Option<i64>,
    change: &Change<E::State>,
) -> Result<bool, SqlError> {
    let statement = match (change, before) {
        (Change::Nothing, _) | (Change::Remove, None) => return Ok(true),
        (Change::Remove, Some(before)) => stmt!(REMOVE, E::NAME, id, before),
        (Change::Put(after) | Change::Soon(after), before) => {
            let json = after.state.as_ref().map(serde_json::to_string).transpose().map_err(corrupt)?;
            match before {
                Some(before) => stmt!(SAVE, E::NAME, id, after.version, json, after.due_at, before),
                None => stmt!(ADD, E::NAME, id, after.version, json, after.due_at),
            }
        }
    };
    patiently(|| query(connection, &statement)).map(|rows| !rows.is_empty())
}

/// What became of a command.
pub struct Asked<E: EntityKind> {
    /// The answer.
    pub reply: E::Reply,
    /// Whether effects wait to be run.
    pub effects: bool,
    /// How often somebody else was faster.
    pub conflicts: u32,
}

/// Decides one command. What it read is written under its version: most often nobody else is there, and two statements do. With
/// effects, or after losing a few times, it takes the write lock before it reads.
pub fn ask<E: EntityKind>(
    connection: &(impl Connection + ?Sized),
    id: &str,
    command: E::Command,
    context: Context,
) -> Result<Asked<E>, SqlError> {
    let mut conflicts = 0;
    while conflicts < HOPEFUL {
        let stored = load::<E>(connection, id)?;
        let before = stored.as_ref().map(|stored| stored.version);
        let step = entity::step::<E>(stored.as_ref(), Some(command.clone()), context);
        if !step.effects.is_empty() {
            break;
        }
        if store::<E>(connection, id, before, &step.change)? {
            return Ok(Asked { reply: step.reply.ok_or_else(silent)?, effects: false, conflicts });
        }
        conflicts += 1;
    }
    transaction(connection, |connection| {
        let step = locked::<E>(connection, id, Some(command), context)?;
        Ok(Asked { reply: step.reply.ok_or_else(silent)?, effects: !step.effects.is_empty(), conflicts })
    })
}

fn silent() -> SqlError {
    corrupt("a command without an answer")
}

/// One step under the write lock.
fn locked<E: EntityKind>(
    connection: &(impl Connection + ?Sized),
    id: &str,
    command: Option<E::Command>,
    context: Context,
) -> Result<Step<E>, SqlError> {
    let stored = load::<E>(connection, id)?;
    let before = stored.as_ref().map(|stored| stored.version);
    let step = entity::step::<E>(stored.as_ref(), command, context);
    if !store::<E>(connection, id, before, &step.change)? {
        return Err(corrupt("changed under the write lock"));
    }
    for NewEffect { version, n, effect } in &step.effects {
        let body = serde_json::to_string(effect).map_err(corrupt)?;
        query(connection, &stmt!(ADD_EFFECT, E::NAME, id, *version, *n, body, context.now))?;
    }
    Ok(step)
}

/// Forgets an effect that was done, and decides the command that it returned: both or none, and once even if it was done twice.
fn finish<E: EntityKind>(
    connection: &(impl Connection + ?Sized),
    effect: &EffectId,
    command: Option<E::Command>,
    context: Context,
) -> Result<(), SqlError> {
    transaction(connection, |connection| {
        let id = effect.entity.as_str();
        let first = !query(connection, &stmt!(DROP_EFFECT, E::NAME, id, effect.version, effect.n))?.is_empty();
        match command {
            Some(command) if first => locked::<E>(connection, id, Some(command), context).map(|_| ()),
            _ => Ok(()),
        }
    })
}

fn context(platform: &impl Platform) -> Context {
    Context { now: platform.clock().now(), random: platform.random().bytes() }
}

/// Runs the effects of one entity that are due, one after another, deciding the commands that they return. One that fails is put
/// off; the others go on.
pub async fn run_effects<E: EntityKind, P: Platform>(
    platform: &P,
    open: impl Fn() -> Result<Box<dyn Connection + Send>, SqlError>,
    id: &str,
) -> Result<(), SqlError> {
    loop {
        let now = platform.clock().now();
        let claimed = query(&*open()?, &stmt!(CLAIM_EFFECT, E::NAME, id, now, now.plus(LEASE_MS)))?;
        let Some(row) = claimed.into_iter().next() else { return Ok(()) };
        let row: EffectRow = row.decode()?;
        let name = EffectId { entity: id.to_owned(), version: row.version, n: row.n };
        let outcome = match serde_json::from_slice(row.body.as_bytes()) {
            Ok(effect) => E::run(platform, &name, &effect).await,
            Err(error) => Err(EffectError(error.to_string())),
        };
        match outcome {
            Ok(command) => finish::<E>(&*open()?, &name, command, context(platform))?,
            Err(error) => {
                let line =
                    serde_json::json!({"level": "warn", "effect": format!("{}/{name}", E::NAME), "cause": error.to_string()});
                platform.log().line(&line.to_string());
                let again = platform.clock().now().plus(retry_delay_ms(row.attempts));
                query(&*open()?, &stmt!(DELAY_EFFECT, E::NAME, id, row.version, row.n, again))?;
            }
        }
    }
}

/// [`crate::Entities::waiting`].
pub fn waiting(connection: &(impl Connection + ?Sized)) -> Result<Option<i64>, SqlError> {
    #[derive(Deserialize)]
    struct Count {
        waiting: i64,
    }
    let count = query(connection, &stmt!(WAITING))?.into_iter().next().map(Row::decode::<Count>).transpose()?;
    Ok(count.map(|count| count.waiting))
}

/// [`crate::Entities::maintain`].
pub async fn maintain<E: EntityKind, P: Platform>(
    platform: &P,
    open: impl Fn() -> Result<Box<dyn Connection + Send>, SqlError>,
    limit: i64,
) -> Result<i64, EntityError> {
    #[derive(Deserialize)]
    struct Due {
        id: String,
    }
    let due: Vec<Due> = query(&*open()?, &stmt!(DUE, E::NAME, platform.clock().now(), limit))?
        .into_iter()
        .map(Row::decode)
        .collect::<Result<_, _>>()?;
    let mut found = 0;
    for Due { id } in due {
        let woken = transaction(&*open()?, |connection| locked::<E>(connection, &id, None, context(platform)));
        let outcome = match woken {
            Ok(_) => run_effects::<E, P>(platform, &open, &id).await,
            Err(error) => Err(error),
        };
        // One that cannot be woken does not keep the others asleep.
        if let Err(error) = outcome {
            let line = serde_json::json!({"level": "error", "entity": format!("{}/{id}", E::NAME), "cause": error.to_string()});
            platform.log().line(&line.to_string());
        }
        found += 1;
    }
    Ok(found)
}
