//! Whose tokens the routes of a function take. What a function never verifies is no weight to its module: a type says it, since the code
//! behind a condition in an async function stays.

use crate::audit::{self, Entry};
use crate::caller::{self, Caller, Read};
use crate::cors::Reader;
use crate::credentials;
use crate::failure::Failure;
use crate::group::Around;
use crate::known::{console, is_console, registrations};
use crate::pipeline::{admitted, holder_of_secret};
use crate::same_secret;
use crate::subject;
use http::HeaderMap;
use std::future::{Future, ready};
use std::sync::Arc;
use tmcp_ports::{Platform, Sql};
use tmcp_protocol::ErrorCode;
use tmcp_protocol::appservice::Registration;
use tmcp_protocol::limits::LimitClass;
use tmcp_protocol::routes::{Access, Route};
use tmcp_protocol::token::{TokenError, TokenKind};

/// Who may call a function.
pub trait Callers: Sized + 'static {
    /// The kinds of token that its routes may take.
    const KINDS: &'static [TokenKind];
    /// What reads their claims.
    #[doc(hidden)]
    const READ: Read = caller::read;

    /// The holder of a request's token.
    fn holder<P: Platform>(
        _: &'static Route,
        _: &[TokenKind],
        _: &Around<P>,
        _: &HeaderMap,
    ) -> impl Future<Output = Result<Caller, Failure>> + Send {
        ready(Err(Failure::internal("a token at a function that takes none")))
    }

    /// Who has a secret of this function's own: a homeserver, the developers' console.
    fn known<P: Platform>(_: &P, _: &HeaderMap) -> Result<Caller, Failure> {
        Err(Failure::internal("a secret at a function that has none"))
    }

    /// Notes what has to be noted of a request with a token.
    fn note<P: Platform>(
        _: &'static Route,
        _: &Around<P>,
        _: &Caller,
        _granted: bool,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        ready(Ok(()))
    }
}

/// Holders of any token.
pub struct Everybody;
/// Holders of people's own tokens, and of no mini-app's.
pub struct People;
/// Developers, with tokens of theirs.
pub struct Developers;
/// Homeservers, by their registrations.
pub struct Homeservers;
/// Whoever comes is nobody that we know, the operator, or another function.
pub struct Nobody;

impl Callers for Everybody {
    const KINDS: &'static [TokenKind] = &[TokenKind::Platform, TokenKind::Tep, TokenKind::Client];

    async fn holder<P: Platform>(
        route: &'static Route,
        kinds: &[TokenKind],
        around: &Around<P>,
        headers: &HeaderMap,
    ) -> Result<Caller, Failure> {
        holder::<P, Self>(route, kinds, around, headers).await
    }

    async fn note<P: Platform>(route: &'static Route, around: &Around<P>, caller: &Caller, granted: bool) -> Result<(), Failure> {
        note_privileged(route, around, caller, granted).await
    }
}

impl Callers for People {
    const KINDS: &'static [TokenKind] = &[TokenKind::Platform];

    async fn holder<P: Platform>(
        route: &'static Route,
        kinds: &[TokenKind],
        around: &Around<P>,
        headers: &HeaderMap,
    ) -> Result<Caller, Failure> {
        holder::<P, Self>(route, kinds, around, headers).await
    }
}

impl Callers for Developers {
    const KINDS: &'static [TokenKind] = &[TokenKind::Developer];
    const READ: Read = caller::read_developer;

    async fn holder<P: Platform>(
        route: &'static Route,
        kinds: &[TokenKind],
        around: &Around<P>,
        headers: &HeaderMap,
    ) -> Result<Caller, Failure> {
        holder::<P, Self>(route, kinds, around, headers).await.map_err(|failure| match failure.code() {
            ErrorCode::InvalidToken => Failure::developer_token(failure.cause().unwrap_or_default()),
            ErrorCode::InsufficientPermissions => Failure::oauth(
                "forbidden_platform_endpoint",
                403,
                "this is for developers: a token of another kind does not count",
            ),
            _ => failure,
        })
    }

    fn known<P: Platform>(platform: &P, headers: &HeaderMap) -> Result<Caller, Failure> {
        let Ok(Some((id, secret))) = credentials::basic(headers) else {
            return holder_of_secret(Access::Administrator, platform, headers);
        };
        let holds = console(platform)?.is_some_and(|console| is_console(&console, &id, &secret));
        if holds { Ok(Caller::Console) } else { Err(Failure::token("not the console")) }
    }
}

