//! The small ports: time, randomness, configuration, memory, work after the response, log lines.

use std::any::Any;
use std::future::Future;
use std::sync::{Arc, Mutex};
use tmcp_protocol::{Millis, Secret};

/// Time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Millis;
}

/// Randomness that is fit for keys.
pub trait Random: Send + Sync {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);

    /// An array of random bytes.
    fn bytes<const N: usize>(&self) -> [u8; N]
    where
        Self: Sized,
    {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}

/// Variables and secrets.
pub trait Config: Send + Sync {
    /// The value named `name` (upper snake case; Spin's variables have it in lower case); `None` where it is not set or empty.
    fn get(&self, name: &str) -> Option<Secret>;
}

/// What an isolate remembers between requests. It may forget at any time, and on Spin it remembers nothing.
pub trait Memo: Send + Sync {
    /// Whether it ever remembers: where it does not, nobody need make names of what is dear to name.
    const REMEMBERS: bool = true;

    /// The value under `key`, when one of this type is there and `now` is before its end.
    fn get<T: Any + Clone + Send + Sync>(&self, key: &str, now: Millis) -> Option<T>;
    /// Remembers a value until a moment.
    fn put<T: Any + Clone + Send + Sync>(&self, key: &str, value: T, until: Millis);

    /// What the isolate keeps under `key` for as long as it remembers, made when it is first asked for.
    fn kept<T: Any + Default + Send>(&self, key: &str, now: Millis) -> Arc<Mutex<T>> {
        self.get(key, now).unwrap_or_else(|| {
            let fresh = Arc::<Mutex<T>>::default();
            self.put(key, fresh.clone(), Millis(i64::MAX));
            fresh
        })
    }
}

/// Work after the response has left.
pub trait Tasks: Send + Sync {
    /// Runs `work` after the response; it may be lost when the process dies.
    fn after(&self, work: impl Future<Output = ()> + Send + 'static);

    /// Runs `work` after the response too, and where the isolate serves others meanwhile, some seconds later, so that what `work`
    /// takes up can gather.
    fn gather(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.after(work);
    }
}

/// Log lines: one JSON object each, never with a secret in it.
pub trait Log: Send + Sync {
    /// Writes one line.
    fn line(&self, line: &str);
}
