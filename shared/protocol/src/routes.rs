//! The one route table: method, path, function, who may call, scope, limit class, body. The functions, the gateway, `spin.toml`,
//! the OpenAPI document and the coverage test are all held to it.

use crate::limits::LimitClass;
use crate::scope::Scope;
use crate::storage::MAX_BATCH_BYTES;
use crate::token::TokenKind;

/// An endpoint group: one crate, one wasm module on each runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Function {
    /// OAuth 2.0 tokens and sign-in.
    Auth,
    /// A person's account: browser sessions, hand-overs, the account's page.
    Account,
    /// Where people come from: sign-ins at providers.
    Broker,
    /// What apps may do: authorization requests, consent.
    Consent,
    /// Who makes apps: developers and their organisations.
    Developer,
    /// Who a user is.
    Identity,
    /// What homeservers tell of.
    Lifecycle,
    /// What SAML identity providers say.
    Saml,
    /// Mini-app storage.
    Storage,
    /// Operation.
    Ops,
}

impl Function {
    /// Every function.
    pub const ALL: &'static [Function] = &[
        Function::Auth,
        Function::Account,
        Function::Broker,
        Function::Consent,
        Function::Developer,
        Function::Identity,
        Function::Lifecycle,
        Function::Saml,
        Function::Storage,
        Function::Ops,
    ];

    /// Its crate's folder, Spin component and, behind `tmcp-`, Worker name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Function::Auth => "auth",
            Function::Account => "account",
            Function::Broker => "broker",
            Function::Consent => "consent",
            Function::Developer => "developer",
            Function::Identity => "identity",
            Function::Lifecycle => "lifecycle",
            Function::Saml => "saml",
            Function::Storage => "storage",
            Function::Ops => "ops",
        }
    }

    /// The name of the gateway's service binding, and of every function's binding to this one.
    pub const fn binding(self) -> &'static str {
        match self {
            Function::Auth => "AUTH",
            Function::Account => "ACCOUNT",
            Function::Broker => "BROKER",
            Function::Consent => "CONSENT",
            Function::Developer => "DEVELOPER",
            Function::Identity => "IDENTITY",
            Function::Lifecycle => "LIFECYCLE",
            Function::Saml => "SAML",
            Function::Storage => "STORAGE",
            Function::Ops => "OPS",
        }
    }
}

/// HTTP methods in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// GET, and HEAD with it.
    Get,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

impl Method {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}

/// Who may call a route. Nothing is open unless it says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody; limited by source address.
    Public,
    /// Holders of a token of one of these kinds; limited by subject.
    Tokens(&'static [TokenKind]),
    /// The operator, by the configured secret.
    Operator,
    /// The administrator, who decides about people and apps, by another.
    Administrator,
    /// Who manages the developers: the administrator, or the developers' console, by their secrets.
    Management,
    /// A homeserver, by the `hs_token` of its registration.
    Homeserver,
    /// Other functions, by service token.
    Service,
}

/// What a route's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// None; whatever comes is not read.
    None,
    /// `application/json`, of at most so many bytes.
    Json(usize),
    /// `application/x-www-form-urlencoded`, of at most so many bytes.
    Form(usize),
    /// Either, of at most so many bytes: programs send JSON, pages a form.
    JsonOrForm(usize),
    /// A picture, of at most so many bytes: what it is is told by its content.
    Image(usize),
}

/// The media types of [`Body::Image`].
pub const IMAGES: [&str; 3] = ["image/png", "image/jpeg", "image/webp"];

/// In which form errors are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorForm {
    /// The envelope of TMCP part 9.
    Tmcp,
    /// RFC 6749 section 5.2.
    OAuth,
    /// A page for a person.
    Page,
    /// Matrix's standard error response (client-server API, "API Standards").
    Matrix,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Method.
    pub method: Method,
    /// Path, with parameters in braces: `/api/v1/storage/{key}`.
    pub path: &'static str,
    /// The function that serves it.
    pub function: Function,
    /// Who may call it.
    pub access: Access,
    /// The caller's token needs one of these scopes; none are needed where it is empty.
    pub scopes: &'static [Scope],
    /// The bucket that a request draws from; none for what has to answer when nothing else does.
    pub limit: Option<LimitClass>,
    /// The body.
    pub body: Body,
    /// The form of its errors.
    pub errors: ErrorForm,
    /// One line for the OpenAPI document.
    pub summary: &'static str,
}

