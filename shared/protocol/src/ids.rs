//! Identifiers, parsed once: a value of one of these types is well-formed.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a text is not the identifier it was given as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {what}")]
pub struct InvalidId {
    /// The kind of identifier, for the message.
    pub what: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks and takes over a text.
            pub fn parse(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                let check: fn(&str) -> bool = $check;
                if check(&text) { Ok(Self(text)) } else { Err(InvalidId { what: $what }) }
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

fn word(text: &str, max: usize) -> bool {
    !text.is_empty() && text.len() <= max && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// Host name, IPv4 or bracketed IPv6 address, each with an optional port (Matrix specification, appendix "Server Name").
fn server_name(text: &str) -> bool {
    if text.is_empty() || text.len() > 230 {
        return false;
    }
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        match rest.split_once(']') {
            Some((address, "")) => (address, None),
            Some((address, tail)) => match tail.strip_prefix(':') {
                Some(port) => (address, Some(port)),
                None => return false,
            },
            None => return false,
        }
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let bracketed = text.starts_with('[');
    let host_good = !host.is_empty()
        && host.bytes().all(|b| {
            if bracketed {
                b.is_ascii_hexdigit() || b == b':' || b == b'.'
            } else {
                b.is_ascii_alphanumeric() || b == b'-' || b == b'.'
            }
        });
    let port_good = port.is_none_or(|port| !port.is_empty() && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit()));
    host_good && port_good
}

fn matrix_user_id(text: &str) -> bool {
    // 255 bytes in all, and historical localparts hold any printable ASCII (Matrix specification, appendix "User Identifiers").
    text.len() <= 255
        && text.strip_prefix('@').and_then(|rest| rest.split_once(':')).is_some_and(|(local, server)| {
            !local.is_empty() && local.bytes().all(|b| (0x21..=0x7e).contains(&b)) && server_name(server)
        })
}

id!(
    /// A mini-app: `ma_` and letters, digits or underscores (TMCP part 12, row 25).
    AppId,
    "mini-app id",
    |text| text.len() > 3 && text.starts_with("ma_") && word(text, 64)
);
id!(
    /// An OAuth client (RFC 6749 section 2.2). A mini-app's public client has the mini-app's own id.
    ClientId,
    "client id",
    |text| word(text, 80)
);
id!(
    /// A Matrix server name.
    ServerName,
    "server name",
    server_name
);
id!(
    /// A Matrix user id, `@localpart:server`.
    MatrixUserId,
    "Matrix user id",
    matrix_user_id
);
id!(
    /// Our own id of a person: a ULID. Everything is keyed by it, so that an identity can change and data stays.
    Uid,
    "user id",
    |text| ulid::Ulid::from_string(text).is_ok() && text.len() == 26
);

impl MatrixUserId {
    /// The part between `@` and the first `:`.
    pub fn localpart(&self) -> &str {
        self.0.strip_prefix('@').and_then(|rest| rest.split_once(':')).map_or("", |(local, _)| local)
    }

    /// The part behind the first `:`.
    pub fn server(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, server)| server)
    }
}

impl Uid {
    /// A new id from a moment and sixteen random bytes, of which ten are used.
    pub fn new(now: crate::Millis, random: [u8; 16]) -> Self {
        Self(ulid(now, random))
    }
}

/// A ULID as text: sortable by `now`, unique by `random`. For ids that carry a prefix (`tw_…`, `session_…`).
pub fn ulid(now: crate::Millis, random: [u8; 16]) -> String {
    let ms = u64::try_from(now.0).unwrap_or(0);
    ulid::Ulid::from_parts(ms, u128::from_be_bytes(random)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrix_user_ids() {
        for good in ["@alice:localhost", "@a.b-c=d/e:matrix.example.org:8448", "@x:[::1]:8008", "@A+B:1.2.3.4"] {
            assert!(MatrixUserId::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "alice:localhost",
            "@:localhost",
            "@alice",
            "@alice:",
            "@al ice:localhost",
            "@alice:local/host",
            "@alice:host:port",
            "@alice:host#x",
            "@alice:[::1",
            "@älice:localhost",
        ] {
            assert!(MatrixUserId::parse(bad).is_err(), "{bad}");
        }
        let long = format!("@{}:localhost", "a".repeat(255));
        assert!(MatrixUserId::parse(long).is_err());
    }

    #[test]
    fn parts_of_a_user_id() {
        let id = MatrixUserId::parse("@alice:example.org:8448").unwrap();
        assert_eq!((id.localpart(), id.server()), ("alice", "example.org:8448"));
    }

    #[test]
    fn app_ids() {
        assert!(AppId::parse("ma_demo").is_ok());
        for bad in ["ma_", "demo", "ma_dé", "ma_a/b", ""] {
            assert!(AppId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn uids_sort_by_time() {
        let a = Uid::new(crate::Millis(1), [255; 16]);
        let b = Uid::new(crate::Millis(2), [0; 16]);
        assert!(a < b);
        assert!(Uid::parse(a.as_str()).is_ok());
        assert!(Uid::parse("short").is_err());
    }
}
