//! POST /internal/end-app: ends every session of a person in an app, for consent, when they took back what it may do; without an app,
//! forgets the person, whose sessions were all ended long ago. Can be repeated.

use crate::{family, sql};
use serde::Deserialize;
use serde_json::json;
use tmcp_http::subject::{self, SubjectId};
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::{Platform, Sql, stmt};
use tmcp_protocol::{AppId, Uid};

#[derive(Deserialize)]
struct EndRequest {
    uid: Uid,
    app_id: Option<AppId>,
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let EndRequest { uid, app_id } = call.message()?;
    let Some(app_id) = app_id else {
        let batch = sql::FORGET_PERSON.map(|statement| stmt!(statement, uid.as_str()));
        call.platform.sql().batch(batch.to_vec()).await?;
        return Reply::json(&json!({}));
    };
    call.is_about(Some(uid.as_str()), Some(app_id.as_str()));
    let (user, app) = (uid.as_str(), app_id.as_str());
    let end = stmt!(sql::END_APP_FAMILIES, user, app, call.now());
    call.platform.sql().batch(vec![end.clone(), stmt!(sql::DROP_CODES, user, app)]).await?;
    subject::revoke_all(&call.platform, &SubjectId::user(&uid, app)).await?;
    // A grant that was on its way stored its family first and asks the subject after: it was refused there, or it is found here, with
    // whatever a refresh in between has got.
    family::end_families(&call, end).await?;
    Reply::json(&json!({}))
}
