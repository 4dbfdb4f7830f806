//! Developers, their organisations, and what they may do there (TMCP 1.12).

use crate::secret::Secret;
use serde::{Deserialize, Serialize};
use url::Url;

/// What somebody is in an organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything: invites, gives and takes roles.
    Admin,
    /// Registers and changes apps and webhooks.
    Developer,
    /// Reads.
    Viewer,
}

/// Something that a developer may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Permission {
    /// Register mini-apps.
    #[serde(rename = "miniapp:register")]
    Register,
    /// Change them.
    #[serde(rename = "miniapp:manage")]
    Manage,
    /// Say where their events go.
    #[serde(rename = "webhook:configure")]
    Webhooks,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 3] = [Role::Admin, Role::Developer, Role::Viewer];

    /// The name on the wire and in rows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Developer => "developer",
            Role::Viewer => "viewer",
        }
    }

    /// The role of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Role::ALL.into_iter().find(|role| role.as_str() == name)
    }

    /// What it allows.
    pub const fn permissions(self) -> &'static [Permission] {
        match self {
            Role::Admin | Role::Developer => &[Permission::Register, Permission::Manage, Permission::Webhooks],
            Role::Viewer => &[],
        }
    }
}

/// An organisation that somebody is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The organisation.
    pub org_id: String,
    /// What it is called.
    pub name: String,
    /// What they are there.
    pub role: Role,
}

/// What somebody is in any of their organisations, each once: `developer` where they are in none, since that is what they are.
pub fn roles(memberships: &[Membership]) -> Vec<Role> {
    let mut roles: Vec<Role> = memberships.iter().map(|one| one.role).collect();
    if roles.is_empty() {
        roles.push(Role::Developer);
    }
    roles.sort_unstable();
    roles.dedup();
    roles
}

/// What somebody may do in any of their organisations, each once.
pub fn permissions(memberships: &[Membership]) -> Vec<Permission> {
    let mut all: Vec<Permission> = memberships.iter().flat_map(|one| one.role.permissions().iter().copied()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Why somebody may not change who is what in an organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// They are no admin of it.
    NotAdmin,
    /// It would have none any more.
    LastAdmin,
}

/// Who wants to change a membership, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// What the one who asks is there.
    pub actor: Role,
    /// Whether it is their own membership.
    pub own: bool,
    /// What the member is now.
    pub now: Role,
    /// What they become; nothing where they leave.
    pub then: Option<Role>,
    /// How many admins there are.
    pub admins: i64,
}

impl Change {
    /// Whether it may be made. Only admins give and take roles; everybody may leave, and an organisation keeps an admin.
    pub fn decide(self) -> Result<(), Rejection> {
        let leaves = self.own && self.then.is_none();
        if self.actor != Role::Admin && !leaves {
            return Err(Rejection::NotAdmin);
        }
        if self.now == Role::Admin && self.then != Some(Role::Admin) && self.admins <= 1 {
            return Err(Rejection::LastAdmin);
        }
        Ok(())
    }
}

/// The developers' console, as configuration has it in `DEVELOPER_CONSOLE`: the one client of the developer routes (TMCP part 12, row 23).
/// It has no `Debug`: a secret is in it.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Console {
    /// Its id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
    /// Exact addresses where codes may go.
    pub redirect_uris: Vec<String>,
}

/// A secret that is shorter can be guessed.
const MIN_SECRET: usize = 32;

