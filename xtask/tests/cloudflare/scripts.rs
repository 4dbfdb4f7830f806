//! Workers: versions from multipart uploads, deployments, settings, triggers.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tiny_http::Method;

use super::{Call, Outcome, State};

#[derive(Default)]
pub struct Script {
    versions: BTreeMap<String, Version>,
    /// Newest first: ids of versions.
    deployments: Vec<String>,
    /// Names of the Durable Object classes that migrations have made, and the last migration's tag.
    classes: Vec<String>,
    migration_tag: Option<String>,
    tags: Vec<String>,
    subdomain: Value,
    schedules: Value,
    domains: Value,
}

struct Version {
    tag: Value,
    bindings: Vec<Value>,
    modules: BTreeMap<String, String>,
}

impl Script {
    /// Where a new Worker has no address.
    fn subdomain(&self) -> Value {
        match self.subdomain.is_null() {
            true => json!({"enabled": false, "previews_enabled": false}),
            false => self.subdomain.clone(),
        }
    }

    /// What the Worker is, with the names of databases and namespaces instead of their ids.
    pub fn summary(&self, names: &BTreeMap<String, String>) -> Value {
        let version = self.deployments.first().and_then(|id| self.versions.get(id));
        let bindings = version.map(|version| version.bindings.clone()).unwrap_or_default();
        let mut bindings: Vec<_> = bindings
            .into_iter()
            .map(|mut binding| {
                for member in ["id", "namespace_id", "database_id"] {
                    if let Some(name) = binding.get(member).and_then(Value::as_str).and_then(|id| names.get(id)) {
                        binding[member] = name.clone().into();
                    }
                }
                binding
            })
            .collect();
        bindings.sort_by_key(|binding| binding["name"].as_str().unwrap_or_default().to_owned());
        json!({
            "bindings": bindings,
            "modules": version.map(|version| version.modules.clone()),
            "classes": self.classes,
            "migration_tag": self.migration_tag,
            "subdomain": self.subdomain,
            "schedules": self.schedules,
            "domains": self.domains,
        })
    }
}

fn not_found(code: u32) -> (u16, u32, String) {
    (404, code, "This Worker does not exist on your account.".to_owned())
}

pub fn service(state: &State, name: &str) -> Outcome {
    let script = state.scripts.get(name).ok_or(not_found(10090))?;
    let about = json!({"id": name, "tag": "tag", "tags": script.tags, "last_deployed_from": "wrangler", "migration_tag": script.migration_tag});
    Ok(json!({"id": name, "default_environment": {"environment": "production", "script": about}}))
}

pub fn worker(state: &State, name: &str) -> Outcome {
    let script = state.scripts.get(name).ok_or(not_found(10007))?;
    Ok(json!({"name": name, "subdomain": script.subdomain()}))
}

/// A request below `/workers/scripts/<name>`; `None` if it is not known.
pub fn route(state: &mut State, call: &Call<'_>, name: &str, rest: &[&str]) -> Option<Outcome> {
    if let (Method::Put, []) = (&call.method, rest) {
        return Some(upload(state, call, name).map(|id| {
            if let Some(script) = state.scripts.get_mut(name) {
                script.deployments.insert(0, id.clone());
            }
            json!({"id": name, "etag": "etag", "deployment_id": id.replace('-', ""), "startup_time_ms": 1})
        }));
    }
    if !state.scripts.contains_key(name) {
        return Some(Err(not_found(10007)));
    }
    if let (Method::Post, ["versions"]) = (&call.method, rest) {
        return Some(
            upload(state, call, name)
                .map(|id| json!({"id": id, "resources": {"script": {"etag": "etag"}}, "startup_time_ms": 1})),
        );
    }
    let deployment = state.id();
    let script = state.scripts.get_mut(name)?;
    let body = call.json();
    Some(match (&call.method, rest) {
        (Method::Get, ["deployments"]) => {
            let shown = |id: &String| json!({"id": id, "source": "wrangler", "strategy": "percentage", "versions": [{"version_id": id, "percentage": 100}]});
            Ok(json!({"deployments": script.deployments.iter().map(shown).collect::<Vec<_>>()}))
        }
        (Method::Post, ["deployments"]) => {
            let id = body["versions"][0]["version_id"].as_str().unwrap_or_default().to_owned();
            if !script.versions.contains_key(&id) {
                return Some(Err((400, 10021, "no such version".to_owned())));
            }
            script.deployments.insert(0, id);
            Ok(json!({"id": deployment}))
        }
        (Method::Get, ["versions", id]) => match script.versions.get(*id) {
            Some(version) => Ok(json!({"id": id, "annotations": {"workers/tag": version.tag}, "resources": {"bindings": []}})),
            None => Err((404, 10021, "no such version".to_owned())),
        },
        (Method::Get, ["script-settings"]) => Ok(json!({"tags": script.tags, "logpush": false})),
        (Method::Patch, ["script-settings"]) => {
            if let Some(tags) = body["tags"].as_array() {
                script.tags = tags.iter().filter_map(|tag| tag.as_str().map(str::to_owned)).collect();
            }
            Ok(json!({"tags": script.tags}))
        }
        (Method::Get, ["settings"]) => Ok(json!({"bindings": [], "tags": script.tags})),
        (Method::Get, ["secrets"]) => Ok(json!([])),
        (Method::Get, ["subdomain"]) => Ok(script.subdomain()),
        (Method::Post, ["subdomain"]) => {
            script.subdomain = body.clone();
            Ok(body)
        }
        (Method::Put, ["schedules"]) => {
            script.schedules = body.clone();
            Ok(json!({"schedules": body}))
        }
        (Method::Get, ["schedules"]) => Ok(json!({"schedules": script.schedules})),
        (Method::Post, ["domains", "changeset"]) => Ok(json!({"added": body, "removed": [], "updated": [], "conflicting": []})),
        (Method::Put, ["domains", "records"]) => {
            script.domains = body["origins"].clone();
            Ok(body["origins"].clone())
        }
        _ => return None,
    })
}

