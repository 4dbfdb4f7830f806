//! The secrets of an environment: a JSON object in a file that only its owner may read, or on standard input.
//!
//! Error texts name a secret, never show it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde_json::{Value, json};
use tmcp_protocol::jwk::KeySet;
use tmcp_protocol::provider::Kind;
use tmcp_protocol::service::ServiceKeys;

use super::environment::{self, KeyIds};
use crate::config::{self, Form, SETTINGS};
use crate::files;
use crate::keys::Keys;
use crate::paths::{Paths, shown};

/// Secrets of the Spin host rather than of a function: the database's and the key-value store's.
const OF_THE_HOST: &[&str] = &["TURSO_TOKEN", "REDIS_URL"];
/// The least length of a token that people do not remember.
const TOKEN_LENGTH: usize = 20;

/// The secrets by name. Neither shown nor compared.
pub struct Secrets(BTreeMap<String, String>);

/// Options of `deploy secrets`.
#[derive(Debug, Args)]
pub struct SecretsArgs {
    /// The environment that they are for.
    #[arg(long, value_name = "NAME", default_value = "production")]
    env: String,
    /// The file to write; it must not exist [default: deploy/NAME.secrets.json].
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Makes the secrets of a new environment.
pub fn make(paths: &Paths, args: &SecretsArgs) -> Result<()> {
    environment::check_name(&args.env)?;
    let path = args.file.clone().unwrap_or_else(|| path_of(paths, &args.env));
    let shown = shown(&path, &paths.root);
    ensure!(!path.exists(), "{shown} exists: its keys open what is stored, so it is not written over; move it away first");
    let keys = Keys::make()?;
    let secrets = json!({
        "SERVICE_KEY": keys.service_key,
        "SIGNING_KEYS": keys.signing_keys,
        "STORAGE_KEYS": keys.storage_keys,
        "OPERATOR_TOKEN": keys.operator_token,
        "ADMIN_TOKEN": keys.admin_token,
        "AUDIT_KEY": keys.audit_key,
        "SAML_KEYS": keys.saml_keys,
    });
    let missing: Vec<_> =
        SETTINGS.iter().filter(|s| s.secret && !s.form.is_optional() && secrets.get(s.name).is_none()).map(|s| s.name).collect();
    ensure!(missing.is_empty(), "no way is known to make {}", missing.join(", "));
    files::write_json(&path, &secrets)?;
    println!("{shown}: made. Keep a copy where it is safe: without STORAGE_KEYS nothing that is stored can be read again.");
    Ok(())
}

/// Where the secrets of an environment are by default.
pub fn path_of(paths: &Paths, name: &str) -> PathBuf {
    paths.root.join("deploy").join(format!("{name}.secrets.json"))
}

impl Secrets {
    /// Reads and checks the secrets that a command names, or those of the environment.
    pub fn read(paths: &Paths, env: &str, named: Option<&Path>, ids: &KeyIds) -> Result<Self> {
        let (text, from) = match named {
            Some(path) if path == Path::new("-") => {
                let mut text = String::new();
                std::io::stdin().lock().read_to_string(&mut text).context("cannot read standard input")?;
                (text, "standard input".to_owned())
            }
            named => {
                let path = named.map_or_else(|| path_of(paths, env), Path::to_path_buf);
                let shown = shown(&path, &paths.root);
                (read_private(&path, &shown, env)?, shown)
            }
        };
        Self::parse(&text, ids).with_context(|| format!("secrets in {from}"))
    }

    /// Whether a command without `--secrets` would find some.
    pub fn are_there(paths: &Paths, env: &str, named: Option<&Path>) -> bool {
        named.is_some() || path_of(paths, env).is_file()
    }

