//! `cargo xtask routes`: the one route table, and whether every manifest follows it.
//!
//! What is proven: every public route reaches its function, on Workers by the gateway's binding and on Spin by `spin.toml`; no
//! function has a public address of its own; nothing public reaches an `/internal/` interface.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, bail};
use tmcp_protocol::routes::{Access, Function, ROUTES, Route, function_for};
use toml::{Table, Value};

use crate::paths::Paths;

/// The Worker of the Durable Objects, which serves no route.
const SUBJECTS: &str = "subjects";

/// Prints the route table; with `check`, fails where a manifest does not follow it.
pub fn run(paths: &Paths, check: bool) -> Result<()> {
    if check {
        let problems = problems(paths)?;
        problems.iter().for_each(|problem| eprintln!("error: {problem}"));
        if !problems.is_empty() {
            bail!("{} places do not follow the route table in shared/protocol/src/routes.rs", problems.len());
        }
        println!("{} routes: gateway, spin.toml and manifests follow the table", ROUTES.len());
        return Ok(());
    }
    for route in ROUTES {
        let scopes: Vec<&str> = route.scopes.iter().map(|scope| scope.as_str()).collect();
        let limit = route.limit.map_or("-", |class| class.as_str());
        let (function, access) = (route.function.as_str(), access(route));
        println!("{:6} {:36} {function:9} {access:13} {limit:14} {}", route.method.as_str(), route.path, scopes.join(" or "));
    }
    Ok(())
}

fn access(route: &Route) -> String {
    match route.access {
        Access::Public => "public".to_owned(),
        Access::Operator => "operator".to_owned(),
        Access::Administrator => "administrator".to_owned(),
        Access::Management => "administrator|console".to_owned(),
        Access::Homeserver => "homeserver".to_owned(),
        Access::Service => "service".to_owned(),
        Access::Tokens(kinds) => kinds.iter().map(|kind| format!("{kind:?}").to_lowercase()).collect::<Vec<_>>().join("|"),
    }
}

fn read(paths: &Paths, file: &str) -> Result<Table> {
    let text = fs::read_to_string(paths.root.join(file)).with_context(|| format!("cannot read {file}"))?;
    text.parse().with_context(|| format!("{file} is not TOML"))
}

fn problems(paths: &Paths) -> Result<Vec<String>> {
    let mut found = spin_problems(&read(paths, "spin.toml")?);
    found.extend(gateway_problems(&read(paths, "wrangler.toml")?));
    for name in Function::ALL.iter().map(|function| function.as_str()).chain([SUBJECTS]) {
        let file = format!("functions/{name}/wrangler.toml");
        found.extend(worker_problems(&file, name, &read(paths, &file)?));
    }
    Ok(found)
}

fn tables<'a>(manifest: &'a Table, path: &[&str]) -> Vec<&'a Table> {
    let mut value = None;
    for (depth, name) in path.iter().enumerate() {
        value = if depth == 0 { manifest.get(*name) } else { value.and_then(|value: &Value| value.get(*name)) };
    }
    value.and_then(Value::as_array).map(|list| list.iter().filter_map(Value::as_table).collect()).unwrap_or_default()
}

fn text<'a>(table: &'a Table, name: &str) -> &'a str {
    table.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The component that Spin routes a path to: an exact route, else the longest prefix.
fn component_for<'a>(routes: &BTreeMap<&'a str, &'a str>, path: &str) -> Option<&'a str> {
    let matches = |route: &str| match route.strip_suffix("/...") {
        Some(prefix) => path == prefix || path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/')),
        None => route == path,
    };
    routes
        .iter()
        .filter(|(route, _)| matches(route))
        .max_by_key(|(route, _)| (!route.ends_with("/..."), route.len()))
        .map(|(_, c)| *c)
}

