//! POST /oauth2/device/authorization (RFC 8628 section 3.1; TMCP 1.5): a device without a browser gets a code for itself and one for its
//! person, who enters it elsewhere.
//!
//! | answer | when |
//! |---|---|
//! | 200 | `device_code`, `user_code`, `verification_uri`, `verification_uri_complete`, `expires_in`, `interval` |
//! | 400 `invalid_scope` | a scope that is not registered, or one that no device gets: wallet, official apps' |
//! | 400 `unauthorized_client`, 401 `invalid_client` | the client |
//! | 429 | too many from one address |

use crate::client;
use crate::{mint, sql};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tmcp_http::cors::Reader;
use tmcp_http::{Call, Failure, Reply, sha256_hex};
use tmcp_ports::{Platform, Random, Sql, stmt};
use tmcp_protocol::client::Grant;
use tmcp_protocol::device::UserCode;
use tmcp_protocol::routes::DEVICE_PAGE;
use tmcp_protocol::{Scope, ScopeSet};

/// Both codes live so long.
const LIFE_MS: i64 = 15 * 60 * 1000;
/// How long a device waits between two polls, at first.
pub const INTERVAL_MS: i64 = 5_000;

/// Whether a device may have it: nothing that spends, and nothing that is for official apps.
fn is_for_devices(scope: Scope) -> bool {
    !scope.is_official_only() && !scope.as_str().starts_with("wallet:")
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let form = call.form()?;
    let client = client::authenticate(&call, &form).await?;
    call.answer_is_for(Reader::Client(client.client_id.to_string()));
    if !client.may_use(Grant::DeviceCode) {
        return Err(Failure::oauth("unauthorized_client", 400, "the client is not registered for this grant type"));
    }
    let scopes =
        ScopeSet::parse(form.require("scope")?).map_err(|error| Failure::oauth("invalid_scope", 400, error.to_string()))?;
    if let Some(scope) = scopes.iter().find(|scope| !client.may_ask_for(*scope) || !is_for_devices(*scope)) {
        let message = format!("the app has not registered the scope `{scope}`, or no device gets it");
        return Err(Failure::oauth("invalid_scope", 400, message));
    }
    let random = call.platform.random();
    let device_code = format!("device_{}", URL_SAFE_NO_PAD.encode(random.bytes::<32>()));
    let now = call.now();
    // A code that somebody else has is rare and found by its hash: another one is made.
    for _ in 0..3 {
        let user_code = UserCode::new(random.bytes());
        let put = stmt!(
            sql::PUT_DEVICE,
            sha256_hex(&device_code),
            sha256_hex(user_code.as_str()),
            client.client_id.as_str(),
            client.app_id.as_str(),
            scopes.to_string(),
            mint::session_id(&call),
            call.address.truncated(),
            now,
            now.plus(LIFE_MS),
            INTERVAL_MS,
        );
        if call.platform.sql().query(put).await?.is_empty() {
            continue;
        }
        let page = format!("{}{}", call.settings.issuer, DEVICE_PAGE.path);
        return Reply::json(&json!({
            "device_code": device_code, "user_code": user_code.shown(), "verification_uri": page,
            "verification_uri_complete": format!("{page}?user_code={}", user_code.shown()),
            "expires_in": LIFE_MS / 1000, "interval": INTERVAL_MS / 1000,
        }));
    }
    Err(Failure::unavailable("no free user code"))
}
