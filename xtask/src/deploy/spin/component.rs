//! What a built component asks of its host: read from the component itself, and held to what we pin.
//!
//! Spin pairs its versions with those of its SDK, and a mismatch shows only when it instantiates a component.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use toml::{Table, Value};
use wasmparser::{Parser, Payload, Validator, WasmFeatures};

/// In words, for people.
pub const WANTED: &str = "WASI 0.2 and the interfaces of spin-sdk 5.2";

/// Packages of WASI 0.2 that components may import, at any patch level: hosts serve all of 0.2 alike. Sockets and files are not among
/// them: every connection goes through `allowed_outbound_hosts`, and nothing is kept in files.
const WASI: &[&str] = &["cli", "clocks", "http", "io", "random"];
/// Spin's interfaces, exactly.
const VARIABLES: &str = "fermyon:spin/variables@2.0.0";
const KEY_VALUE: &str = "fermyon:spin/key-value@2.0.0";
const SQLITE: &str = "spin:sqlite/sqlite@3.0.0";
/// What Spin's HTTP trigger calls.
const HANDLER: &str = "wasi:http/incoming-handler@0.2.";

/// The functions of WASI 0.1. A module that imports one gets an adapter to 0.2 beside it, which takes 128 KiB of each instance's memory
/// and has the host clear them after each request (docs/adr/0026).
const WASI_1: &str = "wasi_snapshot_preview1";

/// The interfaces of a component.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Component {
    imports: BTreeSet<String>,
    exports: BTreeSet<String>,
    /// What its modules import of WASI 0.1, by an adapter.
    adapted: BTreeSet<String>,
}

/// Validates a component, and lists what it imports and exports itself.
pub fn read(bytes: &[u8]) -> Result<Component> {
    ensure!(Parser::is_component(bytes), "it is a core module, not a component: was it built for wasm32-wasip2?");
    Validator::new_with_features(WasmFeatures::default()).validate_all(bytes).context("it is not valid")?;
    let mut component = Component::default();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.context("it cannot be parsed")? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    component.imports.insert(import?.name.name.to_owned());
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    if import.module == WASI_1 {
                        component.adapted.insert(import.name.to_owned());
                    }
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    component.exports.insert(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(component)
}

/// Where a component asks for more than we pin, or for other than `spin.toml` grants it.
pub fn problems(name: &str, component: &Component, manifest: &Table) -> Vec<String> {
    let imports = |interface: &str| component.imports.contains(interface);
    let mut found: Vec<_> = component
        .imports
        .iter()
        .filter(|import| !is_allowed(import))
        .map(|import| format!("{name} imports {import}, which is none of {WANTED}"))
        .collect();
    found.extend(component.adapted.iter().map(|function| format!("{name} calls {function} of WASI 0.1, through an adapter")));
    if !component.exports.iter().any(|export| export.starts_with(HANDLER)) {
        found.push(format!("{name} exports no {HANDLER}x, which Spin's HTTP trigger calls"));
    }
    let entry = manifest.get("component").and_then(|components| components.get(name));
    let granted = |key: &str| match entry.and_then(|entry| entry.get(key)) {
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::Table(table)) => !table.is_empty(),
        _ => false,
    };
    for (interface, key) in [(SQLITE, "sqlite_databases"), (KEY_VALUE, "key_value_stores"), (VARIABLES, "variables")] {
        match (imports(interface), granted(key)) {
            (true, false) => found.push(format!("{name} imports {interface}, and spin.toml gives it no {key}")),
            (false, true) => found.push(format!("spin.toml gives {name} {key}, and it does not import {interface}")),
            _ => {}
        }
    }
    found
}

fn is_allowed(import: &str) -> bool {
    if [VARIABLES, KEY_VALUE, SQLITE].contains(&import) {
        return true;
    }
    let Some((package, rest)) = import.strip_prefix("wasi:").and_then(|rest| rest.split_once('/')) else { return false };
    let patch = rest.split_once('@').and_then(|(_, version)| version.strip_prefix("0.2."));
    WASI.contains(&package) && patch.is_some_and(|patch| patch.parse::<u32>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(imports: &[&str]) -> Component {
        let set = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
        Component { imports: set(imports), exports: set(&["wasi:http/incoming-handler@0.2.6"]), adapted: set(&[]) }
    }

    #[test]
    fn other_interfaces_and_versions_are_refused() {
        for good in ["wasi:io/streams@0.2.6", "wasi:http/types@0.2.2", VARIABLES, KEY_VALUE, SQLITE] {
            assert!(is_allowed(good), "{good}");
        }
        let bad = [
            "wasi:io/streams@0.3.0",
            "wasi:io/streams",
            "wasi:sockets/tcp@0.2.6",
            "wasi:filesystem/types@0.2.6",
            "fermyon:spin/sqlite@2.0.0",
            "spin:sqlite/sqlite@3.1.0",
            "fermyon:spin/llm@2.0.0",
        ];
        for bad in bad {
            assert!(!is_allowed(bad), "{bad}");
        }
    }

    #[test]
    fn imports_and_the_manifest_must_agree() {
        let manifest: Table =
            "[component.auth]\nsqlite_databases = [\"default\"]\n[component.auth.variables]\nissuer = \"{{ issuer }}\"\n"
                .parse()
                .unwrap();
        assert_eq!(problems("auth", &component(&[SQLITE, VARIABLES]), &manifest), Vec::<String>::new());
        let found = problems("auth", &component(&[VARIABLES, KEY_VALUE, "wasi:sockets/tcp@0.2.0"]), &manifest).join("\n");
        assert!(found.contains("gives auth sqlite_databases, and it does not import"), "{found}");
        assert!(found.contains("gives it no key_value_stores"), "{found}");
        assert!(found.contains("imports wasi:sockets/tcp@0.2.0"), "{found}");
        let adapted = Component { adapted: BTreeSet::from(["random_get".to_owned()]), ..component(&[SQLITE, VARIABLES]) };
        assert_eq!(problems("auth", &adapted, &manifest), ["auth calls random_get of WASI 0.1, through an adapter"]);
        let none = Component::default();
        assert!(problems("auth", &none, &manifest).join("\n").contains("exports no wasi:http/incoming-handler"));
    }

    #[test]
    fn a_component_is_told_from_a_module_and_from_noise() {
        // The preamble of an empty component, and of an empty core module.
        let empty = [0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0];
        assert_eq!(read(&empty).unwrap(), Component::default());
        let module = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
        assert!(read(&module).unwrap_err().to_string().contains("core module"));
        assert!(read(&[empty.as_slice(), &[250, 1, 0]].concat()).is_err());
        // With a module in it: one type of function, and an import of that type.
        let import = [&[1, 22], WASI_1.as_bytes(), &[10], b"random_get", &[0, 0]].concat();
        let nested = [&module[..], &[1, 4, 1, 0x60, 0, 0, 2, import.len() as u8], &import].concat();
        let adapted = read(&[empty.as_slice(), &[1, nested.len() as u8], &nested].concat()).unwrap().adapted;
        assert_eq!(adapted.into_iter().collect::<Vec<_>>(), ["random_get"]);
    }
}
