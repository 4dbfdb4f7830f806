//! `glue.js`, as wasm sees it.

use worker::js_sys::{Array, Promise, Uint8Array};
use worker::wasm_bindgen::prelude::*;
use worker::web_sys::{Request, Response};

#[wasm_bindgen(wasm_bindgen = worker::wasm_bindgen, js_sys = worker::js_sys, module = "/src/glue.js")]
extern "C" {
    /// `body` or nothing, method, path with query, source address by Cloudflare's word, and then a line for each header of `always` and,
    /// where there may be a body, of `sending`: a colon and its value, or nothing where it is not there.
    #[wasm_bindgen(catch)]
    pub fn head(request: &Request, always: &JsValue, sending: &JsValue) -> Result<JsValue, JsValue>;

    /// Writes a text into `room`, and says how many bytes it is; -1 where another way is better.
    pub fn copy(text: &JsValue, room: &mut [u8]) -> i32;

    /// An array of strings, which are a line each.
    pub fn list(lines: &str) -> JsValue;

    /// Keeps at a place what many responses have: a status, headers' names and values, and the names of others, a line each.
    #[wasm_bindgen(catch)]
    pub fn keep(place: u32, status: u16, shared: &str, own: &str) -> Result<(), JsValue>;

    /// A response of what is kept at a place, and the values of its other headers, as lines. The body is null, text or an array of bytes.
    #[wasm_bindgen(catch)]
    pub fn respond(place: u32, own: &str, body: &JsValue) -> Result<Response, JsValue>;

    /// Calls `settled` once the promise is, with `place`, whether it has a value, and the value or what it was rejected with.
    #[wasm_bindgen(catch)]
    pub fn wait(promise: &Promise, place: usize, settled: &JsValue) -> Result<(), JsValue>;

    /// Asks an entity's object, and gives the text of its reply. An error there is one here.
    #[wasm_bindgen(catch)]
    pub fn ask(namespace: &JsValue, name: &str, question: &str) -> Result<Promise, JsValue>;

    /// Sends a request by what fetches, or by the global `fetch`: method and URL, and then names and values of headers, a line each, and
    /// an array of bytes or null. Gives an array of the status and the body's bytes, or a text: `timed out` or `too large`.
    #[wasm_bindgen(catch)]
    pub fn exchange(fetcher: &JsValue, head: &str, body: &JsValue, most: usize, timeout_ms: u32) -> Result<Promise, JsValue>;

    /// A value of KV as an array of bytes, or undefined.
    #[wasm_bindgen(catch)]
    pub fn read(store: &JsValue, key: &str) -> Result<Promise, JsValue>;

    /// Puts a value into KV.
    #[wasm_bindgen(catch)]
    pub fn write(store: &JsValue, key: &str, value: Uint8Array) -> Result<Promise, JsValue>;

    /// Removes all of these keys from KV.
    #[wasm_bindgen(catch)]
    pub fn remove(store: &JsValue, keys: Vec<String>) -> Result<Promise, JsValue>;

    /// The rows of a statement as JSON, a line each. A statement is its text and then its values.
    #[wasm_bindgen(catch)]
    pub fn query(database: &JsValue, statement: Array) -> Result<Promise, JsValue>;

    /// The same for several, all or none of which are done, with a record separator between two.
    #[wasm_bindgen(catch)]
    pub fn batch(database: &JsValue, statements: Array) -> Result<Promise, JsValue>;
}
