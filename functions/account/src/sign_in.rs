//! Whom people can sign in with, and the page for those who are not signed in; their chat app can hand them over too. From there they
//! come back to where they were.

use crate::pages::{self, Way};
use serde::Deserialize;
use serde_json::json;
use tmcp_http::page::is_ours;
use tmcp_http::people::label;
use tmcp_http::{Call, Failure};
use tmcp_ports::{Memo, Platform};
use tmcp_protocol::routes::{ACCOUNT, INTERNAL_PROVIDERS, SIGN_IN};

/// How long broker's answer is remembered.
const REMEMBER_MS: i64 = 60_000;

/// A provider, as broker tells of it.
#[derive(Clone, Deserialize)]
pub struct Offered {
    id: String,
    name: String,
    /// What its identities belong to.
    instance: Option<String>,
    /// The homeserver whose people sign in there.
    server: Option<String>,
}

/// An identity, as identity tells of it.
#[derive(Deserialize)]
pub struct Identity {
    /// What they are called there: a Matrix id, or a name that anybody can give themselves.
    name: String,
    instance: String,
    /// The homeserver, of a Matrix id.
    server: Option<String>,
}

impl Identity {
    fn is_of(&self, provider: &Offered) -> bool {
        match &self.server {
            Some(server) => provider.server.as_ref() == Some(server),
            None => provider.instance.as_ref() == Some(&self.instance),
        }
    }

    /// Whether it is a Matrix id.
    pub fn is_matrix(&self) -> bool {
        self.server.is_some()
    }

    /// What it is called on a page. Where its provider is not there any more, the instance names it.
    pub fn label(&self, offered: &[Offered]) -> String {
        if self.server.is_some() {
            return self.name.clone();
        }
        let provider = offered.iter().find(|one| self.is_of(one));
        label(&self.name, provider.map_or(self.instance.as_str(), |provider| provider.name.as_str()))
    }

    /// The provider that it is signed in with, if one is configured.
    pub fn way(&self, offered: &[Offered]) -> Option<String> {
        offered.iter().find(|one| self.is_of(one)).map(|provider| provider.id.clone())
    }
}

async fn ask<P: Platform>(call: &Call<P>) -> Result<Vec<Offered>, Failure> {
    let (memo, now) = (call.platform.memo(), call.now());
    if let Some(found) = memo.get::<Vec<Offered>>("providers", now) {
        return Ok(found);
    }
    let offered: Vec<Offered> = call.ask(&INTERNAL_PROVIDERS, &json!({})).await??;
    memo.put("providers", offered.clone(), now.plus(REMEMBER_MS));
    Ok(offered)
}

/// The providers. A page is of use without them: a chat app hands people over.
pub async fn offered<P: Platform>(call: &Call<P>) -> Vec<Offered> {
    ask(call).await.unwrap_or_else(|failure| {
        call.note(format!("providers: {}", failure.cause().unwrap_or_default()));
        Vec::new()
    })
}

/// Whom a person can sign in with, to come back to a page of ours.
pub fn ways(offered: Vec<Offered>, back: &str) -> Vec<Way> {
    let on = url::form_urlencoded::Serializer::new(String::new()).append_pair("continue", back).finish();
    let way = |one: Offered| {
        let address = format!("{}{}?{on}", SIGN_IN.prefix(), one.id);
        Way { id: one.id, address, name: one.name }
    };
    offered.into_iter().map(way).collect()
}

/// The page, for an app or for ourselves; leads back to `here`.
pub async fn page<P: Platform>(call: &Call<P>, app: Option<&str>, here: &str) -> Result<String, Failure> {
    let here = if is_ours(here) { here } else { ACCOUNT.path };
    pages::sign_in(app, &ways(offered(call).await, here))
}
