//! `Entities`: a Durable Object per id, backed by SQLite, with an alarm.
//!
//! The race it prevents: two commands that decide on the same state. Between reading and writing nothing is awaited, and the whole
//! entity (state, wake-up, waiting effects) is one row, so that one synchronous statement stores it all or not at all.
//!
//! The class' inside is made by [`entity_class!`](crate::entity_class) in its owner's `workers.rs`, the class itself by its `entry.js`
//! (ADR 23); other Workers bind it by `script_name`.

use crate::bindings::binding;
use crate::{WorkersPlatform, glue, settled};
use serde::{Deserialize, Serialize};
use std::cell::{Cell, Ref, RefCell};
use std::rc::Rc;
use std::task::{self, Poll, Waker};
use tmcp_ports::entity::{self, Change, LEASE_MS, NewEffect, Stored, retry_delay_ms};
use tmcp_ports::{Clock, Context, EffectError, EffectId, Entities, EntityError, EntityKind, Log, Platform, Random};
use tmcp_protocol::Millis;
use worker::js_sys::Date;
use worker::send::SendFuture;
use worker::wasm_bindgen::JsValue;
use worker::wasm_bindgen_futures::future_to_promise;
use worker::{Env, ScheduledTime, SqlStorageValue, State};

/// Entities behind their namespaces; the binding is the kind's name in upper case.
pub struct WorkersEntities(Env);

impl WorkersEntities {
    pub(crate) fn new(env: &Env) -> Self {
        Self(env.clone())
    }

    async fn reply(&self, kind: &str, id: &str, question: &str) -> worker::Result<String> {
        let namespace: JsValue = binding(&self.0, &kind.to_ascii_uppercase())?;
        let reply = settled::of(&glue::ask(&namespace, id, question)?).await?;
        Ok(reply.as_string().unwrap_or_default())
    }
}

fn failed(error: impl std::fmt::Display) -> EntityError {
    EntityError::Unavailable(error.to_string())
}

impl Entities for WorkersEntities {
    async fn ask<E: EntityKind>(&self, id: &str, command: E::Command) -> Result<E::Reply, EntityError> {
        let question = serde_json::to_string(&Question { id: id.to_owned(), command }).map_err(failed)?;
        let text = SendFuture::new(self.reply(E::NAME, id, &question)).await.map_err(failed)?;
        serde_json::from_slice(text.as_bytes()).map_err(failed)
    }

    async fn maintain<E: EntityKind>(&self, _: i64) -> Result<i64, EntityError> {
        Ok(0)
    }
}

/// What travels to the object, as JSON.
#[derive(Clone, Serialize, Deserialize)]
struct Question<C> {
    id: String,
    command: C,
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

/// The one row: the entity and what it still has to do, stored together. An entity that is gone stays as long as effects wait.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Body<S> {
    id: String,
    entity: Option<Stored<S>>,
    effects: Vec<Waiting>,
}

/// What may be late is stored after so long. An object is kept in memory for ten seconds after its last request.
const SOON_MS: u64 = 1_000;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS entity (k INTEGER PRIMARY KEY CHECK (k = 1), body TEXT NOT NULL) STRICT";
const SAVE: &str = "INSERT INTO entity (k, body) VALUES (1, ?) ON CONFLICT (k) DO UPDATE SET body = excluded.body";

/// A question of up to so many bytes is remembered.
const SMALL: usize = 1024;

/// The inside of a Durable Object class.
pub struct EntityHost<E: EntityKind> {
    inside: Rc<Inside<E>>,
    /// The question before this one, and its text: who asks often asks the same, in the same words, and reading it would take longer
    /// than deciding.
    last: RefCell<Option<(String, Question<E::Command>)>>,
}

struct Inside<E: EntityKind> {
    state: State,
    platform: WorkersPlatform,
    /// What the object is, once it was read; `Some(None)` means that there is nothing.
    known: RefCell<Option<Option<Body<E::State>>>>,
    /// Whether the table is there.
    table: Cell<bool>,
    /// Whether what is known is newer than what is stored, and about to be stored.
    late: Cell<bool>,
    /// What the alarm is set to, once it was asked for.
    alarm: Cell<Option<Option<i64>>>,
    /// Whether effects are being run at the moment.
    running: Cell<bool>,
}

impl<E: EntityKind> EntityHost<E> {
    /// For the class' constructor.
    pub fn new(state: State, env: &Env) -> Self {
        let inside = Inside {
            state,
            platform: WorkersPlatform::of_entity(env),
            known: RefCell::new(None),
            table: Cell::new(false),
            late: Cell::new(false),
            alarm: Cell::new(None),
            running: Cell::new(false),
        };
        Self { inside: Rc::new(inside), last: RefCell::new(None) }
    }

