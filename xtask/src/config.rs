//! The configuration of the functions: which function gets which value, in one table.
//!
//! On Workers a value is a variable of that name (secrets through `wrangler secret`, locally `.dev.vars`); on Spin
//! it is an application variable of the same name in lower case.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tmcp_protocol::appservice;
use tmcp_protocol::developer::Console;
use tmcp_protocol::provider::{self, Kind, Provider};
use x509_cert::Certificate;
use x509_cert::der::Decode;

use crate::functions::CONTRACT;
use crate::keys::Keys;
use crate::up::synapse::SERVER_NAME;

/// Every function but the gateway and subjects.
const ALL: &[&str] = &["auth", "account", "broker", "consent", "developer", "identity", "lifecycle", "saml", "storage", "ops"];

/// Those that ask homeservers.
const PROVING: &[&str] = &["broker", "identity", "lifecycle"];

/// One row of the configuration table.
pub struct Setting {
    /// Name on Workers; on Spin in lower case.
    pub name: &'static str,
    /// Functions that read it.
    pub functions: &'static [&'static str],
    /// Whether it must stay out of files that git tracks.
    pub secret: bool,
    /// What it has to look like.
    pub form: Form,
}

/// What a value has to look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Any text that is not empty.
    Text,
    /// A JSON object.
    Object,
    /// A JSON array.
    Array,
    /// Anything, or nothing: the function has a default. Set by `--set` alone.
    Optional,
    /// Providers as the functions read them, or nothing.
    Providers,
    /// The developers' console, or nothing.
    Console,
    /// Registrations with homeservers, or nothing.
    Appservices,
}

impl Form {
    /// Whether there may be nothing.
    pub const fn is_optional(self) -> bool {
        matches!(self, Form::Optional | Form::Providers | Form::Console | Form::Appservices)
    }
}

/// Which function gets what. The gateway needs nothing but the public origin; the contract function, which is never
/// deployed, gets everything.
pub const SETTINGS: &[Setting] = &[
    plain(
        "ISSUER",
        &["gateway", "auth", "account", "broker", "consent", "developer", "identity", "lifecycle", "saml", "storage", "ops"],
        Form::Text,
    ),
    secret("SERVICE_KEY", ALL, Form::Text),
    plain("JWKS", ALL, Form::Object),
    plain("LIMITS", ALL, Form::Object),
    secret("SIGNING_KEYS", &["auth"], Form::Object),
    plain("HOMESERVERS", PROVING, Form::Array),
    plain("FEDERATION", PROVING, Form::Text),
    plain("FEDERATION_ALLOW", PROVING, Form::Optional),
    plain("FEDERATION_DENY", PROVING, Form::Optional),
    secret("ADMIN_TOKEN", &["developer", "identity"], Form::Text),
    secret("DEVELOPER_CONSOLE", &["developer"], Form::Console),
    secret("APPSERVICES", &["lifecycle"], Form::Appservices),
    secret("PROVIDERS", &["broker", "saml"], Form::Providers),
    secret("SAML_KEYS", &["saml"], Form::Optional),
    secret("STORAGE_KEYS", &["storage"], Form::Object),
    secret("OPERATOR_TOKEN", &["ops"], Form::Text),
    secret("AUDIT_KEY", &["ops"], Form::Text),
    plain("AUDIT_DAYS", &["ops"], Form::Optional),
    secret("ALERT_WEBHOOK", &["ops"], Form::Optional),
    plain("METRICS_SAMPLE", ALL, Form::Optional),
    plain("LOG", ALL, Form::Optional),
    plain("DELETION_GRACE_SECONDS", &["identity"], Form::Optional),
    plain("ACCESS_TOKEN_SECONDS", &["auth"], Form::Optional),
    plain("INLINE_BYTES", &["storage"], Form::Optional),
    plain("QUOTA_BYTES", &["storage"], Form::Optional),
    plain("QUOTA_KEYS", &["storage"], Form::Optional),
];

/// The Spin variable that `allowed_outbound_hosts` names: the origin of the configured homeserver.
const HOMESERVER_ORIGIN: &str = "homeserver_origin";
/// The same of providers that are not on https: development's, and tests'. `--set PROVIDER_ORIGIN=…` gives it.
const PROVIDER_ORIGIN: &str = "provider_origin";

