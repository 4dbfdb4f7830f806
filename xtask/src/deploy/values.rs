//! The value of every setting in one environment: from its file, from its secrets, or the default.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tmcp_protocol::jwk::KeySet;
use tmcp_protocol::limits::Limits;

use super::environment::File;
use super::secrets::Secrets;
use crate::config::{self, Form, SETTINGS, Setting};

/// What a setting is that no environment names, where the functions have no default of their own.
const DEFAULTS: &[(&str, &str)] = &[("LIMITS", "{}"), ("HOMESERVERS", "[]"), ("FEDERATION", "closed")];

/// Every value, by the names of [`SETTINGS`].
pub struct Values {
    plain: BTreeMap<&'static str, String>,
    secret: BTreeMap<&'static str, String>,
}

impl Values {
    /// Puts the values together. Without secrets, for a dry run, the public keys are an empty set.
    pub fn new(file: &File, secrets: Option<&Secrets>) -> Result<Self> {
        let mut plain = BTreeMap::from([("ISSUER", file.origin.clone())]);
        for (name, value) in &file.settings {
            let setting = known(name)?;
            ensure!(!setting.secret, "settings.{name} is a secret: it belongs among the secrets, not into this file");
            ensure!(setting.name != "ISSUER", "settings.{name} is given by `origin`: leave it out");
            let text = text(value).with_context(|| format!("settings.{name}"))?;
            ensure!(plain.insert(setting.name, text).is_none(), "settings.{name} stands there twice, in upper and in lower case");
        }
        for (name, value) in DEFAULTS {
            plain.entry(name).or_insert_with(|| (*value).to_owned());
        }
        let given_keys = plain.contains_key("JWKS");
        if let (false, Some(secrets)) = (given_keys, secrets) {
            plain.insert("JWKS", secrets.public_keys()?);
        }
        plain.entry("JWKS").or_insert_with(|| r#"{"keys":[]}"#.to_owned());
        for setting in SETTINGS.iter().filter(|setting| !setting.secret) {
            check(setting, plain.get(setting.name).map(String::as_str))?;
        }
        if let (true, Some(secrets)) = (given_keys, secrets) {
            every_key_is_public(secrets, plain.get("JWKS").map(String::as_str).unwrap_or_default())?;
        }
        let secret = |setting: &Setting| Some((setting.name, secrets?.get(setting.name)?.to_owned()));
        let secret = SETTINGS.iter().filter(|setting| setting.secret).filter_map(secret).collect();
        Ok(Self { plain, secret })
    }

    /// What is no secret, of one function.
    pub fn plain(&self, function: &str) -> BTreeMap<&'static str, &str> {
        of(&self.plain, function)
    }

    /// The secrets of one function.
    pub fn secret(&self, function: &str) -> BTreeMap<&'static str, &str> {
        of(&self.secret, function)
    }

    /// Everything, by name.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.plain.iter().chain(&self.secret).map(|(name, value)| (*name, value.as_str()))
    }
}

fn of<'a>(values: &'a BTreeMap<&'static str, String>, function: &str) -> BTreeMap<&'static str, &'a str> {
    let reads = |name: &str| SETTINGS.iter().any(|setting| setting.name == name && setting.functions.contains(&function));
    values.iter().filter(|(name, _)| reads(name)).map(|(name, value)| (*name, value.as_str())).collect()
}

fn known(name: &str) -> Result<&'static Setting> {
    let upper = name.to_uppercase();
    SETTINGS.iter().find(|setting| setting.name == upper).with_context(|| {
        let known: Vec<_> =
            SETTINGS.iter().filter(|setting| !setting.secret).map(|setting| setting.name.to_lowercase()).collect();
        format!("settings.{name} is no setting: there are {}", known.join(", "))
    })
}

/// Lists and tables become JSON; what is text stays as it is.
fn text(value: &toml::Value) -> Result<String> {
    Ok(match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Integer(_) | toml::Value::Boolean(_) => value.to_string(),
        toml::Value::Array(_) | toml::Value::Table(_) => serde_json::to_value(value)?.to_string(),
        toml::Value::Float(_) | toml::Value::Datetime(_) => bail!("must be text, a whole number, a list or a table"),
    })
}

