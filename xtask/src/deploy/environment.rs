//! `deploy/<name>.toml`: everything about one environment that is not secret.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use toml::Table;

use crate::paths::{Paths, shown};

/// The environment that is checked in: for dry runs, and to copy from.
pub const EXAMPLE: &str = "example";

/// One environment, checked.
#[derive(Debug)]
pub struct Environment {
    /// Its name: the file's, and the suffix of everything that is made for it.
    pub name: String,
    /// Where it was read.
    pub path: PathBuf,
    /// What stands in it.
    pub file: File,
}

/// What stands in the file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Public origin.
    pub origin: String,
    /// For Cloudflare.
    #[serde(default)]
    pub workers: Workers,
    /// For Spin.
    #[serde(default)]
    pub spin: Spin,
    /// Which keys are in use.
    #[serde(default)]
    pub keys: KeyIds,
    /// Settings of the functions, by name.
    #[serde(default)]
    pub settings: Table,
}

/// The part for Cloudflare. An empty text means none.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Workers {
    pub account_id: String,
    pub d1_name: String,
    pub d1_id: String,
    pub kv_name: String,
    pub kv_id: String,
    pub routes: Vec<Route>,
    pub workers_dev: bool,
    pub logs: bool,
}

impl Default for Workers {
    fn default() -> Self {
        let empty = String::new;
        Self {
            account_id: empty(),
            d1_name: empty(),
            d1_id: empty(),
            kv_name: empty(),
            kv_id: empty(),
            routes: Vec::new(),
            workers_dev: false,
            logs: true,
        }
    }
}

/// A route of a zone.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    pub pattern: String,
    pub zone_name: String,
}

/// Where SQL rows lie on Spin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Database {
    Local,
    Turso,
}

/// Where key-value pairs lie on Spin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyValue {
    Local,
    Redis,
}

/// The part for Spin. An empty text means none.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Spin {
    pub database: Database,
    pub turso_url: String,
    pub key_value: KeyValue,
    pub data: PathBuf,
    pub block_networks: Vec<String>,
    pub homeserver_origin: String,
    pub provider_origin: String,
}

impl Default for Spin {
    fn default() -> Self {
        Self {
            database: Database::Local,
            turso_url: String::new(),
            key_value: KeyValue::Local,
            data: "/var/lib/tmcp-edge".into(),
            block_networks: vec!["private".to_owned()],
            homeserver_origin: String::new(),
            provider_origin: String::new(),
        }
    }
}

/// Ids of keys in the rings of the secrets; empty: as the ring says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeyIds {
    pub signing: String,
    pub storage: String,
}

impl Environment {
    /// Reads and checks the environment of that name.
    pub fn read(paths: &Paths, name: &str) -> Result<Self> {
        check_name(name)?;
        let path = path_of(paths, name);
        let shown = shown(&path, &paths.root);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
                "there is no {shown}: copy deploy/{EXAMPLE}.toml to it and fill it in, or name another environment with --env \
                 (`--env {EXAMPLE} --dry-run` tries the example)"
            ),
            Err(error) => return Err(error).with_context(|| format!("cannot read {shown}")),
        };
        let file = parse(&text).with_context(|| format!("in {shown}"))?;
        Ok(Self { name: name.to_owned(), path, file })
    }

    /// Where rendered manifests, copies of modules and logs go.
    pub fn folder(&self, paths: &Paths) -> PathBuf {
        paths.root.join("target/deploy").join(&self.name)
    }

    /// Name of the D1 database.
    pub fn d1_name(&self) -> String {
        self.named(&self.file.workers.d1_name)
    }

    /// Title of the KV namespace.
    pub fn kv_name(&self) -> String {
        self.named(&self.file.workers.kv_name)
    }

    fn named(&self, given: &str) -> String {
        if given.is_empty() { format!("tmcp-{}", self.name) } else { given.to_owned() }
    }

    /// Writes an id that was found into the line where it stands empty. Says whether it did: a file that is written in another way is
    /// left alone.
    pub fn remember(&mut self, key: &str, id: &str) -> Result<bool> {
        let text = fs::read_to_string(&self.path).with_context(|| format!("cannot read {}", self.path.display()))?;
        let Some((text, file)) = with_id(&text, key, id) else { return Ok(false) };
        let staged = self.path.with_extension("toml.new");
        fs::write(&staged, text)
            .and_then(|()| fs::rename(&staged, &self.path))
            .with_context(|| format!("cannot write {}", self.path.display()))?;
        self.file = file;
        Ok(true)
    }
}