    /// For the class' `ask`: one command. What is done is begun at once: the reply is text where nothing had to be waited for, and a
    /// promise of it otherwise.
    pub fn ask(&self, question: &str) -> worker::Result<JsValue> {
        let (inside, question) = (self.inside.clone(), self.read(question)?);
        let mut reply = Box::pin(async move { inside.reply(question).await });
        match reply.as_mut().poll(&mut task::Context::from_waker(Waker::noop())) {
            Poll::Ready(reply) => Ok(reply?.into()),
            Poll::Pending => Ok(future_to_promise(async move { Ok(reply.await?.into()) }).into()),
        }
    }

    fn read(&self, text: &str) -> worker::Result<Question<E::Command>> {
        if let Some((last, question)) = &*self.last.borrow()
            && last == text
        {
            return Ok(question.clone());
        }
        let question: Question<E::Command> = serde_json::from_str(text)?;
        if text.len() <= SMALL {
            *self.last.borrow_mut() = Some((text.to_owned(), question.clone()));
        }
        Ok(question)
    }

    /// For the class' `alarm`. Errors are caught and the alarm set again: the platform gives up after six retries.
    pub async fn alarm(&self) -> worker::Result<()> {
        self.inside.alarm.set(Some(None));
        let outcome = self.inside.wake().await;
        self.inside.report(outcome);
        self.inside.set_alarm().await
    }
}

impl<E: EntityKind> Inside<E> {
    /// The reply to one command, as JSON. Effects run after it, or by alarm.
    async fn reply(self: &Rc<Self>, question: Question<E::Command>) -> worker::Result<String> {
        // What the alarm is set to is asked for before the decision: between storing it and setting the alarm nothing is awaited,
        // so that both are written together.
        self.know_alarm().await?;
        let (reply, effects) = self.decide(&question.id, Some(question.command))?;
        self.set_alarm().await?;
        if effects {
            let inside = self.clone();
            self.state.wait_until(async move {
                let outcome = inside.run_effects().await;
                inside.report(outcome);
                let outcome = inside.set_alarm().await;
                inside.report(outcome);
            });
        }
        let reply = reply.ok_or_else(|| worker::Error::RustError("a command without an answer".to_owned()))?;
        Ok(serde_json::to_string(&reply)?)
    }

    async fn wake(self: &Rc<Self>) -> worker::Result<()> {
        let Some(id) = self.load()?.as_ref().map(|body| body.id.clone()) else { return Ok(()) };
        self.decide(&id, None)?;
        self.run_effects().await
    }

    fn report(&self, outcome: worker::Result<()>) {
        if let Err(error) = outcome {
            let line = serde_json::json!({"level": "error", "entity": E::NAME, "cause": error.to_string()});
            self.platform.log().line(&line.to_string());
        }
    }

