//! What a component imports: Spin's own interfaces, bound from the `spin-sdk` package's files, and WASI.

pub mod kv;
pub mod outbound;
pub mod sqlite;
pub mod variables;

use std::sync::Arc;

use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime::{Engine, Result};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::app::{App, Component};
use outbound::Outbound;

/// The generated traits and types of Spin's interfaces.
#[allow(missing_docs, reason = "generated")]
pub mod bindings {
    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}

/// One request's instance: everything that its component may reach.
pub struct State {
    component: Arc<Component>,
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outbound: Outbound,
}

impl State {
    /// A fresh state: clocks, randomness and logs, but no files, sockets, arguments or environment.
    pub fn new(app: Arc<App>, component: Arc<Component>) -> Self {
        let wasi = WasiCtx::builder()
            .stdout(component.stdout.stream())
            .stderr(component.stderr.stream())
            .allow_tcp(false)
            .allow_udp(false)
            .build();
        let outbound = Outbound { app, component: Arc::clone(&component) };
        Self { component, table: ResourceTable::new(), wasi, http: WasiHttpCtx::new(), outbound }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.outbound }
    }
}

/// A linker that offers all of it.
pub fn linker(engine: &Engine) -> Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    bindings::Imports::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut State| state)?;
    Ok(linker)
}
