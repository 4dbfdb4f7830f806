//! Storage: puts, batches, deletions, reads, lists and sync, by tasks that each own a prefix.

use crate::clock::ours;
use crate::model::{Key, State, Value as Stored};
use crate::run::{End, Run, body, moment};
use crate::seeded::Seeded;
use crate::sessions::Pass;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tmcp_e2e::{Answer, path_of};

/// Keys of one task.
const KEYS: u64 = 24;

/// A task's part of a namespace.
pub struct Part {
    /// Whose.
    pub pass: Arc<Pass>,
    /// What its keys begin with.
    pub prefix: String,
    /// What it knows of them.
    pub keys: BTreeMap<String, Key>,
    /// Where its sync stands.
    pub cursor: Option<String>,
    /// What sync has told of the whole namespace: sizes by key.
    pub replica: BTreeMap<String, i64>,
    seeded: Seeded,
    count: u64,
}

#[derive(Clone, Copy)]
enum Action {
    Small,
    Large,
    Huge,
    Short,
    Get,
    Delete,
    BatchSet,
    BatchGet,
    BatchDelete,
    List,
    Sync,
}

const MIX: [(u64, Action); 11] = [
    (26, Action::Small),
    (10, Action::Large),
    (1, Action::Huge),
    (8, Action::Short),
    (24, Action::Get),
    (9, Action::Delete),
    (6, Action::BatchSet),
    (5, Action::BatchGet),
    (2, Action::BatchDelete),
    (3, Action::List),
    (6, Action::Sync),
];

/// A write on its way: what will stand there if it takes effect, and how the clock stood.
pub struct Attempt {
    key: String,
    state: State,
    ttl: Option<i64>,
}

impl Part {
    /// A new part.
    pub fn new(pass: Arc<Pass>, prefix: String, seeded: Seeded) -> Self {
        let keys = (0..KEYS).map(|n| (format!("{prefix}{n}"), Key::default())).collect();
        Self { pass, prefix, keys, cursor: None, replica: BTreeMap::new(), seeded, count: 0 }
    }

    /// Works until the run is over.
    pub async fn work(mut self, run: &Run) -> Self {
        while !run.is_over() {
            match self.pass.token(run).await {
                Some(token) => {
                    let action = self.seeded.pick(&MIX);
                    self.act(run, &token, action).await;
                    run.pause(self.seeded.between(5, 60)).await;
                }
                None => run.pause(300).await,
            }
        }
        self
    }

    async fn act(&mut self, run: &Run, token: &str, action: Action) {
        match action {
            Action::Small => self.put(run, token, 40, 900, None).await,
            Action::Large => self.put(run, token, 2_000, 40_000, None).await,
            Action::Huge => self.put(run, token, 540_000, 600_000, None).await,
            Action::Short => self.put(run, token, 40, 3_000, Some(60)).await,
            Action::Get => self.get(run, token).await,
            Action::Delete => self.delete(run, token).await,
            Action::BatchSet => self.batch_set(run, token).await,
            Action::BatchGet => {
                let keys = self.some_keys();
                self.batch_get(run, token, &keys).await;
            }
            Action::BatchDelete => self.batch_delete(run, token).await,
            Action::List => self.list(run, token).await,
            Action::Sync => self.sync(run, token).await,
        }
    }

    fn request(&self, run: &Run, token: &str, method: &str, path: &str, body: Option<&Value>) -> RequestBuilder {
        let request = run.world.request(method, path).bearer_auth(token);
        match body {
            Some(body) => request.json(body),
            None => request,
        }
    }

    fn a_key(&mut self) -> Option<String> {
        let n = self.seeded.between(0, KEYS);
        let key = format!("{}{n}", self.prefix);
        self.keys.get(&key).is_some_and(Key::is_usable).then_some(key)
    }