/// Takes a version in, if everything it is bound to is there; gives its id.
fn upload(state: &mut State, call: &Call<'_>, name: &str) -> Result<String, (u16, u32, String)> {
    let parts = parts(call);
    let metadata: Value = serde_json::from_slice(parts.get("metadata").map(Vec::as_slice).unwrap_or_default())
        .map_err(|_| (400, 10021, "no metadata".to_owned()))?;
    let id = state.id();
    let mut script = state.scripts.remove(name).unwrap_or_default();
    if let Some(migrations) = metadata.get("migrations").filter(|migrations| !migrations.is_null()) {
        for step in migrations["steps"].as_array().into_iter().flatten() {
            script.classes.extend(
                step["new_sqlite_classes"].as_array().into_iter().flatten().filter_map(|c| c.as_str().map(str::to_owned)),
            );
        }
        script.migration_tag = migrations["new_tag"].as_str().map(str::to_owned);
    }
    let mut bindings: Vec<_> = metadata["bindings"].as_array().cloned().unwrap_or_default();
    let kept = script.deployments.first().and_then(|id| script.versions.get(id)).map(|version| version.bindings.clone());
    let problem = bindings.iter().find_map(|binding| problem(state, &script, name, binding));
    // Secrets stay until others of their name come.
    let secrets = kept.unwrap_or_default().into_iter().filter(|binding| binding["type"] == "secret_text");
    let missing: Vec<_> = secrets.filter(|kept| !bindings.iter().any(|binding| binding["name"] == kept["name"])).collect();
    bindings.extend(missing);
    let modules = parts.iter().filter(|(name, _)| *name != "metadata");
    let modules = modules.map(|(name, bytes)| (name.clone(), format!("{:x}", Sha256::digest(bytes)))).collect();
    let is_new = script.versions.is_empty();
    if problem.is_none() {
        script.versions.insert(id.clone(), Version { tag: metadata["annotations"]["workers/tag"].clone(), bindings, modules });
    }
    if problem.is_none() || !is_new {
        state.scripts.insert(name.to_owned(), script);
    }
    problem.map_or(Ok(id), |problem| Err((400, 10143, problem)))
}

/// Why a binding cannot be.
fn problem(state: &State, own: &Script, name: &str, binding: &Value) -> Option<String> {
    let text = |member: &str| binding.get(member).and_then(Value::as_str).unwrap_or_default();
    let there = match text("type") {
        "service" => text("service") == name || state.scripts.contains_key(text("service")),
        "durable_object_namespace" => {
            let host = match text("script_name") {
                "" => Some(own),
                host => state.scripts.get(host),
            };
            host.is_some_and(|host| host.classes.iter().any(|class| class == text("class_name")))
        }
        "d1" => state.databases.contains_key(text("id")) || state.databases.contains_key(text("database_id")),
        "kv_namespace" => state.namespaces.contains_key(text("namespace_id")),
        _ => true,
    };
    (!there).then(|| format!("binding {} refers to something that does not exist: {binding}", text("name")))
}

/// The parts of a multipart body by name.
fn parts(call: &Call<'_>) -> BTreeMap<String, Vec<u8>> {
    let boundary = call.kind.split("boundary=").nth(1).unwrap_or_default().trim_matches('"');
    let mark = format!("--{boundary}").into_bytes();
    let find = |from: usize, what: &[u8]| {
        let rest = call.body.get(from..).unwrap_or_default();
        rest.windows(what.len()).position(|window| window == what).map(|at| from + at)
    };
    let mut parts = BTreeMap::new();
    let mut from = find(0, &mark);
    while let Some(start) = from.map(|at| at + mark.len()) {
        let next = find(start, &mark);
        if let (Some(end), Some(head)) = (next, find(start, b"\r\n\r\n")) {
            let headers = String::from_utf8_lossy(&call.body[start..head]).into_owned();
            let name = headers.split("name=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
            parts.insert(name.to_owned(), call.body[head + 4..end - 2].to_vec());
        }
        from = next;
    }
    parts
}
