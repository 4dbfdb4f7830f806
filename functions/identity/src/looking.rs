//! Looking at a person's homeserver, to take over what changed there: at a sign-in, and when they ask for it.
//!
//! Whose change is newer wins. Nobody tells when something was changed at the homeserver: it counts as changed when we first see it. So
//! what is other than the last time was changed there since, and wins over ours; what is the same was not, and ours stays.
//!
//! The races: of two looks the one that asked later stays, and one that compared with another document than stands in the row does
//! nothing. A change by the person during a look is older than what the look sees, and is touched only where that changed. What if it
//! dies? Nothing was written, and the next look finds the same.

use crate::profile;
use crate::sql::{self, ProfileRow};
use tmcp_http::{Call, Failure};
use tmcp_ports::{Platform, Sql, Tasks, stmt};
use tmcp_proof::matrix::{self, Profile};
use tmcp_protocol::{MatrixUserId, Millis, Uid};

/// A sign-in looks again after so long.
const FRESH_MS: i64 = 10 * 60 * 1000;

/// What changed at the homeserver, since it said what stands in the row.
#[derive(Debug, PartialEq, Eq)]
struct Changed<'a> {
    display_name: Option<Option<&'a str>>,
    avatar_url: Option<Option<&'a str>>,
}

/// Compares what was said the last time with what is said now.
fn decide<'a>(before: Option<&str>, now: &'a Profile) -> Changed<'a> {
    let before = before.and_then(|document| Profile::read(document.as_bytes())).unwrap_or_default();
    let changed = |old: &Option<String>, new: &'a Option<String>| (old != new).then_some(new.as_deref());
    Changed {
        display_name: changed(&before.display_name, &now.display_name),
        avatar_url: changed(&before.avatar_url, &now.avatar_url),
    }
}

/// Looks now.
pub async fn look<P: Platform>(call: &Call<P>, uid: &Uid, id: &MatrixUserId) -> Result<(), Failure> {
    let at = call.now();
    let row: ProfileRow = profile::of(call, uid).await?;
    let Some(homeserver) = tmcp_proof::find(call, Some(id.server())).await? else {
        return Err(Failure::unavailable(format!("{} is not one of HOMESERVERS, or FEDERATION_DENY names it", id.server())));
    };
    let seen = matrix::look(call, &homeserver, id).await?;
    let Changed { display_name, avatar_url } = decide(row.matrix_data.as_deref(), &seen);
    let take_over = stmt!(
        sql::TAKE_OVER,
        uid.as_str(),
        at,
        i64::from(display_name.is_some()),
        display_name.flatten(),
        i64::from(avatar_url.is_some()),
        avatar_url.flatten(),
        seen.document.as_str(),
        row.matrix_data,
    );
    call.platform.sql().query(take_over).await?;
    Ok(())
}

/// Looks once the answer has left, unless that was done a moment ago: a sign-in waits for nobody's profile.
pub fn after<P: Platform>(call: Call<P>, uid: Uid, id: Option<MatrixUserId>, looked_at: Millis) {
    let Some(id) = id.filter(|_| looked_at < call.now().plus(-FRESH_MS)) else { return };
    let platform = call.platform.clone();
    platform.tasks().after(async move {
        // Whoever is not there to look at is looked at the next time.
        let _ = look(&call, &uid, &id).await;
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(document: &str) -> Profile {
        Profile::read(document.as_bytes()).unwrap()
    }

    #[test]
    fn what_is_other_than_the_last_time_changed_and_nothing_else() {
        let now = profile(r#"{"displayname":"B","avatar_url":"mxc://hs/1"}"#);
        let decided = |before| decide(before, &now);
        let all = Changed { display_name: Some(Some("B")), avatar_url: Some(Some("mxc://hs/1")) };
        assert_eq!(decided(None), all, "nothing was seen before");
        let same = r#"{"avatar_url":"mxc://hs/1","displayname":"B","more":1}"#;
        assert_eq!(decided(Some(same)), Changed { display_name: None, avatar_url: None });
        let other = r#"{"avatar_url":"mxc://hs/1","displayname":"A"}"#;
        assert_eq!(decided(Some(other)), Changed { display_name: Some(Some("B")), avatar_url: None });
        let gone = profile(r#"{"displayname":"B"}"#);
        assert_eq!(decide(Some(same), &gone), Changed { display_name: None, avatar_url: Some(None) });
    }
}
