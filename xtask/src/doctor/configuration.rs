//! What the configuration has: manifests that hold no secret, `.dev.vars` that hold what each function reads.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::Finding;
use crate::config::{self, SETTINGS};
use crate::functions::FUNCTIONS;
use crate::paths::{Paths, shown};
use crate::up::workers::manifest;

/// Every check of the configuration.
pub fn check(paths: &Paths) -> Vec<Finding> {
    let mut findings: Vec<_> = FUNCTIONS.iter().map(|function| workers_manifest(paths, &manifest(paths, function))).collect();
    findings.push(spin_manifest(paths));
    findings.extend(dev_vars_files(paths).iter().map(|(function, file)| dev_vars(paths, function, file)));
    findings
}

/// A Worker's manifest is there and names no secret: it is tracked by git.
fn workers_manifest(paths: &Paths, file: &Path) -> Finding {
    let name = shown(file, &paths.root);
    let table = match read(file) {
        Ok(table) => table,
        Err(problem) => return Finding::Missing(format!("{name}: {problem}")),
    };
    let vars = table.get("vars").and_then(Value::as_table);
    let named = SETTINGS.iter().find(|setting| setting.secret && vars.is_some_and(|vars| vars.contains_key(setting.name)));
    match named {
        None => Finding::Ok(name),
        Some(setting) => Finding::Missing(format!(
            "{name} holds the secret {}: take it out, and set it with `wrangler secret put`",
            setting.name
        )),
    }
}

/// `spin.toml` declares every setting that some component reads, and gives secrets no value.
fn spin_manifest(paths: &Paths) -> Finding {
    let table = match read(&paths.root.join("spin.toml")) {
        Ok(table) => table,
        Err(problem) => return Finding::Missing(format!("spin.toml: {problem}")),
    };
    let variables = table.get("variables").and_then(Value::as_table);
    let declared = |name: &str| variables.and_then(|variables| variables.get(name));
    let missing: Vec<_> =
        SETTINGS.iter().map(|setting| setting.name.to_lowercase()).filter(|name| declared(name).is_none()).collect();
    if !missing.is_empty() {
        return Finding::Missing(format!("spin.toml declares no variable {}: add it", missing.join(", ")));
    }
    for setting in SETTINGS {
        let name = setting.name.to_lowercase();
        match declared(&name) {
            Some(declared) if setting.secret && declared.get("default").is_some() => {
                return Finding::Missing(format!(
                    "spin.toml gives the secret {name} a value: write `{name} = {{ required = true, secret = true }}`"
                ));
            }
            _ => {}
        }
    }
    Finding::Ok("spin.toml".into())
}

/// The `.dev.vars` of the checkout and of the data folders, each with its function.
fn dev_vars_files(paths: &Paths) -> Vec<(&'static str, PathBuf)> {
    let data = fs::read_dir(paths.work()).into_iter().flatten().flatten().map(|entry| entry.path());
    let data: Vec<_> = data.collect();
    let places = |function: &'static crate::functions::Function| {
        let own = manifest(paths, function).with_file_name(".dev.vars");
        let copies = data.iter().map(|data| data.join("workers").join(function.name).join(".dev.vars"));
        std::iter::once(own).chain(copies).map(|file| (function.name, file)).collect::<Vec<_>>()
    };
    FUNCTIONS.iter().flat_map(places).filter(|(_, file)| file.is_file()).collect()
}

/// Every value that the function reads is there and well-formed.
fn dev_vars(paths: &Paths, function: &str, file: &Path) -> Finding {
    let name = shown(file, &paths.root);
    let values = parse(&fs::read_to_string(file).unwrap_or_default());
    for setting in SETTINGS.iter().filter(|setting| setting.functions.contains(&function)) {
        let value = values.get(setting.name).map(String::as_str).unwrap_or_default();
        if let Err(problem) = config::check(setting, value) {
            return Finding::Missing(format!("{name}: {problem}"));
        }
    }
    Finding::Ok(name)
}

/// The lines `NAME=value` of a `.dev.vars`, without quotes around the value.
fn parse(text: &str) -> BTreeMap<String, String> {
    let pair = |line: &str| {
        let (name, value) = line.split_once('=')?;
        let value = value.trim();
        let unquoted =
            ['\'', '`', '"'].into_iter().find_map(|quote| value.strip_prefix(quote).and_then(|value| value.strip_suffix(quote)));
        Some((name.trim().to_owned(), unquoted.unwrap_or(value).to_owned()))
    };
    text.lines().filter(|line| !line.trim_start().starts_with('#')).filter_map(pair).collect()
}

fn read(file: &Path) -> Result<Table, String> {
    let text = fs::read_to_string(file).map_err(|_| "there is none".to_owned())?;
    text.parse().map_err(|error: toml::de::Error| error.message().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dev_vars_are_read_as_they_are_written() {
        let values = parse("# made\nA='{\"x\":1}'\nB=plain\nC=`it's`\n");
        assert_eq!(values["A"], "{\"x\":1}");
        assert_eq!(values["B"], "plain");
        assert_eq!(values["C"], "it's");
    }
}
