//! Every statement of the group.

/// Answers when the database does, and has its tables.
pub const PROBE: &str = "SELECT state FROM sign_ins WHERE state = ''";

/// Begins a sign-in at a provider.
pub const BEGIN_SIGN_IN: &str = "INSERT INTO sign_ins (state, browser, provider, go_on, expires_at, uid, session) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
/// Ends one, once: of this state, browser and provider, and not over.
pub const END_SIGN_IN: &str = "DELETE FROM sign_ins WHERE state = ?1 AND browser = ?2 AND provider = ?3 AND expires_at > ?4 \
    RETURNING go_on, uid, session, expires_at";
/// Those that nobody came back from.
pub const FORGET_SIGN_INS: &str = "DELETE FROM sign_ins WHERE state IN (SELECT state FROM sign_ins WHERE expires_at <= ?1 LIMIT 500) \
    RETURNING state";

/// Those of a person.
pub const ERASE: &str = "DELETE FROM sign_ins WHERE uid = ?1";

/// A provider's document that is fresh.
pub const DOCUMENT: &str = "SELECT body, fetched_at FROM provider_documents WHERE url = ?1 AND fetched_at > ?2";
/// Keeps the newer one.
pub const KEEP_DOCUMENT: &str = "INSERT INTO provider_documents (url, body, fetched_at) VALUES (?1, ?2, ?3) \
    ON CONFLICT (url) DO UPDATE SET body = excluded.body, fetched_at = excluded.fetched_at \
    WHERE excluded.fetched_at >= provider_documents.fetched_at";
/// Those of providers that are not asked any more.
pub const FORGET_DOCUMENTS: &str = "DELETE FROM provider_documents WHERE url IN \
    (SELECT url FROM provider_documents WHERE fetched_at <= ?1 LIMIT 100)";

/// A sign-in that is open, in this browser at this provider.
pub const OPEN_SIGN_IN: &str =
    "SELECT state FROM sign_ins WHERE state = ?1 AND browser = ?2 AND provider = ?3 AND expires_at > ?4";
/// A code for a sign-in; another one replaces it.
pub const PUT_EMAIL_CODE: &str = "INSERT INTO email_codes (state, address, code, tries, expires_at) VALUES (?1, ?2, ?3, 0, ?4) \
    ON CONFLICT (state) DO UPDATE SET address = excluded.address, code = excluded.code, tries = 0, expires_at = excluded.expires_at";
/// Counts a try, while there are some left.
pub const TRY_EMAIL_CODE: &str =
    "UPDATE email_codes SET tries = tries + 1 WHERE state = ?1 AND expires_at > ?2 AND tries < ?3 RETURNING code, address";
/// Uses a code up.
pub const TAKE_EMAIL_CODE: &str = "DELETE FROM email_codes WHERE state = ?1 AND code = ?2 AND expires_at > ?3 RETURNING address";
/// Those that nobody used.
pub const FORGET_EMAIL_CODES: &str = "DELETE FROM email_codes WHERE state IN (SELECT state FROM email_codes WHERE expires_at <= ?1 LIMIT 500) \
    RETURNING state";
