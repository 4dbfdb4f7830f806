//! `Entities`: a Durable Object per id, backed by SQLite, with an alarm.
//!
//! The race it prevents: two commands that decide on the same state. Between reading and writing nothing is awaited, and the whole
//! entity (state, wake-up, waiting effects) is one row, so that one synchronous statement stores it all or not at all.
//!
//! The class is made by [`entity_class!`](crate::entity_class) in its owner's `workers.rs`; other Workers bind it by `script_name`.

use crate::WorkersPlatform;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::rc::Rc;
use tmcp_ports::entity::retry_delay_ms;
use tmcp_ports::{
    Clock, Context, Decision, EffectError, EffectId, Entities, EntityError, EntityKind, Log, Platform, Random, Store, Wake,
};
use tmcp_protocol::Millis;
use worker::js_sys::Date;
use worker::send::SendFuture;
use worker::wasm_bindgen::JsValue;
use worker::{Env, Method, Request, RequestInit, Response, ScheduledTime, SqlStorageValue, State};

/// Entities behind their namespaces; the binding is the kind's name in upper case.
pub struct WorkersEntities(Env);

impl WorkersEntities {
    pub(crate) fn new(env: &Env) -> Self {
        Self(env.clone())
    }
}

/// What travels to the object.
#[derive(Serialize, Deserialize)]
struct Question<C> {
    id: String,
    command: C,
}

fn failed(error: impl std::fmt::Display) -> EntityError {
    EntityError::Unavailable(error.to_string())
}

async fn ask<R: DeserializeOwned>(env: &Env, kind: &str, id: &str, body: String) -> Result<R, EntityError> {
    let stub = env.durable_object(&kind.to_uppercase()).and_then(|namespace| namespace.get_by_name(id)).map_err(failed)?;
    let mut init = RequestInit::new();
    init.with_method(Method::Post).with_body(Some(JsValue::from_str(&body)));
    let request = Request::new_with_init("https://entity/", &init).map_err(failed)?;
    let mut response = stub.fetch_with_request(request).await.map_err(failed)?;
    let text = response.text().await.map_err(failed)?;
    if response.status_code() != 200 {
        return Err(EntityError::Unavailable(text));
    }
    serde_json::from_str(&text).map_err(failed)
}

impl Entities for WorkersEntities {
    async fn ask<E: EntityKind>(&self, id: &str, command: E::Command) -> Result<E::Reply, EntityError> {
        let body = serde_json::to_string(&Question { id: id.to_owned(), command }).map_err(failed)?;
        SendFuture::new(ask(&self.0, E::NAME, id, body)).await
    }

    async fn maintain<E: EntityKind>(&self, _: i64) -> Result<i64, EntityError> {
        Ok(0)
    }
}

/// An effect that waits to be done.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Waiting {
    version: i64,
    n: i64,
    body: String,
    attempts: i64,
    due_at: i64,
}

/// The one row.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stored {
    id: String,
    version: i64,
    state: Option<String>,
    due_at: Option<i64>,
    effects: Vec<Waiting>,
}

/// Whoever takes an effect has this long to do it; then it counts as dead, and the alarm takes it again.
const LEASE_MS: i64 = 60_000;

/// The inside of a Durable Object class.
pub struct EntityHost<E: EntityKind>(Rc<Inside<E>>);

struct Inside<E: EntityKind> {
    state: State,
    env: Env,
    /// What the row holds, once it was read; `Some(None)` means that there is none.
    cached: RefCell<Option<Option<Stored>>>,
    /// What the alarm is set to, once it was asked for.
    alarm: Cell<Option<Option<i64>>>,
    /// Whether effects are being run at the moment.
    running: Cell<bool>,
    kind: PhantomData<E>,
}

impl<E: EntityKind> EntityHost<E> {
    /// For the class' constructor.
    pub fn new(state: State, env: Env) -> Self {
        let (cached, alarm, running) = (RefCell::new(None), Cell::new(None), Cell::new(false));
        Self(Rc::new(Inside { state, env, cached, alarm, running, kind: PhantomData }))
    }

    /// For the class' `fetch`: one command. Effects run after the response, or by alarm.
    pub async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let text = request.text().await?;
        let question: Question<E::Command> = serde_json::from_str(&text)?;
        let platform = WorkersPlatform::of_entity(&self.0.env);
        // What the alarm is set to is asked for before the decision: between storing it and setting the alarm nothing is awaited,
        // so that both are written together.
        self.0.know_alarm().await?;
        let (reply, effects) = self.0.decide(&platform, &question.id, question.command)?;
        self.0.set_alarm().await?;
        if effects {
            let inside = self.0.clone();
            self.0.state.wait_until(async move {
                let outcome = inside.run_effects(&platform).await;
                inside.report(&platform, outcome);
                let outcome = inside.set_alarm().await;
                inside.report(&platform, outcome);
            });
        }
        Response::from_json(&reply)
    }

    /// For the class' `alarm`. Errors are caught and the alarm set again: the platform gives up after six retries.
    pub async fn alarm(&self) -> worker::Result<Response> {
        let platform = WorkersPlatform::of_entity(&self.0.env);
        self.0.alarm.set(Some(None));
        let outcome = self.0.wake(&platform).await;
        self.0.report(&platform, outcome);
        self.0.set_alarm().await?;
        Response::empty()
    }
}

