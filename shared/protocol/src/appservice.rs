//! The registrations by which homeservers know us as an Application Service (Application Service API v1), as configuration has them in
//! `APPSERVICES`.

use crate::ids::ServerName;
use crate::secret::Secret;
use serde::Deserialize;
use std::collections::BTreeSet;

/// Of the user that a registration names (`sender_localpart`, TMCP 6.1).
pub const SENDER: &str = "_tmcp";

/// A secret that is shorter can be guessed.
const MIN_TOKEN: usize = 32;

/// A homeserver with which we are registered. It has no `Debug`: secrets are in it.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// The homeserver.
    pub server_name: ServerName,
    /// What it shows us.
    pub hs_token: Secret,
    /// What we show it.
    pub as_token: Secret,
}

/// Reads `APPSERVICES`. What is wrong is named by its place; no value is quoted, since secrets are among them.
pub fn parse(json: &str) -> Result<Vec<Registration>, String> {
    let place =
        |error: serde_json::Error| format!("not an array of registrations, at line {} column {}", error.line(), error.column());
    let all: Vec<Registration> = serde_json::from_slice(json.as_bytes()).map_err(place)?;
    let (mut names, mut tokens) = (BTreeSet::new(), BTreeSet::new());
    for one in &all {
        let name = one.server_name.as_str();
        let (hs, own) = (one.hs_token.expose(), one.as_token.expose());
        if hs.len() < MIN_TOKEN || own.len() < MIN_TOKEN {
            return Err(format!("{name}: hs_token and as_token must have at least {MIN_TOKEN} characters"));
        }
        if !names.insert(name) {
            return Err(format!("{name} stands there twice"));
        }
        // Whoever has one token of ours there is not to pass for the homeserver, nor one homeserver for another.
        if !tokens.insert(hs) || !tokens.insert(own) {
            return Err(format!("{name}: each token must be another"));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn registrations_are_whole_and_no_token_serves_twice() {
        let token = |letter: &str| letter.repeat(32);
        let one = |name: &str, hs: String, own: String| json!({"server_name": name, "hs_token": hs, "as_token": own});
        assert_eq!(
            parse(&json!([one("a", token("x"), token("y")), one("b", token("z"), token("w"))]).to_string()).map(|all| all.len()),
            Ok(2)
        );
        for (wrong, expected) in [
            (json!([one("a", token("x"), token("x"))]), "each token must be another"),
            (json!([one("a", token("x"), token("y")), one("b", token("x"), token("z"))]), "each token must be another"),
            (json!([one("a", token("x"), token("y")), one("a", token("z"), token("w"))]), "twice"),
            (json!([one("a", "xxx".to_owned(), token("y"))]), "at least 32"),
            (json!([{"server_name": "a", "hs_token": token("x")}]), "at line 1"),
            (json!({}), "at line 1"),
        ] {
            let problem = parse(&wrong.to_string()).err().unwrap();
            assert!(problem.contains(expected) && !problem.contains("xxx"), "{problem}");
        }
    }
}
