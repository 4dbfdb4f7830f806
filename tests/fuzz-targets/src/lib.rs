//! Fuzz targets: each takes arbitrary bytes and panics where a promise is broken, not only where the code under test does.
//!
//! Two drivers share them: cargo-fuzz (`cargo xtask fuzz`, the folder `fuzz/`), and a seeded driver in this crate's tests, which
//! replays the checked-in corpus and some thousand mutations of it wherever the unit tests run.
//!
//! The first byte of an input chooses a case of its target (`a` the first, `b` the second …), the rest is that case's own.

mod authorize;
mod bodies;
mod guard;
mod input;
mod keys;
mod mutate;
mod oauth;
mod token;
mod wire;

pub use mutate::Mutator;

/// A target.
pub struct Target {
    /// The name of its binary, its corpus and its dictionary in `fuzz/`.
    pub name: &'static str,
    /// Runs one input.
    pub run: fn(&[u8]),
    /// How many mutations the seeded driver makes: a second or so.
    pub mutations: usize,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "token", run: token::run, mutations: 1_500 },
    Target { name: "storage_key", run: keys::run, mutations: 600 },
    Target { name: "storage_body", run: bodies::run, mutations: 250 },
    Target { name: "oauth_form", run: oauth::run, mutations: 250 },
    Target { name: "authorize", run: authorize::run, mutations: 600 },
    Target { name: "wire", run: wire::run, mutations: 30_000 },
    Target { name: "guard", run: guard::run, mutations: 30_000 },
];

/// Runs one input of the target of that name.
///
/// # Panics
/// When there is no such target, or a promise is broken.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.unwrap_or_else(|| panic!("there is no target {name}")).run)(data);
}
