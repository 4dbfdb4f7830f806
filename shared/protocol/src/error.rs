//! Error codes (TMCP part 9) with their statuses, and the one envelope of the REST interface.

use serde::Serialize;
use serde_json::Value;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $status:literal;)*) => {
        /// An error code of the REST interface.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[$doc])* $variant,)* }

        impl ErrorCode {
            /// Every code there is.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)*];

            /// The name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(ErrorCode::$variant => $name,)* }
            }

            /// The HTTP status that it goes with.
            pub const fn status(self) -> u16 {
                match self { $(ErrorCode::$variant => $status,)* }
            }
        }
    };
}

codes! {
    /// No token, or one that does not hold; which check failed is not told.
    InvalidToken = "INVALID_TOKEN", 401;
    /// The token is good but lacks the scope or is of the wrong kind.
    InsufficientPermissions = "INSUFFICIENT_PERMISSIONS", 403;
    /// Too many requests; `Retry-After` says when to come back.
    RateLimitExceeded = "RATE_LIMIT_EXCEEDED", 429;
    /// A write would exceed the quota of this user and app.
    StorageQuotaExceeded = "STORAGE_QUOTA_EXCEEDED", 413;
    /// Nothing is stored under that key.
    KeyNotFound = "KEY_NOT_FOUND", 404;
    /// Matrix credentials that prove nothing: wrong, foreign, expired, a guest's.
    InvalidMatrixCredentials = "invalid_matrix_credentials", 401;
    /// What a provider's answer says proves nothing.
    InvalidCredentials = "INVALID_CREDENTIALS", 401;
    /// The account is suspended.
    AccountSuspended = "ACCOUNT_SUSPENDED", 403;
    /// The account is going to be erased; whoever signs in can only say that it stays.
    AccountDeletionPending = "ACCOUNT_DELETION_PENDING", 403;
    /// The person has no Matrix identity, and what was asked for is for those who have one.
    MatrixIdentityRequired = "matrix_identity_required", 403;
    /// A part that we depend on does not answer.
    ServiceUnavailable = "SERVICE_UNAVAILABLE", 503;
    /// The request is not what the endpoint takes.
    InvalidRequest = "INVALID_REQUEST", 400;
    /// It stands against what is there.
    Conflict = "CONFLICT", 409;
    /// No route has this path.
    NotFound = "NOT_FOUND", 404;
    /// The path exists, with other methods.
    MethodNotAllowed = "METHOD_NOT_ALLOWED", 405;
    /// The body is of another type than the endpoint takes.
    UnsupportedMediaType = "UNSUPPORTED_MEDIA_TYPE", 415;
    /// The body is larger than the endpoint takes.
    PayloadTooLarge = "PAYLOAD_TOO_LARGE", 413;
    /// Our fault; the log has the cause under the request id.
    InternalError = "INTERNAL_ERROR", 500;
}

/// The error body of the REST interface: `{"error": {…}}`.
#[derive(Debug, Serialize)]
pub struct ErrorBody<'a> {
    /// The one member.
    pub error: ErrorDetail<'a>,
}

/// What the error body holds.
#[derive(Debug, Serialize)]
pub struct ErrorDetail<'a> {
    /// An [`ErrorCode`]'s name.
    pub code: &'a str,
    /// For a person who reads it; safe to show.
    pub message: &'a str,
    /// Figures or names that a program can use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<&'a Value>,
    /// Seconds until a retry can succeed, on 429 and 503.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// RFC 3339.
    pub timestamp: String,
    /// As in the `X-Request-Id` header.
    pub request_id: &'a str,
}
