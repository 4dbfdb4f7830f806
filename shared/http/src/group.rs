//! A function: rows of the route table bound to handlers, and the way of a request around them.

use crate::address::Address;
use crate::call::{Call, Notebook};
use crate::cors::{self, OriginInfo};
use crate::failure::{Failure, Reply};
use crate::headers::{self, Headers};
use crate::holders::{Callers, Everybody};
use crate::internal;
use crate::metrics::{self, Answered};
use crate::pipeline;
use crate::settings::Settings;
use crate::subject::{self, SubjectId};
use crate::trace::{Trace, request_id};
use axum_core::body::Body;
use axum_core::extract::Request;
use axum_core::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, Method as HttpMethod, header};
use http_body::Body as _;
use std::collections::BTreeMap;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use tmcp_ports::{Clock, Entities, Log, Memo, Platform};
use tmcp_protocol::limits::LimitClass;
use tmcp_protocol::routes::{Access, ErrorForm, Function, INTERNAL_ORIGINS, Method, ROUTES, Route};
use tmcp_protocol::{ErrorCode, Millis};

/// A scheme, a host name of 253 bytes at most and a port; nothing longer was ever registered.
const MAX_ORIGIN: usize = 300;

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;
pub(crate) type Handler<P> = Arc<dyn Fn(Call<P>) -> Boxed<Result<Reply, Failure>> + Send + Sync>;
type Run<P> = fn(&'static Route, Request, Arc<Around<P>>, Handler<P>) -> Boxed<Response>;
type Origins<P> = Arc<dyn Fn(P, String) -> Boxed<Result<OriginInfo, Failure>> + Send + Sync>;

/// What travels with a request through the group.
pub struct Around<P: Platform> {
    pub(crate) platform: P,
    pub(crate) settings: Arc<Settings>,
    pub(crate) request_id: String,
    pub(crate) trace: Trace,
    pub(crate) address: Address,
    /// When the request came.
    pub(crate) began: Millis,
    pub(crate) notes: Notebook,
}

/// The routes of one function, and how it learns about origins.
pub struct Group<P: Platform, C: Callers = Everybody> {
    function: Function,
    bound: Vec<Bound<P>>,
    origins: Option<Origins<P>>,
    headers: Headers,
    callers: PhantomData<C>,
}

/// A row of the table, and what answers there.
struct Bound<P: Platform> {
    route: &'static Route,
    handler: Handler<P>,
}

/// A finished group: made once per isolate.
pub struct Service<P: Platform> {
    function: Function,
    bound: Arc<[Bound<P>]>,
    run: Run<P>,
    origins: Option<Origins<P>>,
    headers: Arc<Headers>,
}

impl<P: Platform> Clone for Service<P> {
    fn clone(&self) -> Self {
        Self {
            function: self.function,
            bound: self.bound.clone(),
            run: self.run,
            origins: self.origins.clone(),
            headers: self.headers.clone(),
        }
    }
}

impl<P: Platform, C: Callers> Group<P, C> {
    /// No routes yet.
    pub fn new(function: Function) -> Self {
        Self { function, bound: Vec::new(), origins: None, headers: Headers::new(), callers: PhantomData }
    }

    /// Binds a row of the table to its handler.
    #[must_use]
    pub fn at<H, Fut>(mut self, route: &'static Route, handler: H) -> Self
    where
        H: Fn(Call<P>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Reply, Failure>> + Send + 'static,
    {
        self.bound.push(Bound { route, handler: Arc::new(move |call| Box::pin(handler(call))) });
        self
    }

    /// Says that handlers read these headers, by their names in lower case: no entry brings others.
    #[must_use]
    pub fn reading(mut self, names: &[&'static str]) -> Self {
        self.headers.add(names);
        self
    }

    /// How this function learns about origins without asking itself; for auth, which owns the clients.
    #[must_use]
    pub fn origins<F, Fut>(mut self, look_up: F) -> Self
    where
        F: Fn(P, String) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<OriginInfo, Failure>> + Send + 'static,
    {
        self.origins = Some(Arc::new(move |platform, origin| Box::pin(look_up(platform, origin))));
        self
    }

    /// The rows of the table that belong to this function and have no handler, or take tokens that its callers cannot have.
    pub fn unbound(&self) -> Vec<&'static Route> {
        let is_lost =
            |route: &&Route| matches!(route.access, Access::Tokens(kinds) if !kinds.iter().all(|kind| C::KINDS.contains(kind)));
        let ours = ROUTES.iter().filter(|route| route.function == self.function);
        let is_bound = |route: &&Route| self.bound.iter().any(|bound| bound.route == *route);
        ours.filter(|route| !is_bound(route) || is_lost(route)).collect()
    }

    /// The finished group. On Spin that is made at every request: what is done here is done there each time.
    pub fn build(self) -> Service<P> {
        // One type for all handlers, so that the way to them is compiled once and not for each.
        let run: Run<P> = |route, request, around, handler| Box::pin(pipeline::run::<P, C>(route, request, around, handler));
        let headers = Arc::new(self.headers);
        Service { function: self.function, bound: self.bound.into(), run, origins: self.origins, headers }
    }
}

fn refuse<P: Platform>(path: &str, around: &Around<P>, failure: Failure) -> Response {
    let form = match path {
        _ if ["/oauth2/", "/organizations/", "/admin/"].iter().any(|flat| path.starts_with(flat)) => ErrorForm::OAuth,
        _ if path.starts_with("/_matrix/") => ErrorForm::Matrix,
        _ if ["/account", "/sign-in/", "/saml/acs/"].iter().any(|pages| path.starts_with(pages)) => ErrorForm::Page,
        _ => ErrorForm::Tmcp,
    };
    around.notes.write(|notes| notes.code = Some(failure.code().as_str()));
    failure.into_response(form, &around.request_id, around.platform.clock().now())
}

impl<P: Platform> Service<P> {
    /// The headers that a request is to come with, and no others.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    async fn origin_info(&self, around: &Around<P>, origin: &str) -> Result<OriginInfo, Failure> {
        let now = around.platform.clock().now();
        // Our pages' own forms come from `null`, since no page of ours sends a referrer; nobody can register that.
        if origin.len() > MAX_ORIGIN || origin == "null" {
            return Ok(OriginInfo::default());
        }
        let name = format!("origin:{origin}");
        if let Some(found) = around.platform.memo().get::<OriginInfo>(&name, now) {
            return Ok(found);
        }
        // A look-up costs: whoever makes up origins is slowed down, and is told nothing. A request that was let through has paid.
        if !around.notes.read(|notes| notes.admission.is_some_and(|admission| admission.allowed)) {
            let (id, limits) = (SubjectId::address(&around.address), &around.settings.limits);
            let admission = subject::admit(&around.platform, &id, limits, LimitClass::Address).await?;
            if !admission.is_some_and(|admission| admission.allowed) {
                return Ok(OriginInfo::default());
            }
        }
        let info = match &self.origins {
            Some(look_up) => look_up(around.platform.clone(), origin.to_owned()).await?,
            None => {
                let body = BTreeMap::from([("origin", origin)]);
                let keys = &around.settings.service_keys;
                internal::ask(&around.platform, keys, &around.trace, &around.request_id, &INTERNAL_ORIGINS, &body).await??
            }
        };
        around.platform.memo().put(&name, info.clone(), now.plus(cors::REMEMBER_MS));
        Ok(info)
    }

    /// What not every request takes is boxed: a future is moved several times before it begins, and is as large as its largest way.
    async fn answer(&self, request: Request, around: &Arc<Around<P>>, origin: Option<&HeaderValue>) -> Response {
        let wanted = request.headers().get(header::ACCESS_CONTROL_REQUEST_METHOD);
        if request.method() == HttpMethod::OPTIONS
            && let (Some(origin), Some(_)) = (origin, wanted)
        {
            return Box::pin(self.preflight(request.uri().path(), around, origin)).await;
        }
        let mut response = self.route(request, around).await;
        if let Some(origin) = origin
            && let Some(text) = headers::text(origin)
        {
            response.headers_mut().append(header::VARY, HeaderValue::from_static("Origin"));
            match Box::pin(self.origin_info(around, text)).await {
                Ok(info) if around.notes.read(|notes| info.may_read(&notes.reader)) => {
                    cors::allow(response.headers_mut(), origin)
                }
                Ok(_) => {}
                Err(failure) => around.notes.write(|notes| notes.cause = failure.cause().map(str::to_owned)),
            }
        }
        response
    }

    /// The answer of the row that has the path and takes the method; of several the one that names more of the path. HEAD is GET without
    /// the body (RFC 9110 section 9.3.2).
    async fn route(&self, request: Request, around: &Arc<Around<P>>) -> Response {
        let (path, method) = (request.uri().path(), request.method());
        let is_head = method == HttpMethod::HEAD;
        let takes = |route: &Route| route.method.as_str() == method.as_str() || (is_head && route.method == Method::Get);
        let fits = |bound: &&Bound<P>| matches(bound.route, path);
        let taking = self.bound.iter().filter(|bound| takes(bound.route));
        let best = taking.filter(fits).min_by_key(|bound| bound.route.path.matches('{').count());
        if let Some(Bound { route, handler }) = best {
            let response = (self.run)(route, request, around.clone(), handler.clone()).await;
            return if is_head { without_body(response) } else { response };
        }
        let mut allowed: Vec<&str> = self.bound.iter().filter(fits).map(|bound| bound.route.method.as_str()).collect();
        if allowed.is_empty() {
            return refuse(path, around, Failure::new(ErrorCode::NotFound, "there is nothing at this path"));
        }
        if allowed.contains(&Method::Get.as_str()) {
            allowed.push("HEAD");
        }
        allowed.sort_unstable();
        allowed.dedup();
        let failure = Failure::new(ErrorCode::MethodNotAllowed, "this path takes other methods; see the Allow header");
        refuse(path, around, failure.header(header::ALLOW, &allowed.join(",")))
    }

    async fn preflight(&self, path: &str, around: &Around<P>, origin: &HeaderValue) -> Response {
        let methods: Vec<&str> = ROUTES.iter().filter(|route| matches(route, path)).map(|route| route.method.as_str()).collect();
        let info = match headers::text(origin) {
            Some(text) => self.origin_info(around, text).await,
            None => Ok(OriginInfo::default()),
        };
        let mut response = Response::new(Body::empty());
        *response.status_mut() = http::StatusCode::NO_CONTENT;
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("Origin"));
        match info {
            Ok(info) if info.host || !info.clients.is_empty() => {
                cors::preflight(response.headers_mut(), origin, &methods.join(", "));
            }
            Ok(_) => {}
            Err(failure) => return failure.into_response(ErrorForm::Tmcp, &around.request_id, around.platform.clock().now()),
        }
        response
    }
}

fn without_body(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        parts.headers.entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from(length));
    }
    Response::from_parts(parts, Body::empty())
}

