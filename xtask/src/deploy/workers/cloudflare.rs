//! What is asked of Cloudflare's API directly: what is there, the two resources, and the mark of a finished deployment. Everything that
//! uploads goes through wrangler.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::deploy::environment::{Workers, is_hex};

/// As wrangler has it.
const API: &str = "https://api.cloudflare.com/client/v4";
/// The script tag that says up to which digest everything was done, triggers and secrets too.
const MARK: &str = "tmcp-edge:";
/// Namespaces per page.
const PAGE: usize = 100;
/// What the token must be allowed to do.
const PERMISSIONS: &str = "Account: Workers Scripts Edit, D1 Edit, Workers KV Storage Edit; Zone: Workers Routes Edit, DNS Edit";

/// Who deploys, and into which account.
pub struct Token {
    secret: String,
    base: String,
    /// The account's id.
    pub account: String,
}

impl Token {
    /// From the variables that wrangler reads too; the account perhaps from the environment's file.
    pub fn from_environment(workers: &Workers) -> Result<Self> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let secret = variable("CLOUDFLARE_API_TOKEN").with_context(|| {
            format!(
                "CLOUDFLARE_API_TOKEN is not set: make a token at https://dash.cloudflare.com/profile/api-tokens ({PERMISSIONS}), and export it"
            )
        })?;
        let of_file = Some(workers.account_id.clone()).filter(|id| !id.is_empty());
        let account = of_file.or_else(|| variable("CLOUDFLARE_ACCOUNT_ID")).context(
            "no account is named: write workers.account_id into the environment's file, or export CLOUDFLARE_ACCOUNT_ID",
        )?;
        ensure!(is_hex(&account, 32), "CLOUDFLARE_ACCOUNT_ID must be 32 hexadecimal digits");
        let base = variable("CLOUDFLARE_API_BASE_URL").unwrap_or_else(|| API.to_owned());
        Ok(Self { secret, base: base.trim_end_matches('/').to_owned(), account })
    }
}

/// The API, for one account.
pub struct Cloudflare {
    token: Token,
    agent: ureq::Agent,
}

/// An answer of the API.
struct Answer {
    status: u16,
    body: Value,
}

impl Cloudflare {
    /// A client; nothing is sent yet.
    pub fn new(token: Token) -> Self {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(30)))
            .http_status_as_error(false)
            .user_agent("tmcp-edge-xtask")
            .build()
            .into();
        Self { token, agent }
    }

    /// The id of the D1 database of that name.
    pub fn database(&self, name: &str) -> Result<Option<String>> {
        let what = format!("looking for the D1 database {name}");
        let found = self.get(&format!("d1/database?name={name}&per_page=100"))?.result(&what)?;
        Ok(id_where(&found, "name", name, "uuid"))
    }

    /// Makes the database; gives its id.
    pub fn make_database(&self, name: &str) -> Result<String> {
        let what = format!("making the D1 database {name}");
        let made = self.post("d1/database", &json!({"name": name}))?.result(&what)?;
        made.get("uuid").and_then(Value::as_str).map(str::to_owned).with_context(|| format!("{what}: no id in the answer"))
    }

    /// The id of the KV namespace of that title.
    pub fn namespace(&self, title: &str) -> Result<Option<String>> {
        let what = format!("looking for the KV namespace {title}");
        for page in 1..=100 {
            let found = self.get(&format!("storage/kv/namespaces?per_page={PAGE}&page={page}"))?.result(&what)?;
            if let Some(id) = id_where(&found, "title", title, "id") {
                return Ok(Some(id));
            }
            if found.as_array().is_none_or(|list| list.len() < PAGE) {
                return Ok(None);
            }
        }
        bail!("{what}: there are too many; write kv_id into the environment's file")
    }

    /// Makes the namespace; gives its id.
    pub fn make_namespace(&self, title: &str) -> Result<String> {
        let what = format!("making the KV namespace {title}");
        let made = self.post("storage/kv/namespaces", &json!({"title": title}))?.result(&what)?;
        made.get("id").and_then(Value::as_str).map(str::to_owned).with_context(|| format!("{what}: no id in the answer"))
    }

    /// The names of the migrations that wrangler has applied to a database.
    pub fn applied_migrations(&self, database: &str) -> Result<BTreeSet<String>> {
        let what = "asking for the applied migrations";
        let query = |sql: &str| -> Result<Vec<String>> {
            let answer = self.post(&format!("d1/database/{database}/query"), &json!({"sql": sql}))?;
            let result = answer.result(what).context("is d1_id the id of a database of this account?")?;
            let rows = result.get(0).and_then(|first| first.get("results")).and_then(Value::as_array).cloned();
            let name = |row: &Value| row.get("name").and_then(Value::as_str).map(str::to_owned);
            Ok(rows.unwrap_or_default().iter().filter_map(name).collect())
        };
        if query("SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'd1_migrations'")?.is_empty() {
            return Ok(BTreeSet::new());
        }
        Ok(query("SELECT name FROM d1_migrations")?.into_iter().collect())
    }

    /// Whether there is a Worker of that name.
    pub fn exists(&self, worker: &str) -> Result<bool> {
        let answer = self.get(&format!("workers/services/{worker}"))?;
        if answer.status == 404 {
            return Ok(false);
        }
        answer.result(&format!("looking for {worker}")).map(|_| true)
    }

    /// Whether exactly this is what the Worker serves, and the deployment of it went through to its end.
    pub fn is_deployed(&self, worker: &str, digest: &str) -> Result<bool> {
        if self.complete(worker)?.as_deref() != Some(digest) {
            return Ok(false);
        }
        let what = format!("asking what {worker} serves");
        let deployments = self.get(&format!("workers/scripts/{worker}/deployments"))?.result(&what)?;
        let latest = deployments.get("deployments").and_then(|list| list.get(0)).and_then(|latest| latest.get("versions"));
        let [version] = latest.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default() else { return Ok(false) };
        let Some(id) = version.get("version_id").and_then(Value::as_str) else { return Ok(false) };
        let version = self.get(&format!("workers/scripts/{worker}/versions/{id}"))?.result(&what)?;
        let tag = version.get("annotations").and_then(|annotations| annotations.get("workers/tag")).and_then(Value::as_str);
        Ok(tag == Some(digest))
    }

    /// Notes that a deployment went through to its end. Other tags of the Worker stay.
    pub fn mark_complete(&self, worker: &str, digest: &str) -> Result<()> {
        let mut tags = self.tags(worker)?.unwrap_or_default();
        tags.retain(|tag| !tag.starts_with(MARK));
        tags.push(format!("{MARK}{digest}"));
        let path = format!("workers/scripts/{worker}/script-settings");
        let request = self.agent.patch(self.url(&path)).header("authorization", self.authorization());
        let sent = request.header("content-type", "application/json").send(json!({"tags": tags}).to_string());
        answer(sent, "PATCH", &path)?.result(&format!("noting that {worker} is deployed")).map(|_| ())
    }

    /// The digest that the last finished deployment left.
    fn complete(&self, worker: &str) -> Result<Option<String>> {
        let tags = self.tags(worker)?.unwrap_or_default();
        Ok(tags.iter().find_map(|tag| tag.strip_prefix(MARK)).map(str::to_owned))
    }

    fn tags(&self, worker: &str) -> Result<Option<Vec<String>>> {
        let answer = self.get(&format!("workers/scripts/{worker}/script-settings"))?;
        if answer.status == 404 {
            return Ok(None);
        }
        let settings = answer.result(&format!("asking for the tags of {worker}"))?;
        let tags = settings.get("tags").and_then(Value::as_array).into_iter().flatten();
        Ok(Some(tags.filter_map(Value::as_str).map(str::to_owned).collect()))
    }

    fn get(&self, path: &str) -> Result<Answer> {
        let mut tries = 0;
        loop {
            let request = self.agent.get(self.url(path)).header("authorization", self.authorization());
            let answer = answer(request.call(), "GET", path);
            tries += 1;
            if tries < 3 && answer.as_ref().map_or(true, |answer| answer.status >= 500 || answer.status == 429) {
                std::thread::sleep(Duration::from_millis(500 * tries));
                continue;
            }
            return answer;
        }
    }

    fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        let request = self.agent.post(self.url(path)).header("authorization", self.authorization());
        answer(request.header("content-type", "application/json").send(body.to_string()), "POST", path)
    }

    fn url(&self, path: &str) -> String {
        format!("{}/accounts/{}/{path}", self.token.base, self.token.account)
    }

    fn authorization(&self) -> String {
        format!("Bearer {}", self.token.secret)
    }
}

