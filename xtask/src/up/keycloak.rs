//! A Keycloak of one's own: the provider that people without a Matrix client sign in with, in development and tests. Its origin is
//! `http://localhost:…` and ours `http://127.0.0.1:…`: two sites, as in life.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::group::Group;
use crate::http;
use crate::keys::Keys;
use crate::paths::Paths;
use crate::progress::Progress;
use crate::tools::keycloak;

/// The realm, and what is filled in: secrets and addresses of the run.
const REALM: &str = include_str!("../../../tests/keycloak/tween-realm.json");
const READY_LIMIT: Duration = Duration::from_secs(180);
const ADMINISTRATOR: &str = "admin";
/// The people of the realm.
pub const USERS: [&str; 2] = ["carol", "dave"];

/// A Keycloak that runs.
pub struct Keycloak {
    /// Its process.
    pub group: Group,
    /// Its origin.
    pub url: String,
}

impl Keycloak {
    /// Starts it, waits until it answers, and imports the realm.
    pub fn start(
        paths: &Paths,
        data: &Path,
        base_url: &str,
        matrix_url: Option<&str>,
        keys: &Keys,
        progress: &Progress,
    ) -> Result<Self> {
        Self::begin(keycloak::command(paths), data, keys, &realm(base_url, matrix_url, keys), progress)
    }

    /// The same with a realm, by a command of Keycloak's script.
    pub fn begin(mut command: Command, data: &Path, keys: &Keys, realm: &str, progress: &Progress) -> Result<Self> {
        let step = progress.step("starting Keycloak");
        let (port, management) = (http::free_port()?, http::free_port()?);
        let url = format!("http://localhost:{port}");
        command.args(["start", "--optimized", "--http-enabled=true", "--http-host=127.0.0.1", "--cache=local"]);
        command.arg(format!("--http-port={port}")).arg(format!("--http-management-port={management}"));
        command.arg(format!("--hostname={url}"));
        // Read by nobody: it tells this process from others.
        command.arg(format!("-Dtmcp.data={}", mark(data)));
        command.env("KC_BOOTSTRAP_ADMIN_USERNAME", ADMINISTRATOR).env("KC_BOOTSTRAP_ADMIN_PASSWORD", &keys.admin_token);
        command.env("JAVA_OPTS_KC_HEAP", "-Xms64m -Xmx512m");
        let mut group = Group::start("Keycloak", &mut command, &data.join("logs/keycloak.log"))?;
        let master = format!("{url}/realms/master");
        group.wait_until(READY_LIMIT, &step, || http::get(&master).is_ok_and(|answer| answer.status == 200))?;
        import(&url, realm, &keys.admin_token)?;
        step.done();
        Ok(Self { group, url })
    }

    /// The issuer of its realm.
    pub fn issuer(&self) -> String {
        format!("{}/realms/tween", self.url)
    }

    /// What it is to us, for `PROVIDERS`: by OpenID Connect, by SAML, and by SAML with encrypted assertions.
    pub fn providers(&self, keys: &Keys) -> Result<Vec<Value>> {
        let openid = json!({"id": "keycloak", "kind": "keycloak", "name": "Keycloak", "issuer": self.issuer(), "client_id": "tmcp",
            "client_secret": keys.demo_client_secret});
        let saml = format!("{}/protocol/saml", self.issuer());
        let descriptor = http::get(&format!("{saml}/descriptor"))?.body;
        let certificate =
            certificate_in(descriptor.as_str().unwrap_or_default()).context("Keycloak's SAML descriptor has no certificate")?;
        let saml = |id: &str, name: &str| {
            json!({"id": id, "kind": "saml", "name": name, "entity_id": self.issuer(), "sso_url": saml, "certificates": [certificate],
                "name_attribute": "username", "email_attribute": "email"})
        };
        Ok(vec![openid, saml("keycloak-saml", "SAML"), saml("keycloak-sealed", "Sealed SAML")])
    }

    /// What it is to Synapse, one of its `oidc_providers`.
    pub fn of_synapse(&self, keys: &Keys) -> Value {
        json!({
            "idp_id": "keycloak", "idp_name": "Keycloak", "issuer": self.issuer(), "client_id": "synapse",
            "client_secret": keys.demo_client_secret, "scopes": ["openid", "profile"],
            "user_mapping_provider": {"config": {
                "localpart_template": "{{ user.preferred_username }}", "display_name_template": "{{ user.name }}",
            }},
        })
    }
}

/// What tells its process from others.
pub fn mark(data: &Path) -> String {
    data.join("keycloak").display().to_string()
}

/// The first certificate in a SAML descriptor.
fn certificate_in(descriptor: &str) -> Option<&str> {
    let (_, rest) = descriptor.split_once("X509Certificate>")?;
    rest.split_once('<').map(|(certificate, _)| certificate.trim())
}

/// The certificate of our own SAML key.
fn certificate_of(keys: &Keys) -> &str {
    keys.saml_keys.pointer("/keys/0/x5c/0").and_then(Value::as_str).unwrap_or_default()
}

fn realm(base_url: &str, matrix_url: Option<&str>, keys: &Keys) -> String {
    REALM
        .replace("$SAML_CERTIFICATE", certificate_of(keys))
        .replace("$CLIENT_SECRET", &keys.demo_client_secret)
        .replace("$PASSWORD", &keys.matrix_password)
        .replace("$BASE_URL", base_url)
        .replace("$MATRIX_URL", matrix_url.unwrap_or("http://127.0.0.1:1"))
}

fn import(url: &str, realm: &str, password: &str) -> Result<()> {
    let form = [("grant_type", "password"), ("client_id", "admin-cli"), ("username", ADMINISTRATOR), ("password", password)];
    let answer = http::post_form(&format!("{url}/realms/master/protocol/openid-connect/token"), &form)?;
    let body = answer.success("Keycloak's administrator")?;
    let token = body.get("access_token").and_then(Value::as_str).context("Keycloak gave its administrator no token")?;
    let realm = serde_json::from_str(realm).context("tests/keycloak/tween-realm.json")?;
    http::post(&format!("{url}/admin/realms"), Some(token), &realm)?.success("importing the realm into Keycloak")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_realm_is_filled_in() {
        let filled = realm("http://127.0.0.1:8787", Some("http://127.0.0.1:8008"), &Keys::make().unwrap());
        let realm: Value = serde_json::from_str(&filled).unwrap();
        assert!(!filled.contains('$'));
        assert_eq!(realm["clients"][0]["redirectUris"][0], "http://127.0.0.1:8787/sign-in/callback/keycloak");
        assert_eq!(realm["users"].as_array().unwrap().len(), USERS.len());
    }
}