const fn plain(name: &'static str, functions: &'static [&'static str], form: Form) -> Setting {
    Setting { name, functions, secret: false, form }
}

const fn secret(name: &'static str, functions: &'static [&'static str], form: Form) -> Setting {
    Setting { name, functions, secret: true, form }
}

/// The entry of HOMESERVERS for development's Synapse.
pub fn homeserver(url: &str) -> Value {
    json!({"server_name": "localhost", "client_url": url, "federation_url": url})
}

/// The value of every setting for one run, and what was added with `--set`.
pub struct Config {
    values: BTreeMap<String, String>,
    homeserver: Option<String>,
    provider_origin: Option<String>,
}

impl Config {
    /// Development values: `base_url` is the public origin, `homeserver` the origin of a Synapse, `limits` a JSON
    /// object; `set` holds `NAME=VALUE` pairs that replace or add values.
    pub fn new(keys: &Keys, base_url: &str, homeserver: Option<&str>, limits: &str, set: &[String]) -> Result<Self> {
        let homeservers: Vec<Value> = homeserver.map(self::homeserver).into_iter().collect();
        let pairs = [
            ("ISSUER", base_url.to_owned()),
            ("SERVICE_KEY", keys.service_key.clone()),
            ("JWKS", keys.jwks.to_string()),
            ("LIMITS", limits.to_owned()),
            ("SIGNING_KEYS", keys.signing_keys.to_string()),
            ("HOMESERVERS", Value::from(homeservers).to_string()),
            ("FEDERATION", "closed".to_owned()),
            ("STORAGE_KEYS", keys.storage_keys.to_string()),
            ("OPERATOR_TOKEN", keys.operator_token.clone()),
            ("ADMIN_TOKEN", keys.admin_token.clone()),
            ("AUDIT_KEY", keys.audit_key.clone()),
            ("SAML_KEYS", keys.saml_keys.to_string()),
            ("DEVELOPER_CONSOLE", console(keys).to_string()),
            ("APPSERVICES", appservices(keys).to_string()),
        ];
        let mut values: BTreeMap<_, _> = pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        for pair in set {
            let (name, value) = pair.split_once('=').context("--set wants NAME=VALUE")?;
            values.insert(name.to_uppercase(), value.to_owned());
        }
        for setting in SETTINGS {
            let value = values.get(setting.name).map(String::as_str).unwrap_or_default();
            check(setting, value)?;
        }
        let provider_origin = values.remove(&PROVIDER_ORIGIN.to_uppercase());
        Ok(Self { values, homeserver: homeserver.map(str::to_owned), provider_origin })
    }

    /// What one function gets; a value that is not in the table goes to all.
    pub fn of<'a>(&'a self, function: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str())).filter(move |(name, _)| {
            let setting = SETTINGS.iter().find(|setting| setting.name == *name);
            function == CONTRACT.name || setting.is_none_or(|setting| setting.functions.contains(&function))
        })
    }

    /// The text of a function's `.dev.vars`.
    pub fn dev_vars(&self, function: &str) -> Result<String> {
        let lines = self.of(function).map(|(name, value)| dev_var(name, value));
        lines.collect()
    }

    /// All values as Spin application variables.
    pub fn spin_variables(&self) -> BTreeMap<String, &str> {
        let mut variables: BTreeMap<_, _> =
            self.values.iter().map(|(name, value)| (name.to_lowercase(), value.as_str())).collect();
        // Nothing listens on port 1: without a homeserver no outgoing call is allowed to succeed.
        let origin = self.homeserver.as_deref().unwrap_or("http://127.0.0.1:1");
        variables.entry(HOMESERVER_ORIGIN.to_owned()).or_insert(origin);
        if let Some(origin) = &self.provider_origin {
            variables.insert(PROVIDER_ORIGIN.to_owned(), origin);
        }
        variables
    }
}

/// Says by name which value is missing or malformed.
pub fn check(setting: &Setting, value: &str) -> Result<()> {
    let name = setting.name;
    let json: Value = serde_json::from_str(value).unwrap_or_default();
    match setting.form {
        Form::Text if value.trim().is_empty() => bail!("configuration value {name} is missing"),
        Form::Object if !json.is_object() => {
            bail!("configuration value {name} must be a JSON object")
        }
        Form::Array if !json.is_array() => {
            bail!("configuration value {name} must be a JSON array")
        }
        Form::Providers if !value.is_empty() => {
            providers(value).map(|_| ()).map_err(|problem| anyhow::anyhow!("configuration value {name}: {problem}"))
        }
        Form::Console if !value.is_empty() => {
            Console::parse(value).map(|_| ()).map_err(|problem| anyhow::anyhow!("configuration value {name}: {problem}"))
        }
        Form::Appservices if !value.is_empty() => {
            appservice::parse(value).map(|_| ()).map_err(|problem| anyhow::anyhow!("configuration value {name}: {problem}"))
        }
        _ => Ok(()),
    }
}

/// The id of development's developers' console, and where it would be.
pub const CONSOLE: (&str, &str) = ("tmcp_developer_console_001", "http://127.0.0.1:5174/callback");

fn console(keys: &Keys) -> Value {
    json!({"client_id": CONSOLE.0, "client_secret": keys.console_secret, "redirect_uris": [CONSOLE.1]})
}

/// Development's Synapse knows us as an Application Service.
fn appservices(keys: &Keys) -> Value {
    json!([{"server_name": SERVER_NAME, "hs_token": keys.matrix_hs_token, "as_token": keys.matrix_as_token}])
}

