//! Rate limits: the classes of TMCP 8.1, their defaults, and how configuration changes them.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// How many requests of a class one subject may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Requests per window.
    pub capacity: u32,
    /// Requests beyond the capacity that a full bucket holds.
    pub burst: u32,
    /// The window in seconds.
    pub window_s: u32,
    /// Requests that a window brings back; the capacity, unless configured otherwise.
    pub refill: u32,
}

impl Limit {
    /// The window in milliseconds.
    pub fn window_ms(&self) -> i64 {
        i64::from(self.window_s.max(1)) * 1000
    }
}

macro_rules! classes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $capacity:literal per $window:literal s, burst $burst:literal;)*) => {
        /// A class of requests that share a bucket.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum LimitClass { $($(#[$doc])* $variant,)* }

        impl LimitClass {
            /// Every class.
            pub const ALL: &'static [LimitClass] = &[$(LimitClass::$variant,)*];

            /// What holds without configuration, in the same order.
            const DEFAULTS: [Limit; LimitClass::ALL.len()] = [$(LimitClass::$variant.default_limit(),)*];

            /// The name in configuration and in stored buckets.
            pub const fn as_str(self) -> &'static str {
                match self { $(LimitClass::$variant => $name,)* }
            }

            /// What holds without configuration.
            pub const fn default_limit(self) -> Limit {
                match self { $(LimitClass::$variant => Limit { capacity: $capacity, burst: $burst, window_s: $window, refill: $capacity },)* }
            }
        }
    };
}

classes! {
    /// By source address: every request that carries no token of ours.
    Address = "address", 600 per 60 s, burst 200;
    /// By source address: whether everything answers, which asks a lot of all.
    Status = "status", 60 per 60 s, burst 20;
    /// By source address: sign-ins, before any homeserver is asked.
    SignIn = "sign_in", 20 per 60 s, burst 10;
    /// By source address: device codes asked for.
    Device = "device", 20 per 60 s, burst 5;
    /// By source address and by person: user codes entered.
    DeviceGuess = "device_guess", 10 per 60 s, burst 5;
    /// By source address: questions of apps, shown and answered.
    Consent = "consent", 60 per 60 s, burst 20;
    /// Token exchange and the other grants that begin a session.
    TokenGeneration = "token_generation", 10 per 60 s, burst 3;
    /// The refresh grant.
    TokenRefresh = "token_refresh", 20 per 3600 s, burst 5;
    /// Introspection.
    TokenValidation = "token_validation", 1000 per 60 s, burst 100;
    /// Account routes: logout and the like.
    Account = "account", 60 per 60 s, burst 10;
    /// By source address: codes sent to e-mail addresses.
    MailSource = "mail_source", 20 per 3600 s, burst 5;
    /// By recipient: codes sent to an e-mail address.
    Mail = "mail", 5 per 3600 s, burst 1;
    /// By Matrix id: invitations into rooms that our own user accepts.
    Invitation = "invitation", 10 per 3600 s, burst 0;
    /// Exports of everything that is held about a person.
    Export = "export", 5 per 3600 s, burst 2;
    /// Single storage operations.
    Storage = "storage", 100 per 60 s, burst 20;
    /// No bucket: how many limits a person may exceed in an app or on the platform, each counted once in its window, before they are
    /// suspended there for a window of this one (TMCP 8.1). A capacity of 0 never suspends.
    Violations = "violations", 10 per 3600 s, burst 0;
    /// Storage batches.
    StorageBatch = "storage_batch", 10 per 60 s, burst 2;
}

/// All limits in force, in the order of [`LimitClass::ALL`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits([Limit; LimitClass::ALL.len()]);

/// Why the configured limits cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidLimits {
    /// Not JSON, or values of the wrong type.
    #[error("not a JSON object of limits: {0}")]
    Malformed(#[from] serde_json::Error),
    /// No class has that name.
    #[error("there is no limit class `{0}`")]
    UnknownClass(String),
}

#[derive(Deserialize)]
struct Override {
    capacity: Option<u32>,
    burst: Option<u32>,
    window_s: Option<u32>,
    refill: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self(LimitClass::DEFAULTS)
    }
}

impl Limits {
    /// Reads the configured changes: `{"scale": 10, "refill": 0, "storage": {"capacity": 5}}`. `scale` multiplies capacities,
    /// bursts and refills of all classes, `refill` sets what a window brings back for all; a class's own values come last.
    pub fn parse(json: &str) -> Result<Self, InvalidLimits> {
        let mut classes: BTreeMap<String, Value> = serde_json::from_slice(json.as_bytes())?;
        let mut for_all = |name: &str| classes.remove(name).map(u32::deserialize).transpose();
        let (scale, refill) = (for_all("scale")?.unwrap_or(1), for_all("refill")?);
        let mut limits = Self::default();
        // How many limits may be exceeded is no limit of requests.
        let classed = LimitClass::ALL.iter().zip(&mut limits.0);
        for (_, limit) in classed.filter(|(class, _)| **class != LimitClass::Violations) {
            limit.capacity = limit.capacity.saturating_mul(scale);
            limit.burst = limit.burst.saturating_mul(scale);
            limit.refill = refill.unwrap_or(limit.refill.saturating_mul(scale));
        }
        for (name, change) in classes {
            let change = Override::deserialize(change)?;
            let place = LimitClass::ALL.iter().position(|class| class.as_str() == name);
            let limit = place.and_then(|place| limits.0.get_mut(place)).ok_or(InvalidLimits::UnknownClass(name))?;
            if let Some(capacity) = change.capacity {
                limit.capacity = capacity;
                limit.refill = refill.unwrap_or(capacity);
            }
            limit.burst = change.burst.unwrap_or(limit.burst);
            limit.window_s = change.window_s.unwrap_or(limit.window_s).max(1);
            limit.refill = change.refill.unwrap_or(limit.refill);
        }
        Ok(limits)
    }

    /// The limit of a class.
    pub fn get(&self, class: LimitClass) -> Limit {
        self.0.get(class as usize).copied().unwrap_or_else(|| class.default_limit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_the_protocols() {
        let storage = Limits::default().get(LimitClass::Storage);
        assert_eq!((storage.capacity, storage.burst, storage.window_s, storage.refill), (100, 20, 60, 100));
    }

    #[test]
    fn configuration_changes_all_or_one() {
        let limits = Limits::parse(r#"{"scale": 2, "storage": {"capacity": 7, "refill": 0}}"#).unwrap();
        let storage = limits.get(LimitClass::Storage);
        assert_eq!((storage.capacity, storage.burst, storage.refill), (7, 40, 0));
        assert_eq!(limits.get(LimitClass::StorageBatch).capacity, 20);
        assert_eq!(limits.get(LimitClass::Violations).capacity, 10);
        assert_eq!(Limits::parse(r#"{"refill": 0}"#).unwrap().get(LimitClass::SignIn).refill, 0);
    }

    #[test]
    fn mistakes_are_named() {
        assert!(matches!(Limits::parse(r#"{"strage": {}}"#), Err(InvalidLimits::UnknownClass(name)) if name == "strage"));
        assert!(matches!(Limits::parse("[]"), Err(InvalidLimits::Malformed(_))));
    }
}
