//! `Tasks`: run in the same instance once the response is out.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use tmcp_ports::Tasks;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Work that waits for the response to leave.
#[derive(Default)]
pub struct AfterResponse(Mutex<Vec<Work>>);

impl AfterResponse {
    /// Runs what has gathered, and what that leaves behind.
    pub(crate) async fn run(&self) {
        loop {
            let gathered = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
            if gathered.is_empty() {
                return;
            }
            for work in gathered {
                work.await;
            }
        }
    }
}

impl Tasks for AfterResponse {
    fn after(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::pin(work));
    }
}
