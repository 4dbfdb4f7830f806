//! `glue.js`, as wasm sees it.

use worker::js_sys::Uint8Array;
use worker::wasm_bindgen::prelude::*;
use worker::web_sys::{Request, Response};

#[wasm_bindgen(wasm_bindgen = worker::wasm_bindgen, js_sys = worker::js_sys, module = "/src/glue.js")]
extern "C" {
    /// Method, URL, and then each header's name and value, a line each.
    #[wasm_bindgen(catch)]
    pub fn head(request: &Request) -> Result<String, JsValue>;

    /// A response with headers that come as JSON, an object or pairs.
    #[wasm_bindgen(catch)]
    pub fn respond(status: u16, headers: &str, body: Option<Uint8Array>) -> Result<Response, JsValue>;
}
