//! The way of a request through one route: who calls, rate and revocation, scope, body, handler.

use crate::body;
use crate::call::Call;
use crate::caller::{self, Caller};
use crate::failure::Failure;
use crate::group::{Around, Handler};
use crate::holders::Callers;
use crate::settings::InvalidSetting;
use crate::subject::{self, SubjectId};
use crate::{headers, internal, same_secret};
use axum_core::extract::Request;
use axum_core::response::Response;
use http::HeaderMap;
use http::request::Parts;
use std::sync::Arc;
use tmcp_ports::{Clock, Config, Platform};
use tmcp_protocol::ErrorCode;
use tmcp_protocol::bucket::Admission;
use tmcp_protocol::limits::LimitClass;
use tmcp_protocol::routes::{self, Access, ErrorForm, Route};

/// The answer to one request at one route.
pub(crate) async fn run<P: Platform, C: Callers>(
    route: &'static Route,
    request: Request,
    around: Arc<Around<P>>,
    handler: Handler<P>,
) -> Response {
    let (parts, body) = request.into_parts();
    around.notes.write(|notes| notes.route = Some(route.path));
    // A form is sent by a page, whose reader wants a page.
    let by_form = matches!(route.body, routes::Body::JsonOrForm(_)) && body::is_form(&parts.headers);
    let errors = if by_form { ErrorForm::Page } else { route.errors };
    let outcome = match admit::<P, C>(route, &around, &parts.headers).await {
        Ok(caller) => match call(route, &around, caller, parts, body).await {
            Ok(call) => handler(call).await,
            Err(failure) => Err(failure),
        },
        Err(failure) => Err(failure),
    };
    match outcome {
        Ok(reply) => reply.into_response(),
        Err(failure) => {
            around.notes.write(|notes| {
                notes.code = Some(failure.code().as_str());
                notes.cause = failure.cause().map(str::to_owned);
            });
            failure.into_response(errors, &around.request_id, around.platform.clock().now())
        }
    }
}

/// Who calls, and whether they may at all. Service tokens cover the body and are checked after it was read.
async fn admit<P: Platform, C: Callers>(
    route: &'static Route,
    around: &Around<P>,
    headers: &HeaderMap,
) -> Result<Caller, Failure> {
    match route.access {
        Access::Public => limit_address(route, around).await.map(|()| Caller::Nobody),
        Access::Service => Ok(Caller::Service),
        // Whoever guesses is slowed down; the operator gets through even where there are no tables yet to count in.
        Access::Operator | Access::Administrator => match holder_of_secret(route.access, &around.platform, headers) {
            Err(failure) => draw(LimitClass::Address, around).await.and(Err(failure)),
            caller => caller,
        },
        Access::Homeserver | Access::Management => match C::known(&around.platform, headers) {
            Err(failure) => draw(LimitClass::Address, around).await.and(Err(failure)),
            caller => caller,
        },
        Access::Tokens(kinds) => C::holder(route, kinds, around, headers).await,
    }
}

async fn limit_address<P: Platform>(route: &Route, around: &Around<P>) -> Result<(), Failure> {
    match route.limit {
        Some(class) => draw(class, around).await,
        None => Ok(()),
    }
}

async fn draw<P: Platform>(class: LimitClass, around: &Around<P>) -> Result<(), Failure> {
    let id = SubjectId::address(&around.address);
    let admission = subject::admit(&around.platform, &id, &around.settings.limits, class).await?;
    admitted(around, admission.ok_or_else(|| Failure::internal("an address was revoked"))?)
}

pub(crate) fn admitted<P: Platform>(around: &Around<P>, admission: Admission) -> Result<(), Failure> {
    around.notes.write(|notes| notes.admission = Some(admission));
    if admission.allowed { Ok(()) } else { Err(Failure::too_many(admission)) }
}

pub(crate) fn holder_of_secret(access: Access, platform: &impl Platform, headers: &HeaderMap) -> Result<Caller, Failure> {
    let (name, caller) = match access {
        Access::Administrator => ("ADMIN_TOKEN", Caller::Administrator),
        _ => ("OPERATOR_TOKEN", Caller::Operator),
    };
    let secret = platform.config().get(name).ok_or(InvalidSetting { name, problem: "is not set".to_owned() })?;
    match caller::bearer(headers) {
        Some(token) if same_secret(token, secret.expose()) => Ok(caller),
        _ => Err(Failure::token(format!("not the {name}"))),
    }
}

async fn call<P: Platform>(
    route: &'static Route,
    around: &Around<P>,
    caller: Caller,
    parts: Parts,
    body: axum_core::body::Body,
) -> Result<Call<P>, Failure> {
    let body = body::read(route.body, &parts.headers, body).await?;
    if matches!(caller, Caller::Service) {
        let token = parts.headers.get(internal::HEADER).and_then(headers::text).unwrap_or_default();
        let now = around.platform.clock().now();
        if !internal::holds(&around.settings.service_keys, token, route.method.as_str(), parts.uri.path(), &body, now) {
            return Err(Failure::new(ErrorCode::NotFound, "there is nothing at this path").because("no service token"));
        }
    }
    Ok(Call {
        platform: around.platform.clone(),
        settings: around.settings.clone(),
        caller,
        route,
        request_id: around.request_id.clone(),
        trace: around.trace,
        address: around.address.clone(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
        notes: around.notes.clone(),
    })
}