impl<E: EntityKind> Inside<E> {
    async fn wake(&self, platform: &WorkersPlatform) -> worker::Result<()> {
        let Some(stored) = self.load()? else { return Ok(()) };
        self.wake_if_due(&stored.id, Self::context(platform))?;
        self.run_effects(platform).await
    }

    fn report(&self, platform: &WorkersPlatform, outcome: worker::Result<()>) {
        if let Err(error) = outcome {
            let line = serde_json::json!({"level": "error", "entity": E::NAME, "cause": error.to_string()});
            platform.log().line(&line.to_string());
        }
    }

    fn load(&self) -> worker::Result<Option<Stored>> {
        #[derive(Deserialize)]
        struct BodyRow {
            body: String,
        }
        if let Some(known) = &*self.cached.borrow() {
            return Ok(known.clone());
        }
        let sql = self.state.storage().sql();
        // Reading makes no table: an id that was only asked about leaves nothing behind.
        let tables: Vec<serde_json::Value> =
            sql.exec("SELECT name FROM sqlite_master WHERE name = 'entity'", None)?.to_array()?;
        if tables.is_empty() {
            *self.cached.borrow_mut() = Some(None);
            return Ok(None);
        }
        let rows: Vec<BodyRow> = sql.exec("SELECT body FROM entity", None)?.to_array()?;
        let stored = rows.first().map(|row| serde_json::from_str(&row.body)).transpose()?;
        *self.cached.borrow_mut() = Some(stored.clone());
        Ok(stored)
    }

    fn store(&self, stored: Option<Stored>) -> worker::Result<()> {
        let sql = self.state.storage().sql();
        let result = match &stored {
            Some(stored) => {
                let body = SqlStorageValue::String(serde_json::to_string(stored)?);
                let table = "CREATE TABLE IF NOT EXISTS entity (k INTEGER PRIMARY KEY CHECK (k = 1), body TEXT NOT NULL) STRICT";
                sql.exec(table, None)?;
                sql.exec(
                    "INSERT INTO entity (k, body) VALUES (1, ?) ON CONFLICT (k) DO UPDATE SET body = excluded.body",
                    vec![body],
                )
            }
            None => sql.exec("DROP TABLE IF EXISTS entity", None),
        };
        // Where the write failed, what is cached may not be what is stored.
        *self.cached.borrow_mut() = if result.is_ok() { Some(stored) } else { None };
        result.map(|_| ())
    }

    /// Stores a decision; returns whether effects wait.
    fn settle(&self, id: &str, before: Option<Stored>, decision: &Decision<E>, now: Millis) -> worker::Result<bool> {
        let due_before = before.as_ref().and_then(|b| b.due_at);
        let due_at = match decision.wake {
            Wake::Keep => due_before,
            Wake::At(moment) => Some(moment.0),
            Wake::Never => None,
        };
        if matches!(decision.store, Store::Keep) && decision.effects.is_empty() && due_at == due_before {
            return Ok(false);
        }
        let version = before.as_ref().map_or(now.0.saturating_mul(1000), |b| b.version + 1);
        let state = match &decision.store {
            Store::Put(state) => Some(serde_json::to_string(state)?),
            Store::Keep => before.as_ref().and_then(|b| b.state.clone()),
            Store::Delete => None,
        };
        let mut effects = before.map(|b| b.effects).unwrap_or_default();
        for (n, effect) in (0..).zip(&decision.effects) {
            effects.push(Waiting { version, n, body: serde_json::to_string(effect)?, attempts: 0, due_at: now.0 });
        }
        let gone = matches!(decision.store, Store::Delete) && effects.is_empty() && due_at.is_none();
        self.store((!gone).then(|| Stored { id: id.to_owned(), version, state, due_at, effects }))?;
        Ok(!decision.effects.is_empty())
    }

    fn state_of(before: Option<&Stored>) -> worker::Result<Option<E::State>> {
        Ok(before.and_then(|b| b.state.as_deref()).map(serde_json::from_str).transpose()?)
    }

    fn context(platform: &WorkersPlatform) -> Context {
        Context { now: platform.clock().now(), random: platform.random().bytes() }
    }

    fn decide(&self, platform: &WorkersPlatform, id: &str, command: E::Command) -> worker::Result<(E::Reply, bool)> {
        let context = Self::context(platform);
        self.wake_if_due(id, context)?;
        let before = self.load()?;
        let decision = E::decide(Self::state_of(before.as_ref())?.as_ref(), command, context);
        self.settle(id, before, &decision, context.now)?;
        let effects = self.load()?.is_some_and(|stored| !stored.effects.is_empty());
        Ok((decision.reply, effects))
    }