/// The providers of a value, as far as the functions take them; their certificates are looked at, too.
pub fn providers(value: &str) -> Result<Vec<Provider>, String> {
    let all = provider::parse(value)?;
    for one in &all {
        let Kind::Saml(saml) = &one.kind else { continue };
        for certificate in &saml.certificates {
            let lines = certificate.lines().filter(|line| !line.starts_with("-----"));
            let der = STANDARD.decode(lines.flat_map(str::split_ascii_whitespace).collect::<String>()).unwrap_or_default();
            Certificate::from_der(&der).map_err(|_| format!("provider `{}`: certificates: not an X.509 certificate", one.id))?;
        }
    }
    Ok(all)
}

/// One line of a `.dev.vars`: quoted with whatever quote the value lacks, so that nothing in it is interpreted.
fn dev_var(name: &str, value: &str) -> Result<String> {
    let quote = ['\'', '`'].into_iter().find(|quote| !value.contains(*quote));
    let quote = quote.with_context(|| format!("{name} holds both ' and `"))?;
    Ok(format!("{name}={quote}{value}{quote}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(homeserver: Option<&str>, set: &[&str]) -> Result<Config> {
        let keys = Keys {
            service_key: "c2Vy".into(),
            signing_keys: json!({"keys": [{"d": "private"}]}),
            jwks: json!({"keys": []}),
            storage_keys: json!({"current": "k1", "keys": {"k1": "a"}}),
            admin_token: "adm".into(),
            audit_key: "YXVk".into(),
            saml_keys: json!({"keys": []}),
            operator_token: "ops".into(),
            demo_client_secret: String::new(),
            console_secret: "c".repeat(32),
            matrix_registration_secret: String::new(),
            matrix_as_token: "a".repeat(32),
            matrix_hs_token: "h".repeat(32),
            matrix_password: String::new(),
        };
        let set: Vec<_> = set.iter().map(|pair| (*pair).to_owned()).collect();
        Config::new(&keys, "http://127.0.0.1:8787", homeserver, "{}", &set)
    }

    fn names(config: &Config, function: &str) -> Vec<String> {
        config.of(function).map(|(name, _)| name.to_owned()).collect()
    }

    #[test]
    fn a_secret_goes_to_its_function_alone() {
        let config = config(None, &[]).unwrap();
        let readers = |name: &str| {
            [&["gateway"], ALL]
                .concat()
                .into_iter()
                .filter(|function| names(&config, function).contains(&name.to_owned()))
                .collect::<Vec<_>>()
        };
        assert_eq!(readers("SIGNING_KEYS"), ["auth"]);
        assert_eq!(readers("STORAGE_KEYS"), ["storage"]);
        assert_eq!(readers("OPERATOR_TOKEN"), ["ops"]);
        assert_eq!(readers("SERVICE_KEY"), ALL);
        assert_eq!(names(&config, "gateway"), ["ISSUER"]);
        let always = SETTINGS.iter().filter(|setting| !setting.form.is_optional()).count();
        assert_eq!(
            names(&config, "contract").len(),
            always + 3,
            "and SAML_KEYS, DEVELOPER_CONSOLE, APPSERVICES, which development has"
        );
    }

    #[test]
    fn dev_vars_keep_json_as_it_is() {
        let config = config(Some("http://127.0.0.1:8008"), &[]).unwrap();
        let text = config.dev_vars("identity").unwrap();
        let line = text.lines().find(|line| line.starts_with("HOMESERVERS=")).unwrap();
        let json = line.trim_start_matches("HOMESERVERS='").trim_end_matches('\'');
        let value: Value = serde_json::from_str(json).unwrap();
        assert_eq!(value[0]["federation_url"], "http://127.0.0.1:8008");
        assert_eq!(dev_var("A", "it's").unwrap(), "A=`it's`\n");
        assert!(dev_var("A", "it's `odd`").is_err());
    }

    #[test]
    fn spin_variables_are_lower_case_and_name_the_homeserver() {
        let without = config(None, &[]).unwrap();
        let variables = without.spin_variables();
        assert_eq!(variables["homeserver_origin"], "http://127.0.0.1:1");
        assert_eq!(variables["homeservers"], "[]");
        assert!(variables.keys().all(|name| *name == name.to_lowercase()));
        let with = config(Some("http://127.0.0.1:8008"), &[]).unwrap();
        assert_eq!(with.spin_variables()["homeserver_origin"], "http://127.0.0.1:8008");
    }

    #[test]
    fn set_replaces_and_adds_but_not_with_nonsense() {
        let config = config(None, &["FEDERATION=open", "extra=1"]);
        let config = config.unwrap();
        assert!(config.of("identity").any(|pair| pair == ("FEDERATION", "open")));
        assert!(config.of("storage").any(|pair| pair == ("EXTRA", "1")));
        assert!(self::config(None, &["LIMITS=[1]"]).is_err());
        assert!(self::config(None, &["ISSUER="]).is_err());
        assert!(self::config(None, &["nothing"]).is_err());
        let saml = r#"PROVIDERS=[{"id": "c", "kind": "saml", "name": "C", "entity_id": "e", "sso_url": "https://c.example", "certificates": ["MIIC"]}]"#;
        let problem = self::config(None, &[saml]).err().unwrap().to_string();
        assert!(problem.contains("provider `c`: certificates: not an X.509 certificate"), "{problem}");
    }
}
