//! The ticker: calls maintenance, as a scheduler does in production.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use crate::http;

/// Time between two calls.
const PERIOD: Duration = Duration::from_secs(5);

/// Runs until it is dropped.
pub struct Ticker {
    _alive: Sender<()>,
}

impl Ticker {
    /// Starts calling `/ops/maintenance`. A failed call is logged once, until one succeeds again.
    pub fn start(base_url: &str, operator_token: &str) -> Self {
        let (alive, ended) = channel::<()>();
        let url = format!("{base_url}/ops/maintenance");
        let token = operator_token.to_owned();
        std::thread::spawn(move || {
            let mut failing = false;
            while ended.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                let result = http::post_empty(&url, &token).and_then(|answer| answer.success("maintenance"));
                if let (Err(error), false) = (&result, failing) {
                    eprintln!("ticker: {error:#}");
                }
                failing = result.is_err();
            }
        });
        Self { _alive: alive }
    }
}
