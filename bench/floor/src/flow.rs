//! The scenarios, as sequences of platform calls.

use crate::auth_sql;
use crate::storage_sql::{ACCOUNT, FIND_ONE, FORGET_GARBAGE, INTEND, OLD_GARBAGE, WRITE};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::future::Future;
use tmcp_ports::{Aead, Sealing};
use tmcp_protocol::hex::hex;

/// What can go wrong, as text: the benchmark stops at it.
pub type Fault = String;

/// The platform, as thin as it can be called.
pub trait Calls {
    /// Ids that are announced beside one that is needed: as many as the product's at its busiest.
    const AHEAD: usize;
    /// One statement; its rows as JSON objects.
    fn query(&self, sql: &'static str, args: Vec<Value>) -> impl Future<Output = Result<Vec<Value>, Fault>>;
    /// Several, all or nothing.
    fn batch(&self, statements: Vec<(&'static str, Vec<Value>)>) -> impl Future<Output = Result<(), Fault>>;
    /// A value from the key-value store.
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Vec<u8>>, Fault>>;
    /// A value into it.
    fn put(&self, key: &str, value: Vec<u8>) -> impl Future<Output = Result<(), Fault>>;
    /// Takes a value out of it.
    fn delete(&self, key: &str) -> impl Future<Output = Result<(), Fault>>;
    /// One command to an entity.
    fn hop(&self, id: &str) -> impl Future<Output = Result<(), Fault>>;
    /// Whether the token's signature holds, remembered where there is a memory.
    fn verify(&self, token: &str) -> impl Future<Output = Result<bool, Fault>>;
    /// A signature under the first key.
    fn sign(&self, message: &str) -> impl Future<Output = Result<Vec<u8>, Fault>>;
    /// The cipher that values are sealed with.
    fn aead(&self) -> &impl Aead;
    /// Now, in milliseconds.
    fn now(&self) -> i64;
    /// Random bytes.
    fn random(&self) -> [u8; 16];
    /// A configuration value.
    fn setting(&self, name: &str) -> String;
    /// A blob id that was announced with others, where there is a memory.
    fn announced(&self) -> Option<String>;
    /// Remembers announced ids.
    fn remember(&self, ids: Vec<String>);
    /// Work after the response.
    fn later(&self, work: impl Future<Output = ()> + 'static);
}

/// A request, as far as it matters.
pub struct Asked<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub bearer: &'a str,
    /// Of the client, whose bucket is drawn from where there is no token.
    pub address: &'a str,
    pub body: &'a str,
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    uid: String,
    aud: String,
    sub: String,
}

fn claims(token: &str) -> Result<Claims, Fault> {
    let payload = token.trim_start_matches("tep.").split('.').nth(1).unwrap_or_default();
    let bytes = URL_SAFE_NO_PAD.decode(payload).map_err(|error| error.to_string())?;
    serde_json::from_slice(&bytes).map_err(|error| error.to_string())
}

fn hash(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

fn field<'a>(form: &'a str, name: &str) -> &'a str {
    form.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map_or("", |(_, value)| value)
}

fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The headers of every answer of the product: as many and as long.
const HEADERS: &[(&str, &str)] = &[
    ("content-type", "application/json"),
    ("cache-control", "no-store"),
    ("x-request-id", "req_000000000000000000000000"),
    ("strict-transport-security", "max-age=31536000; includeSubDomains"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
];

/// Those of an answer that was counted against a limit.
const LIMITED: &[(&str, &str)] = &[
    ("x-ratelimit-limit", "100000"),
    ("x-ratelimit-remaining", "99999"),
    ("x-ratelimit-reset", "1795305600"),
    ("x-ratelimit-reset-after", "60"),
    ("x-ratelimit-burst", "20000"),
    ("x-ratelimit-burst-remaining", "19999"),
];

/// The headers of an answer.
pub fn headers(status: u16) -> Vec<(&'static str, &'static str)> {
    let limited = if status == 401 { &[] } else { LIMITED };
    [HEADERS, limited].concat()
}

/// Status and body.
pub async fn answer<C: Calls + Clone + 'static>(calls: &C, asked: &Asked<'_>) -> Result<(u16, String), Fault> {
    match (asked.method, asked.path) {
        ("GET", "/.well-known/jwks.json") => {
            calls.hop(&format!("a:{}", asked.address)).await?;
            Ok((200, calls.setting("JWKS")))
        }
        ("POST", "/oauth2/token") if asked.body.contains("refresh_token=") => refresh(calls, asked).await,
        ("POST", "/oauth2/token") => exchange(calls, asked).await,
        (method, path) => {
            let key = path.strip_prefix("/api/v1/storage/").unwrap_or_default();
            if !calls.verify(asked.bearer).await? {
                return Ok((401, json!({"error": {"code": "INVALID_TOKEN"}}).to_string()));
            }
            let claims = claims(asked.bearer)?;
            calls.hop(&format!("u:{}:{}", claims.uid, claims.aud)).await?;
            match method {
                "PUT" => put(calls, &claims, key, asked.body).await,
                _ => get(calls, &claims, key).await,
            }
        }
    }
}

/// The key of all values; the product derives one for each person, once in an isolate.
const SEALING_KEY: &[u8; 32] = &[7; 32];
/// What a sealed value begins with, as the product's does.
const FORMAT: u8 = 1;

/// What a value is sealed for, as long as the product's.
fn associated(claims: &Claims, key: &str, blob: &str) -> Vec<u8> {
    [[0; 40].as_slice(), claims.uid.as_bytes(), claims.aud.as_bytes(), key.as_bytes(), blob.as_bytes()].concat()
}

async fn seal<C: Calls>(calls: &C, associated: &[u8], value: &str) -> Result<Vec<u8>, Fault> {
    let random = calls.random();
    let nonce = random.first_chunk().ok_or("too short")?;
    let sealing = Sealing { key: SEALING_KEY, nonce, associated };
    let sealed = calls.aead().seal(sealing, value.as_bytes()).await.map_err(|error| error.to_string())?;
    Ok([[FORMAT].as_slice(), nonce, &sealed].concat())
}

async fn open<C: Calls>(calls: &C, associated: &[u8], bytes: &[u8]) -> Result<String, Fault> {
    let (nonce, sealed) = bytes.strip_prefix(&[FORMAT]).and_then(<[u8]>::split_first_chunk).ok_or("not sealed")?;
    let sealing = Sealing { key: SEALING_KEY, nonce, associated };
    let value = calls.aead().open(sealing, sealed).await.map_err(|error| error.to_string())?;
    String::from_utf8(value).map_err(|error| error.to_string())
}

async fn get<C: Calls>(calls: &C, claims: &Claims, key: &str) -> Result<(u16, String), Fault> {
    let args = vec![json!(claims.uid), json!(claims.aud), json!(calls.now()), json!(key)];
    let rows = calls.query(FIND_ONE, args).await?;
    let row = rows.first().ok_or("no such key")?;
    let size = row.get("size").and_then(Value::as_f64).unwrap_or_default();
    let bytes = match text(row, "body") {
        "" => calls.get(&format!("storage/{}/0", text(row, "blob"))).await?.ok_or("no such blob")?,
        body => STANDARD.decode(body).map_err(|error| error.to_string())?,
    };
    let value = open(calls, &associated(claims, key, text(row, "blob")), &bytes).await?;
    Ok((200, json!({"key": key, "value": value, "metadata": {"size_bytes": size}}).to_string()))
}

#[derive(Deserialize)]
struct Put {
    value: String,
}

async fn put<C: Calls + Clone + 'static>(calls: &C, claims: &Claims, key: &str, body: &str) -> Result<(u16, String), Fault> {
    let value = serde_json::from_str::<Put>(body).map_err(|error| error.to_string())?.value;
    let large = value.len() > 1024;
    let announced = if large { calls.announced() } else { None };
    let is_announced = announced.is_some();
    let now = calls.now();
    let block = format!("{now:012x}{}", &hex(&calls.random())[..12]);
    let blob = announced.unwrap_or_else(|| format!("{block}-0"));
    let sealed = seal(calls, &associated(claims, key, &blob), &value).await?;
    let item = json!([{
        "key": key, "client_ts": null, "size": value.len(), "blob": blob, "chunks": i32::from(large), "key_id": "k1",
        "body": (!large).then(|| STANDARD.encode(&sealed)), "content_type": null, "expires_at": null,
    }])
    .to_string();
    let (uid, app) = (json!(claims.uid), json!(claims.aud));
    if large {
        if !is_announced {
            let items = json!([{"key": key, "client_ts": null, "size": value.len()}]).to_string();
            let unused: i64 = (1 << (C::AHEAD + 1)) - 1;
            let blocks = json!([[block, 1, unused]]).to_string();
            let quota = json!(10 * 1024 * 1024);
            let args = vec![json!(now), json!(items), uid.clone(), app.clone(), json!(1), quota, json!(blocks)];
            calls.query(INTEND, args).await?;
            calls.remember((1..=C::AHEAD).map(|place| format!("{block}-{place}")).collect());
        }
        calls.put(&format!("storage/{blob}/0"), sealed).await?;
        let [turn, portion, ..] = calls.random();
        if turn < 16 {
            let later = calls.clone();
            calls.later(async move {
                let _ = collect(&later, i64::from(portion % 8) * 17).await;
            });
        }
    }
    let account = vec![uid.clone(), app.clone(), json!(now), json!(1), json!(1), json!(10 * 1024 * 1024), json!(1000)];
    calls.batch(vec![(WRITE, vec![uid, app, json!(now), json!(item)]), (ACCOUNT, account)]).await?;
    Ok((200, json!({"key": key, "success": true, "updated_at": now, "metadata": {"size_bytes": value.len()}}).to_string()))
}

/// Removes what writes before have left.
async fn collect<C: Calls>(calls: &C, past: i64) -> Result<(), Fault> {
    let before = calls.now() - 10 * 60 * 1000;
    let rows = calls.query(OLD_GARBAGE, vec![json!(before), json!(17), json!(past)]).await?;
    let blobs: Vec<&str> = rows.iter().map(|row| text(row, "blob")).collect();
    for blob in &blobs {
        calls.delete(&format!("storage/{blob}/0")).await?;
    }
    if let (Some(first), Some(last)) = (rows.first(), rows.last()) {
        let [first, last] =
            [first, last].map(|row| [row.get("created_at").cloned().unwrap_or_default(), json!(text(row, "blob"))]);
        calls.query(FORGET_GARBAGE, [vec![json!(json!(blobs).to_string())], first.to_vec(), last.to_vec()].concat()).await?;
    }
    Ok(())
}

async fn client<C: Calls>(calls: &C, asked: &Asked<'_>) -> Result<(), Fault> {
    calls.hop(&format!("a:{}", asked.address)).await?;
    let rows = calls.query(auth_sql::CLIENT, vec![json!(field(asked.body, "client_id"))]).await?;
    rows.first().map(|_| ()).ok_or_else(|| "no such client".to_owned())
}

/// A token of the usual length.
async fn token<C: Calls>(calls: &C) -> Result<String, Fault> {
    let claims =
        json!({"iss": "http://127.0.0.1", "sub": "@alice:localhost", "aud": "ma_demo", "uid": "01J", "pad": "x".repeat(400)});
    let signed = format!("eyJhbGciOiJSUzI1NiJ9.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = calls.sign(&signed).await?;
    Ok(format!("tep.{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

fn opaque<C: Calls>(calls: &C) -> String {
    format!("rt_{}{}", hex(&calls.random()), hex(&calls.random()))
}

async fn refresh<C: Calls>(calls: &C, asked: &Asked<'_>) -> Result<(u16, String), Fault> {
    client(calls, asked).await?;
    let form = asked.body;
    let old = hash(field(form, "refresh_token"));
    let rows = calls.query(auth_sql::FIND_TOKEN, vec![json!(old)]).await?;
    let row = rows.first().ok_or("no such token")?;
    calls.hop(&format!("u:{}:{}", text(row, "uid"), text(row, "app_id"))).await?;
    let access = token(calls).await?;
    let (now, next) = (calls.now(), opaque(calls));
    let in_30_days = json!(now + 30 * 24 * 3_600_000);
    calls
        .batch(vec![
            (auth_sql::USE_TOKEN, vec![json!(old), json!(now)]),
            (auth_sql::NEXT_TOKEN, vec![json!(old), json!(hash(&next)), json!(now), in_30_days]),
        ])
        .await?;
    Ok((200, json!({"access_token": access, "refresh_token": next, "expires_in": 3600}).to_string()))
}

/// The audit log's insertion, as the product words it.
const AUDIT: &str = "INSERT INTO audit (id, at, action, outcome, actor, target, address, request_id, detail) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

async fn exchange<C: Calls>(calls: &C, asked: &Asked<'_>) -> Result<(u16, String), Fault> {
    client(calls, asked).await?;
    let form = asked.body;
    let platform = field(form, "subject_token");
    if !calls.verify(platform).await? {
        return Ok((401, "{}".to_owned()));
    }
    let uid = claims(platform)?.sub;
    calls.hop(&format!("u:{uid}:ma_demo")).await?;
    let (now, session, next) = (calls.now(), format!("session_{}", hex(&calls.random())), opaque(calls));
    let (end, month) = (json!(now + 90 * 24 * 3_600_000), json!(now + 30 * 24 * 3_600_000));
    let subject = json!({"sub": "@alice:localhost", "wallet_id": "tw_0123456789"}).to_string();
    let scope = "storage:read storage:write";
    let family = [&session, &uid, "ma_demo", "ma_demo", "session_platform", &subject, scope].map(|text| json!(text));
    let audit = [
        json!(format!("aud_{}", hex(&calls.random()))),
        json!(now),
        json!("token.exchange"),
        json!("ok"),
        json!(uid),
        json!("ma_demo"),
        json!("127.0.0.0"),
        json!(session),
        json!(json!({"client_id": "ma_demo", "scope": scope}).to_string()),
    ];
    calls
        .batch(vec![
            (auth_sql::BEGIN_FAMILY, [&family[..], &[json!(now), end]].concat()),
            (auth_sql::FIRST_TOKEN, vec![json!(hash(&next)), json!(session), json!(now), month]),
            (AUDIT, audit.to_vec()),
        ])
        .await?;
    calls.hop(&format!("u:{uid}:platform")).await?;
    let access = token(calls).await?;
    Ok((200, json!({"access_token": access, "refresh_token": next, "expires_in": 3600, "scope": scope}).to_string()))
}
