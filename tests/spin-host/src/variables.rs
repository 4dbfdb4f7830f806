//! Application variables: their values from the command line, the environment and the manifest's defaults, in this order,
//! and the `{{ name }}` templates that use them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// The resolved values of `[variables]`, by name.
#[derive(Debug, Default)]
pub struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Resolves every declared variable (name and default). One without any value is an error that names it.
    ///
    /// `given` is what the command line says, `environment` looks up a variable of the process.
    pub fn resolve<'a>(
        declared: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
        given: &BTreeMap<String, String>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let mut values = BTreeMap::new();
        for (name, default) in declared {
            check_name(name).map_err(|reason| anyhow::anyhow!("variable {name:?}: {reason}"))?;
            let from_environment = || environment(&format!("SPIN_VARIABLE_{}", name.to_ascii_uppercase()));
            let value = given.get(name).cloned().or_else(from_environment).or_else(|| default.map(str::to_owned));
            let value = value.with_context(|| format!("variable {name:?} has no value: pass --variable {name}=…"))?;
            values.insert(name.to_owned(), value);
        }
        Ok(Self(values))
    }

    /// Puts the values into a template such as `http://{{ wallet_host }}:8080`.
    pub fn expand(&self, template: &str) -> Result<String> {
        let mut expanded = String::new();
        let mut rest = template;
        while let Some((literal, tail)) = rest.split_once("{{") {
            let (name, tail) = tail.split_once("}}").with_context(|| format!("unmatched '{{{{' in {template:?}"))?;
            let name = name.trim();
            expanded.push_str(literal);
            expanded.push_str(self.0.get(name).with_context(|| format!("unknown variable {name:?} in {template:?}"))?);
            rest = tail;
        }
        expanded.push_str(rest);
        Ok(expanded)
    }
}

/// Reads `--variable` arguments: `name=value`, `name=@file` (the file's text), `@file.json` and `@file.toml` (maps of strings).
/// A later one overrides an earlier one.
pub fn from_arguments(arguments: &[String]) -> Result<BTreeMap<String, String>> {
    let mut values = BTreeMap::new();
    for argument in arguments {
        if let Some(path) = argument.strip_prefix('@') {
            values.extend(from_file(Path::new(path)).with_context(|| format!("--variable {argument}"))?);
        } else if let Some((name, value)) = argument.split_once('=') {
            let value = match value.strip_prefix('@') {
                Some(path) => fs::read_to_string(path).with_context(|| format!("--variable {name}: {path}"))?,
                None => value.to_owned(),
            };
            values.insert(name.to_owned(), value);
        } else {
            // Not echoed: it may be a secret that lost its name.
            bail!("--variable takes name=value, name=@file, @file.json or @file.toml");
        }
    }
    Ok(values)
}

fn from_file(path: &Path) -> Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(path)?;
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => Ok(serde_json::from_str(&text)?),
        Some("toml") => Ok(toml::from_str(&text).map_err(|e| anyhow::anyhow!("{}", e.message()))?),
        _ => bail!("a file of variables ends in .json or .toml"),
    }
}

/// Spin's rule for names of variables; the error is the reason why `name` is none.
pub fn check_name(name: &str) -> Result<(), &'static str> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !name.chars().all(allowed) {
        Err("may contain only lower-case letters, numbers and underscores")
    } else if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        Err("must start with a lower-case letter")
    } else if name.ends_with('_') || name.contains("__") {
        Err("underscores stand alone, between other characters")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn command_line_beats_environment_beats_default() {
        let declared = [("a", Some("default")), ("b", Some("default")), ("c_1", Some("default"))];
        let environment = |name: &str| ["SPIN_VARIABLE_A", "SPIN_VARIABLE_B"].contains(&name).then(|| "env".to_owned());
        let variables = Variables::resolve(declared, &map(&[("a", "given"), ("undeclared", "x")]), environment).unwrap();
        assert_eq!(variables.expand("{{ a }}-{{b}}/{{  c_1 }}.").unwrap(), "given-env/default.");
        assert_eq!(variables.expand("plain").unwrap(), "plain");
        assert!(variables.expand("{{ undeclared }}").is_err());
        assert!(variables.expand("{{ a ").is_err());
    }

    #[test]
    fn a_required_variable_without_value_is_named() {
        let error = Variables::resolve([("secret", None)], &map(&[]), |_| None).unwrap_err();
        assert!(error.to_string().contains("\"secret\""), "{error}");
    }

    #[test]
    fn names() {
        for good in ["a", "abc", "a1b2", "a_1", "a_1_b"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "aX", "1b", "_x", "x_", "a__b", "a-b", "x.y"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn arguments() {
        let values = from_arguments(&["a=1".into(), "b=x=y".into(), "a=2".into()]).unwrap();
        assert_eq!(values, map(&[("a", "2"), ("b", "x=y")]));
        let error = from_arguments(&["hunter2".into()]).unwrap_err().to_string();
        assert!(!error.contains("hunter2"));
        assert!(from_arguments(&["@nothing.txt".into()]).is_err());
    }
}
