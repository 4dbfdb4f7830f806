//! `glue.js`, as wasm sees it.

use worker::js_sys::{Array, Uint8Array};
use worker::wasm_bindgen::prelude::*;
use worker::web_sys::{Request, Response};

#[wasm_bindgen(wasm_bindgen = worker::wasm_bindgen, js_sys = worker::js_sys, wasm_bindgen_futures = worker::wasm_bindgen_futures, module = "/src/glue.js")]
extern "C" {
    /// `body` or nothing, method, URL, and then the names and values of the headers that are there, a line each: of `always` and, where
    /// there may be a body, of `sending`.
    #[wasm_bindgen(catch)]
    pub fn head(request: &Request, always: &JsValue, sending: &JsValue) -> Result<String, JsValue>;

    /// An array of strings, which are a line each.
    pub fn list(lines: &str) -> JsValue;

    /// Keeps at a place what many responses have: a status, headers' names and values, and the names of others, a line each.
    #[wasm_bindgen(catch)]
    pub fn keep(place: u32, status: u16, shared: &str, own: &str) -> Result<(), JsValue>;

    /// A response of what is kept at a place, and the values of its other headers, as lines. The body is null, text or an array of bytes.
    #[wasm_bindgen(catch)]
    pub fn respond(place: u32, own: &str, body: &JsValue) -> Result<Response, JsValue>;

    /// Asks an entity's object, and gives the text of its reply. An error there is one here.
    #[wasm_bindgen(catch)]
    pub async fn ask(namespace: &JsValue, name: &str, question: &str) -> Result<JsValue, JsValue>;

    /// A value of KV as an array of bytes, or undefined.
    #[wasm_bindgen(catch)]
    pub async fn read(store: &JsValue, key: &str) -> Result<JsValue, JsValue>;

    /// Puts a value into KV.
    #[wasm_bindgen(catch)]
    pub async fn write(store: &JsValue, key: &str, value: Uint8Array) -> Result<(), JsValue>;

    /// Removes all of these keys from KV.
    #[wasm_bindgen(catch)]
    pub async fn remove(store: &JsValue, keys: Vec<String>) -> Result<(), JsValue>;

    /// The rows of a statement as JSON, a line each. A statement is its text and then its values.
    #[wasm_bindgen(catch)]
    pub async fn query(database: &JsValue, statement: Array) -> Result<JsValue, JsValue>;

    /// The same for several, all or none of which are done, with an empty line between two.
    #[wasm_bindgen(catch)]
    pub async fn batch(database: &JsValue, statements: Array) -> Result<JsValue, JsValue>;
}
