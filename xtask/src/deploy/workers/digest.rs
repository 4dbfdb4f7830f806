//! What identifies a deployment of one Worker: a digest over its manifest, its modules and its secrets.
//!
//! It stands in the open at Cloudflare, as the version's tag. It is keyed with SERVICE_KEY, at least 32 random bytes, so that nobody can
//! try guesses of the other secrets against it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::deploy::secrets::Secrets;

/// Changed when the meaning of the parts changes.
const VERSION: &str = "tmcp-edge deployment 1";

/// 24 characters: Cloudflare's tags take no more than 25.
pub fn of(manifest: &str, build: &Path, own: &BTreeMap<&str, &str>, secrets: &Secrets) -> Result<String> {
    let key = secrets.require("SERVICE_KEY", "it is among the secrets of every environment")?;
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key.as_bytes()).context("SERVICE_KEY cannot be a key")?;
    let mut part = |bytes: &[u8]| {
        mac.update(&(bytes.len() as u64).to_le_bytes());
        mac.update(bytes);
    };
    part(VERSION.as_bytes());
    part(manifest.as_bytes());
    for name in ["index.js", "index_bg.wasm"] {
        let file = build.join(name);
        part(&fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?);
    }
    for (name, value) in own {
        part(name.as_bytes());
        part(value.as_bytes());
    }
    let digest = mac.finalize().into_bytes();
    Ok(URL_SAFE_NO_PAD.encode(digest.get(..18).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::environment::KeyIds;
    use crate::deploy::secrets::tests::{example, parse};

    #[test]
    fn it_follows_every_part() {
        let build = std::env::temp_dir().join(format!("xtask-digest-{}", std::process::id()));
        fs::create_dir_all(&build).unwrap();
        let write = |name: &str, text: &str| fs::write(build.join(name), text).unwrap();
        write("index.js", "js");
        write("index_bg.wasm", "wasm");
        let secrets = parse(&example(), &KeyIds::default()).unwrap();
        let own = BTreeMap::from([("A", "1")]);
        let first = of("name = \"x\"", &build, &own, &secrets).unwrap();
        assert_eq!(first.len(), 24);
        assert_eq!(of("name = \"x\"", &build, &own, &secrets).unwrap(), first);
        let others = [
            of("name = \"y\"", &build, &own, &secrets).unwrap(),
            of("name = \"x\"", &build, &BTreeMap::from([("A", "2")]), &secrets).unwrap(),
            of("name = \"x\"", &build, &own, &parse(&example(), &KeyIds::default()).unwrap()).unwrap(),
        ];
        assert!(!others.contains(&first));
        write("index_bg.wasm", "wasm 2");
        assert_ne!(of("name = \"x\"", &build, &own, &secrets).unwrap(), first);
        fs::remove_dir_all(build).unwrap();
    }
}
