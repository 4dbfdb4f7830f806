//! Sign-in, exchange, refresh chains, reuse, revocation, logout: each session with what the server has acknowledged of it.

use crate::run::{End, Run, body};
use crate::seeded::Seeded;
use reqwest::RequestBuilder;
use serde_json::json;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use tmcp_e2e::{Answer, App, MatrixUser};
use tokio::sync::Mutex;

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// Sessions that are kept for the final checks.
const KEPT: usize = 300;

/// What became of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Its newest refresh token must work.
    Live,
    /// Nothing of it may work.
    Dead,
}

/// A refresh family, as its client knows it.
#[derive(Debug, Clone)]
pub struct Family {
    /// The client.
    pub app: App,
    /// The newest access token.
    pub access: String,
    /// The newest refresh token.
    pub refresh: String,
    /// Refresh tokens that were acknowledged as used, oldest first.
    pub used: Vec<String>,
    /// What became of it.
    pub fate: Fate,
    /// How it came to that.
    pub how: &'static str,
}

/// A form to an OAuth endpoint.
pub fn form(run: &Run, path: &str, app: &App, parameters: &[(&str, &str)]) -> RequestBuilder {
    let mut form = vec![("client_id", app.client_id.as_str())];
    form.extend(parameters);
    run.world.post(path).form(&form)
}

/// A refresh.
pub async fn refresh(run: &Run, kind: &'static str, app: &App, token: &str) -> End {
    run.send(kind, form(run, "/oauth2/token", app, &[("grant_type", "refresh_token"), ("refresh_token", token)])).await
}

/// Whether an access token is taken.
pub async fn probe(run: &Run, token: &str) -> End {
    run.send("probe", run.world.get("/api/v1/storage-info").bearer_auth(token)).await
}

/// A platform token, by access token or by OpenID token; `None` when it cannot be had at the moment.
pub async fn sign_in(run: &Run, user: &MatrixUser, by_openid: bool) -> Option<String> {
    let (kind, request) = if by_openid {
        let token = run.openid(user).await?;
        ("sign-in openid", json!({"matrix_user_id": user.user_id, "openid_token": token}))
    } else {
        ("sign-in token", json!({"matrix_user_id": user.user_id, "access_token": user.access_token}))
    };
    let End::Answer(answer) = run.send(kind, run.world.post("/api/v1/auth/matrix").json(&request)).await else { return None };
    match answer.status {
        200 => body(&answer)["access_token"].as_str().map(str::to_owned),
        // An OpenID token is good once: its first use may have been lost with the server.
        401 if by_openid => None,
        _ => {
            run.unexpected(kind, &answer);
            None
        }
    }
}

/// Access and refresh token; `Err(true)` when the platform token does not hold any more.
pub async fn exchange(run: &Run, app: &App, platform: &str) -> Result<(String, String), bool> {
    let parameters = [
        ("grant_type", EXCHANGE),
        ("subject_token_type", ACCESS_TOKEN),
        ("subject_token", platform),
        ("scope", "storage:read storage:write"),
    ];
    match run.send("exchange", form(run, "/oauth2/token", app, &parameters)).await {
        End::Answer(answer) if answer.status == 200 => pair(&answer).ok_or(false),
        End::Answer(answer) if answer.status == 401 => Err(true),
        End::Answer(answer) => {
            run.unexpected("exchange", &answer);
            Err(false)
        }
        _ => Err(false),
    }
}

fn pair(answer: &Answer) -> Option<(String, String)> {
    let body = body(answer);
    Some((body["access_token"].as_str()?.to_owned(), body["refresh_token"].as_str()?.to_owned()))
}

/// The pass of one person in one app, shared by the tasks that store there.
pub struct Pass {
    /// The person.
    pub user: MatrixUser,
    /// The app.
    pub app: App,
    tokens: Mutex<(Option<String>, Option<String>)>,
}

impl Pass {
    /// Without tokens yet.
    pub fn new(user: MatrixUser, app: App) -> Self {
        Self { user, app, tokens: Mutex::default() }
    }

