//! GET and PATCH /api/v1/profile, POST /api/v1/profile/sync and PUT /api/v1/profile/avatar: what a person is called and says of
//! themselves. Body of a change: `display_name?`, `bio?`, `avatar_url?` (`mxc://…`), each a text, or null for none.
//!
//! With the person's Matrix access token in `X-Matrix-Access-Token` a change is made at their homeserver first; an avatar needs it, since
//! it is kept in the homeserver's media store. The token is used in that request alone.
//!
//! | answer | when |
//! |---|---|
//! | 200 | the profile |
//! | 400 `INVALID_REQUEST` | a text too long, an address that is none, no token with an avatar |
//! | 401 `invalid_matrix_credentials` | the Matrix token is not this person's |
//! | 403 | signed in by OpenID token; no Matrix identity; the homeserver does not allow the change |
//! | 413, 415 | an avatar of more than 5 MB, or neither PNG nor JPEG nor WebP |
//! | 503 | the homeserver does not answer; nothing of ours was changed |
//!
//! ```text
//!  PATCH ──▶ token of this person? ──▶ homeserver: displayname, avatar ──▶ our row ──▶ look (below)
//! ```
//!
//! What if it dies? Once the homeserver was changed, the next look finds that out. The races: `looking.rs`; of two changes each touches
//! what it speaks of, and the later one stays.

use crate::looking;
use crate::picture;
use crate::sql::{self, ProfileRow};
use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use tmcp_http::cors::Reader;
use tmcp_http::headers::text;
use tmcp_http::{Call, Failure, Reply, people};
use tmcp_ports::{OutboundRequest, Platform, Sql, stmt};
use tmcp_proof::Homeserver;
use tmcp_proof::matrix::{self, is_media};
use tmcp_protocol::{ErrorCode, MatrixUserId, Secret, Uid};

/// The header with a Matrix access token.
pub const TOKEN: &str = "x-matrix-access-token";
/// Characters.
const MAX_NAME: usize = 256;
const MAX_BIO: usize = 1000;

/// The profile of somebody who is there.
pub async fn of<P: Platform>(call: &Call<P>, uid: &Uid) -> Result<ProfileRow, Failure> {
    let row = call.platform.sql().first(stmt!(sql::PROFILE, uid.as_str())).await?;
    row.ok_or_else(|| Failure::token("a person who is not there any more"))
}

/// A profile, for its owner.
pub fn shown(row: &ProfileRow) -> Value {
    let said: Value = row.matrix_data.as_ref().and_then(|text| serde_json::from_slice(text.as_bytes()).ok()).unwrap_or_default();
    let looked_at = Some(row.looked_at).filter(|at| at.0 > 0);
    json!({
        "user_id": row.uid, "matrix_user_id": row.matrix_user_id, "display_name": row.display_name, "avatar_url": row.avatar_url,
        "bio": row.bio, "email": row.email, "matrix_data": said, "created_at": row.created_at.rfc3339(),
        "updated_at": row.updated_at.rfc3339(), "synced_at": looked_at.map(|at| at.rfc3339()),
    })
}

async fn own<P: Platform>(call: &Call<P>) -> Result<Reply, Failure> {
    Reply::json(&shown(&of(call, &call.platform_claims()?.sub).await?))
}

/// GET /api/v1/profile
pub async fn show<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    call.answer_is_for(Reader::Host);
    people::may_decide(call.platform_claims()?.level)?;
    own(&call).await
}

/// POST /api/v1/profile/sync: looks at the homeserver now.
pub async fn sync<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    call.answer_is_for(Reader::Host);
    let claims = call.platform_claims()?;
    people::may_decide(claims.level)?;
    let row = of(&call, &claims.sub).await?;
    let id = matrix_id(&row)?;
    looking::look(&call, &row.uid, id).await?;
    own(&call).await
}

fn matrix_id(row: &ProfileRow) -> Result<&MatrixUserId, Failure> {
    let none = || Failure::new(ErrorCode::MatrixIdentityRequired, "this needs a Matrix identity, and this account has none");
    row.matrix_user_id.as_ref().ok_or_else(none)
}

/// Tells "none" from "not spoken of".
#[allow(clippy::option_option, reason = "not spoken of, none, or a text")]
fn spoken<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::option_option, reason = "not spoken of, none, or a text")]
struct Change {
    #[serde(default, deserialize_with = "spoken")]
    display_name: Option<Option<String>>,
    #[serde(default, deserialize_with = "spoken")]
    bio: Option<Option<String>>,
    #[serde(default, deserialize_with = "spoken")]
    avatar_url: Option<Option<String>>,
}

impl Change {
    fn check(&self) -> Result<(), Failure> {
        if [&self.display_name, &self.bio, &self.avatar_url].into_iter().all(Option::is_none) {
            return Err(Failure::invalid("give what is to change: display_name, bio or avatar_url"));
        }
        let text = |field: &Option<Option<String>>| field.clone().flatten();
        let long = |field: &Option<Option<String>>, most| text(field).is_some_and(|text| text.chars().count() > most);
        if long(&self.display_name, MAX_NAME)
            || text(&self.display_name).is_some_and(|name| name.trim().is_empty() || name.chars().any(char::is_control))
        {
            return Err(Failure::invalid(format!(
                "display_name must be a name of at most {MAX_NAME} characters on one line, or null for none"
            )));
        }
        if long(&self.bio, MAX_BIO) {
            return Err(Failure::invalid(format!("bio may have at most {MAX_BIO} characters")));
        }
        if text(&self.avatar_url).is_some_and(|url| !is_media(&url)) {
            return Err(Failure::invalid("avatar_url must be an address in a homeserver's media store: mxc://server/id"));
        }
        Ok(())
    }
}

