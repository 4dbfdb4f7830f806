//! What each route takes and gives, as JSON Schema (OpenAPI 3.1): what the route table does not say.

use serde_json::{Map, Value, json};
use tmcp_protocol::client::Grant;
use tmcp_protocol::developer::Role;
use tmcp_protocol::routes::{IMAGES, Route};
use tmcp_protocol::storage::{MAX_KEY_BYTES, MAX_VALUE_BYTES};
use tmcp_protocol::{Scope, routes};

/// What a route takes and gives.
#[derive(Default)]
pub struct Shape {
    /// The body that it takes.
    pub body: Option<Value>,
    /// Parameters: where, name, whether it has to be there, schema.
    pub parameters: Vec<(&'static str, &'static str, bool, Value)>,
    /// Good answers: status, and media type and schema where there is a body.
    pub good: Vec<(&'static str, Option<(&'static str, Value)>)>,
    /// Refusals beside those that its access and body bring.
    pub refusals: Vec<(&'static str, &'static str)>,
}

const JSON: &str = "application/json";

impl Shape {
    fn new(status: &'static str, content: Option<(&'static str, Value)>) -> Self {
        Self { good: vec![(status, content)], ..Self::default() }
    }

    fn takes(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    fn asks(mut self, name: &'static str, schema: Value) -> Self {
        self.parameters.push(("query", name, false, schema));
        self
    }

    fn header(mut self, name: &'static str, schema: Value) -> Self {
        self.parameters.push(("header", name, false, schema));
        self
    }

    fn refuses(mut self, refusals: &[(&'static str, &'static str)]) -> Self {
        self.refusals.extend_from_slice(refusals);
        self
    }

    fn or(mut self, status: &'static str, content: Option<(&'static str, Value)>) -> Self {
        self.good.push((status, content));
        self
    }
}

const SIGNED_OUT: (&str, &str) = ("401", "Nobody is signed in, or the credentials do not hold.");
const STALE: (&str, &str) = ("403", "The sign-in is too old for this, or another's.");
const ABSENT: (&str, &str) = ("404", "There is nothing of that name.");
const STANDS_AGAINST: (&str, &str) = ("409", "It stands against what is there.");

/// 200 with JSON.
fn gives(schema: Value) -> Shape {
    Shape::new("200", Some((JSON, schema)))
}

/// 204.
fn nothing() -> Shape {
    Shape::new("204", None)
}

/// 200 with a page.
fn page() -> Shape {
    Shape::new("200", Some(("text/html", text())))
}

/// A form of a page, whose browser goes on elsewhere.
fn form(required: &[(&str, Value)], optional: &[(&str, Value)]) -> Shape {
    page().takes(object(required, optional))
}

fn text() -> Value {
    json!({"type": "string"})
}

fn short(most: usize) -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": most})
}

fn moment() -> Value {
    json!({"type": "string", "format": "date-time"})
}

fn int() -> Value {
    json!({"type": "integer"})
}

fn within(least: i64, most: i64) -> Value {
    json!({"type": "integer", "minimum": least, "maximum": most})
}

fn number() -> Value {
    json!({"type": "number"})
}

fn flag() -> Value {
    json!({"type": "boolean"})
}

fn any() -> Value {
    json!({"type": "object"})
}

fn or_null(mut schema: Value) -> Value {
    if let Some(kind) = schema.get_mut("type") {
        *kind = json!([kind.take(), "null"]);
    }
    schema
}

fn list(of: Value) -> Value {
    json!({"type": "array", "items": of})
}

fn few(of: Value, most: usize) -> Value {
    json!({"type": "array", "items": of, "minItems": 1, "maxItems": most})
}

fn object(required: &[(&str, Value)], optional: &[(&str, Value)]) -> Value {
    let names: Vec<&str> = required.iter().map(|(name, _)| *name).collect();
    let properties: Map<String, Value> =
        required.iter().chain(optional).map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    json!({"type": "object", "required": names, "properties": properties})
}

