//! POST /internal/known, for the functions that prove people at providers: who this is.
//!
//! | answer | when |
//! |---|---|
//! | 200 | the user, found or created; or a question to whoever links it, in the session that it began in; or to whoever asked to be erased |
//! | 403 | suspended; going to be erased; or whoever was to prove once more who they are is somebody else |

use crate::user::{self, Proof};
use crate::{leaving, linking, looking};
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::Platform;
use tmcp_proof::{Introduction, Known, Leaving, Whose};
use tmcp_protocol::ErrorCode;
use tmcp_protocol::token::AuthLevel;

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let Introduction { proven, provider_name, address, whose, leaving } = call.message()?;
    let address = Some(address.as_str());
    let user = match whose {
        None => user::known(&call, &proven).await?,
        Some(Whose { uid, session: Some(session) }) => {
            return Reply::json(&Known::Question(linking::keep(&call, &uid, &session, &proven).await?));
        }
        Some(Whose { uid, session: None }) => {
            let found = user::find(&call, &proven).await?.filter(|user| user.uid.as_str() == uid);
            let message = "this is none of the ways that you sign in with to the account that you are signed in to";
            found.ok_or_else(|| Failure::new(ErrorCode::InsufficientPermissions, message))?
        }
    };
    let (uid, id, looked_at) = (user.uid.clone(), user.matrix_user_id.clone(), user.looked_at);
    if user.leaving_at.is_some() && user.suspended(call.now()).is_none() && leaving == Leaving::Ask {
        return Reply::json(&Known::Leaving(leaving::ask(&call, &user.uid).await?));
    }
    let proof = Proof { called: &provider_name, level: AuthLevel::Full, address, stays: leaving == Leaving::Keep };
    let person = user::answer(&call, user, &proven, proof).await?;
    let reply = Reply::json(&Known::Person(Box::new(person)))?;
    looking::after(call, uid, id, looked_at);
    Ok(reply)
}
