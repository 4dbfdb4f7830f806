//! Every statement of the group, with its row types.

use serde::Deserialize;
use serde_json::{Value, json};
use tmcp_http::{audit_where, sha256_hex};
use tmcp_ports::{Statement, stmt};
use tmcp_protocol::developer::Role;
use tmcp_protocol::{MatrixUserId, Millis, Uid};

/// What the audit log calls a Matrix id, which it outlives: nothing leads from there to the id, and who has the id finds it.
pub fn audited(matrix: &MatrixUserId) -> String {
    format!("mx_{}", sha256_hex(matrix.as_str()).chars().take(32).collect::<String>())
}

/// Answers when the database does, and has its tables.
pub const PROBE: &str = "SELECT id FROM developers WHERE id = ''";

/// Keeps a code.
pub const PUT_CODE: &str = "INSERT INTO developer_codes (hash, uid, matrix_user_id, redirect_uri, challenge, session, \
    platform_session, generation, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
/// One.
pub const FIND_CODE: &str = "SELECT uid, matrix_user_id, redirect_uri, challenge, session, platform_session, generation, expires_at, \
    used_at FROM developer_codes WHERE hash = ?1";
/// Uses it up, once.
pub const USE_CODE: &str =
    "UPDATE developer_codes SET used_at = ?2 WHERE hash = ?1 AND used_at IS NULL AND expires_at > ?2 RETURNING hash";
/// Begins the session of a code that was used up just now, if the person is on the list.
pub const BEGIN_SESSION: &str = "INSERT INTO developer_sessions (id, developer, uid, platform_session, created_at, ends_at) \
    SELECT session, ?3, uid, platform_session, ?2, ?4 FROM developer_codes WHERE hash = ?1 AND used_at = ?2 \
    AND EXISTS (SELECT 1 FROM developer_whitelist w WHERE w.matrix_user_id = developer_codes.matrix_user_id) RETURNING id";
/// Its first refresh token.
pub const FIRST_TOKEN: &str = "INSERT INTO developer_tokens (hash, session, parent, created_at, expires_at) \
    SELECT ?3, session, NULL, ?2, ?4 FROM developer_codes WHERE hash = ?1 AND used_at = ?2 \
    AND EXISTS (SELECT 1 FROM developer_sessions s WHERE s.id = developer_codes.session)";
/// Tells of it.
pub const AUDIT_FIRST: &str = audit_where!("EXISTS (SELECT 1 FROM developer_tokens WHERE session = ?10 AND hash = ?11)");

/// A refresh token with its session, its successor and its owner.
pub const FIND_TOKEN: &str = "SELECT t.expires_at, t.used_at, s.id AS session, s.developer, s.uid, s.platform_session, s.ended_at, \
    d.matrix_user_id, c.used_at AS successor_used_at, \
    EXISTS (SELECT 1 FROM developer_whitelist w WHERE w.matrix_user_id = d.matrix_user_id) AS listed \
    FROM developer_tokens t JOIN developer_sessions s ON s.id = t.session JOIN developers d ON d.id = s.developer \
    LEFT JOIN developer_tokens c ON c.parent = t.hash WHERE t.hash = +?1";
/// Uses a token up, once, while session and list hold.
pub const USE_TOKEN: &str = "UPDATE developer_tokens SET used_at = ?2 WHERE hash = ?1 AND used_at IS NULL AND expires_at > ?2 \
    AND EXISTS (SELECT 1 FROM developer_sessions s WHERE s.id = developer_tokens.session AND s.ended_at IS NULL AND s.ends_at > ?2 \
    AND EXISTS (SELECT 1 FROM developers d WHERE d.id = s.developer \
    AND EXISTS (SELECT 1 FROM developer_whitelist w WHERE w.matrix_user_id = d.matrix_user_id)))";
