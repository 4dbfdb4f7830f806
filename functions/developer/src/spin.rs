//! The entry on Spin.
#![allow(unsafe_code, reason = "the entry macro expands to the component's exports")]

use spin_sdk::http::{IncomingRequest, ResponseOutparam};
use spin_sdk::http_component;

#[http_component]
async fn handle(request: IncomingRequest, out: ResponseOutparam) {
    tmcp_spin::serve(crate::routes().build(), request, out).await;
}
