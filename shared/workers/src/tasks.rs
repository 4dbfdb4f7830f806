//! `Tasks`: `waitUntil`.

use std::future::Future;
use std::time::Duration;
use tmcp_ports::Tasks;
use worker::Delay;
use worker::send::{SendFuture, SendWrapper};

/// The runtime lets work go on for half a minute after a response.
const GATHER: Duration = Duration::from_secs(5);

/// Work that the runtime waits for after the response.
pub struct WaitUntil(Option<SendWrapper<worker::Context>>);

impl WaitUntil {
    pub(crate) fn event(context: worker::Context) -> Self {
        Self(Some(SendWrapper::new(context)))
    }

    /// In a Durable Object: work runs on its own, and the object's alarm comes again where it does not get to its end.
    pub(crate) fn nowhere() -> Self {
        Self(None)
    }
}

impl Tasks for WaitUntil {
    fn after(&self, work: impl Future<Output = ()> + Send + 'static) {
        match &self.0 {
            Some(context) => context.0.wait_until(work),
            None => worker::wasm_bindgen_futures::spawn_local(work),
        }
    }

    fn gather(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.after(SendFuture::new(async move {
            Delay::from(GATHER).await;
            work.await;
        }));
    }
}
