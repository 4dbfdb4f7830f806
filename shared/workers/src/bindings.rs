//! The bindings of `env`, each looked up and checked once in the life of an isolate: `env` is the same for all its requests.

use crate::map::{Map, map};
use std::cell::RefCell;
use worker::Env;
use worker::js_sys::Reflect;
use worker::wasm_bindgen::{JsCast, JsValue};

thread_local! {
    static KNOWN: RefCell<Map<String, JsValue>> = RefCell::new(map());
}

/// The binding of that name, as the type that the manifest says it is.
pub fn binding<T: JsCast>(env: &Env, name: &str) -> Result<T, String> {
    if let Some(known) = KNOWN.with_borrow(|known| known.get(name).cloned()) {
        return Ok(known.unchecked_into());
    }
    let value = Reflect::get(env, &JsValue::from_str(name)).map_err(|_| "`env` is no object".to_owned())?;
    if !value.is_object() {
        return Err(format!("there is no binding `{name}`"));
    }
    KNOWN.with_borrow_mut(|known| known.insert(name.to_owned(), value.clone()));
    Ok(value.unchecked_into())
}
