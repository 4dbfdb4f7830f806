//! What every task of a run shares: the server, its clock, the report; and one way of sending.

use crate::clock::{Clock, ours};
use crate::report::Report;
use anyhow::{Context, Result};
use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tmcp_e2e::{Answer, Ask, MatrixUser, World};
use tmcp_protocol::Millis;

/// How long an answer may take. Nothing that the load asks for takes so long; a server that is killed closes its connections.
const LIMIT: Duration = Duration::from_secs(45);

/// One run.
pub struct Run {
    /// The server under test.
    pub world: World,
    /// Its clock.
    pub clock: Clock,
    /// What happened.
    pub report: Report,
    /// The sessions that the final checks look at.
    pub families: Mutex<Vec<crate::sessions::Family>>,
    /// How often the clock was moved: what was issued before may have expired since.
    pub steps: AtomicU64,
    over: AtomicBool,
    disturbed_until: AtomicI64,
    sent: AtomicU64,
    matrix: Client,
}

/// How a request ended.
pub enum End {
    /// With an answer.
    Answer(Answer),
    /// It never reached the server.
    NotSent,
    /// The connection ended without an answer: it took effect or not.
    Lost,
    /// It may still be under way.
    Late,
}

impl Run {
    /// Of the server that `TMCP_UP` names.
    pub fn new(clock_file: Option<PathBuf>) -> Result<Self> {
        Ok(Self {
            world: World::new(),
            clock: Clock::new(clock_file.as_deref()),
            report: Report::new(),
            families: Mutex::default(),
            steps: AtomicU64::new(0),
            over: AtomicBool::new(false),
            disturbed_until: AtomicI64::new(0),
            sent: AtomicU64::new(0),
            matrix: Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().context("no HTTP client")?,
        })
    }

    /// Whether the load is to end.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Ends the load.
    pub fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// The server, or what stands before it, may refuse for so long: it was killed, or starts.
    pub fn disturb(&self, ms: i64) {
        self.disturbed_until.fetch_max(ours() + ms, Ordering::SeqCst);
    }

    fn is_disturbed(&self) -> bool {
        ours() < self.disturbed_until.load(Ordering::SeqCst)
    }

    /// Sends, counts, and notes what no answer may be. Each request has an id of its own: the server writes a line with it when it has
    /// answered, so that of one whose answer never came the log tells whether there was any.
    pub async fn send(&self, kind: &'static str, request: RequestBuilder) -> End {
        let (id, second) = (format!("soak_{:08}", self.sent.fetch_add(1, Ordering::SeqCst)), self.report.second());
        match request.header("x-request-id", &id).timeout(LIMIT).try_ask().await {
            Ok(answer) => {
                self.report.request(kind, &answer.status.to_string());
                match answer.status {
                    // While it is killed, what stands before the server (wrangler's proxy) may be the last to answer.
                    503 if answer.header("retry-after").is_empty() && !self.is_disturbed() => {
                        self.report.wrong(format!("{kind} answered 503 without Retry-After: {}", short(&answer)));
                    }
                    500.. if answer.status != 503 && !self.is_disturbed() => {
                        self.report.wrong(format!("{kind} answered {}: {}", answer.status, short(&answer)));
                    }
                    _ => {}
                }
                End::Answer(answer)
            }
            Err(error) if error.is_connect() => {
                self.report.request(kind, "no connection");
                End::NotSent
            }
            Err(error) if error.is_timeout() => {
                self.report.request(kind, "no answer in time");
                let limit = LIMIT.as_secs();
                self.report.wrong(format!("{kind} had no answer within {limit} s: {id}, sent in second {second}: {error}"));
                End::Late
            }
            Err(_) => {
                self.report.request(kind, "connection lost");
                End::Lost
            }
        }
    }

    /// An answer that this request does not have at this moment. 5xx were judged already.
    pub fn unexpected(&self, kind: &str, answer: &Answer) {
        if answer.status < 500 {
            self.report.wrong(format!("{kind} answered {}: {}", answer.status, short(answer)));
        }
    }

    /// Waits a moment, as after a refusal that will pass.
    pub async fn pause(&self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    /// A Matrix OpenID token; `None` while the homeserver is away.
    pub async fn openid(&self, user: &MatrixUser) -> Option<Value> {
        let url = self.world.up.matrix_url.as_deref()?;
        let url = format!("{url}/_matrix/client/v3/user/{}/openid/request_token", user.user_id);
        let request = self.matrix.post(url).bearer_auth(&user.access_token).json(&serde_json::json!({}));
        let answer = request.try_ask().await.ok()?;
        serde_json::from_str(&answer.text).ok().filter(|_| answer.status == 200)
    }
}

/// The beginning of an answer.
pub fn short(answer: &Answer) -> String {
    answer.text.chars().take(240).collect()
}

/// The body; null where it is no JSON.
pub fn body(answer: &Answer) -> Value {
    serde_json::from_str(&answer.text).unwrap_or_default()
}

/// A moment as an answer shows it, in milliseconds since 1970.
pub fn moment(text: &Value) -> Option<i64> {
    Millis::parse(text.as_str()?).map(|moment| moment.0)
}