impl Console {
    /// Reads `DEVELOPER_CONSOLE`. What is wrong is named by member; no value is quoted.
    pub fn parse(json: &str) -> Result<Self, String> {
        let place = |error: serde_json::Error| {
            let (line, column) = (error.line(), error.column());
            format!("not an object of client_id, client_secret and redirect_uris, at line {line} column {column}")
        };
        let console: Self = serde_json::from_slice(json.as_bytes()).map_err(place)?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if console.client_id.is_empty() || console.client_id.len() > 80 || !console.client_id.bytes().all(plain) {
            return Err("client_id must be 1 to 80 letters, digits, `_`, `-` and `.`".to_owned());
        }
        if console.client_secret.expose().len() < MIN_SECRET {
            return Err(format!("client_secret must have at least {MIN_SECRET} characters"));
        }
        let good = |text: &String| {
            let url = Url::parse(text).ok().filter(|url| url.fragment().is_none() && url.username().is_empty());
            url.is_some_and(|url| {
                let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
                url.scheme() == "https" || (url.scheme() == "http" && local)
            })
        };
        if console.redirect_uris.is_empty() || !console.redirect_uris.iter().all(good) {
            return Err("redirect_uris must be https addresses (http on this machine alone), at least one".to_owned());
        }
        Ok(console)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(org: &str, role: Role) -> Membership {
        Membership { org_id: org.to_owned(), name: org.to_owned(), role }
    }

    #[test]
    fn only_admins_change_roles_everybody_may_leave_and_one_admin_stays() {
        use Rejection::{LastAdmin, NotAdmin};
        use Role::{Admin, Developer, Viewer};
        for actor in Role::ALL {
            for own in [true, false] {
                for now in Role::ALL.into_iter().filter(|now| !own || *now == actor) {
                    for then in [Some(Admin), Some(Developer), Some(Viewer), None] {
                        for admins in [1, 2] {
                            let leaves = own && then.is_none();
                            let ends_admin = now == Admin && then != Some(Admin);
                            let expected = match actor {
                                Developer | Viewer if !leaves => Err(NotAdmin),
                                _ if ends_admin && admins == 1 => Err(LastAdmin),
                                _ => Ok(()),
                            };
                            let change = Change { actor, own, now, then, admins };
                            assert_eq!(change.decide(), expected, "{change:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_token_says_what_somebody_is_anywhere() {
        let both = [member("org_1", Role::Viewer), member("org_2", Role::Admin), member("org_3", Role::Viewer)];
        assert_eq!(roles(&both), [Role::Admin, Role::Viewer]);
        assert_eq!(permissions(&both), [Permission::Register, Permission::Manage, Permission::Webhooks]);
        assert_eq!((roles(&[]), permissions(&both[..1])), (vec![Role::Developer], vec![]));
        assert_eq!(
            serde_json::to_string(&permissions(&both)).unwrap(),
            r#"["miniapp:register","miniapp:manage","webhook:configure"]"#
        );
        for role in Role::ALL {
            assert_eq!((Role::parse(role.as_str()), serde_json::to_value(role).unwrap()), (Some(role), role.as_str().into()));
        }
        assert_eq!(Role::parse("owner"), None);
    }

    #[test]
    fn a_console_is_configured_whole_and_its_secret_is_never_quoted() {
        let good = serde_json::json!({"client_id": "tmcp_developer_console_001", "client_secret": "hidden".repeat(6),
            "redirect_uris": ["https://console.example/callback", "http://127.0.0.1:5174/callback"]});
        assert!(Console::parse(&good.to_string()).is_ok());
        for (member, value, expected) in [
            ("client_id", serde_json::json!(""), "client_id must be"),
            ("client_id", serde_json::json!("a:b"), "client_id must be"),
            ("client_secret", serde_json::json!("hidden"), "at least 32 characters"),
            ("client_secret", serde_json::json!(1), "at line 1"),
            ("redirect_uris", serde_json::json!([]), "redirect_uris must be"),
            ("redirect_uris", serde_json::json!(["http://console.example/"]), "redirect_uris must be"),
            ("redirect_uris", serde_json::json!(["https://console.example/#x"]), "redirect_uris must be"),
            ("more", serde_json::json!("hidden"), "at line 1"),
        ] {
            let mut wrong = good.clone();
            wrong[member] = value;
            let problem = Console::parse(&wrong.to_string()).err().unwrap();
            assert!(problem.contains(expected) && !problem.contains("hidden"), "{problem}");
        }
    }
}
