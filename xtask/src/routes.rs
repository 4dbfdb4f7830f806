//! `cargo xtask routes --check`: holds the gateway, `spin.toml` and the manifests to the one route table.

use anyhow::Result;

/// Prints the route table; with `check`, fails where a manifest does not follow it.
pub fn run(check: bool) -> Result<()> {
    let _ = check;
    anyhow::bail!("not written yet: the route table comes with tmcp-http")
}
