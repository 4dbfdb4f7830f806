//! `Tasks`: `waitUntil`.

use std::future::Future;
use tmcp_ports::Tasks;
use worker::send::SendWrapper;

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
}
