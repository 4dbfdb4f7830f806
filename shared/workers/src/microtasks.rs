//! How a woken future gets its turn: by a promise's `then`, not by `queueMicrotask`. Both are the same microtask queue, but workerd's
//! `queueMicrotask` makes a JavaScript function and a handle for it at every call, 20 µs each, and a request wakes several times. A
//! Worker has it so by linking this library.

use worker::js_sys::{Reflect, global};
use worker::wasm_bindgen::prelude::*;
use worker::wasm_bindgen_futures::spawn_local;

/// wasm-bindgen looks once, when the first future of an instance is spawned, whether there is a `queueMicrotask`. It is hidden for that
/// moment; should that fail, it is used, and nothing is lost but time.
#[wasm_bindgen(start, private, wasm_bindgen = worker::wasm_bindgen)]
fn prefer_promises() {
    let (scope, name) = (global(), JsValue::from_str("queueMicrotask"));
    let Ok(native) = Reflect::get(&scope, &name) else { return };
    if Reflect::set(&scope, &name, &JsValue::UNDEFINED).is_ok() {
        spawn_local(async {});
        let _ = Reflect::set(&scope, &name, &native);
    }
}