/// Its one successor: `parent` is unique, so that the loser of a race gets no row.
pub const NEXT_TOKEN: &str = "INSERT INTO developer_tokens (hash, session, parent, created_at, expires_at) \
    SELECT ?2, t.session, t.hash, ?3, MIN(?4, s.ends_at) FROM developer_tokens t JOIN developer_sessions s ON s.id = t.session \
    WHERE t.hash = +?1 AND t.used_at = +?3 AND s.ended_at IS NULL ON CONFLICT (parent) DO NOTHING RETURNING hash";
/// Tells of a refresh that counted.
pub const AUDIT_NEXT: &str = audit_where!("EXISTS (SELECT 1 FROM developer_tokens WHERE hash = ?10)");
/// Who somebody with an access token is, if they still are.
pub const STANDING: &str = "SELECT d.id, d.uid, d.matrix_user_id FROM developer_sessions s JOIN developers d ON d.id = s.developer \
    JOIN developer_whitelist w ON w.matrix_user_id = d.matrix_user_id WHERE s.id = +?1 AND s.ended_at IS NULL AND s.ends_at > +?2";

/// Ends a session.
pub const END_SESSION: &str = "UPDATE developer_sessions SET ended_at = ?2 WHERE id = ?1 AND ended_at IS NULL";
/// Codes of a person that nobody has used yet.
const DROP_CODES: &str = "DELETE FROM developer_codes WHERE uid = ?1 AND used_at IS NULL";
/// Their sessions.
const END_SESSIONS: &str = "UPDATE developer_sessions SET ended_at = ?2 WHERE uid = ?1 AND ended_at IS NULL";
/// Codes that came from a platform session.
pub const DROP_CODES_FROM: &str = "DELETE FROM developer_codes WHERE platform_session = ?1 AND used_at IS NULL";
/// Sessions that did.
pub const END_SESSIONS_FROM: &str =
    "UPDATE developer_sessions SET ended_at = ?2 WHERE platform_session = ?1 AND ended_at IS NULL";
/// Codes of a Matrix id.
pub const DROP_CODES_OF: &str = "DELETE FROM developer_codes WHERE matrix_user_id = ?1 AND used_at IS NULL";
/// Sessions of one.
pub const END_SESSIONS_OF: &str = "UPDATE developer_sessions SET ended_at = ?2 WHERE ended_at IS NULL AND developer IN \
    (SELECT d.id FROM developers d WHERE d.matrix_user_id = ?1)";
/// For their export.
pub const SESSIONS: &str = "SELECT id, created_at, ends_at, ended_at FROM developer_sessions WHERE uid = ?1";

/// Ends what a person has at the console.
pub fn end_person(uid: &str, now: Millis) -> Vec<Statement> {
    vec![stmt!(DROP_CODES, uid), stmt!(END_SESSIONS, uid, now)]
}

/// The person of a code is a developer from now on, or known by another Matrix id: as long as the code is there, which goes with them.
pub const ENLIST: &str = "INSERT INTO developers (id, uid, matrix_user_id, created_at, updated_at) \
    SELECT ?1, uid, matrix_user_id, ?3, ?3 FROM developer_codes WHERE hash = ?2 AND used_at IS NULL \
    ON CONFLICT (uid) DO UPDATE SET matrix_user_id = excluded.matrix_user_id, updated_at = excluded.updated_at";
/// Tells of somebody new.
pub const AUDIT_ENLIST: &str = audit_where!("EXISTS (SELECT 1 FROM developers WHERE id = ?10)");
/// An organisation of their own, of somebody new who is not invited to another.
pub const FOUND_OWN: &str = "INSERT INTO organizations (id, name, created_by, created_at) SELECT ?1, ?2, ?3, ?4 \
    WHERE EXISTS (SELECT 1 FROM developers WHERE id = ?3) \
    AND NOT EXISTS (SELECT 1 FROM organization_invitations WHERE matrix_user_id = ?5 AND expires_at > ?4)";
/// An organisation.
pub const FOUND: &str = "INSERT INTO organizations (id, name, description, website, contact_email, created_by, created_at) \
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE (SELECT COUNT(*) FROM organization_members WHERE developer = ?6) < 20 \
    AND EXISTS (SELECT 1 FROM developers WHERE id = ?6) RETURNING id";