    /// An access token; `None` when there is none to be had at the moment.
    pub async fn token(&self, run: &Run) -> Option<String> {
        let mut tokens = self.tokens.lock().await;
        if tokens.1.is_none() {
            if tokens.0.is_none() {
                tokens.0 = sign_in(run, &self.user, false).await;
            }
            match exchange(run, &self.app, tokens.0.as_deref()?).await {
                Ok((access, _)) => tokens.1 = Some(access),
                Err(true) => tokens.0 = None,
                Err(false) => {}
            }
        }
        tokens.1.clone()
    }

    /// The token was refused: it has expired, or is not valid yet since the clock stepped back.
    pub async fn refused(&self, token: &str) {
        let mut tokens = self.tokens.lock().await;
        if tokens.1.as_deref() == Some(token) {
            tokens.1 = None;
        }
    }
}

/// Goes through sessions until the run is over.
pub async fn task(run: &Run, user: MatrixUser, app: App, mut seeded: Seeded) {
    while !run.is_over() {
        if session(run, &user, &app, &mut seeded).await.is_none() {
            run.pause(300).await;
        }
    }
}

/// One session from its beginning to its end; `None` where something could not be had.
async fn session(run: &Run, user: &MatrixUser, app: &App, seeded: &mut Seeded) -> Option<()> {
    let steps = run.steps.load(Ordering::SeqCst);
    let platform = sign_in(run, user, seeded.between(0, 2) == 0).await?;
    let (access, newest) = exchange(run, app, &platform).await.ok()?;
    let mut family = Family { app: app.clone(), access, refresh: newest, used: Vec::new(), fate: Fate::Live, how: "kept" };
    for _ in 0..seeded.between(1, 7) {
        run.pause(seeded.between(20, 400)).await;
        rotate(run, &mut family).await?;
        if run.is_over() {
            break;
        }
    }
    let undisturbed = || run.steps.load(Ordering::SeqCst) == steps;
    if undisturbed()
        && let End::Answer(answer) = probe(run, &family.access).await
        && answer.status == 401
        && undisturbed()
    {
        run.report.wrong("an access token that was issued just now is refused".to_owned());
    }
    match seeded.between(0, 4) {
        0 if family.used.len() >= 2 => reuse(run, &mut family).await?,
        1 => revoke(run, &mut family).await?,
        2 => logout(run, &mut family, &platform).await?,
        _ => {}
    }
    if family.fate == Fate::Dead {
        is_dead(run, &family).await;
    }
    let mut families = run.families.lock().unwrap_or_else(PoisonError::into_inner);
    if families.len() < KEPT {
        families.push(family);
    }
    Some(())
}

/// One rotation; `None` where its answer was lost and it had taken effect, so that the client's session is lost, too.
async fn rotate(run: &Run, family: &mut Family) -> Option<()> {
    let mut lost = false;
    for _ in 0..60 {
        match refresh(run, "refresh", &family.app, &family.refresh).await {
            End::Answer(answer) if answer.status == 200 => {
                let (access, newest) = pair(&answer)?;
                family.used.push(std::mem::replace(&mut family.refresh, newest));
                family.access = access;
                return Some(());
            }
            End::Answer(answer) if answer.status == 400 && lost => return None,
            End::Answer(answer) if answer.status == 400 => {
                run.report.wrong(format!("an acknowledged refresh token is refused: {}", crate::run::short(&answer)));
                return None;
            }
            End::Answer(answer) => {
                run.unexpected("refresh", &answer);
                lost = true;
            }
            End::NotSent => {}
            End::Lost | End::Late => lost = true,
        }
        run.pause(250).await;
    }
    None
}

