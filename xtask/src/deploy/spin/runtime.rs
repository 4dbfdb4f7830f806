//! What Spin runs the application with: the runtime configuration (databases, key-value store, networks), the variables, and the same as
//! Kubernetes secrets.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Value as Json, json};
use toml::{Table, Value};

use crate::deploy::environment::{Database, KeyValue, Spin};
use crate::deploy::secrets::Secrets;
use crate::deploy::values::Values;

/// Kubernetes secrets that `deploy/kubernetes/` names: the variables, the runtime configuration, the header of `/ops/` calls.
pub const VARIABLES_SECRET: &str = "tmcp-edge-variables";
pub const RUNTIME_SECRET: &str = "tmcp-edge-runtime";
pub const OPERATOR_SECRET: &str = "tmcp-edge-operator";

/// A runtime configuration, which may hold secrets.
pub struct Config {
    table: Table,
    shown: Table,
}

impl Config {
    /// The file's text.
    pub fn text(&self) -> Result<String> {
        toml::to_string(&self.table).context("cannot write the runtime configuration")
    }

    /// The same without its secrets.
    pub fn shown(&self) -> Result<String> {
        toml::to_string(&self.shown).context("cannot write the runtime configuration")
    }
}

/// The runtime configuration of an environment. Without secrets, for a dry run, their places are named.
pub fn config(spin: &Spin, secrets: Option<&Secrets>) -> Result<Config> {
    let shown = rendered(spin, |name, _| Ok(format!("the secret {name}")))?;
    let table = match secrets {
        Some(secrets) => rendered(spin, |name, why| secrets.require(name, why).map(str::to_owned))?,
        None => shown.clone(),
    };
    Ok(Config { table, shown })
}

/// The configuration with what `secret` gives for a name and the reason why it is needed.
fn rendered(spin: &Spin, secret: impl Fn(&str, &str) -> Result<String>) -> Result<Table> {
    let local = |file: &str| Value::from(spin.data.join(file).display().to_string());
    let database = match spin.database {
        Database::Local => vec![("type", "spin".into()), ("path", local("tmcp.db"))],
        Database::Turso => {
            let token = secret("TURSO_TOKEN", "spin.database is \"turso\"");
            vec![("type", "libsql".into()), ("url", spin.turso_url.clone().into()), ("token", token?.into())]
        }
    };
    let key_value = match spin.key_value {
        KeyValue::Local => vec![("type", "spin".into()), ("path", local("key-value.db"))],
        KeyValue::Redis => vec![("type", "redis".into()), ("url", secret("REDIS_URL", "spin.key_value is \"redis\"")?.into())],
    };
    let blocked: Vec<Value> = spin.block_networks.iter().map(|network| network.clone().into()).collect();
    Ok(table([
        ("sqlite_database", table([("default", table(database).into())]).into()),
        ("key_value_store", table([("default", table(key_value).into())]).into()),
        ("outbound_networking", table([("block_networks", blocked.into())]).into()),
    ]))
}

