//! A function that does nothing: what a runtime itself costs. The benchmark measures it beside every scenario.

#[cfg(target_os = "wasi")]
mod spin;
#[cfg(target_os = "unknown")]
mod workers;

/// What it answers.
pub const BODY: &str = r#"{"ok":true}"#;
