//! Reading an input: a case by its first byte, numbers, text, lines.

use futures_util::FutureExt;
use std::borrow::Cow;
use std::future::Future;

/// What is left of an input.
#[derive(Clone, Copy)]
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    /// One byte; 0 at the end.
    pub fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    /// A choice of `count`: `a` is the first, so that seeds can be read.
    pub fn choice(&mut self, count: u8) -> u8 {
        self.byte().wrapping_sub(b'a') % count
    }

    /// A big-endian number of `N` bytes; zeros behind the end.
    pub fn number<const N: usize>(&mut self) -> u64 {
        (0..N).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    /// The rest as text.
    pub fn text(self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.0)
    }

    /// The rest in two: before the first line feed, and behind it.
    pub fn lines(self) -> (Cow<'a, str>, Cow<'a, str>) {
        let mut parts = self.0.splitn(2, |byte| *byte == b'\n');
        let mut next = || String::from_utf8_lossy(parts.next().unwrap_or_default());
        (next(), next())
    }
}

/// The result of a future that never waits, as all on host adapters.
#[track_caller]
pub fn done<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("nothing waits on host adapters")
}
