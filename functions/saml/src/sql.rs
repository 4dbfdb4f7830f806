//! Every statement of the group.

/// Answers when the database does, and has its tables.
pub const PROBE: &str = "SELECT assertion FROM saml_responses WHERE assertion = ''";

/// Keeps whom an assertion proved, unless it was used before.
pub const KEEP: &str = "INSERT INTO saml_responses (assertion, handle, state, provider, proven, redeem_by, expires_at) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (assertion) DO NOTHING RETURNING assertion";
/// Whom one proved that waits.
pub const FIND: &str = "SELECT assertion, proven FROM saml_responses \
    WHERE handle = ?1 AND state = ?2 AND provider = ?3 AND redeem_by > ?4 AND proven <> ''";
/// Takes it, once. That the assertion was used is remembered until it is over.
pub const TAKE: &str = "UPDATE saml_responses SET proven = '' WHERE assertion = ?1 AND proven <> '' RETURNING assertion";
/// Those that nobody came for: who they were for is forgotten first.
pub const FORGET_PROVEN: &str = "UPDATE saml_responses SET proven = '' WHERE assertion IN \
    (SELECT assertion FROM saml_responses WHERE redeem_by <= ?1 AND proven <> '' LIMIT 500) RETURNING assertion";
/// Those that are over.
pub const FORGET: &str = "DELETE FROM saml_responses WHERE assertion IN \
    (SELECT assertion FROM saml_responses WHERE expires_at <= ?1 LIMIT 500) RETURNING assertion";
