//! `spin.toml`, manifest version 2: the parts of it that this host acts on. Other keys are tolerated.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::Deserialize;

use crate::variables::Variables;

/// An application, its templates expanded and its paths absolute.
#[derive(Debug)]
pub struct Manifest {
    /// Public route and component, in the manifest's order.
    pub routes: Vec<(String, String)>,
    /// The components that a trigger names, private ones among them.
    pub components: BTreeMap<String, Component>,
}

/// What one component is and may touch.
#[derive(Debug)]
pub struct Component {
    /// The wasm file.
    pub source: PathBuf,
    /// Entries of `allowed_outbound_hosts`.
    pub allowed_outbound_hosts: Vec<String>,
    /// Labels of the key-value stores it may open.
    pub key_value_stores: Vec<String>,
    /// Labels of the databases it may open.
    pub sqlite_databases: Vec<String>,
    /// Its variables and their values.
    pub variables: BTreeMap<String, String>,
}

impl Manifest {
    /// Reads and checks the manifest at `path`.
    pub fn load(path: &Path, given: &BTreeMap<String, String>) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let folder = path.parent().unwrap_or(Path::new("."));
        Self::parse(&text, folder, given, |name| std::env::var(name).ok()).with_context(|| path.display().to_string())
    }

    fn parse(
        text: &str,
        folder: &Path,
        given: &BTreeMap<String, String>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let raw: Raw = toml::from_str(text).map_err(|error| one_line(text, &error))?;
        ensure!(raw.spin_manifest_version == 2, "spin_manifest_version is not 2");
        let declared = raw.variables.iter().map(|(name, variable)| (name.as_str(), variable.default.as_deref()));
        let variables = Variables::resolve(declared, given, environment)?;

        let mut routes: Vec<(String, String)> = Vec::new();
        let mut components = BTreeMap::new();
        for trigger in raw.trigger.http {
            let id = trigger.component;
            match trigger.route {
                Route::Pattern(route) if routes.iter().any(|(other, _)| *other == route) => {
                    bail!("the route {route:?} is listed twice")
                }
                Route::Pattern(route) => routes.push((route, id.clone())),
                Route::Private { private: true } => {}
                Route::Private { private: false } => bail!("component {id:?}: a route is a pattern or {{ private = true }}"),
            }
            let component = raw.component.get(&id).with_context(|| format!("a route names {id:?}, which is no component"))?;
            let resolved = component.resolve(folder, &variables).with_context(|| format!("component {id:?}"))?;
            components.insert(id, resolved);
        }
        Ok(Self { routes, components })
    }
}

#[derive(Deserialize)]
struct Raw {
    spin_manifest_version: u32,
    #[serde(default)]
    variables: BTreeMap<String, RawVariable>,
    #[serde(default)]
    trigger: Triggers,
    #[serde(default)]
    component: BTreeMap<String, RawComponent>,
}

/// `required` and `secret` say nothing that this host needs: a variable without default is required.
#[derive(Deserialize)]
struct RawVariable {
    default: Option<String>,
}

#[derive(Default, Deserialize)]
struct Triggers {
    #[serde(default)]
    http: Vec<Trigger>,
}

#[derive(Deserialize)]
struct Trigger {
    route: Route,
    component: String,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a route is a pattern such as \"/api/...\" or { private = true }")]
enum Route {
    Pattern(String),
    Private { private: bool },
}

#[derive(Deserialize)]
struct RawComponent {
    source: String,
    #[serde(default)]
    allowed_outbound_hosts: Vec<String>,
    #[serde(default)]
    key_value_stores: Vec<String>,
    #[serde(default)]
    sqlite_databases: Vec<String>,
    #[serde(default)]
    variables: BTreeMap<String, String>,
}

