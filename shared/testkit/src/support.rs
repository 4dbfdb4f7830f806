//! Clock, randomness, configuration, memory, tasks, log, and faults.

use std::any::Any;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tmcp_ports::{Clock, Config, Log, Memo, Random, Tasks};
use tmcp_protocol::{Millis, Secret};

pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A clock that stands until it is told to move.
#[derive(Clone, Default)]
pub struct FixedClock(pub(crate) Arc<AtomicI64>);

impl Clock for FixedClock {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::SeqCst))
    }
}

/// SplitMix64 from a seed: never the same bytes twice, always the same in the same test.
#[derive(Clone, Default)]
pub struct SeededRandom(Arc<AtomicU64>);

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst).wrapping_add(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let word = (z ^ (z >> 31)).to_le_bytes();
            chunk.iter_mut().zip(word).for_each(|(to, from)| *to = from);
        }
    }
}

/// Configuration from a map.
#[derive(Clone, Default)]
pub struct MapConfig(pub(crate) Arc<Mutex<HashMap<String, String>>>);

impl Config for MapConfig {
    fn get(&self, name: &str) -> Option<Secret> {
        lock(&self.0).get(name).filter(|value| !value.is_empty()).map(Secret::new)
    }
}

type Remembered = (Box<dyn Any + Send + Sync>, Millis);

/// Memory that remembers when switched on, and nothing otherwise, as on Spin.
#[derive(Clone, Default)]
pub struct MapMemo {
    pub(crate) on: Arc<AtomicBool>,
    map: Arc<Mutex<HashMap<String, Remembered>>>,
}

impl Memo for MapMemo {
    fn get<T: Any + Clone + Send + Sync>(&self, key: &str, now: Millis) -> Option<T> {
        let map = lock(&self.map);
        let (value, until) = map.get(key)?;
        (now < *until).then(|| value.downcast_ref::<T>().cloned()).flatten()
    }

    fn put<T: Any + Clone + Send + Sync>(&self, key: &str, value: T, until: Millis) {
        if self.on.load(Ordering::Relaxed) {
            lock(&self.map).insert(key.to_owned(), (Box::new(value), until));
        }
    }
}

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Tasks that wait until the test runs them: what a response leaves behind can be looked at, or lost.
#[derive(Clone, Default)]
pub struct QueuedTasks(pub(crate) Arc<Mutex<Vec<Work>>>);

impl Tasks for QueuedTasks {
    fn after(&self, work: impl Future<Output = ()> + Send + 'static) {
        lock(&self.0).push(Box::pin(work));
    }
}

/// Log lines, kept.
#[derive(Clone, Default)]
pub struct KeptLog(pub(crate) Arc<Mutex<Vec<String>>>);

impl Log for KeptLog {
    fn line(&self, line: &str) {
        lock(&self.0).push(line.to_owned());
    }
}

/// Deaths at a chosen step: every SQL or KV call is two steps, one before it takes effect and one after. At the chosen step the
/// call never returns, as if the process had been killed there; the test drops the future.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<FaultState>>);

#[derive(Default)]
struct FaultState {
    steps: usize,
    die_at: Option<usize>,
}

impl Faults {
    /// Dies at the `step`th step from now, counted from 0; `None` never does.
    pub fn die_at(&self, step: Option<usize>) {
        *lock(&self.0) = FaultState { steps: 0, die_at: step };
    }

    /// How many steps were passed since [`die_at`](Self::die_at).
    pub fn steps(&self) -> usize {
        lock(&self.0).steps
    }

    pub(crate) async fn step(&self) {
        let dies = {
            let mut state = lock(&self.0);
            let dies = state.die_at == Some(state.steps);
            state.steps += 1;
            dies
        };
        if dies {
            std::future::pending::<()>().await;
        }
    }
}

/// Polls a future until it waits for something that never comes: the process died there.
pub fn dies<T>(future: impl Future<Output = T>) -> Option<T> {
    match std::pin::pin!(future).poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}