const SMALL: usize = 16 * 1024;
/// A SAML response of 192 KiB, as base64 in a form.
const RESPONSE: usize = 384 * 1024;
/// A hundred events of 64 KiB, which is what a homeserver sends at most at once, each with the content before it, twice: one that is too large
/// would be sent again for ever.
const EVENTS: usize = 20 * 1_048_576;
/// What a hundred of them say of profiles.
const TOLD: usize = 1_048_576;
/// A picture of a person.
const AVATAR_BYTES: usize = 5 * 1_048_576;
/// A value of 1 MiB may take six times as much as JSON, when every byte is escaped.
const VALUE: usize = 6 * 1_048_576 + SMALL;

macro_rules! limit {
    (None) => {
        None
    };
    ($class:ident) => {
        Some(LimitClass::$class)
    };
}

macro_rules! routes {
    ($($name:ident: $method:ident $path:literal, $function:ident, $access:expr, [$($scope:ident)*], $limit:ident, $body:expr, $errors:ident, $summary:literal;)*) => {
        $(
            #[doc = $summary]
            pub const $name: Route = Route {
                method: Method::$method,
                path: $path,
                function: Function::$function,
                access: $access,
                scopes: &[$(Scope::$scope,)*],
                limit: limit!($limit),
                body: $body,
                errors: ErrorForm::$errors,
                // Read by xtask alone: two kilobytes of every module otherwise.
                summary: if cfg!(target_family = "wasm") { "" } else { $summary },
            };
        )*

        /// Every route.
        pub const ROUTES: &[Route] = &[$($name,)*];
    };
}

const TEP: Access = Access::Tokens(&[TokenKind::Tep]);
const PLATFORM: Access = Access::Tokens(&[TokenKind::Platform]);
const DEVELOPER: Access = Access::Tokens(&[TokenKind::Developer]);
const PERSON: Access = Access::Tokens(&[TokenKind::Platform, TokenKind::Tep]);

