//! What the black-box tests share: the server that is up, people with Matrix accounts, mini-apps, tokens, storage.
//!
//! The tests know the server by HTTP alone. `TMCP_UP` names the `up.json` of the server (`cargo xtask up --with-matrix`). Every test
//! makes users and apps of its own, so that all can run at once and none minds a limit. Whatever secret passes through here is
//! written down beside the server's data, for the test that looks for it in the logs.

mod answer;
pub mod browser;
mod developers;
mod keys;
mod matrix;
pub mod rows;
mod secrets;
mod storage;
mod up;
mod world;

pub use answer::{Answer, Ask};
pub use developers::CONSOLE_BACK;
pub use keys::{DevKeys, claims_of, header_of};
pub use matrix::MatrixUser;
pub use secrets::{MARKER, issued, remember};
pub use storage::{Storage, path_of};
pub use up::{DemoClient, Up};
pub use world::{App, ClientSpec, Person, Session, World, unique};

use std::future::Future;
use tokio::task::JoinSet;

/// Runs all at once, at most `width` at a time, and gives the results in no particular order.
pub async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    width: usize,
    work: impl IntoIterator<Item = F>,
) -> Vec<T> {
    let (mut running, mut results) = (JoinSet::new(), Vec::new());
    for future in work {
        if running.len() >= width {
            results.extend(running.join_next().await.map(|done| done.expect("a task panicked")));
        }
        running.spawn(future);
    }
    while let Some(done) = running.join_next().await {
        results.push(done.expect("a task panicked"));
    }
    results
}
