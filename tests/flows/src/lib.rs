//! What a person does that leads through several functions, on host adapters: the functions as they are, asking each other in process.
//! What is one function's own is tested in its crate; what a runtime adds, in `tests/e2e` and `tests/browser`.
#![cfg(test)]

mod apps;
mod delegated;
mod developers;
mod email;
mod linking;
mod privacy;
mod profiles;
mod providers;
mod saml;
mod suspension;
mod told;
mod world;