/// Where the environment of a name stands.
pub fn path_of(paths: &Paths, name: &str) -> PathBuf {
    paths.root.join("deploy").join(format!("{name}.toml"))
}

/// The file's name as people write it.
pub fn shown_name(name: &str) -> String {
    format!("deploy/{name}.toml")
}

/// A name becomes part of Workers' names and of paths.
pub fn check_name(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let ends = |c: Option<char>| c.is_some_and(|c| c != '-');
    ensure!(
        (1..=30).contains(&name.len()) && name.chars().all(fits) && ends(name.chars().next()) && ends(name.chars().last()),
        "an environment is called by up to 30 lower-case letters, digits and inner hyphens, not \"{name}\""
    );
    ensure!(name != "budget", "an environment cannot be called budget: deploy/budget.toml holds the size budget");
    Ok(())
}

fn parse(text: &str) -> Result<File> {
    let file: File = toml::from_str(text).map_err(|error| anyhow::anyhow!("{}", error.to_string().trim_end()))?;
    check_origin(&file.origin)?;
    let workers = &file.workers;
    check_form("workers.account_id", &workers.account_id, "32 hexadecimal digits", |id| is_hex(id, 32))?;
    check_form("workers.kv_id", &workers.kv_id, "32 hexadecimal digits", |id| is_hex(id, 32))?;
    check_form("workers.d1_id", &workers.d1_id, "a UUID", is_uuid)?;
    check_form("workers.d1_name", &workers.d1_name, "letters, digits, - and _", is_resource_name)?;
    check_form("workers.kv_name", &workers.kv_name, "letters, digits, - and _", is_resource_name)?;
    ensure!(
        workers.routes.is_empty() || !workers.workers_dev,
        "workers.routes and workers.workers_dev exclude each other: the origin is one address"
    );
    for route in &workers.routes {
        ensure!(
            !route.pattern.contains("://") && !route.pattern.is_empty(),
            "workers.routes: \"{}\" must be a pattern such as tmcp.example.org/*, without https://",
            route.pattern
        );
    }
    let spin = &file.spin;
    ensure!(
        spin.database == Database::Local || is_turso_url(&spin.turso_url),
        "spin.turso_url must be the https:// address of the database when spin.database is \"turso\""
    );
    ensure!(Path::is_absolute(&spin.data), "spin.data must be an absolute path, not \"{}\"", spin.data.display());
    for (name, origin) in [("homeserver_origin", &spin.homeserver_origin), ("provider_origin", &spin.provider_origin)] {
        ensure!(origin.is_empty() || is_origin(origin), "spin.{name} must be an origin such as http://10.0.0.5:8008");
    }
    Ok(file)
}

fn check_origin(origin: &str) -> Result<()> {
    ensure!(
        is_origin(origin) && origin.starts_with("https://"),
        "origin must be https:// and a host in lower case, such as https://tmcp.example.org, without a path or a slash at its end, not \
         \"{origin}\""
    );
    Ok(())
}

/// Scheme, host in lower case, perhaps a port; nothing else.
fn is_origin(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else { return false };
    let (host, port) = rest.split_once(':').unwrap_or((rest, "1"));
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    !host.is_empty() && host.chars().all(fits) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn is_turso_url(url: &str) -> bool {
    url.strip_prefix("https://").is_some_and(|host| !host.is_empty() && !host.contains([' ', '"']))
}

fn check_form(name: &str, value: &str, form: &str, fits: impl Fn(&str) -> bool) -> Result<()> {
    ensure!(value.is_empty() || fits(value), "{name} must be {form}, or empty, not \"{value}\"");
    Ok(())
}

/// Whether this is so many hexadecimal digits.
pub fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.chars().all(|c| c.is_ascii_hexdigit())
}