    fn parse(text: &str, ids: &KeyIds) -> Result<Self> {
        // serde_json's texts name a place, and never what stands there.
        let value: Value = serde_json::from_str(text).map_err(|error| match error.classify() {
            serde_json::error::Category::Eof => anyhow::anyhow!("it is empty, or ends too early: a JSON object is wanted"),
            _ => anyhow::anyhow!("not JSON at line {}, column {}", error.line(), error.column()),
        })?;
        let Value::Object(members) = value else { bail!("not a JSON object of names and values") };
        let mut secrets = BTreeMap::new();
        for (name, value) in members {
            let known = SETTINGS.iter().any(|setting| setting.secret && setting.name == name);
            ensure!(known || OF_THE_HOST.contains(&name.as_str()), "{name} is no secret of ours: {}", names());
            let text = match value {
                Value::String(text) => text,
                Value::Object(_) | Value::Array(_) => value.to_string(),
                _ => bail!("{name} must be a string, an object or an array"),
            };
            secrets.insert(name, text);
        }
        let mut secrets = Self(secrets);
        for setting in SETTINGS.iter().filter(|setting| setting.secret) {
            config::check(setting, secrets.get(setting.name).unwrap_or_default())?;
        }
        secrets.choose_keys(ids)?;
        secrets.check()?;
        Ok(secrets)
    }

    /// One secret.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// One secret that the environment needs.
    pub fn require(&self, name: &str, why: &str) -> Result<&str> {
        self.get(name).filter(|value| !value.is_empty()).with_context(|| format!("the secret {name} is missing: {why}"))
    }

    /// Puts the named keys into use: first in the signing ring, `current` in the storage ring.
    fn choose_keys(&mut self, ids: &KeyIds) -> Result<()> {
        if !ids.signing.is_empty() {
            let mut ring = self.json("SIGNING_KEYS")?;
            let keys = ring.get_mut("keys").and_then(Value::as_array_mut).context("SIGNING_KEYS has no member keys")?;
            let kid = |key: &Value| key.get("kid").and_then(Value::as_str).unwrap_or_default().to_owned();
            let known: Vec<_> = keys.iter().map(kid).collect();
            let at = known.iter().position(|known| *known == ids.signing);
            let at = at.with_context(|| format!("keys.signing is {}, but SIGNING_KEYS has {}", ids.signing, known.join(", ")))?;
            keys.get_mut(..=at).unwrap_or_default().rotate_right(1);
            self.0.insert("SIGNING_KEYS".to_owned(), ring.to_string());
        }
        if !ids.storage.is_empty() {
            let mut ring = self.json("STORAGE_KEYS")?;
            let known: Vec<_> = ring.get("keys").and_then(Value::as_object).into_iter().flatten().map(|(id, _)| id).collect();
            ensure!(
                known.contains(&&ids.storage),
                "keys.storage is {}, but STORAGE_KEYS has {}",
                ids.storage,
                known.into_iter().cloned().collect::<Vec<_>>().join(", ")
            );
            if let Some(members) = ring.as_object_mut() {
                members.insert("current".to_owned(), ids.storage.clone().into());
            }
            self.0.insert("STORAGE_KEYS".to_owned(), ring.to_string());
        }
        Ok(())
    }

    /// What the functions would refuse is refused here, before anything is deployed.
    fn check(&self) -> Result<()> {
        let bytes = |text: &str| STANDARD.decode(text).map(|bytes| bytes.len()).unwrap_or_default();
        for name in ["SERVICE_KEY", "AUDIT_KEY"] {
            ServiceKeys::parse(self.get(name).unwrap_or_default()).map_err(|error| anyhow::anyhow!("{name} {error}"))?;
        }
        for name in ["OPERATOR_TOKEN", "ADMIN_TOKEN"] {
            let length = self.get(name).unwrap_or_default().len();
            ensure!(length >= TOKEN_LENGTH, "{name} must have at least {TOKEN_LENGTH} characters, at random");
        }
        KeySet::parse_private(self.get("SIGNING_KEYS").unwrap_or_default())
            .map_err(|error| anyhow::anyhow!("SIGNING_KEYS: {error}"))?;
        // Development prints mail; a deployment has nobody to read it.
        let providers =
            config::providers(self.get("PROVIDERS").unwrap_or("[]")).map_err(|error| anyhow::anyhow!("PROVIDERS: {error}"))?;
        let silent = providers.iter().find(|one| matches!(&one.kind, Kind::Email(mail) if mail.endpoint.is_none()));
        ensure!(silent.is_none(), "PROVIDERS: a provider of kind email has no endpoint by which mail is sent");
        let by_saml = providers.iter().any(|one| matches!(one.kind, Kind::Saml(_)));
        if by_saml || self.get("SAML_KEYS").is_some() {
            let keys = self.require("SAML_KEYS", "a provider of PROVIDERS speaks SAML")?;
            KeySet::parse_private(keys).map_err(|error| anyhow::anyhow!("SAML_KEYS: {error}"))?;
            let ring = self.json("SAML_KEYS")?;
            let certified = |key: &Value| key.pointer("/x5c/0").is_some_and(Value::is_string);
            let all = ring.get("keys").and_then(Value::as_array).is_some_and(|keys| keys.iter().all(certified));
            ensure!(all, "SAML_KEYS: a key without its certificate (x5c)");
        }
        for setting in SETTINGS.iter().filter(|setting| matches!(setting.form, Form::Console | Form::Appservices)) {
            config::check(setting, self.get(setting.name).unwrap_or_default())?;
        }
        let ring = self.json("STORAGE_KEYS")?;
        let keys = ring.get("keys").and_then(Value::as_object).context("STORAGE_KEYS has no member keys")?;
        for (id, key) in keys {
            ensure!(bytes(key.as_str().unwrap_or_default()) == 32, "STORAGE_KEYS: key {id} must be base64 of 32 bytes");
        }
        let current = ring.get("current").and_then(Value::as_str).unwrap_or_default();
        ensure!(keys.contains_key(current), "STORAGE_KEYS: current names no key of the ring");
        Ok(())
    }