/// Who founded it is its admin.
pub const FOUNDER: &str = "INSERT INTO organization_members (org, developer, role, since) SELECT id, ?2, 'admin', ?3 \
    FROM organizations WHERE id = ?1 AND created_by = ?2 AND created_at = ?3";
/// Tells of it.
pub const AUDIT_FOUNDED: &str = audit_where!("EXISTS (SELECT 1 FROM organizations WHERE id = ?10)");
/// The developer that a person is.
pub const DEVELOPER_OF: &str = "SELECT id, uid, matrix_user_id FROM developers WHERE uid = ?1";

/// Where somebody is a member.
pub const MEMBERSHIPS: &str = "SELECT o.id AS org_id, o.name, m.role FROM organization_members m JOIN organizations o ON o.id = m.org \
    WHERE m.developer = +?1 ORDER BY o.id";
/// One of them.
pub const MEMBERSHIP: &str = "SELECT o.id AS org_id, o.name, m.role FROM organization_members m JOIN organizations o ON o.id = m.org \
    WHERE m.org = +?1 AND m.developer = +?2";
/// An organisation.
pub const ORGANIZATION: &str = "SELECT name, description, website, contact_email, created_at FROM organizations WHERE id = ?1";
/// A member, and how many admins there are.
pub const MEMBER: &str = "SELECT org, developer, role, since, (SELECT COUNT(*) FROM organization_members a WHERE a.org = ?1 \
    AND a.role = 'admin') AS admins FROM organization_members WHERE org = ?1 AND developer = ?2";
/// All of them.
pub const MEMBERS: &str = "SELECT m.org, m.developer, m.role, m.since, d.matrix_user_id FROM organization_members m \
    JOIN developers d ON d.id = m.developer WHERE m.org = +?1 ORDER BY m.since, m.developer";

/// Gives a member a role: by an admin, and one admin stays.
pub const GIVE_ROLE: &str = "UPDATE organization_members SET role = ?4 WHERE org = ?1 AND developer = ?2 \
    AND EXISTS (SELECT 1 FROM organization_members a WHERE a.org = ?1 AND a.developer = ?3 AND a.role = 'admin') \
    AND (role <> 'admin' OR ?4 = 'admin' OR (SELECT COUNT(*) FROM organization_members k WHERE k.org = ?1 AND k.role = 'admin') > 1) \
    RETURNING developer";
/// Takes a member out: by an admin or themselves, and one admin stays. `?4`, what they become, is nothing.
pub const TAKE_OUT: &str = "DELETE FROM organization_members WHERE org = ?1 AND developer = ?2 AND ?4 = '' \
    AND (?2 = ?3 OR EXISTS (SELECT 1 FROM organization_members a WHERE a.org = ?1 AND a.developer = ?3 AND a.role = 'admin')) \
    AND (role <> 'admin' OR (SELECT COUNT(*) FROM organization_members k WHERE k.org = ?1 AND k.role = 'admin') > 1) \
    RETURNING developer";
/// Tells of either, before it is done.
pub const AUDIT_CHANGE: &str = audit_where!(
    "EXISTS (SELECT 1 FROM organization_members m WHERE m.org = ?10 AND m.developer = ?11 \
    AND ((?13 = '' AND ?11 = ?12) OR EXISTS (SELECT 1 FROM organization_members a WHERE a.org = ?10 AND a.developer = ?12 \
    AND a.role = 'admin')) AND (m.role <> 'admin' OR ?13 = 'admin' \
    OR (SELECT COUNT(*) FROM organization_members k WHERE k.org = ?10 AND k.role = 'admin') > 1))"
);
/// What somebody invited to who is no admin there any more.
pub const DROP_INVITATIONS_BY: &str = "DELETE FROM organization_invitations WHERE org = ?1 AND invited_by = ?2 \
    AND NOT EXISTS (SELECT 1 FROM organization_members a WHERE a.org = ?1 AND a.developer = ?2 AND a.role = 'admin')";

