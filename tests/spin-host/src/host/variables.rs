//! `fermyon:spin/variables`: the component's own variables, resolved at start.

use wasmtime::Result;

use super::State;
use super::bindings::fermyon::spin::variables::{Error, Host};
use crate::variables::check_name;

impl Host for State {
    async fn get(&mut self, name: String) -> Result<Result<String, Error>> {
        if let Err(reason) = check_name(&name) {
            return Ok(Err(Error::InvalidName(format!("{name:?}: {reason}"))));
        }
        let value = self.component.variables.get(&name).cloned();
        Ok(value.ok_or_else(|| Error::Undefined(format!("no variable for {:?}.{name:?}", self.component.id))))
    }
}
