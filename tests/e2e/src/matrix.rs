//! People at the homeserver, and what only a homeserver gives.

use crate::answer::{Answer, Ask};
use crate::secrets::remember;
use crate::world::{World, unique};
use hmac::{Hmac, Mac};
use serde::Deserialize;
use serde_json::{Value, json};
use sha1::Sha1;

/// A Matrix account with a token of one of its devices.
#[derive(Debug, Clone, Deserialize)]
pub struct MatrixUser {
    /// `@name:server`.
    pub user_id: String,
    /// The homeserver's token.
    pub access_token: String,
}

fn account(body: &Value) -> MatrixUser {
    serde_json::from_value(body.clone()).unwrap_or_else(|error| panic!("{error}: {body}"))
}

impl World {
    fn matrix(&self, path: &str) -> String {
        let url = self.up.matrix_url.as_deref().expect("no homeserver: start the server with --with-matrix");
        format!("{url}{path}")
    }

    /// A request to the homeserver.
    pub fn at_homeserver(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        self.http.request(method, self.matrix(path))
    }

    /// A new account, by the registration secret.
    pub async fn matrix_user(&self) -> MatrixUser {
        let url = self.matrix("/_synapse/admin/v1/register");
        let nonce = self.http.get(&url).ask().await.ok()["nonce"].as_str().expect("a nonce").to_owned();
        let (name, password) = (unique("e2e"), unique("password-"));
        remember(&password);
        let secret = self.up.matrix_registration_secret.as_deref().expect("the registration secret");
        let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).expect("any length will do");
        mac.update([nonce.as_str(), &name, &password, "notadmin"].join("\0").as_bytes());
        let mac: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let body = json!({"nonce": nonce, "username": name, "password": password, "admin": false, "mac": mac});
        account(&self.http.post(url).json(&body).ask().await.ok())
    }

    /// A guest's account.
    pub async fn guest(&self) -> MatrixUser {
        let url = self.matrix("/_matrix/client/v3/register?kind=guest");
        account(&self.http.post(url).json(&json!({})).ask().await.ok())
    }

    /// A user in the namespace of the platform's own Application Service, with a device.
    pub async fn service_user(&self) -> MatrixUser {
        let body = json!({"type": "m.login.application_service", "username": unique("ma_bot")});
        let url = self.matrix("/_matrix/client/v3/register");
        account(&self.http.post(url).bearer_auth(self.service_token()).json(&body).ask().await.ok())
    }

    /// The Application Service's own token.
    pub fn service_token(&self) -> &str {
        self.up.matrix_as_token.as_deref().expect("the Application Service's token")
    }

    /// Ends an access token at the homeserver.
    pub async fn matrix_logout(&self, user: &MatrixUser) {
        self.http
            .post(self.matrix("/_matrix/client/v3/logout"))
            .bearer_auth(&user.access_token)
            .json(&json!({}))
            .ask()
            .await
            .ok();
    }

    /// An OpenID token, as the homeserver gives it.
    pub async fn openid_token(&self, user: &MatrixUser) -> Value {
        let url = self.matrix(&format!("/_matrix/client/v3/user/{}/openid/request_token", user.user_id));
        self.http.post(url).bearer_auth(&user.access_token).json(&json!({})).ask().await.ok()
    }

    /// Signs in with any credentials.
    pub async fn sign_in_with(&self, body: &Value) -> Answer {
        self.post("/api/v1/auth/matrix").json(body).ask().await
    }

    /// Signs in with an access token.
    pub async fn sign_in(&self, user: &MatrixUser) -> Answer {
        self.sign_in_with(&json!({"matrix_user_id": user.user_id, "access_token": user.access_token})).await
    }

    /// Signs in with a fresh OpenID token.
    pub async fn sign_in_by_openid(&self, user: &MatrixUser) -> Answer {
        let token = self.openid_token(user).await;
        self.sign_in_with(&json!({"matrix_user_id": user.user_id, "openid_token": token})).await
    }
}
