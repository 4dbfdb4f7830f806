//! POST /account/profile: a person changes what they are called and says of themselves. What they are called at their homeserver is changed
//! there; here it stays until that changes (`looking.rs` in identity).

use crate::browser;
use serde::Deserialize;
use serde_json::{Value, json};
use tmcp_http::{Call, Failure, Reply};
use tmcp_pages::{Browser, Form};
use tmcp_ports::Platform;
use tmcp_protocol::routes::{ACCOUNT, INTERNAL_PROFILE};

/// What the page shows of it.
#[derive(Default, Deserialize)]
pub struct Profile {
    /// What they are called.
    pub display_name: Option<String>,
    /// What they say of themselves.
    pub bio: Option<String>,
    /// An address that a provider had verified.
    pub email: Option<String>,
    /// A Matrix address of a picture.
    pub avatar_url: Option<String>,
}

/// The profile; `None` where identity cannot say: the rest of the page is of use without.
pub async fn of<P: Platform>(call: &Call<P>, browser: &Browser) -> Option<Profile> {
    match call.ask(&INTERNAL_PROFILE, &json!({ "uid": browser.uid })).await {
        Ok(Ok(profile)) => Some(profile),
        _ => {
            call.note("identity does not tell of the profile");
            None
        }
    }
}

/// POST /account/profile
pub async fn change<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let form = call.form()?;
    let browser = browser::sender(&call, Form::Profile, &form).await?;
    // An empty field is none. Browsers send line ends as CR LF.
    let text = |name: &str| form.get(name).map(|text| text.replace("\r\n", "\n")).filter(|text| !text.trim().is_empty());
    let change = json!({"display_name": text("display_name"), "bio": text("bio")});
    match call.ask::<Value>(&INTERNAL_PROFILE, &json!({"uid": browser.uid, "change": change})).await? {
        Ok(_) => Ok(Reply::see_other(ACCOUNT.path)),
        Err(refused) if refused.status == 400 => Err(Failure::invalid(refused.message)),
        Err(refused) => Err(refused.into()),
    }
}
