//! The developers' console: the one client here, as `DEVELOPER_CONSOLE` has it, with its secret (TMCP part 12, row 23).

use std::sync::Arc;
use tmcp_http::body::Form;
use tmcp_http::credentials::{self, refused};
use tmcp_http::{Call, Caller, Failure, is_console};
use tmcp_ports::Platform;
use tmcp_protocol::ErrorCode;
use tmcp_protocol::developer::Console;

/// The configured console; 404 where there is none.
pub fn of<P: Platform>(call: &Call<P>) -> Result<Arc<Console>, Failure> {
    let none = || Failure::new(ErrorCode::NotFound, "this server has no developers' console");
    tmcp_http::console(&call.platform)?.ok_or_else(none)
}

/// Refuses a request of the token endpoint that is not the console's.
pub fn authenticate<P: Platform>(call: &Call<P>, form: &Form) -> Result<(), Failure> {
    let console = of(call)?;
    let (id, secret) = credentials::of(call, form)?;
    match secret {
        Some(secret) if is_console(&console, &id, &secret) => Ok(()),
        _ => Err(refused("not the console")),
    }
}

/// Who manages the list of developers, for the audit log.
pub fn manager<P: Platform>(call: &Call<P>) -> &'static str {
    match call.caller {
        Caller::Console => "console",
        _ => "administrator",
    }
}