    fn wake_if_due(&self, id: &str, context: Context) -> worker::Result<()> {
        let Some(mut before) = self.load()? else { return Ok(()) };
        if before.due_at.is_none_or(|due| due > context.now.0) {
            return Ok(());
        }
        // The wake-up is spent unless the decision sets another.
        before.due_at = None;
        let decision = E::wake(Self::state_of(Some(&before))?.as_ref(), context);
        match decision {
            Some(decision)
                if !matches!((&decision.store, decision.wake, decision.effects.as_slice()), (Store::Keep, Wake::Keep, [])) =>
            {
                self.settle(id, Some(before), &decision, context.now).map(|_| ())
            }
            _ => self.store(Some(before)),
        }
    }

    async fn know_alarm(&self) -> worker::Result<Option<i64>> {
        if let Some(known) = self.alarm.get() {
            return Ok(known);
        }
        let current = self.state.storage().get_alarm().await?;
        self.alarm.set(Some(current));
        Ok(current)
    }

    /// Sets the alarm to whatever is due first.
    async fn set_alarm(&self) -> worker::Result<()> {
        let next = self.load()?.and_then(|stored| stored.effects.iter().map(|effect| effect.due_at).chain(stored.due_at).min());
        let storage = self.state.storage();
        let current = self.know_alarm().await?;
        let outcome = match next {
            _ if current == next => Ok(()),
            #[allow(clippy::cast_precision_loss)]
            Some(at) => storage.set_alarm(ScheduledTime::new(Date::new(&JsValue::from_f64(at as f64)))).await,
            None => storage.delete_alarm().await,
        };
        self.alarm.set(outcome.is_ok().then_some(next));
        outcome
    }

    /// Runs waiting effects, unless that is going on already.
    async fn run_effects(&self, platform: &WorkersPlatform) -> worker::Result<()> {
        if self.running.replace(true) {
            return Ok(());
        }
        let outcome = self.run_waiting(platform).await;
        self.running.set(false);
        outcome
    }

    /// Takes the first effect that is due, so that nobody else runs it meanwhile.
    fn claim(&self, now: Millis) -> worker::Result<Option<(String, Waiting)>> {
        let Some(mut stored) = self.load()? else { return Ok(None) };
        let Some(effect) = stored.effects.iter_mut().find(|effect| effect.due_at <= now.0) else { return Ok(None) };
        effect.attempts += 1;
        effect.due_at = now.0 + LEASE_MS;
        let claimed = (stored.id.clone(), effect.clone());
        self.store(Some(stored))?;
        Ok(Some(claimed))
    }

    /// Runs the effects that are due, one after another, deciding the commands that they return. One that fails is put off; the
    /// others go on.
    async fn run_waiting(&self, platform: &WorkersPlatform) -> worker::Result<()> {
        while let Some((entity, effect)) = self.claim(platform.clock().now())? {
            let id = EffectId { entity, version: effect.version, n: effect.n };
            let is_it = |e: &Waiting| e.version == effect.version && e.n == effect.n;
            let outcome = match serde_json::from_str(&effect.body) {
                Ok(parsed) => E::run(platform, &id, &parsed).await,
                Err(error) => Err(EffectError(error.to_string())),
            };
            match outcome {
                Ok(command) => {
                    if let Some(command) = command {
                        self.decide(platform, &id.entity, command)?;
                    }
                    self.forget(is_it)?;
                }
                Err(error) => {
                    let line =
                        serde_json::json!({"level": "warn", "effect": format!("{}/{id}", E::NAME), "cause": error.to_string()});
                    platform.log().line(&line.to_string());
                    self.put_off(is_it, platform.clock().now().0 + retry_delay_ms(effect.attempts))?;
                }
            }
        }
        Ok(())
    }

    fn forget(&self, is_it: impl Fn(&Waiting) -> bool) -> worker::Result<()> {
        let Some(mut stored) = self.load()? else { return Ok(()) };
        stored.effects.retain(|effect| !is_it(effect));
        let gone = stored.effects.is_empty() && stored.due_at.is_none() && stored.state.is_none();
        self.store((!gone).then_some(stored))
    }

    fn put_off(&self, is_it: impl Fn(&Waiting) -> bool, until: i64) -> worker::Result<()> {
        let Some(mut stored) = self.load()? else { return Ok(()) };
        stored.effects.iter_mut().filter(|effect| is_it(effect)).for_each(|effect| effect.due_at = until);
        self.store(Some(stored))
    }
}

/// Makes the Durable Object class of an entity kind.
///
/// ```ignore
/// use worker::wasm_bindgen;
/// tmcp_workers::entity_class!(SubjectEntity, tmcp_http::subject::Subject);
/// ```
#[macro_export]
macro_rules! entity_class {
    ($class:ident, $kind:ty) => {
        /// The Durable Object class.
        #[worker::durable_object(alarm)]
        pub struct $class {
            host: $crate::EntityHost<$kind>,
        }

        impl worker::DurableObject for $class {
            fn new(state: worker::State, env: worker::Env) -> Self {
                Self { host: $crate::EntityHost::new(state, env) }
            }

            async fn fetch(&self, request: worker::Request) -> worker::Result<worker::Response> {
                self.host.fetch(request).await
            }

            async fn alarm(&self) -> worker::Result<worker::Response> {
                self.host.alarm().await
            }
        }
    };
}