fn matrix_id() -> Value {
    json!({"type": "string", "pattern": "^@[^:]+:.+$", "maxLength": 255, "description": "A Matrix user id."})
}

fn scopes() -> Value {
    let names: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
    json!({"type": "string", "description": format!("Separated by spaces, of: {}.", names.join(", "))})
}

fn key() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": MAX_KEY_BYTES, "description": "At most 256 bytes."})
}

fn value() -> Value {
    json!({"type": "string", "maxLength": MAX_VALUE_BYTES, "description": "At most 1 MiB."})
}

/// What a write says beside key and value.
fn write() -> [(&'static str, Value); 3] {
    let metadata = object(&[], &[("content_type", or_null(text()))]);
    [
        ("ttl", json!({"type": ["integer", "null"], "description": "Seconds that it lives."})),
        ("metadata", json!({"anyOf": [metadata, {"type": "null"}]})),
        (
            "client_timestamp",
            json!({"type": ["number", "null"], "description": "Seconds since 1970: of two writes the later one stays."}),
        ),
    ]
}

fn metadata() -> Value {
    object(&[("size_bytes", int()), ("client_timestamp", number())], &[("content_type", text())])
}

fn stored_value() -> Value {
    let required =
        [("key", key()), ("value", value()), ("created_at", moment()), ("updated_at", moment()), ("metadata", metadata())];
    object(&required, &[("expires_at", or_null(moment()))])
}

/// A write that took effect, or the newer value that it met.
fn written() -> Value {
    let required = [("key", key()), ("success", flag()), ("updated_at", moment()), ("metadata", metadata())];
    let conflict = object(&[("key", key()), ("success", flag()), ("conflict", any())], &[]);
    json!({"anyOf": [object(&required, &[("expires_at", or_null(moment()))]), conflict, any()]})
}

fn tokens() -> Value {
    object(
        &[("access_token", text()), ("token_type", text()), ("expires_in", int())],
        &[
            ("refresh_token", text()),
            ("scope", text()),
            ("user_id", matrix_id()),
            ("wallet_id", text()),
            ("delegated_session", flag()),
            ("issued_token_type", text()),
            ("preapproved_scopes", list(text())),
            ("privileged", flag()),
            ("privileged_until", int()),
        ],
    )
}

fn signed_in() -> Value {
    let user = object(
        &[("id", text()), ("status", text())],
        &[("matrix_user_id", or_null(text())), ("matrix_username", or_null(text())), ("display_name", or_null(text()))],
    );
    object(&[("access_token", text()), ("token_type", text()), ("expires_in", int()), ("user", user)], &[])
}

fn profile() -> Value {
    object(
        &[("user_id", text()), ("created_at", moment()), ("updated_at", moment())],
        &[
            ("matrix_user_id", or_null(text())),
            ("display_name", or_null(text())),
            ("avatar_url", or_null(text())),
            ("bio", or_null(text())),
            ("email", or_null(text())),
            ("matrix_data", or_null(any())),
            ("synced_at", or_null(moment())),
        ],
    )
}

/// How a client says who it is (RFC 6749 section 2.3): in the form, where it does not in the header.
fn client() -> [(&'static str, Value); 2] {
    [("client_id", text()), ("client_secret", text())]
}

fn with_client(required: &[(&str, Value)], optional: &[(&str, Value)]) -> Value {
    object(required, &[optional, &client()].concat())
}

/// The header that a change of the profile is made at the homeserver by.
fn matrix_token() -> Value {
    json!({"type": "string", "description": "The person's Matrix access token: used in this request, and not kept."})
}

fn developer_tokens() -> Value {
    object(
        &[("access_token", text()), ("token_type", text()), ("expires_in", int()), ("refresh_token", text())],
        &[("developer_id", text()), ("roles", list(role())), ("organizations", list(membership()))],
    )
}

fn role() -> Value {
    json!({"type": "string", "enum": Role::ALL.map(Role::as_str)})
}

fn membership() -> Value {
    object(&[("org_id", text()), ("name", text()), ("role", role())], &[])
}

fn organization(more: &[(&str, Value)]) -> Value {
    let optional = [("description", or_null(text())), ("website", or_null(text())), ("contact_email", or_null(text()))];
    object(&[&[("org_id", text()), ("name", text()), ("created_at", moment())], more].concat(), &optional)
}

fn invitation() -> Value {
    object(
        &[
            ("invitation_id", text()),
            ("org_id", text()),
            ("matrix_user_id", matrix_id()),
            ("role", role()),
            ("invited_by", text()),
            ("invited_at", moment()),
            ("expires_at", moment()),
            ("status", text()),
        ],
        &[("organization", or_null(text()))],
    )
}

fn listed() -> Value {
    object(
        &[("matrix_user_id", matrix_id()), ("added_by", text()), ("added_at", moment())],
        &[("developer_id", or_null(text())), ("note", or_null(text()))],
    )
}

/// A body without members that nobody knows.
fn strict(mut schema: Value) -> Value {
    if let Some(members) = schema.as_object_mut() {
        members.insert("additionalProperties".to_owned(), json!(false));
    }
    schema
}

fn standing() -> Value {
    object(&[("user_id", text()), ("status", text())], &[("suspended_until", or_null(moment()))])
}

/// What the route takes and gives; `None` where the table below does not say it yet.
#[allow(clippy::too_many_lines, reason = "a table")]
pub fn of(route: &Route) -> Option<Shape> {
    let is = |other: &Route| other.path == route.path && other.method == route.method;
    macro_rules! table {
        ($($name:ident => $shape:expr;)*) => {
            $(if is(&routes::$name) { return Some($shape); })*
        };
    }
    let code = || text();
    table! {
        MATRIX_SIGN_IN => gives(signed_in()).takes(object(&[("matrix_user_id", matrix_id())], &[
            ("access_token", or_null(text())),
            ("openid_token", json!({"anyOf": [object(&[("access_token", text()), ("matrix_server_name", text())], &[]), {"type": "null"}]})),
            ("cancel_deletion", flag()),
        ]));
        OAUTH_SIGN_IN => gives(signed_in()).takes(object(
            &[("provider", text()), ("code", code()), ("code_verifier", short(128)), ("redirect_uri", text()), ("nonce", text())],
            &[("iss", text()), ("cancel_deletion", json!({"type": "string", "enum": ["true", ""]}))],
        )).refuses(&[ABSENT]);
        LOGOUT => nothing();
        TOKEN => {
            let grants: Vec<&str> = Grant::ALL.iter().map(|grant| grant.as_str()).collect();
            gives(tokens()).takes(with_client(&[("grant_type", json!({"type": "string", "enum": grants}))], &[
                ("code", code()),
                ("redirect_uri", text()),
                ("code_verifier", text()),
                ("refresh_token", text()),
                ("device_code", text()),
                ("subject_token", text()),
                ("subject_token_type", text()),
                ("requested_token_type", text()),
                ("matrix_user_id", text()),
                ("miniapp_context", text()),
                ("scope", scopes()),
            ]))
        };
        DEVICE => gives(object(
            &[("device_code", text()), ("user_code", text()), ("verification_uri", text()), ("expires_in", int()), ("interval", int())],
            &[("verification_uri_complete", text())],
        )).takes(with_client(&[("scope", scopes())], &[]));
        REVOKE => gives(any()).takes(with_client(&[("token", text())], &[("token_type_hint", text())]));
        INTROSPECT => gives(object(&[("active", flag())], &[
            ("scope", text()), ("client_id", text()), ("token_type", text()), ("exp", int()), ("sub", text()), ("aud", text()),
            ("iss", text()), ("jti", text()), ("wallet_id", text()),
        ])).takes(with_client(&[("token", text())], &[("token_type_hint", text())]));
        JWKS => gives(object(&[("keys", list(any()))], &[]));
        METADATA => gives(object(&[("issuer", text()), ("token_endpoint", text()), ("authorization_endpoint", text())], &[]));
        USERINFO => gives(object(&[("sub", matrix_id())], &[
            ("preferred_username", text()), ("name", or_null(text())), ("picture", or_null(text())), ("homeserver", text()),
            ("bio", or_null(text())), ("updated_at", int()), ("contacts_status", text()),
        ]));
        PROFILE => gives(profile());
        PROFILE_CHANGE => gives(profile()).header("X-Matrix-Access-Token", matrix_token()).takes(json!({
            "type": "object", "minProperties": 1, "additionalProperties": false,
            "properties": {"display_name": or_null(short(256)), "bio": or_null(short(1000)), "avatar_url": or_null(text())},
        }));
        PROFILE_SYNC => gives(profile());
        AVATAR => gives(profile()).header("X-Matrix-Access-Token", matrix_token()).takes(json!({"type": "string", "format": "binary", "contentMediaType": IMAGES[0]}));
        SUSPEND => gives(standing()).takes(object(&[("user", short(255)), ("reason", short(500))], &[
            ("until", or_null(moment())), ("appeal_url", or_null(text())),
        ])).refuses(&[ABSENT]);
        LIFT => gives(standing()).takes(object(&[("user", short(255))], &[])).refuses(&[ABSENT]);
        SIGN_IN => page().asks("continue", text());
        SIGN_IN_CALLBACK => page().asks("state", text()).asks("code", code()).asks("loginToken", text()).asks("iss", text()).asks("error", text());
        EMAIL_SHOW => page().asks("state", text());
        EMAIL_SEND => form(&[("state", text())], &[("address", text())]);
        SAML_METADATA => Shape::new("200", Some(("application/samlmetadata+xml", text())));
        SAML_CONSUME => form(&[("SAMLResponse", text()), ("RelayState", text())], &[]);
        AUTHORIZE => page().asks("response_type", text()).asks("client_id", text()).asks("redirect_uri", text()).asks("scope", scopes())
            .asks("state", text()).asks("code_challenge", text()).asks("code_challenge_method", text());
        CONSENT_SHOW => gives(object(&[("miniapp", any()), ("requested_scopes", list(any()))], &[])).asks("session", text())
            .or("200", Some(("text/html", text()))).refuses(&[SIGNED_OUT, STALE, ABSENT]);
        CONSENT => nothing().or("200", Some(("text/html", text()))).takes(object(&[("session", text())], &[
            ("approve", flag()), ("decision", text()), ("token", text()), ("continue", text()),
        ])).refuses(&[ABSENT]);
        CONSENT_HISTORY => gives(object(&[("consents", list(any())), ("history", list(any()))], &[("next", or_null(text()))])).asks("after", text());
        SESSIONS => gives(object(&[("browsers", list(any())), ("apps", list(any()))], &[]));
        SESSION_END => nothing();
        HAND_OVER => gives(object(&[("url", text()), ("expires_in", int())], &[])).takes(object(&[], &[("continue", text())]));
        TAKE_BACK => gives(object(&[("success", flag()), ("miniapp_id", text()), ("revoked_scopes", list(text()))], &[]))
            .takes(object(&[("miniapp_id", text())], &[("scopes", or_null(list(text()))), ("reason", or_null(text()))])).refuses(&[ABSENT]);
        DEVICE_PAGE => page().asks("user_code", text());
        DEVICE_ANSWER => form(&[("user_code", text())], &[("decision", text()), ("token", text()), ("session", text())]);
        CONTINUE_SHOW => page().asks("handle", text()).asks("continue", text());
        CONTINUE => form(&[("handle", text())], &[("continue", text()), ("token", text())]);
        ACCOUNT => page();
        ACCOUNT_REVOKE => form(&[("app", text()), ("token", text())], &[]);
        ACCOUNT_END => form(&[("token", text())], &[("session", text()), ("continue", text())]);
        ACCOUNT_PROFILE => form(&[("token", text())], &[("display_name", text()), ("bio", text())]);
        LINK => form(&[("provider", text()), ("token", text())], &[("purpose", text())]);
        LINK_SHOW => page().asks("handle", text()).refuses(&[SIGNED_OUT, STALE]);
        LINK_CONFIRM => form(&[("handle", text()), ("token", text())], &[]).refuses(&[STANDS_AGAINST]);
        UNLINK => form(&[("identity", text()), ("token", text())], &[]).refuses(&[STANDS_AGAINST]);
        CHOOSE => form(&[("identity", text()), ("token", text())], &[]).refuses(&[STANDS_AGAINST]);
        EXPORT => gives(any());
        LEAVE => Shape::new("202", Some((JSON, object(&[("erased_at", moment())], &[])))).refuses(&[STANDS_AGAINST]);
        ACCOUNT_EXPORT => form(&[("token", text())], &[]).or("200", Some((JSON, any())));
        LEAVE_SHOW => page().refuses(&[SIGNED_OUT, STALE]);
        ACCOUNT_LEAVE => form(&[("token", text())], &[]).refuses(&[STANDS_AGAINST]);
        STAY_SHOW => page().asks("handle", text());
        STAY => form(&[("handle", text())], &[("token", text())]);
        STYLE => Shape::new("200", Some(("text/css", text())));
        AS_TRANSACTION => gives(object(&[("success", flag())], &[])).takes(object(&[("events", list(any()))], &[]));
        AS_PING => gives(any()).takes(object(&[], &[("transaction_id", or_null(text()))]));
        AS_USER => gives(any());
        AS_ROOM => gives(any());
        DEVELOPER_AUTHORIZE => page().asks("response_type", text()).asks("client_id", text()).asks("redirect_uri", text())
            .asks("state", text()).asks("code_challenge", text()).asks("code_challenge_method", text());
        DEVELOPER_TOKEN => gives(developer_tokens()).takes(with_client(
            &[("grant_type", json!({"type": "string", "enum": ["authorization_code", "refresh_token"]}))],
            &[("code", code()), ("redirect_uri", text()), ("code_verifier", text()), ("refresh_token", text())],
        )).refuses(&[ABSENT]);
        DEVELOPER_REVOKE => gives(object(&[("revoked", flag()), ("message", text())], &[]))
            .takes(object(&[("token", text())], &[("token_type_hint", text())]));
        ORGANIZATIONS => gives(object(&[("organizations", list(membership()))], &[]));
        ORGANIZATION_CREATE => gives(organization(&[("created_by", matrix_id()), ("roles", list(any()))])).takes(strict(object(
            &[("name", short(100))],
            &[("description", or_null(text())), ("website", or_null(text())), ("contact_email", or_null(text()))],
        ))).refuses(&[STANDS_AGAINST]);
        ORGANIZATION => gives(organization(&[("role", role()), ("members", list(any())), ("invitations", list(invitation()))]));
        ORGANIZATION_INVITE => gives(invitation()).takes(strict(object(&[("matrix_user_id", matrix_id()), ("role", role())], &[]))).refuses(&[STANDS_AGAINST]);
        INVITATIONS => gives(object(&[("invitations", list(invitation()))], &[]));
        INVITATION_ACCEPT => gives(membership()).refuses(&[STANDS_AGAINST]);
        INVITATION_END => nothing();
        MEMBER_CHANGE => gives(object(&[("developer_id", text()), ("role", role())], &[])).takes(strict(object(&[("role", role())], &[]))).refuses(&[STANDS_AGAINST]);
        MEMBER_END => nothing().refuses(&[STANDS_AGAINST]);
        WHITELIST => gives(object(&[("developers", list(listed()))], &[("next", or_null(text()))])).asks("after", text());
        WHITELIST_ADD => gives(listed()).takes(strict(object(&[("matrix_user_id", matrix_id())], &[("note", or_null(short(500)))])));
        DEVELOPER_END => nothing();
        STORAGE_LIST => gives(object(&[
            ("keys", list(object(&[("key", key()), ("size_bytes", int()), ("updated_at", moment())], &[("expires_at", or_null(moment()))]))),
            ("pagination", object(&[("limit", int()), ("has_more", flag())], &[("next_cursor", or_null(text()))])),
        ], &[])).asks("prefix", text()).asks("limit", within(1, 1000)).asks("cursor", text());
        STORAGE_INFO => gives(object(&[
            ("usage", object(&[("bytes", int()), ("keys", int())], &[])),
            ("quota", object(&[("bytes", int()), ("keys", int()), ("max_key_bytes", int()), ("max_value_bytes", int())], &[])),
        ], &[]));
        STORAGE_BATCH_GET => gives(object(&[("items", any()), ("missing", list(key())), ("deferred", list(key()))], &[]))
            .takes(object(&[("keys", few(key(), 100))], &[]));
        STORAGE_BATCH_SET => gives(object(&[("success", flag()), ("results", list(written()))], &[]))
            .takes(object(&[("items", few(object(&[("key", key()), ("value", value())], &write()), 100))], &[]));
        STORAGE_BATCH_DELETE => gives(object(&[("success", flag()), ("results", list(any()))], &[]))
            .takes(object(&[("keys", few(key(), 100))], &[]));
        STORAGE_SYNC => {
            let op = json!({"type": "string", "enum": ["set", "delete"]});
            let [ttl, metadata, at] = write();
            let operation = object(&[("op", op), ("key", key()), ("client_timestamp", number())], &[("value", or_null(value())), ttl, metadata, at]);
            gives(object(
                &[("results", list(any())), ("changes", list(any())), ("cursor", text()), ("has_more", flag()), ("reset", flag())],
                &[],
            )).takes(object(&[], &[("operations", list(operation)), ("cursor", or_null(text())), ("limit", or_null(within(1, 100)))]))
        };
        STORAGE_GET => gives(stored_value());
        STORAGE_PUT => gives(written()).takes(object(&[("value", value())], &write()));
        STORAGE_DELETE => gives(object(&[("key", key()), ("success", flag())], &[]));
        OPENAPI => gives(object(&[("openapi", text()), ("paths", any())], &[]));
        HEALTH => gives(object(&[("status", text()), ("version", text())], &[]));
        READY => gives(object(&[("status", text()), ("checks", any())], &[]));
        METRICS => Shape::new("200", Some(("text/plain", text())));
        MIGRATE => gives(object(&[("applied", list(text()))], &[])).refuses(&[("400", "The platform has its own tool for it.")]);
        MAINTENANCE => gives(any());
        REGISTER_CLIENT => gives(object(
            &[("client_id", text()), ("app_id", text()), ("kind", text()), ("grants", list(text()))],
            &[("client_secret", or_null(text()))],
        )).takes(object(&[
            ("client_id", short(128)), ("app_id", short(128)), ("name", short(100)),
            ("kind", json!({"type": "string", "enum": ["public", "confidential"]})),
        ], &[
            ("client_secret", or_null(text())), ("scopes", list(text())), ("origins", list(text())), ("redirect_uris", list(text())),
            ("grants", or_null(list(text()))), ("developer", or_null(text())), ("icon_url", or_null(text())), ("host", flag()),
            ("official", flag()),
        ]));
        AUDIT => gives(object(&[("rows", list(any())), ("head", any())], &[("checkpoint", or_null(any()))])).asks("after", text());
        STORAGE_KEYS => gives(object(&[("values", any())], &[]));
    }
    None
}

/// The parameters in a path: names and schemas.
pub fn in_path(route: &Route) -> Vec<(&'static str, Value)> {
    let names = route.path.split('{').skip(1).filter_map(|part| part.split('}').next());
    names.map(|name| (name, if name == "key" { key() } else { short(256) })).collect()
}
