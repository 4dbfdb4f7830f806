//! POST /ops/migrate: applies the migrations that are missing, in order, each exactly once. On Workers wrangler does it.
//!
//! | answer | when |
//! |---|---|
//! | 200 | which were applied now; repeated, none |
//! | 400 `INVALID_REQUEST` | the platform has its own tool for it |

use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql};

/// Every migration, in order. Forward only: old code runs on the new schema.
pub const MIGRATIONS: &[(&str, &str)] = &[("0001_foundation", include_str!("../../../migrations/0001_foundation.sql"))];

/// The statements of a file: comments go, a semicolon at the end of a line ends one.
pub fn statements(file: &str) -> Vec<String> {
    let code: Vec<&str> = file.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
    code.join("\n")
        .split(";\n")
        .map(|part| part.trim().trim_end_matches(';').trim())
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_statement_is_one() {
        for (name, file) in MIGRATIONS {
            let statements = statements(file);
            assert_eq!(statements.len(), file.matches(";\n").count(), "{name}");
            for statement in statements {
                assert!(statement.starts_with("CREATE "), "{statement}");
                assert!(!statement.contains(';') && !statement.contains("--"), "{statement}");
            }
        }
    }
}