fn spin_problems(manifest: &Table) -> Vec<String> {
    let triggers = tables(manifest, &["trigger", "http"]);
    let routes: BTreeMap<&str, &str> = triggers
        .iter()
        .map(|trigger| (text(trigger, "route"), text(trigger, "component")))
        .filter(|(route, _)| !route.is_empty())
        .collect();
    let mut found = Vec::new();
    for route in ROUTES.iter().filter(|route| route.is_public_path()) {
        let path = route.path.replace("{key}", "some-key");
        let component = component_for(&routes, &path).unwrap_or("nobody");
        if component != route.function.as_str() {
            found.push(format!("spin.toml routes {path} to {component}, the table to {}", route.function.as_str()));
        }
    }
    for route in ROUTES.iter().filter(|route| !route.is_public_path()) {
        let component = component_for(&routes, route.path).unwrap_or("nobody");
        if ROUTES.iter().any(|other| !other.is_public_path() && other.function.as_str() == component) {
            found.push(format!("spin.toml routes {} to {component}, which has an internal interface", route.path));
        }
    }
    for (route, _) in routes.iter().filter(|(route, _)| route.contains("/.") && !route.ends_with("/...")) {
        found.push(format!("spin.toml: Spin's router cannot order {route} beside a catch-all"));
    }
    for name in Function::ALL.iter().map(|function| function.as_str()) {
        let sdk_source = manifest.get("component").and_then(|components| components.get(name)).and_then(|c| c.get("source"));
        if sdk_source.and_then(Value::as_str) != Some(&format!("target/spin/{name}.wasm")) {
            found.push(format!("spin.toml has no component {name} with its source in target/spin"));
        }
    }
    found
}

fn gateway_problems(manifest: &Table) -> Vec<String> {
    let services = tables(manifest, &["services"]);
    let bound: BTreeMap<&str, &str> =
        services.iter().map(|service| (text(service, "binding"), text(service, "service"))).collect();
    let mut found = Vec::new();
    for route in ROUTES.iter().filter(|route| route.is_public_path()) {
        let function = function_for(&route.path.replace("{key}", "some-key"));
        if function != Some(route.function) {
            found.push(format!("the gateway sends {} to {function:?}", route.path));
        }
        let service = bound.get(route.function.binding()).copied().unwrap_or("nothing");
        if service != format!("tmcp-{}", route.function.as_str()) {
            found.push(format!("wrangler.toml binds {} to {service}", route.function.binding()));
        }
    }
    found
}

fn worker_problems(file: &str, name: &str, manifest: &Table) -> Vec<String> {
    let mut found = Vec::new();
    if text(manifest, "name") != format!("tmcp-{name}") {
        found.push(format!("{file}: the name must be tmcp-{name}"));
    }
    for name in ["workers_dev", "preview_urls"] {
        if manifest.get(name).and_then(Value::as_bool) != Some(false) {
            found.push(format!("{file}: {name} must be false: only the gateway has a public address"));
        }
    }
    for name in ["route", "routes"] {
        if manifest.contains_key(name) {
            found.push(format!("{file}: {name} must not be set: only the gateway has a public address"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_beats_prefix_and_long_beats_short() {
        let routes = BTreeMap::from([("/...", "rest"), ("/a/...", "a"), ("/a/b", "b")]);
        for (path, component) in [("/", "rest"), ("/x", "rest"), ("/a", "a"), ("/a/c", "a"), ("/a/b", "b"), ("/ab", "rest")] {
            assert_eq!(component_for(&routes, path), Some(component), "{path}");
        }
    }

    #[test]
    fn a_wrong_route_is_found() {
        let manifest: Table = "[[trigger.http]]\nroute = \"/...\"\ncomponent = \"auth\"\n".parse().unwrap();
        let found = spin_problems(&manifest).join("\n");
        assert!(found.contains("routes /api/v1/storage to auth") && found.contains("routes /internal/verify to auth"), "{found}");
    }

    #[test]
    fn a_function_with_a_public_address_is_found() {
        let manifest: Table = "name = \"tmcp-auth\"\nworkers_dev = true\nroutes = [\"x\"]\n".parse().unwrap();
        assert_eq!(worker_problems("f", "auth", &manifest).len(), 3);
    }
}