routes! {
    MATRIX_SIGN_IN: Post "/api/v1/auth/matrix", Auth, Access::Public, [], SignIn, Body::Json(SMALL), Tmcp, "Sign in with a Matrix access token or OpenID token";
    OAUTH_SIGN_IN: Post "/api/v1/auth/oauth", Auth, Access::Public, [], SignIn, Body::Json(SMALL), Tmcp, "Sign in with a code that a native app brought from a provider";
    LOGOUT: Post "/api/v1/auth/logout", Account, PLATFORM, [], Account, Body::None, Tmcp, "End the session of the platform token and all that came from it";
    TOKEN: Post "/oauth2/token", Auth, Access::Public, [], Address, Body::Form(SMALL), OAuth, "Exchange or refresh tokens";
    DEVICE: Post "/oauth2/device/authorization", Auth, Access::Public, [], Device, Body::Form(SMALL), OAuth, "Begin the grant of a device without a browser";
    REVOKE: Post "/oauth2/revoke", Auth, Access::Public, [], Address, Body::Form(SMALL), OAuth, "Revoke a token";
    INTROSPECT: Post "/oauth2/introspect", Auth, Access::Public, [], Address, Body::Form(SMALL), OAuth, "Tell a confidential client about a token of its own app";
    JWKS: Get "/.well-known/jwks.json", Auth, Access::Public, [], Address, Body::None, Tmcp, "The public keys that verify our tokens";

    METADATA: Get "/.well-known/oauth-authorization-server", Auth, Access::Public, [], Address, Body::None, Tmcp, "What a client library needs to know of the authorization server";

    USERINFO: Get "/oauth2/userinfo", Identity, TEP, [UserRead UserReadExtended UserReadContacts], Account, Body::None, Tmcp, "What a mini-app may know of the person";

    PROFILE: Get "/api/v1/profile", Identity, PLATFORM, [], Account, Body::None, Tmcp, "The person's own profile";
    PROFILE_CHANGE: Patch "/api/v1/profile", Identity, PLATFORM, [], Account, Body::Json(SMALL), Tmcp, "Change it, at the homeserver too";
    PROFILE_SYNC: Post "/api/v1/profile/sync", Identity, PLATFORM, [], Account, Body::None, Tmcp, "Take over what changed at the homeserver";
    AVATAR: Put "/api/v1/profile/avatar", Identity, PLATFORM, [], Account, Body::Image(AVATAR_BYTES), Tmcp, "Set a picture: PNG, JPEG or WebP, kept by the homeserver";

    SUSPEND: Post "/api/v1/admin/users/suspend", Identity, Access::Administrator, [], Address, Body::Json(SMALL), Tmcp, "Suspend a person";
    LIFT: Post "/api/v1/admin/users/lift", Identity, Access::Administrator, [], Address, Body::Json(SMALL), Tmcp, "End a person's suspension";

    SIGN_IN: Get "/sign-in/{provider}", Broker, Access::Public, [], SignIn, Body::None, Page, "Send a browser to a provider to sign in";
    SIGN_IN_CALLBACK: Get "/sign-in/callback/{provider}", Broker, Access::Public, [], Address, Body::None, Page, "Where a provider sends a browser back to";

    EMAIL_SHOW: Get "/sign-in/email/{provider}", Broker, Access::Public, [], Address, Body::None, Page, "Ask for the e-mail address that a code goes to";
    EMAIL_SEND: Post "/sign-in/email/{provider}", Broker, Access::Public, [], SignIn, Body::Form(SMALL), Page, "Send a code to an e-mail address";

    SAML_METADATA: Get "/saml/metadata/{provider}", Saml, Access::Public, [], Address, Body::None, Tmcp, "What a SAML identity provider needs to know of us";
    SAML_CONSUME: Post "/saml/acs/{provider}", Saml, Access::Public, [], Address, Body::Form(RESPONSE), Page, "Where a SAML identity provider sends a browser back to";

    AUTHORIZE: Get "/oauth2/authorize", Consent, Access::Public, [], Address, Body::None, Page, "Ask a person to let an app in (authorization code with PKCE)";
    CONSENT_SHOW: Get "/oauth2/consent", Consent, Access::Public, [], Consent, Body::None, Tmcp, "What an app asks for, for the person who is asked";
    CONSENT: Post "/oauth2/consent", Consent, Access::Public, [], Consent, Body::JsonOrForm(SMALL), Tmcp, "Agree to what an app asks for, or refuse it";
    CONSENT_HISTORY: Get "/api/v1/privacy/consents", Consent, PLATFORM, [], Account, Body::None, Tmcp, "What the person agreed to, and what they decided before";
    SESSIONS: Get "/api/v1/auth/sessions", Account, PLATFORM, [], Account, Body::None, Tmcp, "The browsers that the person is signed in with, and the apps that hold sessions of theirs";
    SESSION_END: Delete "/api/v1/auth/sessions/{session}", Account, PLATFORM, [], Account, Body::None, Tmcp, "End a browser session";
    HAND_OVER: Post "/api/v1/auth/browser", Account, PLATFORM, [], Account, Body::Json(SMALL), Tmcp, "An address that signs the same person in to a browser";
    TAKE_BACK: Post "/api/v1/auth/revoke", Consent, PERSON, [], Account, Body::Json(SMALL), Tmcp, "Take back what an app may do";
    DEVICE_PAGE: Get "/oauth2/device", Consent, Access::Public, [], DeviceGuess, Body::None, Page, "Where a person enters a device's code";
    DEVICE_ANSWER: Post "/oauth2/device", Consent, Access::Public, [], DeviceGuess, Body::Form(SMALL), Page, "Let a device in, or refuse it";
    CONTINUE_SHOW: Get "/account/continue", Account, Access::Public, [], SignIn, Body::None, Page, "Ask whether to go on as the person who came from their client";
    CONTINUE: Post "/account/continue", Account, Access::Public, [], SignIn, Body::Form(SMALL), Page, "Go on as that person: begins a browser session";
    ACCOUNT: Get "/account", Account, Access::Public, [], Address, Body::None, Page, "A person's apps and browsers";
    ACCOUNT_REVOKE: Post "/account/revoke", Account, Access::Public, [], Address, Body::Form(SMALL), Page, "Take back what an app may do, from the page";
    ACCOUNT_END: Post "/account/end", Account, Access::Public, [], Address, Body::Form(SMALL), Page, "End a browser session, this one or another";
    ACCOUNT_PROFILE: Post "/account/profile", Account, Access::Public, [], Address, Body::Form(SMALL), Page, "Change what one is called, and says of oneself";
    LINK: Post "/account/link", Account, Access::Public, [], Address, Body::Form(SMALL), Page, "Begin to link another identity, at its provider";
    LINK_SHOW: Get "/account/link", Account, Access::Public, [], Address, Body::None, Page, "Ask whether an identity that was proven is the person's";
    LINK_CONFIRM: Post "/account/link/confirm", Account, Access::Public, [], Address, Body::Form(SMALL), Page, "Link it";
    UNLINK: Post "/account/unlink", Account, Access::Public, [], Address, Body::Form(SMALL), Page, "Take an identity off the account";
    CHOOSE: Post "/account/choose", Account, Access::Public, [], Address, Body::Form(SMALL), Page, "Make another Matrix id the one that apps know the person by";
    EXPORT: Get "/api/v1/privacy/export", Account, PLATFORM, [], Export, Body::None, Tmcp, "Everything that is held about the person, as one JSON document";
    LEAVE: Delete "/api/v1/privacy/account", Account, PLATFORM, [], Account, Body::None, Tmcp, "Erase the account, once a time to think it over has passed";
    ACCOUNT_EXPORT: Post "/account/export", Account, Access::Public, [], Address, Body::Form(SMALL), Page, "The same document, from the page";
    LEAVE_SHOW: Get "/account/leave", Account, Access::Public, [], Address, Body::None, Page, "Ask whether the account is to be erased";
    ACCOUNT_LEAVE: Post "/account/leave", Account, Access::Public, [], Address, Body::Form(SMALL), Page, "Erase it";
    STAY_SHOW: Get "/account/stay", Account, Access::Public, [], Address, Body::None, Page, "Ask somebody who is leaving whether they stay";
    STAY: Post "/account/stay", Account, Access::Public, [], Address, Body::Form(SMALL), Page, "Stay";
    STYLE: Get "/account/style.css", Account, Access::Public, [], Address, Body::None, Page, "The pages' stylesheet";

    AS_TRANSACTION: Put "/_matrix/app/v1/transactions/{txn_id}", Lifecycle, Access::Homeserver, [], None, Body::Json(EVENTS), Matrix, "Events that a homeserver tells of";
    AS_PING: Post "/_matrix/app/v1/ping", Lifecycle, Access::Homeserver, [], None, Body::Json(SMALL), Matrix, "Whether a homeserver reaches us";
    AS_USER: Get "/_matrix/app/v1/users/{user_id}", Lifecycle, Access::Homeserver, [], None, Body::None, Matrix, "Whether a user of our namespace is there";
    AS_ROOM: Get "/_matrix/app/v1/rooms/{room_alias}", Lifecycle, Access::Homeserver, [], None, Body::None, Matrix, "Whether a room of our namespace is there";

    DEVELOPER_AUTHORIZE: Get "/oauth2/developer/authorize", Developer, Access::Public, [], Address, Body::None, Page, "Ask a developer in to the console (authorization code with PKCE)";
    DEVELOPER_TOKEN: Post "/oauth2/developer/token", Developer, Access::Public, [], Address, Body::Form(SMALL), OAuth, "Grant or refresh developer tokens, to the console";
    DEVELOPER_REVOKE: Post "/oauth2/developer/revoke", Developer, DEVELOPER, [], Account, Body::Form(SMALL), OAuth, "End every session of the developer";
    ORGANIZATIONS: Get "/organizations/v1", Developer, DEVELOPER, [], Account, Body::None, OAuth, "The developer's organisations";
    ORGANIZATION_CREATE: Post "/organizations/v1/create", Developer, DEVELOPER, [], Account, Body::Json(SMALL), OAuth, "Found an organisation";
    INVITATIONS: Get "/organizations/v1/invitations", Developer, DEVELOPER, [], Account, Body::None, OAuth, "Where the developer is invited to";
    INVITATION_ACCEPT: Post "/organizations/v1/invitations/{invitation_id}/accept", Developer, DEVELOPER, [], Account, Body::None, OAuth, "Join";
    INVITATION_END: Delete "/organizations/v1/invitations/{invitation_id}", Developer, DEVELOPER, [], Account, Body::None, OAuth, "Decline an invitation, or withdraw one";
    ORGANIZATION: Get "/organizations/v1/{org_id}", Developer, DEVELOPER, [], Account, Body::None, OAuth, "An organisation, its members and open invitations";
    ORGANIZATION_INVITE: Post "/organizations/v1/{org_id}/members", Developer, DEVELOPER, [], Account, Body::Json(SMALL), OAuth, "Invite somebody";
    MEMBER_CHANGE: Patch "/organizations/v1/{org_id}/members/{developer_id}", Developer, DEVELOPER, [], Account, Body::Json(SMALL), OAuth, "Give a member another role";
    MEMBER_END: Delete "/organizations/v1/{org_id}/members/{developer_id}", Developer, DEVELOPER, [], Account, Body::None, OAuth, "Take a member out, or leave";
    WHITELIST: Get "/admin/developers/whitelist", Developer, Access::Management, [], Address, Body::None, OAuth, "Who may be a developer";
    WHITELIST_ADD: Post "/admin/developers/whitelist", Developer, Access::Management, [], Address, Body::Json(SMALL), OAuth, "Let somebody be a developer";
    DEVELOPER_END: Delete "/admin/developers/{developer_id}", Developer, Access::Management, [], Address, Body::None, OAuth, "No more: take somebody off the list, and end their sessions";

    STORAGE_LIST: Get "/api/v1/storage", Storage, TEP, [StorageRead], Storage, Body::None, Tmcp, "List keys";
    STORAGE_INFO: Get "/api/v1/storage-info", Storage, TEP, [StorageRead], Storage, Body::None, Tmcp, "Quota and usage";
    STORAGE_BATCH_GET: Post "/api/v1/storage/batch/get", Storage, TEP, [StorageRead StorageWrite], StorageBatch, Body::Json(MAX_BATCH_BYTES), Tmcp, "Get up to 100 values";
    STORAGE_BATCH_SET: Post "/api/v1/storage/batch/set", Storage, TEP, [StorageWrite], StorageBatch, Body::Json(MAX_BATCH_BYTES), Tmcp, "Set up to 100 values, all or none";
    STORAGE_BATCH_DELETE: Post "/api/v1/storage/batch/delete", Storage, TEP, [StorageWrite], StorageBatch, Body::Json(MAX_BATCH_BYTES), Tmcp, "Delete up to 100 keys";
    STORAGE_SYNC: Post "/api/v1/storage/sync", Storage, TEP, [StorageWrite], StorageBatch, Body::Json(MAX_BATCH_BYTES), Tmcp, "Send a queue of offline writes and learn what changed";
    STORAGE_GET: Get "/api/v1/storage/{key}", Storage, TEP, [StorageRead], Storage, Body::None, Tmcp, "Get a value";
    STORAGE_PUT: Put "/api/v1/storage/{key}", Storage, TEP, [StorageWrite], Storage, Body::Json(VALUE), Tmcp, "Set a value";
    STORAGE_DELETE: Delete "/api/v1/storage/{key}", Storage, TEP, [StorageWrite], Storage, Body::None, Tmcp, "Delete a value";

    OPENAPI: Get "/openapi.json", Ops, Access::Public, [], Address, Body::None, Tmcp, "This interface, as an OpenAPI document";
    HEALTH: Get "/ops/health", Ops, Access::Public, [], None, Body::None, Tmcp, "Whether the process answers";
    READY: Get "/ops/ready", Ops, Access::Public, [], Status, Body::None, Tmcp, "Whether the parts it depends on answer";
    METRICS: Get "/ops/metrics", Ops, Access::Operator, [], Address, Body::None, Tmcp, "Counters and gauges for Prometheus";
    MIGRATE: Post "/ops/migrate", Ops, Access::Operator, [], Address, Body::None, Tmcp, "Apply migrations (Spin; on Workers wrangler does)";
    MAINTENANCE: Post "/ops/maintenance", Ops, Access::Operator, [], Address, Body::None, Tmcp, "Run periodic work of every function";
    REGISTER_CLIENT: Post "/ops/clients", Ops, Access::Operator, [], Address, Body::Json(SMALL), Tmcp, "Register or change an OAuth client";
    AUDIT: Get "/ops/audit", Ops, Access::Operator, [], Address, Body::None, Tmcp, "The sealed audit log, for who verifies it";
    STORAGE_KEYS: Get "/ops/keys", Ops, Access::Operator, [], Address, Body::None, Tmcp, "Count stored values per master key: one without values can go";

    INTERNAL_VERIFY: Post "/internal/verify", Identity, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Verify Matrix credentials and find or create the user";
    INTERNAL_KNOWN: Post "/internal/known", Identity, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Who somebody is that a provider vouches for";
    INTERNAL_SIGN_IN_ANEW: Post "/internal/sign-in", Broker, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Begin a sign-in of somebody who is signed in";
    INTERNAL_REDEEM: Post "/internal/redeem", Broker, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Redeem a code that a native app brought, and find or create the user";
    INTERNAL_SAML_REQUEST: Post "/internal/saml/request", Saml, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Ask a SAML identity provider who somebody is";
    INTERNAL_SAML_REDEEM: Post "/internal/saml/redeem", Saml, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Who was proven, by a handle that counts once";
    INTERNAL_LINK_SHOW: Post "/internal/link/show", Identity, Access::Service, [], None, Body::Json(SMALL), Tmcp, "An identity that waits to be linked";
    INTERNAL_LINK_CONFIRM: Post "/internal/link/confirm", Identity, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Link an identity";
    INTERNAL_IDENTITIES: Post "/internal/identities", Identity, Access::Service, [], None, Body::Json(SMALL), Tmcp, "The identities of a person";
    INTERNAL_UNLINK: Post "/internal/identities/unlink", Identity, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Take an identity off a person";
    INTERNAL_PROFILE: Post "/internal/profile", Identity, Access::Service, [], None, Body::Json(SMALL), Tmcp, "A person's profile, and changes of it";
    INTERNAL_LEAVE: Post "/internal/leave", Identity, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Note that a person leaves";
    INTERNAL_STAY_SHOW: Post "/internal/stay/show", Identity, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Who asked to be erased, by the handle of a question";
    INTERNAL_STAY: Post "/internal/stay", Identity, Access::Service, [], None, Body::Json(SMALL), Tmcp, "They stay";
    INTERNAL_EXPORT_IDENTITY: Post "/internal/export/identity", Identity, Access::Service, [], None, Body::Json(SMALL), Tmcp, "What identity holds about a person";
    INTERNAL_EXPORT_CONSENT: Post "/internal/export/consent", Consent, Access::Service, [], None, Body::Json(SMALL), Tmcp, "What consent holds about a person";
    INTERNAL_EXPORT_STORAGE: Post "/internal/export/storage", Storage, Access::Service, [], None, Body::Json(SMALL), Tmcp, "What storage holds about a person";
    INTERNAL_ERASE_ACCOUNT: Post "/internal/erase/account", Account, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Erase what account holds about a person";
    INTERNAL_ERASE_BROKER: Post "/internal/erase/broker", Broker, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Erase what broker holds about a person";
    INTERNAL_ERASE_CONSENT: Post "/internal/erase/consent", Consent, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Erase what consent holds about a person";
    INTERNAL_CHOOSE: Post "/internal/identities/choose", Identity, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Make another Matrix id the one that apps know a person by";
    INTERNAL_PROVIDERS: Post "/internal/providers", Broker, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Whom people can sign in with";
    INTERNAL_BROWSER: Post "/internal/browser", Account, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Who sits at a browser, or the page by which they sign in";
    INTERNAL_AGREED: Post "/internal/agreed", Consent, Access::Service, [], None, Body::Json(SMALL), Tmcp, "The apps that a person let in";
    INTERNAL_TAKE_BACK: Post "/internal/take-back", Consent, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Take back what an app may do";
    INTERNAL_BEGIN_BROWSER: Post "/internal/browsers", Account, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Begin a browser session";
    INTERNAL_CLIENTS: Post "/internal/clients", Auth, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Register or change an OAuth client";
    INTERNAL_CLIENT: Post "/internal/client", Auth, Access::Service, [], None, Body::Json(SMALL), Tmcp, "What a client registered";
    INTERNAL_LOGOUT: Post "/internal/logout", Auth, Access::Service, [], None, Body::Json(SMALL), Tmcp, "End a platform session and all that came from it";
    INTERNAL_CODE: Post "/internal/code", Auth, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Issue an authorization code";
    INTERNAL_DEVICE: Post "/internal/device", Auth, Access::Service, [], None, Body::Json(SMALL), Tmcp, "What a device asks for under a user code";
    INTERNAL_DEVICE_DECIDE: Post "/internal/device/decide", Auth, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Decide on a device";
    INTERNAL_APPS: Post "/internal/apps", Auth, Access::Service, [], None, Body::Json(SMALL), Tmcp, "The apps that hold sessions of a person";
    INTERNAL_END_APP: Post "/internal/end-app", Auth, Access::Service, [], None, Body::Json(SMALL), Tmcp, "End every session of a person in an app; without one, forget the person";
    INTERNAL_DEVELOPER_TOKEN: Post "/internal/developer-token", Auth, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Sign a developer token";
    INTERNAL_END_DEVELOPER: Post "/internal/end-developer", Developer, Access::Service, [], None, Body::Json(SMALL), Tmcp, "End the console's sessions of a person, or those that came from a platform session";
    INTERNAL_EXPORT_DEVELOPER: Post "/internal/export/developer", Developer, Access::Service, [], None, Body::Json(SMALL), Tmcp, "What developer holds about a person";
    INTERNAL_ERASE_DEVELOPER: Post "/internal/erase/developer", Developer, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Erase what developer holds about a person";
    INTERNAL_STATUS_DEVELOPER: Post "/internal/status/developer", Developer, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Whether what developer depends on answers";
    INTERNAL_MAINTAIN_DEVELOPER: Post "/internal/maintain/developer", Developer, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Periodic work of developer";
    INTERNAL_TOLD: Post "/internal/profiles/told", Identity, Access::Service, [], None, Body::Json(TOLD), Tmcp, "What a homeserver told of its people's profiles";
    INTERNAL_STATUS_LIFECYCLE: Post "/internal/status/lifecycle", Lifecycle, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Whether what lifecycle depends on answers";
    INTERNAL_CONSENTS: Post "/internal/consents", Consent, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Which scopes a person has agreed to, and a question about the rest";
    INTERNAL_END_BROWSERS: Post "/internal/end-browsers", Account, Access::Service, [], None, Body::Json(SMALL), Tmcp, "End the browser sessions that came from a platform session";
    INTERNAL_STATUS_ACCOUNT: Post "/internal/status/account", Account, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Whether what account depends on answers";
    INTERNAL_MAINTAIN_ACCOUNT: Post "/internal/maintain/account", Account, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Periodic work of account";
    INTERNAL_ORIGINS: Post "/internal/origins", Auth, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Which browser origins may call, for CORS";
    INTERNAL_ERASE: Post "/internal/erase", Storage, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Erase everything of a user, or of a user and app";
    INTERNAL_KEYS: Post "/internal/keys", Storage, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Count stored values per master key";
    INTERNAL_STATUS_AUTH: Post "/internal/status/auth", Auth, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Whether what auth depends on answers";
    INTERNAL_STATUS_BROKER: Post "/internal/status/broker", Broker, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Whether what broker depends on answers";
    INTERNAL_STATUS_CONSENT: Post "/internal/status/consent", Consent, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Whether what consent depends on answers";
    INTERNAL_STATUS_IDENTITY: Post "/internal/status/identity", Identity, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Whether what identity depends on answers";
    INTERNAL_STATUS_SAML: Post "/internal/status/saml", Saml, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Whether what saml depends on answers";
    INTERNAL_STATUS_STORAGE: Post "/internal/status/storage", Storage, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Whether what storage depends on answers";
    INTERNAL_MAINTAIN_AUTH: Post "/internal/maintain/auth", Auth, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Periodic work of auth";
    INTERNAL_MAINTAIN_BROKER: Post "/internal/maintain/broker", Broker, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Periodic work of broker";
    INTERNAL_MAINTAIN_CONSENT: Post "/internal/maintain/consent", Consent, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Periodic work of consent";
    INTERNAL_MAINTAIN_IDENTITY: Post "/internal/maintain/identity", Identity, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Periodic work of identity";
    INTERNAL_MAINTAIN_SAML: Post "/internal/maintain/saml", Saml, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Periodic work of saml";
    INTERNAL_MAINTAIN_STORAGE: Post "/internal/maintain/storage", Storage, Access::Service, [], None, Body::Json(SMALL), Tmcp, "Periodic work of storage";
}

