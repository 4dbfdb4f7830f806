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

/// Random bytes that nobody was given yet, fetched a portion at a time: a call out of wasm costs as much as some hundred of them.
pub struct RandomAhead<const PORTION: usize> {
    ahead: [u8; PORTION],
    used: usize,
}

impl<const PORTION: usize> RandomAhead<PORTION> {
    /// Nothing was fetched yet.
    #[allow(clippy::new_without_default, reason = "it is for a constant")]
    pub const fn new() -> Self {
        Self { ahead: [0; PORTION], used: PORTION }
    }

    /// Fills `bytes`; `fetch` draws from the platform.
    pub fn fill(&mut self, bytes: &mut [u8], fetch: impl Fn(&mut [u8])) {
        if bytes.len() > PORTION - self.used {
            if bytes.len() > PORTION {
                return fetch(bytes);
            }
            fetch(&mut self.ahead);
            self.used = 0;
        }
        if let Some(next) = self.ahead.get_mut(self.used..self.used + bytes.len()) {
            bytes.copy_from_slice(next);
            // What was given out is a secret of whoever asked for it.
            next.fill(0);
            self.used += bytes.len();
        }
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

#[cfg(test)]
mod tests {
    use super::RandomAhead;
    use std::cell::Cell;

    #[test]
    fn every_random_byte_is_given_out_once() {
        let (fetched, next) = (Cell::new(0), Cell::new(0_u8));
        let fetch = |bytes: &mut [u8]| {
            fetched.set(fetched.get() + 1);
            for byte in bytes {
                next.set(next.get() + 1);
                *byte = next.get();
            }
        };
        let mut random = RandomAhead::<8>::new();
        let mut draw = |count: usize| {
            let mut bytes = vec![0; count];
            random.fill(&mut bytes, fetch);
            (bytes, fetched.get())
        };
        assert_eq!(draw(3), (vec![1, 2, 3], 1));
        assert_eq!(draw(5), (vec![4, 5, 6, 7, 8], 1));
        assert_eq!(draw(0), (vec![], 1));
        assert_eq!(draw(2), (vec![9, 10], 2));
        // What does not fit in a portion comes by itself, and what was fetched before stays for the next.
        assert_eq!(draw(9), ((17..=25).collect(), 3));
        assert_eq!(draw(6), ((11..=16).collect(), 3));
        // Where too few are left, none of them is given out.
        assert_eq!(draw(7), ((26..=32).collect(), 4));
        assert_eq!(draw(2), (vec![34, 35], 5));
    }
}