/// Invites: by an admin, whoever is no member yet; the last invitation of somebody counts alone.
pub const INVITE: &str = "INSERT INTO organization_invitations (id, org, matrix_user_id, role, invited_by, invited_at, expires_at) \
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 \
    WHERE EXISTS (SELECT 1 FROM organization_members a WHERE a.org = ?2 AND a.developer = ?5 AND a.role = 'admin') \
    AND EXISTS (SELECT 1 FROM developers x WHERE x.id = ?5 \
    AND EXISTS (SELECT 1 FROM developer_whitelist w WHERE w.matrix_user_id = x.matrix_user_id)) \
    AND NOT EXISTS (SELECT 1 FROM organization_members m WHERE m.org = ?2 \
    AND m.developer IN (SELECT d.id FROM developers d WHERE d.matrix_user_id = ?3)) \
    AND (SELECT COUNT(*) FROM organization_members WHERE org = ?2) < 100 \
    AND (SELECT COUNT(*) FROM organization_invitations WHERE org = ?2 AND matrix_user_id <> ?3) < 50 \
    ON CONFLICT (org, matrix_user_id) DO UPDATE SET id = excluded.id, role = excluded.role, invited_by = excluded.invited_by, \
    invited_at = excluded.invited_at, expires_at = excluded.expires_at RETURNING id";
/// Tells of it.
pub const AUDIT_INVITED: &str = audit_where!("EXISTS (SELECT 1 FROM organization_invitations WHERE id = ?10)");
/// Where somebody is invited to.
pub const INVITED: &str = "SELECT i.id, i.org, i.matrix_user_id, i.role, i.invited_by, i.invited_at, i.expires_at, \
    o.name AS organization FROM organization_invitations i JOIN organizations o ON o.id = i.org \
    WHERE i.matrix_user_id = +?1 AND i.expires_at > +?2 ORDER BY i.id LIMIT 100";
/// Whom an organisation waits for.
pub const OPEN_INVITATIONS: &str = "SELECT id, org, matrix_user_id, role, invited_by, invited_at, expires_at \
    FROM organization_invitations WHERE org = ?1 AND expires_at > ?2 ORDER BY id";
/// Whom it is for joins, who is in few enough; what a member is already does not change.
pub const JOIN: &str = "INSERT INTO organization_members (org, developer, role, since) SELECT org, ?3, role, ?4 \
    FROM organization_invitations WHERE id = ?1 AND matrix_user_id = ?2 AND expires_at > ?4 \
    AND (SELECT COUNT(*) FROM organization_members WHERE developer = ?3) < 20 \
    AND (SELECT COUNT(*) FROM organization_members m WHERE m.org = organization_invitations.org) < 100 \
    AND EXISTS (SELECT 1 FROM developers WHERE id = ?3) ON CONFLICT (org, developer) DO NOTHING";
/// Tells of it, before the invitation is gone.
pub const AUDIT_JOINED: &str = audit_where!(
    "EXISTS (SELECT 1 FROM organization_invitations WHERE id = ?10) \
    AND EXISTS (SELECT 1 FROM organization_members WHERE org = ?11 AND developer = ?12)"
);
/// It is answered.
pub const ANSWER: &str = "DELETE FROM organization_invitations WHERE id = ?1 AND org = ?2 \
    AND EXISTS (SELECT 1 FROM organization_members WHERE org = ?2 AND developer = ?3)";
/// Declines it, by whom it is for, or withdraws it, by an admin.
pub const UNINVITE: &str = "DELETE FROM organization_invitations WHERE id = ?1 AND (matrix_user_id = ?2 \
    OR EXISTS (SELECT 1 FROM organization_members a WHERE a.org = organization_invitations.org AND a.developer = ?3 \
    AND a.role = 'admin')) RETURNING id";