fn is_uuid(text: &str) -> bool {
    let lengths: Vec<_> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
}

fn is_resource_name(text: &str) -> bool {
    text.len() <= 64 && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// The text with `key = ""` filled in, if that line stands there once and nothing else changes by it.
fn with_id(text: &str, key: &str, id: &str) -> Option<(String, File)> {
    let empty = format!("{key} = \"\"");
    let is_line = |line: &&str| line.trim_end() == empty;
    if text.lines().filter(is_line).count() != 1 {
        return None;
    }
    let lines = text.lines().map(|line| if is_line(&line) { format!("{key} = \"{id}\"\n") } else { format!("{line}\n") });
    let text: String = lines.collect();
    let file = parse(&text).ok()?;
    [&file.workers.d1_id, &file.workers.kv_id].contains(&&id.to_owned()).then_some((text, file))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE_TEXT: &str = include_str!("../../../deploy/example.toml");

    #[test]
    fn the_example_is_an_environment_and_its_comments_are_the_defaults() {
        let file = parse(EXAMPLE_TEXT).unwrap();
        assert_eq!(file.workers, Workers::default());
        assert_eq!(file.spin, Spin::default());
        assert_eq!(file.keys, KeyIds::default());
    }

    #[test]
    fn what_is_malformed_is_named() {
        let good = "origin = \"https://tmcp.example.org\"\n";
        assert!(parse(good).is_ok());
        let id = "0123456789abcdef0123456789abcdef";
        assert!(parse(&format!("{good}[workers]\naccount_id = \"{id}\"\n")).is_ok());
        let cases = [
            ("origin = \"https://tmcp.example.org/\"", "without a path"),
            ("origin = \"http://tmcp.example.org\"", "https://"),
            ("origin = \"https://Tmcp.example.org\"", "lower case"),
            ("[workers]", "missing field `origin`"),
            ("origin = 1", "invalid type"),
            ("orgin = \"https://x.example\"", "unknown field `orgin`"),
        ];
        for (text, expected) in cases {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains(expected), "{text}: {error}");
        }
        let cases = [
            ("[workers]\naccount_id = \"12\"", "workers.account_id must be 32 hexadecimal digits"),
            ("[workers]\nd1_id = \"12\"", "workers.d1_id must be a UUID"),
            ("[workers]\nkv_name = \"a b\"", "workers.kv_name"),
            ("[workers]\nworkers_dev = true\nroutes = [{pattern = \"a/*\", zone_name = \"a\"}]", "exclude each other"),
            ("[workers]\nroutes = [{pattern = \"https://a/*\", zone_name = \"a\"}]", "without https://"),
            ("[spin]\ndatabase = \"turso\"", "spin.turso_url"),
            ("[spin]\ndatabase = \"mysql\"", "unknown variant `mysql`"),
            ("[spin]\ndata = \"data\"", "spin.data must be an absolute path"),
        ];
        for (text, expected) in cases {
            let error = format!("{:#}", parse(&format!("{good}{text}\n")).unwrap_err());
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn names_fit_into_names_of_workers() {
        for good in ["production", "eu-1", "a"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "../x", "a_b", "budget", &"x".repeat(31)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_id_is_written_where_it_was_empty_and_nowhere_else() {
        let id = "0123456789abcdef0123456789abcdef";
        let (text, file) = with_id(EXAMPLE_TEXT, "kv_id", id).unwrap();
        assert_eq!(file.workers.kv_id, id);
        assert_eq!(text.replace(id, ""), EXAMPLE_TEXT);
        assert!(with_id(&text, "kv_id", id).is_none());
        assert!(with_id("origin = \"https://x.example\"\n", "kv_id", id).is_none());
        assert!(with_id(EXAMPLE_TEXT, "kv_id", "not an id").is_none());
    }
}