    /// What the object is. The borrow must not live across an await.
    fn load(&self) -> worker::Result<Ref<'_, Option<Body<E::State>>>> {
        if self.known.borrow().is_none() {
            let found = self.read()?;
            *self.known.borrow_mut() = Some(found);
        }
        Ref::filter_map(self.known.borrow(), Option::as_ref).map_err(|_| worker::Error::RustError("nothing was read".to_owned()))
    }

    fn read(&self) -> worker::Result<Option<Body<E::State>>> {
        #[derive(Deserialize)]
        struct BodyRow {
            body: String,
        }
        let sql = self.state.storage().sql();
        // Reading makes no table: an id that was only asked about leaves nothing behind.
        let tables: Vec<serde_json::Value> =
            sql.exec("SELECT name FROM sqlite_master WHERE name = 'entity'", None)?.to_array()?;
        self.table.set(!tables.is_empty());
        if tables.is_empty() {
            return Ok(None);
        }
        let rows: Vec<BodyRow> = sql.exec("SELECT body FROM entity", None)?.to_array()?;
        Ok(rows.first().map(|row| serde_json::from_slice(row.body.as_bytes())).transpose()?)
    }

    /// Stores what the object is from now on; what has nothing left in it goes.
    fn store(&self, body: Body<E::State>) -> worker::Result<()> {
        let gone = body.entity.is_none() && body.effects.is_empty();
        let outcome = if gone { self.clear() } else { self.write(&body) };
        self.late.set(false);
        // Where the write failed, what is known may not be what is stored.
        *self.known.borrow_mut() = if outcome.is_ok() { Some((!gone).then_some(body)) } else { None };
        outcome
    }

    fn write(&self, body: &Body<E::State>) -> worker::Result<()> {
        let sql = self.state.storage().sql();
        if !self.table.replace(true) {
            sql.exec(TABLE, None)?;
        }
        let written = sql.exec(SAVE, vec![SqlStorageValue::String(serde_json::to_string(body)?)]);
        written.map(|_| ())
    }

    fn clear(&self) -> worker::Result<()> {
        if self.table.get() {
            self.state.storage().sql().exec("DELETE FROM entity", None)?;
        }
        Ok(())
    }

    /// Keeps what the object is from now on in memory, and stores it in a second.
    fn store_soon(self: &Rc<Self>, body: Body<E::State>) {
        *self.known.borrow_mut() = Some(Some(body));
        if self.late.replace(true) {
            return;
        }
        let inside = self.clone();
        self.state.wait_until(async move {
            worker::Delay::from(std::time::Duration::from_millis(SOON_MS)).await;
            let outcome = inside.store_late();
            inside.report(outcome);
        });
    }

    /// Nothing is to be done where a change that could not wait was stored meanwhile: it took the late ones with it.
    fn store_late(&self) -> worker::Result<()> {
        if !self.late.get() {
            return Ok(());
        }
        let Some(body) = self.load()?.clone() else { return Ok(()) };
        self.store(body)
    }

    /// Wakes the entity if that is due, decides the command if there is one, and stores what comes of it. The flag says whether
    /// effects wait.
    fn decide(self: &Rc<Self>, id: &str, command: Option<E::Command>) -> worker::Result<(Option<E::Reply>, bool)> {
        self.decide_without(id, command, None)
    }

    /// The same, and forgets an effect that was done: stored as one.
    fn decide_without(
        self: &Rc<Self>,
        id: &str,
        command: Option<E::Command>,
        done: Option<&EffectId>,
    ) -> worker::Result<(Option<E::Reply>, bool)> {
        let context = Context { now: self.platform.clock().now(), random: self.platform.random().bytes() };
        let (step, id, mut effects) = {
            let body = self.load()?;
            let step = entity::step::<E>(body.as_ref().and_then(|body| body.entity.as_ref()), command, context);
            let (id, effects) = body.as_ref().map_or((id, &[][..]), |body| (&body.id, &body.effects));
            (step, id.to_owned(), effects.to_vec())
        };
        effects.retain(|effect| !done.is_some_and(|done| is_it(effect, done)));
        for NewEffect { version, n, effect } in step.effects {
            let body = serde_json::to_string(&effect)?;
            effects.push(Waiting { version, n, body, attempts: 0, due_at: context.now.0 });
        }
        let waiting = !effects.is_empty();
        match step.change {
            Change::Nothing if done.is_some() => self.change_effects(|stored| *stored = effects)?,
            Change::Nothing => {}
            Change::Soon(after) if done.is_some() => self.store(Body { id, entity: Some(after), effects })?,
            Change::Soon(after) => self.store_soon(Body { id, entity: Some(after), effects }),
            Change::Put(after) => self.store(Body { id, entity: Some(after), effects })?,
            Change::Remove => self.store(Body { id, entity: None, effects })?,
        }
        Ok((step.reply, waiting))
    }

    async fn know_alarm(&self) -> worker::Result<Option<i64>> {
        if let Some(known) = self.alarm.get() {
            return Ok(known);
        }
        let current = self.state.storage().get_alarm().await?;
        self.alarm.set(Some(current));
        Ok(current)
    }

    /// Sets the alarm to whatever is due first. Where nothing is left, the whole database goes, and the alarm with it.
    async fn set_alarm(&self) -> worker::Result<()> {
        let (next, gone) = match &*self.load()? {
            Some(body) => {
                let due_at = body.entity.as_ref().and_then(|entity| entity.due_at);
                (body.effects.iter().map(|effect| effect.due_at).chain(due_at).min(), false)
            }
            None => (None, self.table.get()),
        };
        if gone {
            self.table.set(false);
            self.alarm.set(Some(None));
            return self.state.storage().delete_all().await;
        }
        if self.know_alarm().await? == next {
            return Ok(());
        }
        let storage = self.state.storage();
        let outcome = match next {
            #[allow(clippy::cast_precision_loss)]
            Some(at) => storage.set_alarm(ScheduledTime::new(Date::new(&JsValue::from_f64(at as f64)))).await,
            None => storage.delete_alarm().await,
        };
        self.alarm.set(outcome.is_ok().then_some(next));
        outcome
    }

    /// Runs waiting effects, unless that is going on already.
    async fn run_effects(self: &Rc<Self>) -> worker::Result<()> {
        if self.running.replace(true) {
            return Ok(());
        }
        let outcome = self.run_waiting().await;
        self.running.set(false);
        outcome
    }

    /// Takes the first effect that is due, so that nobody else runs it meanwhile.
    fn claim(&self, now: Millis) -> worker::Result<Option<(String, Waiting)>> {
        let Some(mut body) = self.load()?.clone() else { return Ok(None) };
        let Some(effect) = body.effects.iter_mut().find(|effect| effect.due_at <= now.0) else { return Ok(None) };
        effect.attempts += 1;
        effect.due_at = now.0 + LEASE_MS;
        let claimed = (body.id.clone(), effect.clone());
        self.store(body)?;
        Ok(Some(claimed))
    }

    /// Runs the effects that are due, one after another, deciding the commands that they return. One that fails is put off; the
    /// others go on.
    async fn run_waiting(self: &Rc<Self>) -> worker::Result<()> {
        loop {
            let Some((entity, effect)) = self.claim(self.platform.clock().now())? else { return Ok(()) };
            let id = EffectId { entity, version: effect.version, n: effect.n };
            let outcome = match serde_json::from_slice(effect.body.as_bytes()) {
                Ok(parsed) => E::run(&self.platform, &id, &parsed).await,
                Err(error) => Err(EffectError(error.to_string())),
            };
            match outcome {
                Ok(command) => self.finish(&id, command)?,
                Err(error) => {
                    let line =
                        serde_json::json!({"level": "warn", "effect": format!("{}/{id}", E::NAME), "cause": error.to_string()});
                    self.platform.log().line(&line.to_string());
                    let until = self.platform.clock().now().0 + retry_delay_ms(effect.attempts);
                    self.change_effects(|effects| {
                        effects.iter_mut().filter(|e| is_it(e, &id)).for_each(|e| e.due_at = until);
                    })?;
                }
            }
        }
    }

    /// Decides the command that an effect returned, and forgets the effect: nothing is awaited in between, so that both are stored or
    /// none; and once even if it was done twice.
    fn finish(self: &Rc<Self>, id: &EffectId, command: Option<E::Command>) -> worker::Result<()> {
        let first = self.load()?.as_ref().is_some_and(|body| body.effects.iter().any(|effect| is_it(effect, id)));
        match command.filter(|_| first) {
            Some(command) => self.decide_without(&id.entity, Some(command), Some(id)).map(|_| ()),
            None => self.change_effects(|effects| effects.retain(|effect| !is_it(effect, id))),
        }
    }

    fn change_effects(&self, change: impl FnOnce(&mut Vec<Waiting>)) -> worker::Result<()> {
        let Some(mut body) = self.load()?.clone() else { return Ok(()) };
        change(&mut body.effects);
        self.store(body)
    }
}