/// Tells of it, before it is done.
pub const AUDIT_UNINVITED: &str = audit_where!(
    "EXISTS (SELECT 1 FROM organization_invitations i WHERE i.id = ?10 AND (i.matrix_user_id = ?11 \
    OR EXISTS (SELECT 1 FROM organization_members a WHERE a.org = i.org AND a.developer = ?12 AND a.role = 'admin')))"
);
/// Those that nobody answered.
pub const FORGET_INVITATIONS: &str = "DELETE FROM organization_invitations WHERE id IN \
    (SELECT id FROM organization_invitations WHERE expires_at <= ?1 LIMIT 500)";

/// Whether a Matrix id is on the list.
pub const IS_LISTED: &str = "SELECT matrix_user_id FROM developer_whitelist WHERE matrix_user_id = ?1";
/// Puts one on it; a note replaces the one before.
pub const LIST: &str = "INSERT INTO developer_whitelist (matrix_user_id, note, added_by, added_at) VALUES (?1, ?2, ?3, ?4) \
    ON CONFLICT (matrix_user_id) DO UPDATE SET note = excluded.note";
/// The list, behind a Matrix id.
pub const LISTED: &str = "SELECT w.matrix_user_id, w.note, w.added_by, w.added_at, (SELECT d.id FROM developers d \
    WHERE d.matrix_user_id = w.matrix_user_id ORDER BY d.updated_at DESC LIMIT 1) AS developer FROM developer_whitelist w \
    WHERE w.matrix_user_id > ?1 ORDER BY w.matrix_user_id LIMIT 500";
/// One of it.
pub const LISTED_ONE: &str = "SELECT w.matrix_user_id, w.note, w.added_by, w.added_at, (SELECT d.id FROM developers d \
    WHERE d.matrix_user_id = w.matrix_user_id ORDER BY d.updated_at DESC LIMIT 1) AS developer FROM developer_whitelist w \
    WHERE w.matrix_user_id = ?1";
/// The same by either id.
pub const WHO: &str = "SELECT w.matrix_user_id, w.note, w.added_by, w.added_at, NULL AS developer FROM developer_whitelist w \
    WHERE w.matrix_user_id = ?1 OR w.matrix_user_id IN (SELECT d.matrix_user_id FROM developers d WHERE d.id = ?1) LIMIT 1";
/// What a developer of a Matrix id invited to.
pub const DROP_INVITATIONS_OF: &str = "DELETE FROM organization_invitations WHERE invited_by IN \
    (SELECT d.id FROM developers d WHERE d.matrix_user_id = ?1)";
/// Takes one off it.
pub const UNLIST: &str = "DELETE FROM developer_whitelist WHERE matrix_user_id = ?1";

/// A statement on the organisations that have no admin but the developer `?1`.
macro_rules! of_sole_admin {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " IN (SELECT e.org FROM organization_members e WHERE e.developer = ?1 AND e.role = 'admin' AND NOT EXISTS \
            (SELECT 1 FROM organization_members o WHERE o.org = e.org AND o.role = 'admin' AND o.developer <> ?1))",
            $after
        )
    };
}

/// Who would be the admin of an organisation that somebody leaves without one: the oldest of its developers, of those on the list first.
pub const HEIRS: &str = "SELECT m.org, m.developer, m.role, m.since FROM organization_members m \
    JOIN organization_members e ON e.org = m.org AND e.developer = +?1 AND e.role = 'admin' \
    WHERE m.role = 'developer' AND m.developer = (SELECT f.developer FROM organization_members f WHERE f.org = m.org \
    AND f.role = 'developer' ORDER BY NOT EXISTS (SELECT 1 FROM developers d WHERE d.id = f.developer \
    AND EXISTS (SELECT 1 FROM developer_whitelist w WHERE w.matrix_user_id = d.matrix_user_id)), f.since, f.developer LIMIT 1) \
    AND NOT EXISTS (SELECT 1 FROM organization_members o WHERE o.org = m.org AND o.role = 'admin' AND o.developer <> e.developer)";
