//! Entities and batches over a plain SQLite connection, for runtimes that have no Durable Objects: Spin, and host tests.
//!
//! The race it prevents: two requests read the same state and both decide on it. Every decision therefore runs inside
//! `BEGIN IMMEDIATE`, which takes SQLite's write lock before the first read.

use crate::entity::{Context, Decision, EffectError, EffectId, EntityError, EntityKind, Store, Wake, retry_delay_ms};
use crate::sql::{Row, SqlError, Statement, Value};
use crate::{Clock, Log, Platform, Random, stmt};
use serde::Deserialize;
use tmcp_protocol::Millis;

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

/// Takes the write lock. SQLite's waiting is not fair, so that under many writers one may come away empty-handed: it tries again,
/// which is safe, since nothing has happened yet.
fn begin(connection: &(impl Connection + ?Sized)) -> Result<(), SqlError> {
    for _ in 0..2 {
        match connection.execute("BEGIN IMMEDIATE", &[]) {
            Err(SqlError::Busy) => {}
            outcome => return outcome.map(|_| ()),
        }
    }
    connection.execute("BEGIN IMMEDIATE", &[]).map(|_| ())
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
const SAVE: &str = "INSERT INTO entities (kind, id, version, state, due_at) VALUES (?1, ?2, ?3, ?4, ?5) \
    ON CONFLICT (kind, id) DO UPDATE SET version = excluded.version, state = excluded.state, due_at = excluded.due_at";
const REMOVE: &str = "DELETE FROM entities WHERE kind = ?1 AND id = ?2";
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
    UNION SELECT id FROM entity_effects WHERE kind = ?1 AND due_at <= ?2 LIMIT ?3";

/// Whoever takes an effect has this long to do it; then it counts as dead, and the effect is taken again.
const LEASE_MS: i64 = 60_000;

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

struct Loaded<E: EntityKind> {
    version: i64,
    state: Option<E::State>,
    due_at: Option<i64>,
}

fn corrupt(error: impl std::fmt::Display) -> SqlError {
    SqlError::Unavailable(format!("stored entity: {error}"))
}

fn load<E: EntityKind>(connection: &(impl Connection + ?Sized), id: &str) -> Result<Option<Loaded<E>>, SqlError> {
    let Some(row) = query(connection, &stmt!(LOAD, E::NAME, id))?.into_iter().next() else {
        return Ok(None);
    };
    let row: EntityRow = row.decode()?;
    let state = row.state.map(|json| serde_json::from_str(&json)).transpose().map_err(corrupt)?;
    Ok(Some(Loaded { version: row.version, state, due_at: row.due_at }))
}

/// Stores a decision. A version is never used twice, not even by an entity that was deleted and came back: effect ids hang on it.
fn save<E: EntityKind>(
    connection: &(impl Connection + ?Sized),
    id: &str,
    loaded: Option<&Loaded<E>>,
    decision: &Decision<E>,
    now: Millis,
) -> Result<bool, SqlError> {
    let due_at = match decision.wake {
        Wake::Keep => loaded.and_then(|l| l.due_at),
        Wake::At(moment) => Some(moment.0),
        Wake::Never => None,
    };
    let version = loaded.map_or(now.0.saturating_mul(1000), |l| l.version + 1);
    let unchanged =
        matches!(decision.store, Store::Keep) && decision.effects.is_empty() && due_at == loaded.and_then(|l| l.due_at);
    if unchanged {
        return Ok(false);
    }
    match &decision.store {
        Store::Delete => query(connection, &stmt!(REMOVE, E::NAME, id))?,
        Store::Put(state) => {
            let json = serde_json::to_string(state).map_err(corrupt)?;
            query(connection, &stmt!(SAVE, E::NAME, id, version, json, due_at))?
        }
        Store::Keep => {
            let json = loaded.and_then(|l| l.state.as_ref()).map(serde_json::to_string).transpose().map_err(corrupt)?;
            query(connection, &stmt!(SAVE, E::NAME, id, version, json, due_at))?
        }
    };
    for (n, effect) in (0_i64..).zip(&decision.effects) {
        let body = serde_json::to_string(effect).map_err(corrupt)?;
        query(connection, &stmt!(ADD_EFFECT, E::NAME, id, version, n, body, now))?;
    }
    Ok(!decision.effects.is_empty())
}

fn wake_if_due<E: EntityKind>(connection: &(impl Connection + ?Sized), id: &str, context: Context) -> Result<bool, SqlError> {
    let Some(mut loaded) = load::<E>(connection, id)? else { return Ok(false) };
    if loaded.due_at.is_none_or(|due| due > context.now.0) {
        return Ok(false);
    }
    // The wake-up is spent unless the decision sets another.
    loaded.due_at = None;
    let decision = E::wake(loaded.state.as_ref(), context);
    match decision {
        Some(decision) => {
            if matches!((&decision.store, decision.wake), (Store::Keep, Wake::Keep)) && decision.effects.is_empty() {
                clear_due::<E>(connection, id, &loaded)?;
            }
            save(connection, id, Some(&loaded), &decision, context.now)
        }
        None => clear_due(connection, id, &loaded).map(|()| false),
    }
}

fn clear_due<E: EntityKind>(connection: &(impl Connection + ?Sized), id: &str, loaded: &Loaded<E>) -> Result<(), SqlError> {
    let json = loaded.state.as_ref().map(serde_json::to_string).transpose().map_err(corrupt)?;
    query(connection, &stmt!(SAVE, E::NAME, id, loaded.version, json, None::<i64>)).map(|_| ())
}

/// Decides one command in one transaction. The flag says whether effects wait to be run.
pub fn ask<E: EntityKind>(
    connection: &(impl Connection + ?Sized),
    id: &str,
    command: E::Command,
    context: Context,
) -> Result<(E::Reply, bool), SqlError> {
    transaction(connection, |connection| decide::<E>(connection, id, command, context))
}

fn decide<E: EntityKind>(
    connection: &(impl Connection + ?Sized),
    id: &str,
    command: E::Command,
    context: Context,
) -> Result<(E::Reply, bool), SqlError> {
    let woken = wake_if_due::<E>(connection, id, context)?;
    let loaded = load::<E>(connection, id)?;
    let decision = E::decide(loaded.as_ref().and_then(|l| l.state.as_ref()), command, context);
    let effects = save(connection, id, loaded.as_ref(), &decision, context.now)?;
    Ok((decision.reply, woken || effects))
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
            Some(command) if first => decide::<E>(connection, id, command, context).map(|_| ()),
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
        let outcome = match serde_json::from_str(&row.body) {
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

/// [`Entities::maintain`].
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
        let woken = transaction(&*open()?, |connection| wake_if_due::<E>(connection, &id, context(platform)));
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