/// Whether a row has a path: each part the same, or any that is not empty where the row has a parameter.
fn matches(route: &Route, path: &str) -> bool {
    // Most rows differ before their first parameter, which is seen at a glance.
    if !path.starts_with(route.prefix()) {
        return false;
    }
    let (mut given, mut wanted) = (path.split('/'), route.path.split('/'));
    loop {
        match (given.next(), wanted.next()) {
            (None, None) => return true,
            (Some(part), Some(name)) if part == name || (name.starts_with('{') && !part.is_empty()) => {}
            _ => return false,
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers::text(headers.get(name)?)
}

/// The whole way of one request: what both runtimes' entries call. `address` is where the runtime says it came from.
pub async fn serve<P: Platform>(service: &Service<P>, platform: P, request: Request, address: Address) -> Response {
    let began = platform.clock().now();
    let id = request_id(text(request.headers(), "x-request-id"), platform.random());
    let trace = Trace::take_up(text(request.headers(), "traceparent"), platform.random());
    let (method, is_internal) = (request.method().clone(), request.uri().path().starts_with("/internal/"));
    let notes = Notebook::default();
    let (mut log_requests, mut sample) = (true, 1);
    let mut response = match Settings::of(&platform, began) {
        Ok(settings) => {
            (log_requests, sample) = (settings.log_requests, settings.metrics_sample);
            let around = Arc::new(Around {
                platform: platform.clone(),
                settings,
                request_id: id.clone(),
                trace,
                address,
                began,
                notes: notes.clone(),
            });
            let origin = request.headers().get(header::ORIGIN).cloned();
            service.answer(request, &around, origin.as_ref()).await
        }
        Err(error) => {
            notes.write(|notes| notes.cause = Some(error.to_string()));
            Failure::from(error).into_response(ErrorForm::Tmcp, &id, began)
        }
    };
    let notes = notes.take();
    finish(&mut response, &notes, &id, began);
    let now = platform.clock().now();
    // A clock that was set back in between tells nothing.
    let ms = (now.0 - began.0).max(0);
    let (uid, app) = &notes.names;
    let status = response.status().as_u16();
    // The pattern, not the path: a storage key is the user's own.
    let route = notes.route.unwrap_or(if is_internal { "internal" } else { "none" });
    let (function, conflicts) = (service.function.as_str(), platform.entities().conflicts());
    let answered = Answered { function, route, method: &method, status, ms, code: notes.code, conflicts };
    metrics::count(&platform, sample, now, &answered);
    if !log_requests && status < 500 {
        return response;
    }
    let line = serde_json::json!({
        "at": began.rfc3339(),
        "level": if status >= 500 { "error" } else { "info" },
        "request_id": id,
        "trace_id": trace.id(),
        "method": method.as_str(),
        "route": route,
        "status": status,
        "ms": ms,
        "uid": uid,
        "app": app,
        "cause": notes.reason(),
    });
    platform.log().line(&line.to_string());
    response
}

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RATELIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const X_RATELIMIT_RESET_AFTER: HeaderName = HeaderName::from_static("x-ratelimit-reset-after");
const X_RATELIMIT_BURST: HeaderName = HeaderName::from_static("x-ratelimit-burst");
const X_RATELIMIT_BURST_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-burst-remaining");

/// What every answer says of itself, whatever it is.
fn finish(response: &mut Response, notes: &crate::call::Notes, id: &str, now: Millis) {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(X_REQUEST_ID, id);
    }
    for (name, value) in [
        (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Some(admission) = notes.admission {
        let reset = now.seconds().saturating_add(i64::try_from(admission.reset_after).unwrap_or(0));
        headers.insert(X_RATELIMIT_LIMIT, admission.limit.into());
        headers.insert(X_RATELIMIT_REMAINING, admission.remaining.into());
        headers.insert(X_RATELIMIT_RESET, reset.into());
        headers.insert(X_RATELIMIT_RESET_AFTER, admission.reset_after.into());
        headers.insert(X_RATELIMIT_BURST, admission.burst.into());
        headers.insert(X_RATELIMIT_BURST_REMAINING, admission.burst_remaining.into());
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}