impl Answer {
    /// The result of a success; else an error in the API's words, and what to do about it.
    fn result(self, what: &str) -> Result<Value> {
        let Self { status, mut body } = self;
        if (200..300).contains(&status) && body.get("success").and_then(Value::as_bool) != Some(false) {
            return Ok(body.get_mut("result").map(Value::take).unwrap_or_default());
        }
        let errors = body.get("errors").and_then(Value::as_array).into_iter().flatten();
        let texts: Vec<_> = errors.filter_map(|error| error.get("message")?.as_str()).collect();
        let texts = if texts.is_empty() { "no reason given".to_owned() } else { texts.join("; ") };
        let advice = match status {
            401 | 403 => format!(": does CLOUDFLARE_API_TOKEN belong to this account, with the permissions {PERMISSIONS}?"),
            429 => ": too many requests; try again in five minutes".to_owned(),
            _ => String::new(),
        };
        bail!("{what}: Cloudflare answered {status}, {texts}{advice}")
    }
}

fn answer(sent: Result<ureq::http::Response<ureq::Body>, ureq::Error>, method: &str, path: &str) -> Result<Answer> {
    let mut response = sent.with_context(|| format!("no answer from Cloudflare's API to {method} {path}"))?;
    let text = response.body_mut().read_to_string().with_context(|| format!("half an answer to {method} {path}"))?;
    Ok(Answer { status: response.status().as_u16(), body: serde_json::from_str(&text).unwrap_or_default() })
}

fn id_where(list: &Value, key: &str, wanted: &str, id: &str) -> Option<String> {
    let found = list.as_array()?.iter().find(|entry| entry.get(key).and_then(Value::as_str) == Some(wanted))?;
    found.get(id).and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_say_what_to_do() {
        let body = json!({"success": false, "errors": [{"code": 10000, "message": "Authentication error"}]});
        let error = Answer { status: 403, body }.result("looking").unwrap_err().to_string();
        assert!(
            error.contains("Authentication error") && error.contains("CLOUDFLARE_API_TOKEN") && error.contains("D1 Edit"),
            "{error}"
        );
        let error = Answer { status: 502, body: Value::Null }.result("looking").unwrap_err().to_string();
        assert_eq!(error, "looking: Cloudflare answered 502, no reason given");
        let body = json!({"success": true, "result": [{"name": "a", "uuid": "1"}]});
        let list = Answer { status: 200, body }.result("looking").unwrap();
        assert_eq!(id_where(&list, "name", "a", "uuid").as_deref(), Some("1"));
        assert_eq!(id_where(&list, "name", "b", "uuid"), None);
    }
}