impl RawComponent {
    fn resolve(&self, folder: &Path, application: &Variables) -> Result<Component> {
        for label in self.key_value_stores.iter().chain(&self.sqlite_databases) {
            // A label becomes part of a file's name.
            let usable = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            ensure!(!label.is_empty() && label.chars().all(usable), "{label:?} is no usable label");
        }
        let hosts: Result<_> = self.allowed_outbound_hosts.iter().map(|host| application.expand(host)).collect();
        let mut variables = BTreeMap::new();
        for (name, template) in &self.variables {
            variables.insert(name.clone(), application.expand(template)?);
        }
        Ok(Component {
            source: folder.join(&self.source),
            allowed_outbound_hosts: hosts?,
            key_value_stores: self.key_value_stores.clone(),
            sqlite_databases: self.sqlite_databases.clone(),
            variables,
        })
    }
}

/// The TOML error in one line: `toml`'s own display draws the place over several.
fn one_line(text: &str, error: &toml::de::Error) -> anyhow::Error {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    anyhow!("line {}: {}", before.matches('\n').count() + 1, error.message().replace('\n', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        spin_manifest_version = 2
        [application]
        name = "demo"
        version = "1.0.0"
        [application.trigger.http]
        base = "/"
        [variables]
        peer = { default = "peer.example:8443" }
        token = { required = true, secret = true }
        [[trigger.http]]
        route = "/a/..."
        component = "a"
        [[trigger.http]]
        route = "/b/:id"
        component = "a"
        [[trigger.http]]
        route = { private = true }
        component = "hidden"
        [component.a]
        source = "target/a.wasm"
        allowed_outbound_hosts = ["https://{{ peer }}", "http://hidden.spin.internal"]
        key_value_stores = ["default"]
        sqlite_databases = ["default", "other"]
        unknown_key = 1
        [component.a.variables]
        token = "{{ token }}"
        url = "https://{{ peer }}/x"
        [component.a.build]
        command = "cargo build"
        [component.hidden]
        source = "/abs/hidden.wasm"
        [component.unused]
        source = "unused.wasm"
    "#;

    fn parse(text: &str) -> Result<Manifest> {
        let given = BTreeMap::from([("token".to_owned(), "s3cret".to_owned())]);
        Manifest::parse(text, Path::new("/app"), &given, |_| None)
    }

    #[test]
    fn a_whole_manifest() {
        let manifest = parse(GOOD).unwrap();
        assert_eq!(manifest.routes, [("/a/...".into(), "a".into()), ("/b/:id".into(), "a".into())]);
        assert_eq!(manifest.components.keys().collect::<Vec<_>>(), ["a", "hidden"]);
        let a = &manifest.components["a"];
        assert_eq!(a.source, Path::new("/app/target/a.wasm"));
        assert_eq!(a.allowed_outbound_hosts, ["https://peer.example:8443", "http://hidden.spin.internal"]);
        assert_eq!(a.sqlite_databases, ["default", "other"]);
        assert_eq!(a.variables["token"], "s3cret");
        assert_eq!(a.variables["url"], "https://peer.example:8443/x");
        assert_eq!(manifest.components["hidden"].source, Path::new("/abs/hidden.wasm"));
    }

    #[test]
    fn errors_are_one_line_and_say_what_is_wrong() {
        let changed = |from: &str, to: &str| format!("{:#}", parse(&GOOD.replace(from, to)).unwrap_err());
        let table = [
            (changed("version = 2", "version = 1"), "spin_manifest_version is not 2"),
            (changed("spin_manifest_version = 2", ""), "spin_manifest_version"),
            (changed("/b/:id", "/a/..."), "\"/a/...\" is listed twice"),
            (changed("private = true", "private = false"), "private = true"),
            (changed("component = \"hidden\"", "component = \"nobody\""), "\"nobody\""),
            (changed("\"other\"", "\"../other\""), "no usable label"),
            (changed("token = { required", "token2 = { required"), "token2"),
            (changed("\"{{ token }}\"", "\"{{ tok }}\""), "unknown variable \"tok\""),
            (changed("route = \"/a/...\"", "route = 7"), "line 12: a route is a pattern"),
            (changed("[variables]", "[variables"), "line 8"),
        ];
        for (message, expected) in table {
            assert!(message.contains(expected), "{message:?} lacks {expected:?}");
            assert!(!message.contains('\n'), "{message:?}");
        }
    }
}
