//! A Worker's manifest for one environment: the one in git, with names, ids, variables and addresses of that environment.
//!
//! The text is part of the deployment's digest: nothing in it depends on the machine or the folder.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use toml::{Table, Value};

use crate::deploy::environment::Environment;

/// Ids of what a Worker is bound to.
pub struct Ids {
    pub account: String,
    pub d1: String,
    pub kv: String,
}

/// A rendered manifest, and what the steps want to know of it.
pub struct Rendered {
    /// The Worker's name.
    pub name: String,
    /// The manifest.
    pub text: String,
    /// The Workers that it is bound to.
    pub bound: BTreeSet<String>,
    /// Whether it has the database.
    pub has_database: bool,
    /// The parsed manifest.
    pub table: Table,
}

/// Renders; only the gateway gets a public address.
pub fn render(
    mut table: Table,
    environment: &Environment,
    ids: &Ids,
    vars: &BTreeMap<&str, &str>,
    is_gateway: bool,
) -> Result<Rendered> {
    let main = table.get("main").and_then(Value::as_str).unwrap_or_default();
    ensure!(main.ends_with("build/index.js"), "`main` is not the build/index.js that worker-build makes");
    let own = table.get("name").and_then(Value::as_str).unwrap_or_default();
    ensure!(!own.is_empty(), "it has no name");
    let with_suffix = |name: &str| format!("{name}-{}", environment.name);
    let name = with_suffix(own);
    table.insert("name".into(), name.clone().into());
    table.insert("main".into(), "build/index.js".into());
    table.remove("build");
    // What worker-build has made small, wrangler's bundler would write out again.
    table.insert("minify".into(), true.into());
    table.insert("keep_names".into(), false.into());
    if !ids.account.is_empty() {
        table.insert("account_id".into(), ids.account.clone().into());
    }
    let mut bound = BTreeSet::new();
    let mut rename = |entry: &mut Table, key: &str| {
        if let Some(value) = entry.get_mut(key)
            && let Some(other) = value.as_str()
        {
            let other = with_suffix(other);
            bound.insert(other.clone());
            *value = other.into();
        }
    };
    entries(table.get_mut("services")).for_each(|service| rename(service, "service"));
    let objects = table.get_mut("durable_objects").and_then(|objects| objects.get_mut("bindings"));
    entries(objects).for_each(|object| rename(object, "script_name"));
    let mut has_database = false;
    for database in entries(table.get_mut("d1_databases")) {
        has_database = true;
        database.insert("database_name".into(), environment.d1_name().into());
        database.insert("database_id".into(), ids.d1.clone().into());
        // From target/deploy/<environment>/<function>.
        database.insert("migrations_dir".into(), "../../../../migrations".into());
    }
    for namespace in entries(table.get_mut("kv_namespaces")) {
        namespace.insert("id".into(), ids.kv.clone().into());
    }
    let vars: Table = vars.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
    table.insert("vars".into(), vars.into());
    // Our own lines, and not one of each request's URL: a provider sends codes there.
    let lines = Table::from_iter([
        ("enabled".to_owned(), Value::from(environment.file.workers.logs)),
        ("invocation_logs".to_owned(), Value::from(false)),
    ]);
    let enabled = ("enabled".to_owned(), Value::from(environment.file.workers.logs));
    let logs = Table::from_iter([enabled, ("logs".to_owned(), lines.into())]);
    table.insert("observability".into(), logs.into());
    table.insert("workers_dev".into(), (is_gateway && environment.file.workers.workers_dev).into());
    table.insert("preview_urls".into(), false.into());
    if is_gateway && !environment.file.workers.workers_dev {
        table.insert("routes".into(), routes(environment).into());
    }
    let text = toml::to_string(&table)?;
    Ok(Rendered { name, text, bound, has_database, table })
}

fn entries(list: Option<&mut Value>) -> impl Iterator<Item = &mut Table> {
    list.and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_table_mut)
}

/// The routes of the environment, else its origin as a custom domain.
fn routes(environment: &Environment) -> Vec<Value> {
    let pair = |name: &str, value: Value| (name.to_owned(), value);
    let given = &environment.file.workers.routes;
    if given.is_empty() {
        let host = environment.file.origin.trim_start_matches("https://");
        let domain = [pair("pattern", host.into()), pair("custom_domain", true.into())];
        return vec![Table::from_iter(domain).into()];
    }
    let route = |route: &crate::deploy::environment::Route| {
        let zone = [pair("pattern", route.pattern.clone().into()), pair("zone_name", route.zone_name.clone().into())];
        Table::from_iter(zone).into()
    };
    given.iter().map(route).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(more: &str) -> Environment {
        let file = toml::from_str(&format!("origin = \"https://tmcp.example.org\"\n{more}")).unwrap();
        Environment { name: "staging".into(), path: "deploy/staging.toml".into(), file }
    }

    fn rendered(source: &str, more: &str, is_gateway: bool) -> Table {
        let ids = Ids { account: "acc".into(), d1: "d1-id".into(), kv: "kv-id".into() };
        let vars = BTreeMap::from([("ISSUER", "https://tmcp.example.org")]);
        let rendered = render(source.parse().unwrap(), &environment(more), &ids, &vars, is_gateway).unwrap();
        assert_eq!(rendered.text.parse::<Table>().unwrap(), rendered.table);
        rendered.table
    }

    #[test]
    fn every_name_gets_the_suffix_and_every_id_its_value() {
        let source = include_str!("../../../../functions/storage/wrangler.toml");
        let table = rendered(source, "", false);
        assert_eq!(table["name"].as_str(), Some("tmcp-storage-staging"));
        assert_eq!(table["main"].as_str(), Some("build/index.js"));
        assert_eq!(table["account_id"].as_str(), Some("acc"));
        assert_eq!(table["services"][0]["service"].as_str(), Some("tmcp-auth-staging"));
        assert_eq!(table["durable_objects"]["bindings"][0]["script_name"].as_str(), Some("tmcp-subjects-staging"));
        assert_eq!(table["d1_databases"][0]["database_name"].as_str(), Some("tmcp-staging"));
        assert_eq!(table["d1_databases"][0]["database_id"].as_str(), Some("d1-id"));
        assert_eq!(table["kv_namespaces"][0]["id"].as_str(), Some("kv-id"));
        assert_eq!(table["vars"]["ISSUER"].as_str(), Some("https://tmcp.example.org"));
        assert_eq!(table["workers_dev"].as_bool(), Some(false));
        assert!(!table.contains_key("routes"));
    }

    #[test]
    fn the_gateway_alone_has_an_address() {
        let source = include_str!("../../../../wrangler.toml");
        let table = rendered(source, "", true);
        assert_eq!(table["routes"][0]["pattern"].as_str(), Some("tmcp.example.org"));
        assert_eq!(table["routes"][0]["custom_domain"].as_bool(), Some(true));
        assert_eq!(table["workers_dev"].as_bool(), Some(false));
        let table = rendered(source, "[workers]\nworkers_dev = true\n", true);
        assert_eq!(table["workers_dev"].as_bool(), Some(true));
        assert!(!table.contains_key("routes"));
        let route = "[workers]\nroutes = [{pattern = \"x.example/*\", zone_name = \"x.example\"}]\n";
        let table = rendered(source, route, true);
        assert_eq!(table["routes"][0]["zone_name"].as_str(), Some("x.example"));
        let ops = include_str!("../../../../functions/ops/wrangler.toml");
        assert_eq!(rendered(ops, "[workers]\nworkers_dev = true\n", false)["workers_dev"].as_bool(), Some(false));
    }
}
