//! POST /ops/migrate: applies the migrations that are missing, in order, each exactly once. On Workers wrangler does it.
//!
//! | answer | when |
//! |---|---|
//! | 200 | which were applied now; repeated, none |
//! | 400 `INVALID_REQUEST` | the platform has its own tool for it |

use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::migrations::{MIGRATIONS, statements};
use tmcp_ports::{Platform, Sql};

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    if !<P::Sql as Sql>::MIGRATES {
        return Err(Failure::invalid("on this platform migrations are applied by `wrangler d1 migrations apply`"));
    }
    let mut applied = Vec::new();
    for (name, file) in MIGRATIONS {
        if call.platform.sql().migrate(name, statements(file)).await? {
            applied.push(*name);
        }
    }
    Reply::json(&serde_json::json!({ "applied": applied }))
}
