//! A Worker that is there so that others can be bound to it: it has the classes of its Durable Objects, and serves nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;
use toml::{Table, Value};

use super::manifest::Rendered;
use crate::files;

/// What of the manifest a stub keeps: its name, and the migrations that make its classes.
const KEPT: &[&str] =
    &["name", "account_id", "compatibility_date", "compatibility_flags", "workers_dev", "preview_urls", "migrations"];

/// Writes the stub's manifest and module beside the Worker's own; gives the manifest.
pub fn write(rendered: &Rendered, manifest: &Path) -> Result<PathBuf> {
    let folder = manifest.with_file_name("stub");
    let path = folder.join("wrangler.toml");
    files::write_private(&path, toml::to_string(&table(&rendered.table))?.as_bytes())?;
    files::write_private(&folder.join("stub.js"), module(&rendered.table).as_bytes())?;
    Ok(path)
}

fn table(full: &Table) -> Table {
    let mut table: Table =
        full.iter().filter(|(key, _)| KEPT.contains(&key.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect();
    table.insert("main".into(), "stub.js".into());
    table.insert("workers_dev".into(), false.into());
    let own = |binding: &&Value| binding.get("script_name").is_none();
    let bindings: Vec<_> = objects(full).filter(own).cloned().collect();
    if !bindings.is_empty() {
        table.insert("durable_objects".into(), Table::from_iter([("bindings".to_owned(), bindings.into())]).into());
    }
    table
}

fn objects(full: &Table) -> impl Iterator<Item = &Value> {
    full.get("durable_objects").and_then(|objects| objects.get("bindings")).and_then(Value::as_array).into_iter().flatten()
}

fn module(full: &Table) -> String {
    let own = objects(full).filter(|binding| binding.get("script_name").is_none());
    let classes: BTreeSet<_> = own.filter_map(|binding| binding.get("class_name")?.as_str()).collect();
    let mut text = String::from("import { DurableObject } from \"cloudflare:workers\";\n");
    for class in classes {
        text.push_str(&format!("export class {class} extends DurableObject {{}}\n"));
    }
    text.push_str(
        "export default {\n  fetch: () => new Response(\"not deployed yet\", { status: 503, headers: { \"Retry-After\": \"60\" } }),\n};\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stub_has_the_classes_and_no_binding_to_another_worker() {
        let full: Table = include_str!("../../../../functions/subjects/wrangler.toml").parse().unwrap();
        let stub = table(&full);
        assert_eq!(stub["migrations"], full["migrations"]);
        assert_eq!(stub["durable_objects"], full["durable_objects"]);
        assert!(!stub.contains_key("services") && !stub.contains_key("d1_databases"));
        assert!(module(&full).contains("export class SubjectEntity extends DurableObject {}"));
        let other: Table = include_str!("../../../../functions/storage/wrangler.toml").parse().unwrap();
        assert!(!table(&other).contains_key("durable_objects"));
        assert!(!module(&other).contains("SubjectEntity"));
    }
}
