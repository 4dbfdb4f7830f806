//! `spin.toml` against the table of settings: every component gets exactly the values that it reads.

use std::collections::BTreeSet;

use toml::{Table, Value};

use crate::config::{SETTINGS, Setting};
use crate::functions::Function;

/// Where the manifest does not follow the table.
pub fn problems(manifest: &Table, functions: &[&Function]) -> Vec<String> {
    let mut found = Vec::new();
    if manifest.get("spin_manifest_version").and_then(Value::as_integer) != Some(2) {
        found.push("spin.toml: spin_manifest_version must be 2".to_owned());
    }
    found.extend(SETTINGS.iter().filter_map(|setting| undeclared(manifest, setting)));
    functions.iter().for_each(|function| found.extend(of_component(manifest, function.name)));
    found
}

/// What is wrong with the declaration of one setting's variable.
fn undeclared(manifest: &Table, setting: &Setting) -> Option<String> {
    let name = setting.name.to_lowercase();
    let Some(variable) = manifest.get("variables").and_then(|variables| variables.get(&name)) else {
        return Some(format!("spin.toml declares no variable {name}"));
    };
    let is = |key: &str| variable.get(key).and_then(Value::as_bool) == Some(true);
    let has_default = variable.get("default").is_some();
    match setting {
        Setting { secret: true, form, .. } if !is("secret") || has_default != form.is_optional() => Some(format!(
            "spin.toml: {name} is a secret: write {name} = {{ required = true, secret = true }}, or a default in the place of required if it may be left out"
        )),
        Setting { form, .. } if form.is_optional() && !has_default => {
            Some(format!("spin.toml: {name} may be left out, and has no default"))
        }
        _ if is("required") == has_default => Some(format!("spin.toml: {name} must be either required or have a default")),
        _ => None,
    }
}

fn of_component(manifest: &Table, function: &str) -> Vec<String> {
    let Some(component) = manifest.get("component").and_then(|components| components.get(function)) else {
        return vec![format!("spin.toml has no component {function}")];
    };
    let mut found = Vec::new();
    let source = format!("target/spin/{function}.wasm");
    if component.get("source").and_then(Value::as_str) != Some(&source) {
        found.push(format!("spin.toml: the source of {function} must be {source}"));
    }
    let empty = Table::new();
    let given = component.get("variables").and_then(Value::as_table).unwrap_or(&empty);
    let reads = SETTINGS.iter().filter(|setting| setting.functions.contains(&function));
    let reads: BTreeSet<_> = reads.map(|setting| setting.name.to_lowercase()).collect();
    for name in &reads {
        let template = format!("{{{{ {name} }}}}");
        if given.get(name).and_then(Value::as_str) != Some(&template) {
            found.push(format!("spin.toml: {function} reads {name}: write {name} = \"{template}\""));
        }
    }
    for name in given.keys().filter(|name| !reads.contains(*name)) {
        found.push(format!("spin.toml gives {function} {name}, which it does not read"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions;

    fn checked_in() -> Table {
        include_str!("../../../../spin.toml").parse().unwrap()
    }

    fn problems_of(manifest: &Table) -> String {
        let functions: Vec<_> = functions::all(false).filter(|function| function.on_spin).collect();
        problems(manifest, &functions).join("\n")
    }

    #[test]
    fn the_manifest_follows_the_table() {
        assert_eq!(problems_of(&checked_in()), "");
    }

    #[test]
    fn every_departure_is_found() {
        let mut manifest = checked_in();
        let variables = manifest["variables"].as_table_mut().unwrap();
        variables.remove("jwks");
        variables.insert("service_key".into(), "x".parse::<Value>().unwrap_or(Value::Boolean(true)));
        let auth = manifest["component"]["auth"].as_table_mut().unwrap();
        auth["variables"].as_table_mut().unwrap().insert("storage_keys".into(), "{{ storage_keys }}".into());
        auth["variables"].as_table_mut().unwrap().remove("signing_keys");
        auth.insert("source".into(), "elsewhere.wasm".into());
        manifest["component"].as_table_mut().unwrap().remove("ops");
        let found = problems_of(&manifest);
        let expected = [
            "declares no variable jwks",
            "service_key is a secret",
            "gives auth storage_keys, which it does not read",
            "auth reads signing_keys",
            "source of auth must be",
            "no component ops",
        ];
        for text in expected {
            assert!(found.contains(text), "{text}: {found}");
        }
    }
}