impl Callers for Homeservers {
    const KINDS: &'static [TokenKind] = &[];

    fn known<P: Platform>(platform: &P, headers: &HeaderMap) -> Result<Caller, Failure> {
        let registrations = registrations(platform)?;
        let token = caller::bearer(headers).ok_or_else(|| Failure::token("no token"))?;
        // All are compared, whichever it is.
        let holds = |one: &Registration| same_secret(token, one.hs_token.expose());
        let found = registrations.iter().fold(None, |found, one| if holds(one) { Some(one) } else { found });
        let wrong =
            || Failure::new(ErrorCode::InsufficientPermissions, "this is no homeserver's token").because("not an hs_token");
        found.cloned().map(|one| Caller::Homeserver(Arc::new(one))).ok_or_else(wrong)
    }
}

impl Callers for Nobody {
    const KINDS: &'static [TokenKind] = &[];
}

async fn holder<P: Platform, C: Callers>(
    route: &'static Route,
    kinds: &[TokenKind],
    around: &Around<P>,
    headers: &HeaderMap,
) -> Result<Caller, Failure> {
    let text = caller::bearer(headers).ok_or_else(|| Failure::token("no token"))?;
    let other_kind = || Failure::new(ErrorCode::InsufficientPermissions, "this route takes a token of another kind");
    let caller = match caller::verify_as(&around.platform, &around.settings, text, around.began, C::READ).await? {
        Ok(verified) => verified.caller,
        Err(TokenError::OtherKind) => return Err(other_kind()),
        Err(error) => return Err(Failure::token(error.to_string())),
    };
    let (subject, held) = caller.subject().ok_or_else(|| Failure::internal("a token without a subject"))?;
    around.notes.write(|notes| {
        notes.names = caller.names();
        notes.reader = match &caller {
            Caller::Tep(claims) => Reader::Client(claims.client_id.to_string()),
            Caller::Client(claims) => Reader::Client(claims.client_id.to_string()),
            _ => Reader::Host,
        };
    });
    let kind = match &caller {
        Caller::Tep(_) => TokenKind::Tep,
        Caller::Client(_) => TokenKind::Client,
        Caller::Developer(_) => TokenKind::Developer,
        _ => TokenKind::Platform,
    };
    if !kinds.contains(&kind) {
        return Err(other_kind());
    }
    let class = route.limit.unwrap_or(LimitClass::Account);
    let admission = subject::admit_holder(&around.platform, &subject, &around.settings.limits, class, held).await?;
    admitted(around, admission.ok_or_else(|| Failure::token("revoked"))?)?;
    let granted = match &caller {
        Caller::Tep(claims) => route.scopes.is_empty() || route.scopes.iter().any(|scope| claims.scope.contains(*scope)),
        _ => route.scopes.is_empty(),
    };
    C::note(route, around, &caller, granted).await?;
    if !granted {
        let needed: Vec<&str> = route.scopes.iter().map(|scope| scope.as_str()).collect();
        let details = serde_json::json!({ "required_scopes": needed });
        return Err(Failure::new(ErrorCode::InsufficientPermissions, "the token lacks the scope for this").details(details));
    }
    Ok(caller)
}

/// Every use of a privileged token is in the audit log, before anything is done with it (TMCP 5.11).
async fn note_privileged<P: Platform>(route: &Route, around: &Around<P>, caller: &Caller, granted: bool) -> Result<(), Failure> {
    let Caller::Tep(claims) = caller else { return Ok(()) };
    if !claims.scope.is_privileged() {
        return Ok(());
    }
    let entry = Entry {
        action: "privileged.use",
        outcome: if granted { "ok" } else { "refused" },
        actor: Some(claims.uid.as_str()),
        target: Some(claims.aud.as_str()),
        address: Some(around.address.truncated()),
        request_id: Some(&around.request_id),
        detail: Some(serde_json::json!({"method": route.method.as_str(), "path": route.path, "jti": claims.jti})),
    };
    around.platform.sql().query(audit::statement(&around.platform, entry)).await?;
    Ok(())
}