fn table(entries: impl IntoIterator<Item = (&'static str, Value)>) -> Table {
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Of how many requests one is counted, unless the environment says otherwise. On Spin a count is a write of its own, which waits for
/// the others' and opens the database where nothing else of the request does.
pub const METRICS_SAMPLE: (&str, &str) = ("METRICS_SAMPLE", "10");

/// All values as Spin variables.
pub fn variables(values: &Values, spin: &Spin) -> BTreeMap<String, String> {
    let mut variables: BTreeMap<_, _> = values.all().map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    let (name, sample) = METRICS_SAMPLE;
    variables.entry(name.to_lowercase()).or_insert_with(|| sample.to_owned());
    for (name, origin) in [("homeserver_origin", &spin.homeserver_origin), ("provider_origin", &spin.provider_origin)] {
        if !origin.is_empty() {
            variables.insert(name.to_owned(), origin.clone());
        }
    }
    variables
}

/// The secrets that `deploy/kubernetes/` names, for `kubectl apply`.
pub fn kubernetes(variables: &BTreeMap<String, String>, runtime: &str, operator: &str) -> Json {
    let secret = |name: &str, data: Json| json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": {"name": name}, "stringData": data});
    json!({
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            secret(VARIABLES_SECRET, json!(variables)),
            secret(RUNTIME_SECRET, json!({"runtime-config.toml": runtime})),
            secret(OPERATOR_SECRET, json!({"operator-header": operator})),
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::environment::{File, KeyIds};
    use crate::deploy::secrets::tests::{example, parse};

    #[test]
    fn local_files_and_no_private_network() {
        let config = config(&Spin::default(), None).unwrap();
        let text = config.text().unwrap();
        let table: Table = text.parse().unwrap();
        assert_eq!(table["sqlite_database"]["default"]["type"].as_str(), Some("spin"));
        assert_eq!(table["sqlite_database"]["default"]["path"].as_str(), Some("/var/lib/tmcp-edge/tmcp.db"));
        assert_eq!(table["key_value_store"]["default"]["path"].as_str(), Some("/var/lib/tmcp-edge/key-value.db"));
        assert_eq!(table["outbound_networking"]["block_networks"][0].as_str(), Some("private"));
    }

    #[test]
    fn turso_and_redis_take_their_secrets_and_do_not_show_them() {
        let spin = Spin {
            database: Database::Turso,
            turso_url: "https://tmcp.turso.example".into(),
            key_value: KeyValue::Redis,
            ..Spin::default()
        };
        let mut all = example();
        let without = parse(&all, &KeyIds::default()).unwrap();
        let error = config(&spin, Some(&without)).err().unwrap().to_string();
        assert!(error.contains("TURSO_TOKEN is missing"), "{error}");
        // With characters that TOML writes otherwise.
        all["TURSO_TOKEN"] = "turso-token\"\\\u{7f}".into();
        all["REDIS_URL"] = "redis://user:pass@redis.example".into();
        let with = config(&spin, Some(&parse(&all, &KeyIds::default()).unwrap())).unwrap();
        let table: Table = with.text().unwrap().parse().unwrap();
        assert_eq!(table["sqlite_database"]["default"]["type"].as_str(), Some("libsql"));
        assert_eq!(table["sqlite_database"]["default"]["token"].as_str(), Some("turso-token\"\\\u{7f}"));
        assert_eq!(table["key_value_store"]["default"]["type"].as_str(), Some("redis"));
        let shown = with.shown().unwrap();
        assert!(
            shown.contains("https://tmcp.turso.example") && !shown.contains("turso-token") && !shown.contains("pass"),
            "{shown}"
        );
    }

    #[test]
    fn variables_are_lower_case_and_kubernetes_gets_the_same() {
        let file: File = toml::from_str("origin = \"https://tmcp.example.org\"\n").unwrap();
        let secrets = parse(&example(), &KeyIds::default()).unwrap();
        let values = Values::new(&file, Some(&secrets)).unwrap();
        let spin = Spin { homeserver_origin: "http://10.0.0.5:8008".into(), ..Spin::default() };
        let variables = variables(&values, &spin);
        assert_eq!(variables["issuer"], "https://tmcp.example.org");
        assert_eq!(variables["homeserver_origin"], "http://10.0.0.5:8008");
        assert_eq!(variables["service_key"], secrets.get("SERVICE_KEY").unwrap());
        assert!(!variables.contains_key("inline_bytes"));
        assert_eq!(variables["metrics_sample"], "10");
        let file: File = toml::from_str("origin = \"https://tmcp.example.org\"\nsettings.metrics_sample = 1\n").unwrap();
        assert_eq!(super::variables(&Values::new(&file, Some(&secrets)).unwrap(), &spin)["metrics_sample"], "1");
        let list = kubernetes(&variables, "a = 1", "Authorization: Bearer x");
        assert_eq!(list["items"][0]["stringData"]["issuer"], "https://tmcp.example.org");
        assert_eq!(list["items"][1]["stringData"]["runtime-config.toml"], "a = 1");
        assert_eq!(list["items"][2]["metadata"]["name"], OPERATOR_SECRET);
    }
}