impl Route {
    /// Whether a client on the internet can reach it at all.
    pub fn is_public_path(&self) -> bool {
        !self.path.starts_with("/internal/")
    }

    /// The path up to its first parameter, for prefix routing.
    pub fn prefix(&self) -> &'static str {
        self.path.split('{').next().unwrap_or(self.path)
    }
}

/// The path of an absolute URL, still encoded; `/` where it has none.
pub fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.find(['?', '#']).and_then(|end| rest.get(..end)).unwrap_or(rest);
    rest.find('/').and_then(|start| rest.get(start..)).unwrap_or("/")
}

/// The function that serves a public path, by the longest route that it begins with; `None` for paths of nobody and for
/// `/internal/`, which no public entry may reach.
pub fn function_for(path: &str) -> Option<Function> {
    ROUTES
        .iter()
        .filter(|route| route.is_public_path())
        .filter(|route| {
            let prefix = route.prefix();
            if prefix.ends_with('/') { path.starts_with(prefix) } else { path == prefix }
        })
        .max_by_key(|route| route.prefix().len())
        .map(|route| route.function)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_path_of_a_url_is_what_stands_between_host_and_query() {
        for (url, path) in [
            ("https://example.org/api/v1/storage/a%2Fb?x=/y", "/api/v1/storage/a%2Fb"),
            ("http://127.0.0.1:8080/", "/"),
            ("http://example.org", "/"),
            ("https://example.org?next=/internal/x", "/"),
            ("https://example.org/a://b/c#d", "/a://b/c"),
        ] {
            assert_eq!(path_of(url), path, "{url}");
        }
    }

    #[test]
    fn rows_are_unique() {
        let rows: BTreeSet<_> = ROUTES.iter().map(|r| (r.method, r.path)).collect();
        assert_eq!(rows.len(), ROUTES.len());
    }

    #[test]
    fn paths_find_their_function() {
        let cases = [
            ("/api/v1/storage", Some(Function::Storage)),
            ("/api/v1/storage/a%2Fb", Some(Function::Storage)),
            ("/api/v1/storage-info", Some(Function::Storage)),
            ("/api/v1/storage/batch/get", Some(Function::Storage)),
            ("/oauth2/token", Some(Function::Auth)),
            ("/oauth2/authorize", Some(Function::Consent)),
            ("/account", Some(Function::Account)),
            ("/account/nothing", None),
            ("/ops/health", Some(Function::Ops)),
            ("/openapi.json", Some(Function::Ops)),
            ("/internal/verify", None),
            ("/api/v1/storagex", None),
            ("/", None),
        ];
        for (path, function) in cases {
            assert_eq!(function_for(path), function, "{path}");
        }
    }

    #[test]
    fn internal_paths_and_service_access_go_together() {
        for route in ROUTES {
            assert_eq!(!route.is_public_path(), route.access == Access::Service, "{}", route.path);
        }
    }

    #[test]
    fn only_tokens_carry_scopes() {
        for route in ROUTES.iter().filter(|r| !r.scopes.is_empty()) {
            assert!(matches!(route.access, Access::Tokens(_)), "{}", route.path);
        }
    }
}
