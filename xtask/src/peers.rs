//! What the benchmark compares with: packages of `bench/peers`, installed and built in their folders.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::files;
use crate::paths::Paths;
use crate::process;
use crate::progress::Progress;
use crate::tools::npm;

/// A Worker that can stand in the place of storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoragePeer {
    /// TypeScript: Hono, jose, D1, KV and a Durable Object.
    Hono,
}

impl StoragePeer {
    /// Its folder's name.
    pub fn name(self) -> &'static str {
        match self {
            StoragePeer::Hono => "hono",
        }
    }

    fn folder(self, paths: &Paths) -> PathBuf {
        folder(paths, self.name())
    }

    /// Installs its packages where they are missing and bundles it. Gives the module: one file.
    pub fn build(self, paths: &Paths, progress: &Progress) -> Result<PathBuf> {
        let name = self.name();
        install(paths, progress, name)?;
        let step = progress.step(format!("bundling the {name} peer"));
        let mut command = npm::command(paths, &self.folder(paths));
        command.args(["run", "build"]);
        process::run(&step, &mut command, &paths.log("build-peer"))
            .with_context(|| format!("failed to bundle the {name} peer"))?;
        step.done();
        Ok(self.folder(paths).join("dist/index.js"))
    }

    /// The command that checks its types.
    pub fn check(self, paths: &Paths) -> Command {
        let mut command = npm::command(paths, &self.folder(paths));
        command.args(["run", "check"]);
        command
    }

    /// Writes a manifest and the bundle in the place of storage's: `copy` is the manifest's path, `service` the name of the Worker
    /// that the others ask.
    pub fn stand_in(self, paths: &Paths, copy: &Path, service: &str) -> Result<()> {
        let folder = self.folder(paths);
        let source = folder.join("wrangler.toml");
        let text = fs::read_to_string(&source).with_context(|| format!("cannot read {}", source.display()))?;
        let table = render(&text, &folder, service).with_context(|| format!("in {}", source.display()))?;
        files::write_private(copy, toml::to_string(&table)?.as_bytes())?;
        files::copy(&folder.join("dist/index.js"), &copy.with_file_name("dist").join("index.js"))
    }
}

/// The folder of a peer.
pub fn folder(paths: &Paths, name: &str) -> PathBuf {
    paths.root.join("bench/peers").join(name)
}

/// Installs what the lock file of a peer asks for, unless that has been done.
pub fn install(paths: &Paths, progress: &Progress, name: &str) -> Result<()> {
    npm::install(paths, progress, &folder(paths, name), &format!("the {name} peer"))
}

/// The manifest under another name, with its migrations named absolutely.
fn render(text: &str, folder: &Path, service: &str) -> Result<Table> {
    let mut table: Table = text.parse()?;
    table.insert("name".into(), service.into());
    let databases = table.get_mut("d1_databases").and_then(Value::as_array_mut);
    for database in databases.into_iter().flatten().filter_map(Value::as_table_mut) {
        let migrations = folder.join("migrations").display().to_string();
        database.insert("migrations_dir".into(), migrations.into());
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_stands_in_under_the_name_that_the_others_ask() {
        let text =
            "name = \"peer\"\nmain = \"dist/index.js\"\n[[d1_databases]]\nbinding = \"DB\"\nmigrations_dir = \"migrations\"\n";
        let table = render(text, Path::new("/w/hono"), "tmcp-storage").unwrap();
        assert_eq!(table["name"].as_str(), Some("tmcp-storage"));
        assert_eq!(table["main"].as_str(), Some("dist/index.js"));
        assert_eq!(table["d1_databases"][0]["migrations_dir"].as_str(), Some("/w/hono/migrations"));
    }
}
