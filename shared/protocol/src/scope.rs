//! Scopes (TMCP 1.9), their sensitivity, and whether a person must agree.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// How much harm a scope can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sensitivity {
    /// Granted without asking, or asked once.
    Low,
    /// Asked once and remembered.
    Medium,
    /// Asked once and remembered.
    High,
    /// Asked once, and each use is confirmed.
    Critical,
    /// For official apps only.
    Privileged,
}

macro_rules! scopes {
    ($($variant:ident = $name:literal, $sensitivity:ident;)*) => {
        /// One thing that a mini-app may be allowed to do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Scope { $(#[doc = $name] $variant,)* }

        impl Scope {
            /// Every scope there is.
            pub const ALL: &'static [Scope] = &[$(Scope::$variant,)*];

            /// The name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Scope::$variant => $name,)* }
            }

            /// How much harm it can do.
            pub const fn sensitivity(self) -> Sensitivity {
                match self { $(Scope::$variant => Sensitivity::$sensitivity,)* }
            }

            /// The scope of that name.
            pub fn parse(name: &str) -> Option<Self> {
                match name { $($name => Some(Scope::$variant),)* _ => None }
            }
        }
    };
}

scopes! {
    UserRead = "user:read", Low;
    UserReadExtended = "user:read:extended", Medium;
    UserReadContacts = "user:read:contacts", High;
    WalletBalance = "wallet:balance", High;
    WalletPay = "wallet:pay", Critical;
    WalletHistory = "wallet:history", High;
    WalletRequest = "wallet:request", High;
    MessagingSend = "messaging:send", High;
    MessagingRead = "messaging:read", High;
    StorageRead = "storage:read", Low;
    StorageWrite = "storage:write", Low;
    WebhookSend = "webhook:send", Medium;
    RoomCreate = "room:create", High;
    RoomInvite = "room:invite", High;
    SystemNotifications = "system:notifications", Privileged;
    WalletAdmin = "wallet:admin", Privileged;
    MessagingBroadcast = "messaging:broadcast", Privileged;
    AnalyticsDetailed = "analytics:detailed", Privileged;
}

impl Scope {
    /// Whether the scope is granted without asking the person (TMCP part 12, row 18: the storage scopes alone).
    pub const fn is_automatic(self) -> bool {
        matches!(self, Scope::StorageRead | Scope::StorageWrite)
    }

    /// Whether the person is asked before an app gets it: storage never, what is basic not for official apps (TMCP part 12, row 18).
    pub fn needs_consent(self, official: bool) -> bool {
        let basic = official && self == Scope::UserRead;
        !self.is_automatic() && !basic
    }

    /// Whether only official apps may have it; a token with one of them is privileged.
    pub fn is_official_only(self) -> bool {
        self.sensitivity() == Sensitivity::Privileged
    }

    /// What a person is told that the app could do.
    pub const fn description(self) -> &'static str {
        match self {
            Scope::UserRead => "See your name, picture and Matrix address",
            Scope::UserReadExtended => "See more of your profile: what you wrote about yourself, and your homeserver",
            Scope::UserReadContacts => "See whom you know",
            Scope::WalletBalance => "See how much is in your wallet",
            Scope::WalletPay => "Ask you to pay",
            Scope::WalletHistory => "See what you paid and were paid",
            Scope::WalletRequest => "Ask other people to pay you",
            Scope::MessagingSend => "Send messages in your name",
            Scope::MessagingRead => "Read messages in rooms where you use it",
            Scope::StorageRead => "Read what it has kept for you",
            Scope::StorageWrite => "Keep data for you",
            Scope::WebhookSend => "Learn on its own server what happens in your account with it",
            Scope::RoomCreate => "Create rooms in your name",
            Scope::RoomInvite => "Invite people to rooms in your name",
            Scope::SystemNotifications => "Send you notices of the platform",
            Scope::WalletAdmin => "Manage your wallet",
            Scope::MessagingBroadcast => "Send messages to many people at once",
            Scope::AnalyticsDetailed => "See in detail how you use the platform",
        }
    }

    /// What a person should know beside that.
    pub const fn note(self) -> Option<&'static str> {
        match self {
            Scope::WalletPay => Some("You will be asked to confirm each payment"),
            _ => None,
        }
    }

    /// Whether a session of the level `openid` may hold it: only what can do little harm, since a Matrix OpenID token names no
    /// audience and may have been given to somebody else first.
    pub fn is_open_to_weak_sessions(self) -> bool {
        self.sensitivity() == Sensitivity::Low
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of scopes, on the wire a list separated by single spaces (RFC 6749 section 3.3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ScopeSet(BTreeSet<Scope>);

/// A name in a scope list that no scope has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown scope `{0}`")]
pub struct UnknownScope(pub String);

impl ScopeSet {
    /// Reads a list of names; repeated names count once.
    pub fn parse(list: &str) -> Result<Self, UnknownScope> {
        list.split_ascii_whitespace()
            .map(|name| Scope::parse(name).ok_or_else(|| UnknownScope(name.chars().take(64).collect())))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether nothing is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `scope` is in the set.
    pub fn contains(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }

    /// The scopes, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = Scope> + '_ {
        self.0.iter().copied()
    }

    /// Whether a token with these is privileged (TMCP 1.3): short of a session, and every use of it is noted.
    pub fn is_privileged(&self) -> bool {
        self.iter().any(Scope::is_official_only)
    }

    /// Of an app's registered scopes: whether it may ask for one at all. Some are for official apps only.
    pub fn allow(&self, scope: Scope, official: bool) -> bool {
        self.contains(scope) && (official || !scope.is_official_only())
    }

    /// Whether every scope of the set is in `other` too.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, scope) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

impl TryFrom<String> for ScopeSet {
    type Error = UnknownScope;
    fn try_from(list: String) -> Result<Self, UnknownScope> {
        Self::parse(&list)
    }
}

impl From<ScopeSet> for String {
    fn from(set: ScopeSet) -> String {
        set.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_round_trip() {
        let set = ScopeSet::parse("storage:write  storage:read storage:read").unwrap();
        assert_eq!(set.to_string(), "storage:read storage:write");
        assert_eq!(ScopeSet::parse(""), Ok(ScopeSet::default()));
        assert_eq!(ScopeSet::parse("storage:read root"), Err(UnknownScope("root".into())));
    }

    #[test]
    fn every_name_parses_to_itself() {
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.as_str()), Some(*scope));
        }
    }

    #[test]
    fn people_are_asked_for_all_but_storage_and_what_official_apps_have() {
        for scope in Scope::ALL {
            let storage = scope.as_str().starts_with("storage:");
            assert_eq!(scope.needs_consent(false), !storage, "{scope}");
            assert_eq!(scope.needs_consent(true), !storage && *scope != Scope::UserRead, "{scope}");
        }
    }

    #[test]
    fn an_app_asks_for_what_it_registered_and_privileged_scopes_are_for_official_ones() {
        let registered = ScopeSet::parse("user:read wallet:admin").unwrap();
        let allowed = |official| Scope::ALL.iter().copied().filter(|one| registered.allow(*one, official)).collect::<Vec<_>>();
        assert_eq!(allowed(false), [Scope::UserRead]);
        assert_eq!(allowed(true), [Scope::UserRead, Scope::WalletAdmin]);
    }

    #[test]
    fn only_storage_is_automatic() {
        let automatic: Vec<_> = Scope::ALL.iter().filter(|s| s.is_automatic()).collect();
        assert_eq!(automatic, [&Scope::StorageRead, &Scope::StorageWrite]);
    }
}