fn is_it(effect: &Waiting, id: &EffectId) -> bool {
    effect.version == id.version && effect.n == id.n
}

/// Makes the inside of the Durable Object class of an entity kind. The class itself is JavaScript (`object.js`, by the function's
/// `entry.js`): what is called by RPC must extend the platform's `DurableObject`.
///
/// ```ignore
/// tmcp_workers::entity_class!(SubjectEntity, tmcp_http::subject::Subject);
/// ```
#[macro_export]
macro_rules! entity_class {
    ($class:ident, $kind:ty) => {
        const _: () = {
            use worker::wasm_bindgen::JsValue;
            use worker::wasm_bindgen::prelude::wasm_bindgen;
            use worker::{js_sys, wasm_bindgen, wasm_bindgen_futures};

            /// What the Durable Object class is made of.
            #[wasm_bindgen(wasm_bindgen = wasm_bindgen)]
            pub struct $class {
                host: $crate::EntityHost<$kind>,
            }

            #[wasm_bindgen(wasm_bindgen = wasm_bindgen, wasm_bindgen_futures = wasm_bindgen_futures, js_sys = js_sys)]
            impl $class {
                #[wasm_bindgen(constructor, wasm_bindgen = wasm_bindgen)]
                pub fn new(state: worker::worker_sys::DurableObjectState, env: worker::Env) -> Self {
                    Self { host: $crate::EntityHost::new(state.into(), &env) }
                }

                #[wasm_bindgen(js_name = ask)]
                pub fn ask(&self, question: &str) -> Result<JsValue, JsValue> {
                    Ok(self.host.ask(question)?)
                }

                #[wasm_bindgen(js_name = alarm)]
                pub async fn alarm(&self) -> Result<(), JsValue> {
                    Ok(self.host.alarm().await?)
                }
            }
        };
    };
}