/// The oldest token comes again after its successor was used: the family ends.
async fn reuse(run: &Run, family: &mut Family) -> Option<()> {
    let oldest = family.used.first()?.clone();
    for _ in 0..60 {
        match refresh(run, "reuse", &family.app, &oldest).await {
            End::Answer(answer) if answer.status == 400 => {
                (family.fate, family.how) = (Fate::Dead, "reuse");
                return Some(());
            }
            End::Answer(answer) if answer.status == 200 => {
                run.report.wrong("a used refresh token was taken again".to_owned());
                return None;
            }
            End::Answer(answer) => run.unexpected("reuse", &answer),
            _ => {}
        }
        run.pause(250).await;
    }
    None
}

async fn revoke(run: &Run, family: &mut Family) -> Option<()> {
    for _ in 0..60 {
        let request = form(run, "/oauth2/revoke", &family.app, &[("token", &family.refresh)]);
        match run.send("revoke", request).await {
            End::Answer(answer) if answer.status == 200 => {
                (family.fate, family.how) = (Fate::Dead, "revoked");
                return Some(());
            }
            End::Answer(answer) => run.unexpected("revoke", &answer),
            _ => {}
        }
        run.pause(250).await;
    }
    None
}

async fn logout(run: &Run, family: &mut Family, platform: &str) -> Option<()> {
    for _ in 0..60 {
        match run.send("logout", run.world.post("/api/v1/auth/logout").bearer_auth(platform)).await {
            End::Answer(answer) if answer.status == 204 => {
                (family.fate, family.how) = (Fate::Dead, "logged out");
                return Some(());
            }
            // The clock has left the platform token behind, or an attempt before has ended it: nothing is known.
            End::Answer(answer) if answer.status == 401 => return None,
            End::Answer(answer) => run.unexpected("logout", &answer),
            _ => {}
        }
        run.pause(250).await;
    }
    None
}

/// Nothing of an ended session works.
pub async fn is_dead(run: &Run, family: &Family) {
    let how = family.how;
    if let End::Answer(answer) = probe(run, &family.access).await {
        match answer.status {
            401 => run.report.checked("access tokens of ended sessions are refused", 1),
            200 => run.report.wrong(format!("an access token works after its session was {how}")),
            _ => {}
        }
    }
    for token in family.used.iter().take(2).chain([&family.refresh]) {
        if let End::Answer(answer) = refresh(run, "refresh of ended", &family.app, token).await {
            match answer.status {
                400 => run.report.checked("refresh tokens of ended sessions are refused", 1),
                200 => run.report.wrong(format!("a refresh token works after its session was {how}")),
                _ => {}
            }
        }
    }
}

/// The newest token of a session works once; what came before does not, and its reuse ends the session.
pub async fn is_live(run: &Run, family: &mut Family) {
    let End::Answer(answer) = refresh(run, "refresh", &family.app, &family.refresh).await else {
        return run.report.wrong("no answer in the final checks".to_owned());
    };
    let Some((access, newest)) = pair(&answer).filter(|_| answer.status == 200) else {
        return run.report.wrong(format!("the newest refresh token of a session is refused: {}", crate::run::short(&answer)));
    };
    run.report.checked("the newest refresh token of a session works", 1);
    match probe(run, &access).await {
        End::Answer(answer) if answer.status == 200 => {}
        _ => run.report.wrong("a fresh access token is refused".to_owned()),
    }
    if let Some(old) = family.used.last() {
        match refresh(run, "reuse", &family.app, old).await {
            End::Answer(answer) if answer.status == 400 => run.report.checked("tokens acknowledged as rotated are refused", 1),
            End::Answer(answer) if answer.status == 200 => {
                return run.report.wrong("two live refresh tokens of one family".to_owned());
            }
            _ => return run.report.wrong("no answer in the final checks".to_owned()),
        }
        family.used.push(std::mem::replace(&mut family.refresh, newest));
        (family.access, family.fate, family.how) = (access, Fate::Dead, "ended by reuse");
        is_dead(run, family).await;
    }
}

/// Whether the server answers at all, for a minute.
pub async fn probe_health(run: &Run) -> Option<()> {
    for _ in 0..120 {
        if let End::Answer(answer) = run.send("health", run.world.get("/ops/health")).await
            && answer.status == 200
        {
            return Some(());
        }
        run.pause(500).await;
    }
    None
}
