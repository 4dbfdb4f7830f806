//! The entry on Spin.
#![allow(unsafe_code, reason = "the entry macro expands to the component's exports")]

use spin_sdk::http::{IntoResponse, Request, Response};
use spin_sdk::http_component;

#[http_component]
fn handle(_: Request) -> impl IntoResponse {
    Response::builder().status(200).header("content-type", "application/json").body(crate::BODY).build()
}