/// A person at their homeserver, with their own token.
struct Own {
    homeserver: Homeserver,
    id: MatrixUserId,
    token: Secret,
}

/// Whom the Matrix token of the request stands for: this person, or it counts for nothing. `None` without one.
async fn at_homeserver<P: Platform>(call: &Call<P>, row: &ProfileRow) -> Result<Option<Own>, Failure> {
    let Some(token) = call.headers.get(TOKEN) else { return Ok(None) };
    let refused = || Failure::new(ErrorCode::InvalidMatrixCredentials, "the Matrix token is not this person's");
    let token = text(token).filter(|token| tmcp_proof::is_token(token)).ok_or_else(refused)?;
    let (id, token) = (matrix_id(row)?.clone(), Secret::new(token));
    let homeserver = tmcp_proof::find(call, Some(id.server())).await?.ok_or_else(refused)?;
    match matrix::whoami(call, &homeserver, Some(&id), &token).await? {
        Ok(_) => Ok(Some(Own { homeserver, id, token })),
        Err(refusal) => Err(refused().because(refusal.to_string())),
    }
}

impl Own {
    async fn send<P: Platform>(&self, call: &Call<P>, request: OutboundRequest) -> Result<Value, Failure> {
        let request = request.header("authorization", format!("Bearer {}", self.token.expose()));
        let answer = matrix::ask(call, &self.homeserver, request).await?;
        answer.map_err(|refusal| {
            let message = "the homeserver does not allow this person to change that";
            Failure::new(ErrorCode::InsufficientPermissions, message).because(refusal.to_string())
        })
    }

    /// Sets a member of the profile there; an empty text is none.
    async fn set<P: Platform>(&self, call: &Call<P>, name: &str, value: Option<&str>) -> Result<(), Failure> {
        let mut request = OutboundRequest::get(matrix::profile_url(&self.homeserver, &self.id, &format!("/{name}")));
        request.method = http::Method::PUT;
        request.body = Bytes::from(json!({ name: value.unwrap_or_default() }).to_string());
        self.send(call, request.header("content-type", "application/json")).await.map(|_| ())
    }

    /// Puts a picture into the media store; gives its address.
    async fn upload<P: Platform>(&self, call: &Call<P>, kind: &str) -> Result<String, Failure> {
        let mut request = OutboundRequest::get(format!("{}/_matrix/media/v3/upload", self.homeserver.client_url));
        request.method = http::Method::POST;
        (request.body, request.timeout_ms) = (call.body.clone(), 30_000);
        let answer = self.send(call, request.header("content-type", kind)).await?;
        let url = answer.get("content_uri").and_then(Value::as_str).filter(|url| is_media(url)).map(str::to_owned);
        url.ok_or_else(|| Failure::unavailable("the homeserver kept the picture, and names no address"))
    }
}

/// Makes a change here.
async fn store<P: Platform>(call: &Call<P>, uid: &Uid, change: Change) -> Result<(), Failure> {
    let Change { display_name, bio, avatar_url } = change;
    let is = |field: &Option<Option<String>>| i64::from(field.is_some());
    let [names, avatars, bios] = [is(&display_name), is(&avatar_url), is(&bio)];
    let change = stmt!(
        sql::CHANGE_PROFILE,
        uid.as_str(),
        call.now(),
        names,
        display_name.flatten(),
        avatars,
        avatar_url.flatten(),
        bios,
        bio.flatten(),
    );
    call.platform.sql().query(change).await?;
    Ok(())
}

/// Makes a change at the homeserver, if that is wanted, and here.
async fn make<P: Platform>(call: &Call<P>, row: &ProfileRow, change: Change, own: Option<&Own>) -> Result<Reply, Failure> {
    if let Some(own) = own {
        for (name, value) in [("displayname", &change.display_name), ("avatar_url", &change.avatar_url)] {
            if let Some(value) = value {
                own.set(call, name, value.as_deref()).await?;
            }
        }
    }
    store(call, &row.uid, change).await?;
    // What is the same there now has not changed the next time.
    if let Some(Own { id, .. }) = own {
        looking::look(call, &row.uid, id).await?;
    }
    self::own(call).await
}

/// PATCH /api/v1/profile
pub async fn change<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    call.answer_is_for(Reader::Host);
    let change: Change = call.json()?;
    change.check()?;
    let claims = call.platform_claims()?;
    people::may_decide(claims.level)?;
    let row = of(&call, &claims.sub).await?;
    let own = at_homeserver(&call, &row).await?;
    make(&call, &row, change, own.as_ref()).await
}

#[derive(Deserialize)]
struct Asked {
    uid: Uid,
    change: Option<Change>,
}

/// POST /internal/profile, for account's page: the profile, changed if that is asked for.
pub async fn of_page<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let Asked { uid, change } = call.message()?;
    call.is_about(Some(uid.as_str()), None);
    if let Some(change) = change {
        change.check()?;
        store(&call, &uid, change).await?;
    }
    Reply::json(&shown(&of(&call, &uid).await?))
}

/// PUT /api/v1/profile/avatar
pub async fn avatar<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    call.answer_is_for(Reader::Host);
    let kind = picture::kind(&call.body).ok_or_else(|| {
        Failure::new(ErrorCode::UnsupportedMediaType, "the picture must be a PNG, a JPEG or a WebP, and look like one")
    })?;
    let claims = call.platform_claims()?;
    people::may_decide(claims.level)?;
    let row = of(&call, &claims.sub).await?;
    let own = at_homeserver(&call, &row).await?;
    let own = own.ok_or_else(|| Failure::invalid("give the person's Matrix access token in X-Matrix-Access-Token"))?;
    let avatar_url = Some(Some(own.upload(&call, kind).await?));
    make(&call, &row, Change { avatar_url, ..Change::default() }, Some(&own)).await
}