/// What the functions would refuse is refused here, before anything is deployed.
fn check(setting: &Setting, value: Option<&str>) -> Result<()> {
    config::check(setting, value.unwrap_or_default())?;
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(()) };
    let name = setting.name;
    match name {
        "LIMITS" => Limits::parse(value).map(|_| ()).map_err(|error| anyhow::anyhow!("{name}: {error}")),
        "FEDERATION" => {
            ensure!(["closed", "open"].contains(&value), "{name} must be closed or open, not \"{value}\"");
            Ok(())
        }
        "HOMESERVERS" => homeservers(value),
        "FEDERATION_ALLOW" | "FEDERATION_DENY" => {
            let names: Result<Vec<String>, _> = serde_json::from_str(value);
            names.map(|_| ()).map_err(|_| anyhow::anyhow!("{name} must be a list of server names"))
        }
        _ if setting.form == Form::Optional && is_amount(name) => {
            ensure!(value.parse::<u64>().is_ok(), "{name} must be a whole number, not \"{value}\"");
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Settings that are numbers, by their units.
fn is_amount(name: &str) -> bool {
    ["_SECONDS", "_DAYS", "_BYTES", "_KEYS", "_SAMPLE"].iter().any(|unit| name.ends_with(unit))
}

fn homeservers(value: &str) -> Result<()> {
    let list: Vec<Value> = serde_json::from_str(value).context("HOMESERVERS")?;
    for (at, server) in list.iter().enumerate() {
        let member = |name: &str| server.get(name).and_then(Value::as_str).unwrap_or_default();
        ensure!(!member("server_name").is_empty(), "HOMESERVERS: entry {} has no server_name", at + 1);
        for name in ["client_url", "federation_url"] {
            let url = member(name);
            let optional = name == "federation_url" && server.get(name).is_none();
            ensure!(
                optional || url.starts_with("https://") || url.starts_with("http://"),
                "HOMESERVERS: {name} of {} must be a URL",
                member("server_name")
            );
        }
    }
    Ok(())
}

fn every_key_is_public(secrets: &Secrets, jwks: &str) -> Result<()> {
    let shown = KeySet::parse_public(jwks).map_err(|error| anyhow::anyhow!("JWKS: {error}"))?;
    let ours = secrets.public_keys()?;
    let ours = KeySet::parse_public(&ours).map_err(|error| anyhow::anyhow!("SIGNING_KEYS: {error}"))?;
    for key in &ours.keys {
        ensure!(
            shown.find(&key.kid).is_some(),
            "JWKS lacks the key {} of SIGNING_KEYS: add it, or leave settings.jwks out",
            key.kid
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::environment::KeyIds;
    use crate::deploy::secrets::tests::{example, parse};

    fn file(settings: &str) -> File {
        toml::from_str(&format!("origin = \"https://tmcp.example.org\"\n[settings]\n{settings}")).unwrap()
    }

    fn problem(settings: &str) -> String {
        format!("{:#}", Values::new(&file(settings), None).err().unwrap())
    }

    #[test]
    fn a_function_gets_what_it_reads_and_no_more() {
        let secrets = parse(&example(), &KeyIds::default()).unwrap();
        let settings =
            "inline_bytes = 2048\n[[settings.homeservers]]\nserver_name = \"a.example\"\nclient_url = \"https://m.a.example\"\n";
        let values = Values::new(&file(settings), Some(&secrets)).unwrap();
        assert_eq!(values.plain("gateway").into_keys().collect::<Vec<_>>(), ["ISSUER"]);
        assert!(values.secret("gateway").is_empty());
        assert_eq!(values.plain("storage")["INLINE_BYTES"], "2048");
        let names = |function: &str| values.secret(function).into_keys().collect::<Vec<_>>();
        assert_eq!(names("auth"), ["SERVICE_KEY", "SIGNING_KEYS"]);
        assert_eq!(names("storage"), ["SERVICE_KEY", "STORAGE_KEYS"]);
        assert_eq!(names("identity"), ["ADMIN_TOKEN", "SERVICE_KEY"]);
        let identity = values.plain("identity");
        let homeservers: Value = serde_json::from_str(identity["HOMESERVERS"]).unwrap();
        assert_eq!(homeservers[0]["server_name"], "a.example");
        assert_eq!(identity["FEDERATION"], "closed");
        assert!(!identity["JWKS"].contains("\"d\"") && identity["JWKS"].contains("\"kid\""));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            ("isuer = \"x\"", "settings.isuer is no setting"),
            ("issuer = \"https://x.example\"", "given by `origin`"),
            ("operator_token = \"x\"", "is a secret"),
            ("federation = \"half\"", "FEDERATION must be closed or open"),
            ("limits = 7", "LIMITS must be a JSON object"),
            ("limits = {nothing = 1}", "LIMITS"),
            ("homeservers = [{server_name = \"a\"}]", "client_url of a"),
            ("homeservers = [{client_url = \"https://a\"}]", "entry 1 has no server_name"),
            ("quota_bytes = \"many\"", "QUOTA_BYTES must be a whole number"),
            ("quota_bytes = 1.5", "settings.quota_bytes"),
            ("quota_bytes = 1\nQUOTA_BYTES = 2", "twice"),
        ];
        for (settings, expected) in cases {
            let error = problem(settings);
            assert!(error.contains(expected), "{settings}: {error}");
        }
        let secrets = parse(&example(), &KeyIds::default()).unwrap();
        let other = parse(&example(), &KeyIds::default()).unwrap().public_keys().unwrap();
        let error = Values::new(&file(&format!("jwks = '{other}'")), Some(&secrets)).err().unwrap().to_string();
        assert!(error.contains("JWKS lacks the key"), "{error}");
    }
}