/// They are.
pub const INHERIT: &str = of_sole_admin!(
    "UPDATE organization_members SET role = 'admin' WHERE role = 'developer' AND org",
    " AND developer = (SELECT f.developer FROM organization_members f WHERE f.org = organization_members.org AND f.role = 'developer' \
    ORDER BY NOT EXISTS (SELECT 1 FROM developers d WHERE d.id = f.developer \
    AND EXISTS (SELECT 1 FROM developer_whitelist w WHERE w.matrix_user_id = d.matrix_user_id)), f.since, f.developer LIMIT 1)"
);
/// Tells of one.
pub const AUDIT_INHERITED: &str =
    audit_where!("EXISTS (SELECT 1 FROM organization_members WHERE org = ?10 AND developer = ?11 AND role = 'admin')");
/// What nobody inherits.
pub const DYING: &str = "SELECT e.org, e.developer, e.role, e.since FROM organization_members e WHERE e.developer = +?1 \
    AND e.role = 'admin' AND NOT EXISTS (SELECT 1 FROM organization_members o WHERE o.org = e.org AND o.role <> 'viewer' \
    AND o.developer <> e.developer)";
/// Tells of one, once it is done.
pub const AUDIT_DISSOLVED: &str = audit_where!("NOT EXISTS (SELECT 1 FROM organizations WHERE id = ?10)");
/// What lives on of somebody's organisations is not called by their name (the one that they began with may have an older one), nor reached at their address.
pub const RENAME: &str = "UPDATE organizations SET name = CASE WHEN name = ?2 \
    OR created_at = (SELECT d.created_at FROM developers d WHERE d.id = ?1) THEN 'Organisation' ELSE name END, contact_email = NULL \
    WHERE created_by = ?1";
/// What somebody invited to.
pub const FORGET_INVITED: &str = "DELETE FROM organization_invitations WHERE invited_by = ?1";
/// Ends those that have no admin but somebody: in this order, members last, since they say which.
pub const DISSOLVE: [&str; 3] = [
    of_sole_admin!("DELETE FROM organization_invitations WHERE org", ""),
    of_sole_admin!("DELETE FROM organizations WHERE id", ""),
    of_sole_admin!("DELETE FROM organization_members WHERE org", ""),
];
/// Where somebody was a member.
pub const FORGET_MEMBERSHIPS: &str = "DELETE FROM organization_members WHERE developer = ?1";
/// What is held of a Matrix id, unless it is somebody else's by now.
pub const FORGET_MATRIX_ID: [&str; 2] = [
    "DELETE FROM developer_whitelist WHERE matrix_user_id = ?1 \
    AND NOT EXISTS (SELECT 1 FROM developers o WHERE o.matrix_user_id = ?1 AND o.uid <> ?2)",
    "DELETE FROM organization_invitations WHERE matrix_user_id = ?1 \
    AND NOT EXISTS (SELECT 1 FROM developers o WHERE o.matrix_user_id = ?1 AND o.uid <> ?2)",
];
/// Everything else of a person, the developer last.
pub const ERASE: [&str; 4] = [
    "DELETE FROM developer_tokens WHERE session IN (SELECT id FROM developer_sessions WHERE uid = ?1)",
    "DELETE FROM developer_sessions WHERE uid = ?1",
    "DELETE FROM developer_codes WHERE uid = ?1",
    "DELETE FROM developers WHERE uid = ?1",
];

/// What is over for a day.
pub const FORGET: [&str; 3] = [
    "DELETE FROM developer_codes WHERE hash IN (SELECT hash FROM developer_codes WHERE expires_at <= ?1 LIMIT 500)",
    "DELETE FROM developer_tokens WHERE session IN (SELECT id FROM developer_sessions \
    WHERE ends_at <= ?1 OR ended_at <= ?1 ORDER BY ends_at LIMIT 200)",
    "DELETE FROM developer_sessions WHERE id IN (SELECT s.id FROM developer_sessions s \
    WHERE (s.ends_at <= ?1 OR s.ended_at <= ?1) AND NOT EXISTS (SELECT 1 FROM developer_tokens t WHERE t.session = s.id) LIMIT 200)",
];

