//! `cargo xtask doctor`: checks the machine and the configuration, and says what to do.

mod configuration;
mod machine;

use anyhow::{Result, bail};

use crate::paths::Paths;

/// What one check found.
#[derive(Debug, PartialEq, Eq)]
pub enum Finding {
    /// As it should be.
    Ok(String),
    /// Not there, but nobody has to do anything now.
    Note(String),
    /// Missing or wrong: what it is, and what to do.
    Missing(String),
}

impl Finding {
    fn when(good: bool, what: impl Into<String>, advice: &str) -> Self {
        match good {
            true => Self::Ok(what.into()),
            false => Self::Missing(format!("{}: {advice}", what.into())),
        }
    }
}

/// Prints a line per check. Fails if something that is required is missing.
pub fn run(paths: &Paths) -> Result<()> {
    let findings: Vec<_> = machine::check(paths).into_iter().chain(configuration::check(paths)).collect();
    for finding in &findings {
        match finding {
            Finding::Ok(text) => println!("ok       {text}"),
            Finding::Note(text) => println!("note     {text}"),
            Finding::Missing(text) => println!("missing  {text}"),
        }
    }
    match findings.iter().filter(|finding| matches!(finding, Finding::Missing(_))).count() {
        0 => Ok(()),
        1 => bail!("one thing is missing"),
        count => bail!("{count} things are missing"),
    }
}
