//! The targets: ours by each way in, and what it is compared with.

use anyhow::{Result, bail};

/// Something that load is put on.
#[derive(Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, for the report.
    pub title: &'static str,
    /// The process that serves it; targets that share one have different ways in.
    pub host: Host,
    /// What it answers.
    pub kind: Kind,
    /// The Worker that takes storage's requests, and the one that takes auth's; not used elsewhere.
    pub entries: (&'static str, &'static str),
}

/// A process tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Host {
    /// Ours on workerd.
    Workers,
    /// The control on workerd.
    WorkersNoop,
    /// The floor on workerd.
    WorkersFloor,
    /// Ours on workerd with the TypeScript peer in storage's place.
    WorkersHono,
    /// Ours on Spin.
    Spin,
    /// The control on Spin.
    SpinNoop,
    /// The floor on Spin.
    SpinFloor,
    /// A Matrix homeserver.
    Synapse,
    /// An OAuth server on Node.
    OidcProvider,
    /// An identity provider on Java.
    Keycloak,
}

/// What a target answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The product.
    Ours,
    /// Nothing but 200.
    Noop,
    /// The same platform calls and nothing else.
    Floor,
    /// The product's storage routes.
    Storage,
    /// Matrix.
    Synapse,
    /// OAuth, with a confidential client.
    OAuth,
}

impl Host {
    /// The name of its folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::Workers => "workers",
            Self::WorkersNoop => "workers-noop",
            Self::WorkersFloor => "workers-floor",
            Self::WorkersHono => "workers-hono",
            Self::Spin => "spin",
            Self::SpinNoop => "spin-noop",
            Self::SpinFloor => "spin-floor",
            Self::Synapse => "synapse",
            Self::OidcProvider => "oidc-provider",
            Self::Keycloak => "keycloak",
        }
    }

    /// Whether it is a Spin application.
    pub fn is_spin(self) -> bool {
        matches!(self, Self::Spin | Self::SpinNoop | Self::SpinFloor)
    }

    /// Whether it runs on workerd.
    pub fn is_workers(self) -> bool {
        matches!(self, Self::Workers | Self::WorkersNoop | Self::WorkersFloor | Self::WorkersHono)
    }
}

/// All of them, in the report's order. The control of a runtime follows ours.
pub const TARGETS: &[Target] = &[
    target(
        "workers-gateway",
        "ours on Workers, through the gateway",
        Host::Workers,
        Kind::Ours,
        ("tmcp-gateway", "tmcp-gateway"),
    ),
    target("workers-direct", "ours on Workers, entered directly", Host::Workers, Kind::Ours, ("tmcp-storage", "tmcp-auth")),
    target("workers-noop", "no-op on Workers", Host::WorkersNoop, Kind::Noop, ("noop", "noop")),
    target("workers-floor", "floor on Workers", Host::WorkersFloor, Kind::Floor, ("floor", "floor")),
    target(
        "hono-gateway",
        "TypeScript peer, through our gateway",
        Host::WorkersHono,
        Kind::Storage,
        ("tmcp-gateway", "tmcp-gateway"),
    ),
    target("hono-direct", "TypeScript peer, entered directly", Host::WorkersHono, Kind::Storage, ("tmcp-storage", "tmcp-auth")),
    target("spin", "ours on Spin", Host::Spin, Kind::Ours, ("", "")),
    target("spin-noop", "no-op on Spin", Host::SpinNoop, Kind::Noop, ("", "")),
    target("spin-floor", "floor on Spin", Host::SpinFloor, Kind::Floor, ("", "")),
    target("synapse", "Synapse account_data", Host::Synapse, Kind::Synapse, ("", "")),
    target("oidc-provider", "npm oidc-provider", Host::OidcProvider, Kind::OAuth, ("", "")),
    target("keycloak", "Keycloak", Host::Keycloak, Kind::OAuth, ("", "")),
];

const fn target(
    name: &'static str,
    title: &'static str,
    host: Host,
    kind: Kind,
    entries: (&'static str, &'static str),
) -> Target {
    Target { name, title, host, kind, entries }
}

/// The named targets; none named means all.
pub fn select(names: &[String]) -> Result<Vec<&'static Target>> {
    for name in names {
        if !TARGETS.iter().any(|target| target.name == name) {
            let known: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            bail!("no target is called \"{name}\": choose from {}", known.join(", "));
        }
    }
    Ok(TARGETS.iter().filter(|t| names.is_empty() || names.iter().any(|name| name == t.name)).collect())
}

/// The target of a name.
pub fn named(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_and_keep_their_order() {
        let names = ["spin".to_owned(), "workers-noop".to_owned()];
        let selected: Vec<_> = select(&names).unwrap().iter().map(|target| target.name).collect();
        assert_eq!(selected, ["workers-noop", "spin"]);
        assert!(select(&["worker".into()]).unwrap_err().to_string().contains("workers-direct"));
    }
}
