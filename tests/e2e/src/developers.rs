//! Developers, and the console that they use.

use crate::answer::{Answer, Ask};
use crate::browser::{CHALLENGE, VERIFIER, parameter};
use crate::world::{Person, Session, World};
use reqwest::Url;
use serde_json::json;

/// Where development's console would be.
pub const CONSOLE_BACK: &str = "http://127.0.0.1:5174/callback";

impl World {
    /// Puts somebody on the list of developers.
    pub async fn list(&self, matrix_user_id: &str) -> Answer {
        let body = json!({"matrix_user_id": matrix_user_id, "note": "a test"});
        self.post("/admin/developers/whitelist").bearer_auth(&self.up.admin_token).json(&body).ask().await
    }

    /// The path by which the console sends a developer.
    pub fn console_path(&self) -> String {
        let pairs = [
            ("response_type", "code"),
            ("client_id", self.up.developer_console.client_id.as_str()),
            ("redirect_uri", CONSOLE_BACK),
            ("state", "a state & more"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        let url = Url::parse_with_params("http://x/oauth2/developer/authorize", pairs).expect("parameters");
        format!("{}?{}", url.path(), url.query().unwrap_or_default())
    }

    /// A grant at the console's token endpoint.
    pub async fn console(&self, parameters: &[(&str, &str)]) -> Answer {
        let console = &self.up.developer_console;
        let secret = console.client_secret.as_deref().unwrap_or_default();
        let mut form = vec![("client_id", console.client_id.as_str()), ("client_secret", secret)];
        form.extend(parameters);
        self.post("/oauth2/developer/token").form(&form).ask().await
    }

    /// A code for the console, of whoever sits at a browser of theirs.
    pub async fn console_code(&self, person: &Person) -> String {
        let browser = self.browser(person).await;
        parameter(&browser.page(&self.console_path()).await, "code")
    }

    /// The console redeems a code.
    pub async fn console_redeem(&self, code: &str) -> Answer {
        let grant = [("grant_type", "authorization_code"), ("code", code)];
        self.console(&[&grant[..], &[("redirect_uri", CONSOLE_BACK), ("code_verifier", VERIFIER)]].concat()).await
    }

    /// The console refreshes.
    pub async fn console_refresh(&self, token: &str) -> Answer {
        self.console(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    /// Somebody as a developer.
    pub async fn developer(&self, person: &Person) -> Session {
        self.list(&person.matrix.user_id).await.ok();
        Session::of(&self.console_redeem(&self.console_code(person).await).await)
    }
}