    fn some_keys(&mut self) -> Vec<String> {
        let mut keys: Vec<String> = (0..self.seeded.between(2, 7)).filter_map(|_| self.a_key()).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// A value that nothing else is: its key, a running number, and filling.
    fn attempt(&mut self, key: String, least: u64, most: u64, ttl: Option<i64>) -> Attempt {
        // The two-chunk ones are few, so that the quota holds them.
        let least = if least > 100_000 && !key.ends_with('0') { 2_000 } else { least };
        let most = if least <= 2_000 { most.min(40_000) } else { most };
        self.count += 1;
        let word = format!("{key}/{}/", self.count);
        let length = usize::try_from(self.seeded.between(least, most)).unwrap_or(0);
        let text = word.repeat(length / word.len() + 1);
        Attempt { state: Some(Stored { text, expires_at: None, written_at: ours() }), key, ttl }
    }

    fn deletion(key: String) -> Attempt {
        Attempt { key, state: None, ttl: None }
    }

    /// Takes a single write's end over. `ended` is the item of the answer for this write, where there is one.
    fn settle(&mut self, run: &Run, attempt: Attempt, offset: i64, steps: u64, ended: Option<&Value>, end: &End) {
        let Attempt { key, mut state, ttl } = attempt;
        let Some(known) = self.keys.get_mut(&key) else { return };
        if let (Some(value), Some(item)) = (&mut state, ended) {
            value.expires_at = moment(&item["expires_at"]);
            if ttl.is_some() != value.expires_at.is_some() {
                run.report.wrong(format!("{key} was set with ttl {ttl:?}, and ends at {}", item["expires_at"]));
            }
            return known.acknowledged(state);
        }
        if ended.is_some() {
            return known.acknowledged(state);
        }
        if let (Some(value), Some(ttl)) = (&mut state, ttl) {
            value.expires_at = Some(ours() + offset + ttl * 1000);
            // With the clock moved meanwhile nobody knows when such a value ends.
            if run.steps.load(Ordering::SeqCst) != steps && !matches!(end, End::NotSent) {
                return known.timed_out(state);
            }
        }
        match end {
            End::NotSent => {}
            End::Lost => known.lost(state),
            End::Late => known.timed_out(state),
            // Refused before it could take effect, or 503: it may have taken effect.
            End::Answer(answer) if answer.status >= 500 => known.lost(state),
            End::Answer(_) => {}
        }
    }

    /// What an answer that is no success means; true where the request may be judged no further.
    async fn refused(&self, run: &Run, kind: &str, token: &str, answer: &Answer) {
        match answer.status {
            401 => self.pass.refused(token).await,
            _ => run.unexpected(kind, answer),
        }
    }

    async fn put(&mut self, run: &Run, token: &str, least: u64, most: u64, ttl: Option<i64>) {
        let Some(key) = self.a_key() else { return };
        let attempt = self.attempt(key, least, most, ttl);
        let (offset, steps) = (run.clock.offset(), run.steps.load(Ordering::SeqCst));
        let text = attempt.state.as_ref().map(|value| value.text.as_str());
        let request = json!({"value": text, "ttl": ttl});
        let end = run.send("put", self.request(run, token, "PUT", &path_of(&attempt.key), Some(&request))).await;
        let mut item = None;
        if let End::Answer(answer) = &end {
            match answer.status {
                200 => item = Some(body(answer)).filter(|body| body["conflict_detected"] != true),
                _ => self.refused(run, "put", token, answer).await,
            }
            if answer.status == 200 && item.is_none() {
                run.report.wrong(format!("a put without a timestamp met a conflict: {}", crate::run::short(answer)));
            }
        }
        self.settle(run, attempt, offset, steps, item.as_ref(), &end);
    }

    async fn delete(&mut self, run: &Run, token: &str) {
        let Some(key) = self.a_key() else { return };
        let (began, then) = (ours(), run.clock.server());
        let (offset, steps) = (run.clock.offset(), run.steps.load(Ordering::SeqCst));
        let end = run.send("delete", self.request(run, token, "DELETE", &path_of(&key), None)).await;
        match &end {
            End::Answer(answer) if answer.status == 404 => return self.observe(run, "delete", &key, None, began, then),
            End::Answer(answer) if answer.status != 200 => self.refused(run, "delete", token, answer).await,
            _ => {}
        }
        let item = matches!(&end, End::Answer(answer) if answer.status == 200).then_some(Value::Null);
        self.settle(run, Self::deletion(key), offset, steps, item.as_ref(), &end);
    }

    async fn get(&mut self, run: &Run, token: &str) {
        let Some(key) = self.a_key() else { return };
        let (began, then) = (ours(), run.clock.server());
        let End::Answer(answer) = run.send("get", self.request(run, token, "GET", &path_of(&key), None)).await else { return };
        match answer.status {
            200 => {
                let body = body(&answer);
                self.observe(run, "get", &key, Some(body["value"].as_str().unwrap_or("no text")), began, then);
            }
            404 => self.observe(run, "get", &key, None, began, then),
            _ => self.refused(run, "get", token, &answer).await,
        }
    }

    /// Judges what was seen under a key.
    fn observe(&mut self, run: &Run, kind: &str, key: &str, text: Option<&str>, began: i64, server_then: i64) {
        let moment = run.clock.moment(began, server_then);
        let Some(known) = self.keys.get_mut(key) else { return };
        match known.observed(text, moment, |since| run.clock.most_since(since)) {
            Ok(()) => run.report.checked("values read are ones that were written", 1),
            Err(wrong) => run.report.wrong(format!("{kind} of {key}: {wrong}")),
        }
    }

    async fn batch_set(&mut self, run: &Run, token: &str) {
        let attempts: Vec<Attempt> = self.some_keys().into_iter().map(|key| self.attempt(key, 40, 3_000, None)).collect();
        if attempts.is_empty() {
            return;
        }
        let (offset, steps) = (run.clock.offset(), run.steps.load(Ordering::SeqCst));
        let item = |attempt: &Attempt| json!({"key": attempt.key, "value": attempt.state.as_ref().map(|value| &value.text)});
        let request = json!({"items": attempts.iter().map(item).collect::<Vec<_>>()});
        let end = run.send("batch set", self.request(run, token, "POST", "/api/v1/storage/batch/set", Some(&request))).await;
        let results = self.results(run, "batch set", token, &end, attempts.len()).await;
        for (n, attempt) in attempts.into_iter().enumerate() {
            self.settle(run, attempt, offset, steps, results.as_ref().and_then(|results| results.get(n)), &end);
        }
    }

    async fn batch_delete(&mut self, run: &Run, token: &str) {
        let keys = self.some_keys();
        if keys.is_empty() {
            return;
        }
        let (offset, steps) = (run.clock.offset(), run.steps.load(Ordering::SeqCst));
        let request = json!({"keys": keys});
        let end =
            run.send("batch delete", self.request(run, token, "POST", "/api/v1/storage/batch/delete", Some(&request))).await;
        let results = self.results(run, "batch delete", token, &end, keys.len()).await;
        for (n, key) in keys.into_iter().enumerate() {
            let result = results.as_ref().and_then(|results| results.get(n));
            self.settle(run, Self::deletion(key), offset, steps, result, &end);
        }
    }

    /// The results of a batch, one per item; `None` where it did not succeed.
    async fn results(&self, run: &Run, kind: &str, token: &str, end: &End, count: usize) -> Option<Vec<Value>> {
        let End::Answer(answer) = end else { return None };
        if answer.status != 200 {
            self.refused(run, kind, token, answer).await;
            return None;
        }
        let results = body(answer)["results"].as_array().cloned().unwrap_or_default();
        if results.len() != count {
            run.report.wrong(format!("{kind} of {count} items has {} results", results.len()));
        }
        Some(results)
    }

    /// Reads keys at once, and judges each. Says whether there was an answer.
    pub async fn batch_get(&mut self, run: &Run, token: &str, keys: &[String]) -> bool {
        if keys.is_empty() {
            return true;
        }
        let (began, then) = (ours(), run.clock.server());
        let request = json!({ "keys": keys });
        let end = run.send("batch get", self.request(run, token, "POST", "/api/v1/storage/batch/get", Some(&request))).await;
        let End::Answer(answer) = end else { return false };
        if answer.status != 200 {
            self.refused(run, "batch get", token, &answer).await;
            return false;
        }
        let body = body(&answer);
        let deferred = |key: &String| body["deferred"].as_array().is_some_and(|list| list.iter().any(|one| one == key));
        for key in keys.iter().filter(|key| !deferred(key)) {
            self.observe(run, "batch get", key, body["items"][key]["value"].as_str(), began, then);
        }
        true
    }

    /// The whole namespace's keys and sizes; `None` where a page could not be had.
    pub async fn listing(&self, run: &Run, token: &str, prefix: &str) -> Option<BTreeMap<String, i64>> {
        let (mut keys, mut cursor) = (BTreeMap::new(), String::new());
        loop {
            let path = format!("/api/v1/storage?prefix={prefix}&limit=40{cursor}");
            let End::Answer(answer) = run.send("list", self.request(run, token, "GET", &path, None)).await else { return None };
            if answer.status != 200 {
                self.refused(run, "list", token, &answer).await;
                return None;
            }
            let page = body(&answer);
            for row in page["keys"].as_array()? {
                keys.insert(row["key"].as_str()?.to_owned(), row["size_bytes"].as_i64()?);
            }
            match page["pagination"]["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Some(keys),
            }
        }
    }

    async fn list(&mut self, run: &Run, token: &str) {
        let (began, then) = (ours(), run.clock.server());
        let Some(listed) = self.listing(run, token, &self.prefix.clone()).await else { return };
        let keys: Vec<String> = self.keys.keys().filter(|key| !listed.contains_key(*key)).cloned().collect();
        for key in keys {
            self.observe(run, "list", &key, None, began, then);
        }
        if let Some(odd) = listed.keys().find(|key| !self.keys.contains_key(*key)) {
            run.report.wrong(format!("{odd} is listed under the prefix {}, and was never written", self.prefix));
        }
    }

    async fn sync(&mut self, run: &Run, token: &str) {
        let mut attempts = Vec::new();
        for key in self.some_keys().into_iter().take(3) {
            let attempt = match self.seeded.between(0, 3) {
                0 => Self::deletion(key),
                _ => self.attempt(key, 40, 2_000, None),
            };
            attempts.push(attempt);
        }
        self.sync_once(run, token, attempts).await;
    }

    /// One round of sync: sends writes, takes changes over. Says whether there is more; `None` where there was no answer.
    pub async fn sync_once(&mut self, run: &Run, token: &str, attempts: Vec<Attempt>) -> Option<bool> {
        let (began, then) = (ours(), run.clock.server());
        let (offset, steps) = (run.clock.offset(), run.steps.load(Ordering::SeqCst));
        #[allow(clippy::cast_precision_loss)]
        let timestamp = then as f64 / 1000.0;
        let operation = |attempt: &Attempt| match &attempt.state {
            Some(value) => json!({"op": "set", "key": attempt.key, "value": value.text, "client_timestamp": timestamp}),
            None => json!({"op": "delete", "key": attempt.key, "client_timestamp": timestamp}),
        };
        let mut request = json!({"operations": attempts.iter().map(operation).collect::<Vec<_>>(), "limit": 100});
        if let Some(cursor) = &self.cursor {
            request["cursor"] = json!(cursor);
        }
        let end = run.send("sync", self.request(run, token, "POST", "/api/v1/storage/sync", Some(&request))).await;
        // The clock may have stepped back in between, so that our time lay too far ahead.
        let stepped = run.steps.load(Ordering::SeqCst) != steps;
        if let End::Answer(answer) = &end
            && answer.status == 400
            && stepped
        {
            return None;
        }
        let results = self.results(run, "sync", token, &end, attempts.len()).await;
        for (n, attempt) in attempts.into_iter().enumerate() {
            let result = results.as_ref().and_then(|results| results.get(n));
            match result {
                // A write of a time when the clock stood further ahead stands.
                Some(result) if result["conflict_detected"] == true => {
                    if result["server_value_omitted"] != true {
                        self.observe(run, "sync", &attempt.key, result["server_value"].as_str(), began, then);
                    }
                }
                Some(result) if result["success"] != true => {
                    run.report.wrong(format!("sync refused an operation: {result}"));
                }
                _ => self.settle(run, attempt, offset, steps, result, &end),
            }
        }
        let End::Answer(answer) = end else { return None };
        if answer.status != 200 {
            return None;
        }
        let page = body(&answer);
        if page["reset"] == true {
            self.replica.clear();
        }
        for change in page["changes"].as_array()? {
            let key = change["key"].as_str()?.to_owned();
            match change["metadata"]["size_bytes"].as_i64() {
                Some(size) => self.replica.insert(key, size),
                None => self.replica.remove(&key),
            };
        }
        self.cursor = page["cursor"].as_str().map(str::to_owned);
        Some(page["has_more"] == true)
    }
}
