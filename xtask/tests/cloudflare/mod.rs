//! A stand-in for the part of Cloudflare's API that a deployment uses, on 127.0.0.1, with state: Workers with their versions, deployments,
//! secrets and triggers, D1 databases on SQLite, KV namespaces.
//!
//! It refuses what Cloudflare refuses and a deployment can get wrong: a binding to a Worker, a class, a database or a namespace that is not
//! there, and any other token. It can die: it then does a change, and answers nothing but errors from there on.

mod d1;
mod scripts;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use serde_json::{Value, json};
use tiny_http::{Header, Method, Request, Response, Server};

pub const TOKEN: &str = "cf-token-that-nobody-may-see";
pub const ACCOUNT: &str = "0123456789abcdef0123456789abcdef";

/// What an API call comes to: a result, or a status with Cloudflare's code and message.
type Outcome = Result<Value, (u16, u32, String)>;

/// A running stand-in; it ends when it is dropped.
pub struct Cloudflare {
    server: Arc<Server>,
    state: Arc<Mutex<State>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
pub struct State {
    scripts: BTreeMap<String, scripts::Script>,
    databases: BTreeMap<String, d1::Database>,
    namespaces: BTreeMap<String, String>,
    /// Every change, in order.
    pub changes: Vec<String>,
    /// Requests that nothing here knows.
    pub unknown: Vec<String>,
    /// Whether to die after the next change that was never seen before.
    pub dies: bool,
    /// Whether it has died.
    pub dead: bool,
    seen: BTreeSet<String>,
    made: u64,
}

impl Cloudflare {
    /// Starts it with nothing in the account.
    pub fn start() -> Self {
        let server = Arc::new(Server::http("127.0.0.1:0").unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let (serving, shared) = (server.clone(), state.clone());
        let thread = std::thread::spawn(move || {
            for mut request in serving.incoming_requests() {
                let (status, body) = answer(&mut shared.lock().unwrap(), &mut request);
                let json: Header = "content-type: application/json".parse().unwrap();
                let _ = request.respond(Response::from_string(body.to_string()).with_status_code(status).with_header(json));
            }
        });
        Self { server, state, thread: Some(thread) }
    }

    /// The address for CLOUDFLARE_API_BASE_URL.
    pub fn url(&self) -> String {
        format!("http://{}/client/v4", self.server.server_addr())
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Drop for Cloudflare {
    fn drop(&mut self) {
        self.server.unblock();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl State {
    /// Everything that lasts, without ids that are made at random or by counting.
    pub fn summary(&self) -> Value {
        let names: BTreeMap<_, _> = self.databases.iter().map(|(id, database)| (id.clone(), database.name.clone())).collect();
        let names: BTreeMap<_, _> = names.into_iter().chain(self.namespaces.clone()).collect();
        json!({
            "scripts": self.scripts.iter().map(|(name, script)| (name.clone(), script.summary(&names))).collect::<BTreeMap<_, _>>(),
            "databases": self.databases.values().map(|database| (database.name.clone(), database.summary())).collect::<BTreeMap<_, _>>(),
            "namespaces": self.namespaces.values().collect::<Vec<_>>(),
        })
    }

    fn id(&mut self) -> String {
        self.made += 1;
        format!("{:08x}-0000-4000-8000-{:012x}", self.made, self.made)
    }
}

fn answer(state: &mut State, request: &mut Request) -> (u16, Value) {
    let mut body = Vec::new();
    request.as_reader().read_to_end(&mut body).unwrap();
    let header = |name: &str| {
        let found = request.headers().iter().find(|header| header.field.as_str().as_str().eq_ignore_ascii_case(name));
        found.map(|header| header.value.to_string()).unwrap_or_default()
    };
    let outcome = if state.dead {
        Err((400, 9999, "the stand-in has died".to_owned()))
    } else if header("authorization") != format!("Bearer {TOKEN}") {
        Err((403, 10000, "Authentication error".to_owned()))
    } else {
        let (path, query) = request.url().split_once('?').unwrap_or((request.url(), ""));
        let path = path.strip_prefix("/client/v4/").unwrap_or_default().to_owned();
        let call = Call { method: request.method().clone(), path: &path, query, kind: header("content-type"), body: &body };
        handled(state, &call)
    };
    match outcome {
        Ok(result) => {
            (200, json!({"success": true, "errors": [], "messages": [], "result": result, "result_info": {"total_pages": 1}}))
        }
        Err((status, code, message)) => {
            (status, json!({"success": false, "errors": [{"code": code, "message": message}], "messages": [], "result": null}))
        }
    }
}

/// One request.
pub struct Call<'a> {
    pub method: Method,
    pub path: &'a str,
    pub query: &'a str,
    pub kind: String,
    pub body: &'a [u8],
}

impl Call<'_> {
    pub fn json(&self) -> Value {
        serde_json::from_slice(self.body).unwrap_or_default()
    }
}

/// Handles a request, and dies after it if it is due.
fn handled(state: &mut State, call: &Call<'_>) -> Outcome {
    let outcome = route(state, call);
    let is_change = match call.path.ends_with("/query") {
        true => d1::is_change(&call.json()),
        false => call.method != Method::Get && !call.path.ends_with("/domains/changeset"),
    };
    if !is_change || outcome.is_err() {
        return outcome;
    }
    let change = format!("{} {}", call.method, call.path.trim_start_matches(&format!("accounts/{ACCOUNT}/")));
    state.changes.push(change.clone());
    // Each migration is a query of its own.
    let times = state.changes.iter().filter(|earlier| **earlier == change).count();
    let place = if change.ends_with("/query") { format!("{change} {times}") } else { change };
    if state.dies && state.seen.insert(place) {
        state.dead = true;
        return Err((400, 9999, "the stand-in dies here".to_owned()));
    }
    outcome
}

fn route(state: &mut State, call: &Call<'_>) -> Outcome {
    let parts: Vec<_> = call.path.split('/').collect();
    let (method, rest) = match parts.as_slice() {
        ["accounts", account, rest @ ..] if *account == ACCOUNT => (&call.method, rest),
        _ => return unknown(state, call),
    };
    match (method, rest) {
        (Method::Get, ["d1", "database"]) => Ok(d1::list(state, call.query)),
        (Method::Post, ["d1", "database"]) => d1::make(state, &call.json()),
        (Method::Get, ["d1", "database", id]) => d1::one(state, id),
        (Method::Post, ["d1", "database", id, "query"]) => d1::query(state, id, &call.json()),
        (Method::Get, ["storage", "kv", "namespaces"]) => {
            Ok(state.namespaces.iter().map(|(id, title)| json!({"id": id, "title": title})).collect())
        }
        (Method::Post, ["storage", "kv", "namespaces"]) => {
            let title = call.json()["title"].as_str().unwrap_or_default().to_owned();
            if state.namespaces.values().any(|other| *other == title) {
                return Err((400, 10014, "a namespace with this title already exists".to_owned()));
            }
            let id = state.id().replace('-', "");
            state.namespaces.insert(id.clone(), title.clone());
            Ok(json!({"id": id, "title": title}))
        }
        (Method::Get, ["workers", "workers", name]) => scripts::worker(state, name),
        (_, ["workers", "services", name]) => scripts::service(state, name),
        (_, ["workers", "scripts", name, rest @ ..]) => match scripts::route(state, call, name, rest) {
            Some(outcome) => outcome,
            None => unknown(state, call),
        },
        _ => unknown(state, call),
    }
}

fn unknown(state: &mut State, call: &Call<'_>) -> Outcome {
    state.unknown.push(format!("{} {}", call.method, call.path));
    Err((404, 7003, "the stand-in does not know this".to_owned()))
}