/// A code as a row.
#[derive(Debug, Clone, Deserialize)]
pub struct CodeRow {
    /// The person.
    pub uid: Uid,
    /// Their Matrix id.
    pub matrix_user_id: MatrixUserId,
    /// Where the code went.
    pub redirect_uri: String,
    /// What the console has to prove.
    pub challenge: String,
    /// The session that it begins.
    pub session: String,
    /// The platform session that the browser's came from.
    pub platform_session: String,
    /// Its generation.
    pub generation: i64,
    /// Its end.
    pub expires_at: Millis,
    /// When it was used.
    pub used_at: Option<Millis>,
}

/// A refresh token with its session as a row.
#[derive(Debug, Clone, Deserialize)]
pub struct TokenRow {
    /// When it was used.
    pub used_at: Option<Millis>,
    /// When its successor was.
    pub successor_used_at: Option<Millis>,
    /// The session.
    pub session: String,
    /// Whose it is.
    pub developer: String,
    /// The person.
    pub uid: Uid,
    /// Their Matrix id.
    pub matrix_user_id: MatrixUserId,
    /// The platform session that it came from.
    pub platform_session: String,
    /// When the session was ended.
    pub ended_at: Option<Millis>,
    /// Whether they are on the list.
    pub listed: i64,
}

/// A developer as a row.
#[derive(Debug, Clone, Deserialize)]
pub struct DeveloperRow {
    /// They as a developer.
    pub id: String,
    /// The person.
    pub uid: Uid,
    /// Their Matrix id.
    pub matrix_user_id: MatrixUserId,
}

/// A member as a row.
#[derive(Debug, Clone, Deserialize)]
pub struct MemberRow {
    /// The organisation.
    pub org: String,
    /// The member.
    pub developer: String,
    /// Their Matrix id, where it was asked for.
    pub matrix_user_id: Option<MatrixUserId>,
    /// What they are there.
    pub role: Role,
    /// Since when they are a member.
    pub since: Millis,
    /// How many admins there are, where it was asked for.
    #[serde(default)]
    pub admins: i64,
}

/// An organisation as a row.
#[derive(Debug, Clone, Deserialize)]
pub struct OrganizationRow {
    /// What it is called.
    pub name: String,
    /// What it says of itself.
    pub description: Option<String>,
    /// Its address.
    pub website: Option<String>,
    /// Whom to write to.
    pub contact_email: Option<String>,
    /// When it was founded.
    pub created_at: Millis,
}

/// An invitation as a row.
#[derive(Debug, Clone, Deserialize)]
pub struct InvitationRow {
    /// Its id.
    pub id: String,
    /// The organisation.
    pub org: String,
    /// What it is called, where it was asked for.
    pub organization: Option<String>,
    /// Whom it is for.
    pub matrix_user_id: MatrixUserId,
    /// What they would be.
    pub role: Role,
    /// Who invited.
    pub invited_by: String,
    /// When.
    pub invited_at: Millis,
    /// Its end.
    pub expires_at: Millis,
}

impl InvitationRow {
    /// As it is answered (TMCP 1.12).
    pub fn shown(&self) -> Value {
        json!({
            "invitation_id": self.id, "org_id": self.org, "organization": self.organization, "matrix_user_id": self.matrix_user_id,
            "role": self.role, "invited_by": self.invited_by, "invited_at": self.invited_at.rfc3339(),
            "expires_at": self.expires_at.rfc3339(), "status": "pending",
        })
    }
}

/// Somebody on the list as a row.
#[derive(Debug, Clone, Deserialize)]
pub struct ListedRow {
    /// Their Matrix id.
    pub matrix_user_id: MatrixUserId,
    /// They as a developer, once they came.
    pub developer: Option<String>,
    /// What the operator wrote.
    pub note: Option<String>,
    /// Who put them there.
    pub added_by: String,
    /// When.
    pub added_at: Millis,
}
