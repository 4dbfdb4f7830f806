//! The tests of `tests/browser`: a real Chromium and unmodified client libraries, run by Node's own test runner.

use std::process::Command;

use anyhow::Result;
use serde_json::{Value, json};

use super::Suite;
use super::live::WIDE_LIMITS;
use crate::build::Runtime;
use crate::http;
use crate::keys;
use crate::tools;
use crate::tools::chromium;
use crate::tools::npm::{self, Npm};
use crate::tools::python::{AUTHLIB, PYSAML2, SYNAPSE};
use crate::tools::xmlsec;

impl Suite<'_> {
    /// Runs them against a fresh server; the pictures they take lie beside its `up.json`, in `screenshots`.
    pub(super) fn browser(&self, runtime: Runtime) -> Result<()> {
        let folder = self.paths.root.join("tests/browser");
        let chromium = chromium::ensure(self.paths, self.progress)?;
        let xmlsec = xmlsec::ensure(self.paths, self.progress)?;
        npm::install(self.paths, self.progress, &folder, "the browser tests")?;
        {
            let _lock = tools::install_lock(self.paths, self.progress)?;
            AUTHLIB.ensure(self.paths, self.progress)?;
            PYSAML2.ensure(self.paths, self.progress)?;
        }
        // Where tests are going to have a second provider, a second homeserver, one whose certificate nobody vouches for, whoever is
        // told of attacks, and whoever sends mail.
        let [port, second, odd] = [http::free_port()?, http::free_port()?, http::free_port()?];
        let [alerts, mail, saml] = [http::free_port()?, http::free_port()?, http::free_port()?];
        let [delegating, delegated] = [http::free_port()?, http::free_port()?];
        let (saml_key, saml_certificate) = keys::pem_with_certificate("python")?;
        let server = self.start(runtime, runtime.name(), "browser", WIDE_LIMITS, |args| {
            args.with_keycloak = true;
            args.provider = second_provider(port);
            args.provider.push(mail_provider(mail));
            args.provider.push(saml_provider(saml, &saml_certificate));
            args.provider.push(delegated_provider(delegated));
            args.homeserver = more_homeservers(second, odd, delegating);
            args.set.push(r#"FEDERATION_DENY=["denied.example"]"#.to_owned());
            args.set.push(format!("ALERT_WEBHOOK=http://localhost:{alerts}/hook?secret=1"));
            // Long enough to change one's mind, short enough to wait for.
            args.set.push("DELETION_GRACE_SECONDS=20".to_owned());
        })?;
        let mut command = Command::new(Npm::new(self.paths).node());
        command.current_dir(&folder).args(["--test", "--test-reporter=tap", "--test-concurrency=1", "--test-timeout=120000"]);
        command.env("TMCP_UP", &server.up_file).env("TMCP_CHROMIUM", chromium);
        command.env("TMCP_PROVIDER_PORT", port.to_string()).env("TMCP_ALERT_PORT", alerts.to_string());
        command.env("TMCP_MAIL_PORT", mail.to_string());
        command.env("TMCP_SAML_PORT", saml.to_string()).env("TMCP_SAML_PYTHON", PYSAML2.interpreter(self.paths));
        command.env("TMCP_SAML_KEY", saml_key).env("TMCP_SAML_CERTIFICATE", saml_certificate).env("TMCP_XMLSEC", xmlsec);
        command.env("TMCP_SECOND_MATRIX_PORT", second.to_string()).env("TMCP_ODD_MATRIX_PORT", odd.to_string());
        command.env("TMCP_DELEGATED_MATRIX_PORT", delegating.to_string()).env("TMCP_DELEGATED_PORT", delegated.to_string());
        command.env("TMCP_SYNAPSE_PYTHON", SYNAPSE.interpreter(self.paths));
        command.env("TMCP_PYTHON", AUTHLIB.interpreter(self.paths));
        let name = runtime.name();
        let result = self.step(&format!("browser tests on {name}"), &format!("test-browser-{name}"), &mut command);
        server.end(result)
    }
}

/// A second homeserver, under a name that may come and under one that may not, one with a certificate of its own making, and one that
/// leaves sign-ins to another.
fn more_homeservers(second: u16, odd: u16, delegating: u16) -> Vec<String> {
    let entry = |name: &str, url: String| json!({"server_name": name, "client_url": url}).to_string();
    let url = format!("http://localhost:{second}");
    vec![
        entry("second.example", url.clone()),
        entry("denied.example", url),
        entry("odd.example", format!("https://localhost:{odd}")),
        entry("delegated.example", format!("http://localhost:{delegating}")),
    ]
}

/// The OAuth 2.0 server that a homeserver of the tests leaves sign-ins to.
fn delegated_provider(port: u16) -> String {
    json!({"id": "delegated", "kind": "matrix", "name": "Delegated", "server_name": "delegated.example",
        "issuer": format!("http://localhost:{port}"), "client_id": "tmcp", "client_secret": "secret-of-the-delegated-one"})
    .to_string()
}

/// Sign-ins by mail, which goes to the tests.
fn mail_provider(port: u16) -> String {
    json!({"id": "mail", "kind": "email", "name": "E-mail", "endpoint": format!("http://localhost:{port}/mail"),
        "token": "secret-of-the-mail", "from": "us@tmcp.example"})
    .to_string()
}

/// pysaml2 of the browser tests.
fn saml_provider(port: u16, certificate: &str) -> String {
    let origin = format!("http://localhost:{port}");
    json!({"id": "python", "kind": "saml", "name": "Python SAML", "entity_id": format!("{origin}/idp"), "sso_url": format!("{origin}/sso"),
        "certificates": [certificate], "name_attribute": "urn:oid:2.16.840.1.113730.3.1.241",
        "email_attribute": "urn:oid:0.9.2342.19200300.100.1.3"})
    .to_string()
}

/// oidc-provider of the browser tests, twice: as what it is, and as a provider that speaks OAuth 2.0 alone.
fn second_provider(port: u16) -> Vec<String> {
    let origin = format!("http://localhost:{port}");
    let client = |id: &str| json!({"id": id, "client_id": id, "client_secret": "secret-of-the-second-provider", "scopes": ["openid", "profile", "email"]});
    let with = |mut provider: Value, more: Value| {
        if let (Some(members), Some(more)) = (provider.as_object_mut(), more.as_object()) {
            members.extend(more.clone());
        }
        provider.to_string()
    };
    vec![
        with(
            client("second"),
            json!({"kind": "oidc", "name": "Second", "issuer": origin, "redirect_uris": ["http://127.0.0.1:1/native"]}),
        ),
        with(
            client("plain"),
            json!({"kind": "oauth", "name": "Plain", "authorization_endpoint": format!("{origin}/auth"), "id_member": "sub",
                "token_endpoint": format!("{origin}/token"), "userinfo_endpoint": format!("{origin}/me"), "name_member": "nickname"}),
        ),
    ]
}
