//! Long texts of JavaScript. wasm-bindgen copies them a character at a time; the platform's encoder does a KiB in a tenth of that.

use crate::glue;
use std::cell::RefCell;
use worker::wasm_bindgen::JsValue;

/// Most rows, and most requests' headers, are shorter.
const ROOM: usize = 4096;

thread_local! {
    static ROOM_FOR_TEXT: RefCell<Vec<u8>> = RefCell::new(vec![0; ROOM]);
}

/// A text's bytes, in UTF-8; none where it is no text.
pub fn bytes(text: &JsValue) -> Option<Vec<u8>> {
    let copied = ROOM_FOR_TEXT.with_borrow_mut(|room| {
        let length = usize::try_from(glue::copy(text, room)).ok()?;
        room.get(..length).map(<[u8]>::to_vec)
    });
    copied.or_else(|| text.as_string().map(String::into_bytes))
}