    /// The public halves of the signing keys.
    pub fn public_keys(&self) -> Result<String> {
        let ring = KeySet::parse_private(self.get("SIGNING_KEYS").unwrap_or_default())
            .map_err(|error| anyhow::anyhow!("SIGNING_KEYS: {error}"))?;
        serde_json::to_string(&ring.public()).context("cannot write the public keys")
    }

    fn json(&self, name: &str) -> Result<Value> {
        serde_json::from_str(self.get(name).unwrap_or_default()).map_err(|_| anyhow::anyhow!("{name} is not JSON"))
    }
}

fn names() -> String {
    let of_functions = SETTINGS.iter().filter(|setting| setting.secret).map(|setting| setting.name);
    of_functions.chain(OF_THE_HOST.iter().copied()).collect::<Vec<_>>().join(", ")
}

fn read_private(path: &Path, shown: &str, env: &str) -> Result<String> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
            "there are no secrets at {shown}: make them with `cargo xtask deploy secrets --env {env}`, name another file with --secrets, or \
             pipe them into `--secrets -`"
        ),
        Err(error) => return Err(error).with_context(|| format!("cannot read {shown}")),
    };
    ensure!(metadata.permissions().mode() & 0o077 == 0, "others may read {shown}: run `chmod 600 {shown}`");
    fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Secrets as `deploy secrets` makes them.
    pub fn example() -> Value {
        let keys = Keys::make().unwrap();
        json!({
            "SERVICE_KEY": keys.service_key,
            "SIGNING_KEYS": keys.signing_keys,
            "STORAGE_KEYS": keys.storage_keys,
            "OPERATOR_TOKEN": keys.operator_token,
            "ADMIN_TOKEN": keys.admin_token,
            "AUDIT_KEY": keys.audit_key,
            "SAML_KEYS": keys.saml_keys,
        })
    }

    pub fn parse(value: &Value, ids: &KeyIds) -> Result<Secrets> {
        Secrets::parse(&value.to_string(), ids)
    }

    fn problem(value: &Value) -> String {
        format!("{:#}", parse(value, &KeyIds::default()).err().unwrap())
    }

    #[test]
    fn what_is_wrong_is_named_and_not_shown() {
        let good = example();
        assert!(parse(&good, &KeyIds::default()).is_ok());
        let hidden = "hidden-value";
        let cases = [
            ("SERVICE_KEY", json!(hidden), "SERVICE_KEY must be base64"),
            ("OPERATOR_TOKEN", json!(hidden), "at least 20"),
            ("OPERATOR_TOKEN", json!(7), "OPERATOR_TOKEN must be a string"),
            ("SIGNING_KEYS", json!(hidden), "SIGNING_KEYS must be a JSON object"),
            ("SIGNING_KEYS", json!({"keys": [{"kid": hidden}]}), "SIGNING_KEYS: "),
            ("STORAGE_KEYS", json!({"current": "k1", "keys": {"k1": hidden}}), "key k1 must be base64 of 32 bytes"),
            ("STORAGE_KEYS", json!({"current": "k2", "keys": {}}), "current names no key"),
            (
                "PROVIDERS",
                json!([{"id": "a", "kind": "saml2", "name": "A", "client_secret": hidden}]),
                "kind `saml2` is not supported",
            ),
            ("SAML_KEYS", json!({"keys": [{"kid": hidden}]}), "SAML_KEYS: "),
            (
                "DEVELOPER_CONSOLE",
                json!({"client_id": "c", "client_secret": hidden, "redirect_uris": []}),
                "DEVELOPER_CONSOLE: client_secret",
            ),
            ("APPSERVICES", json!([{"server_name": "a", "hs_token": hidden, "as_token": hidden}]), "APPSERVICES: a: hs_token"),
            ("SAML_KEYS", good["SIGNING_KEYS"].clone(), "SAML_KEYS: a key without its certificate"),
            ("SERVCE_KEY", json!(hidden), "SERVCE_KEY is no secret of ours"),
        ];
        for (name, value, expected) in cases {
            let mut wrong = good.clone();
            wrong[name] = value;
            let error = problem(&wrong);
            assert!(error.contains(expected) && !error.contains(hidden), "{name}: {error}");
        }
        let mut saml = good.clone();
        saml.as_object_mut().unwrap().remove("SAML_KEYS");
        assert!(parse(&saml, &KeyIds::default()).is_ok(), "nobody needs it without a provider");
        let certificate = good["SAML_KEYS"]["keys"][0]["x5c"][0].clone();
        saml["PROVIDERS"] = json!([{"id": "c", "kind": "saml", "name": "C", "entity_id": "e", "sso_url": "https://c.example",
            "certificates": [certificate]}]);
        assert!(problem(&saml).contains("the secret SAML_KEYS is missing: a provider of PROVIDERS speaks SAML"));
        saml["SAML_KEYS"] = good["SAML_KEYS"].clone();
        assert!(parse(&saml, &KeyIds::default()).is_ok());
        let mut without = good.clone();
        without.as_object_mut().unwrap().remove("STORAGE_KEYS");
        assert!(problem(&without).contains("STORAGE_KEYS"));
        let error = Secrets::parse("{\"SERVICE_KEY\": hidden-value}", &KeyIds::default()).err().unwrap().to_string();
        assert!(error.contains("line 1") && !error.contains(hidden), "{error}");
    }

    #[test]
    fn the_environment_says_which_keys_are_in_use() {
        let mut secrets = example();
        let more = example();
        let (first, second) = (secrets["SIGNING_KEYS"]["keys"][0].clone(), more["SIGNING_KEYS"]["keys"][0].clone());
        secrets["SIGNING_KEYS"]["keys"] = json!([first, second]);
        secrets["STORAGE_KEYS"]["keys"]["k2"] = more["STORAGE_KEYS"]["keys"]["k1"].clone();
        let kid = |key: &Value| key["kid"].as_str().unwrap().to_owned();
        let ids = KeyIds { signing: kid(&second), storage: "k2".into() };
        let chosen = parse(&secrets, &ids).unwrap();
        let signing: Value = serde_json::from_str(chosen.get("SIGNING_KEYS").unwrap()).unwrap();
        assert_eq!(signing["keys"].as_array().unwrap().iter().map(kid).collect::<Vec<_>>(), [kid(&second), kid(&first)]);
        let storage: Value = serde_json::from_str(chosen.get("STORAGE_KEYS").unwrap()).unwrap();
        assert_eq!(storage["current"], "k2");
        let public: Value = serde_json::from_str(&chosen.public_keys().unwrap()).unwrap();
        assert_eq!(public["keys"].as_array().unwrap().len(), 2);
        assert!(public["keys"][0].get("d").is_none());
        for ids in
            [KeyIds { signing: "no".into(), storage: String::new() }, KeyIds { signing: String::new(), storage: "no".into() }]
        {
            assert!(parse(&secrets, &ids).is_err());
        }
    }
}
