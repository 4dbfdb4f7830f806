//! What goes over the wire in TMCP: identifiers, scopes, tokens, error codes, rate limits, and the one route table.
//!
//! Architecture invariant: nothing here does I/O or reads a clock; time and randomness are arguments.

pub mod appservice;
pub mod audit;
pub mod bucket;
pub mod client;
pub mod developer;
pub mod device;
pub mod error;
pub mod hex;
pub mod ids;
pub mod json_text;
pub mod jwk;
pub mod limits;
pub mod pkce;
pub mod provider;
pub mod rotation;
pub mod routes;
pub mod scope;
pub mod secret;
pub mod service;
pub mod storage;
pub mod time;
pub mod token;

pub use crate::error::ErrorCode;
pub use crate::ids::{AppId, ClientId, MatrixUserId, ServerName, Uid};
pub use crate::scope::{Scope, ScopeSet};
pub use crate::secret::Secret;
pub use crate::time::Millis;
