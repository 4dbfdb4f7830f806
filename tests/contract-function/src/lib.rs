//! Runs the port contract suites inside a runtime, over HTTP. A test tool: never deployed, and not in the route table.
//!
//! | route | does |
//! |---|---|
//! | `GET /contract/suites` | names of the suites |
//! | `POST /contract/run/{suite}` | runs one: `{"passed", "detail"}` |
//! | `POST /contract/entity/{id}` | asks the counter entity a command, answers its state |
//! | `GET /contract/effects/{id}` | `{"done", "runs"}` of an entity's effects |
//! | `POST /contract/flag/{name}` | lets effects that wait for the flag succeed |
//! | `POST /contract/after/{name}` | sets the flag after the response has left |
//! | `GET /contract/flag/{name}` | whether the flag is set |
//! | `POST /contract/fetch` | sends `{"url"}` by the configured client: `{"status"}` or `{"error"}` |
//! | `POST /contract/services` | asks another function's internal interface |
//! | `POST /contract/trap/{how}` | ends the instance: `abort` or `panic` |
//! | `POST /contract/maintain` | wakes due entities (Spin) |

mod handlers;

#[cfg(target_os = "wasi")]
mod spin;
#[cfg(target_os = "unknown")]
mod workers;

use tmcp_http::Group;
use tmcp_ports::Platform;
use tmcp_protocol::routes::{Access, Body, ErrorForm, Function, Method, Route};

const fn row(method: Method, path: &'static str, body: Body) -> Route {
    let (function, access, limit, errors) = (Function::Ops, Access::Public, None, ErrorForm::Tmcp);
    Route { method, path, function, access, scopes: &[], limit, body, errors, summary: "contract" }
}

const JSON: Body = Body::Json(16 * 1024);
static SUITES: Route = row(Method::Get, "/contract/suites", Body::None);
static RUN: Route = row(Method::Post, "/contract/run/{suite}", Body::None);
static ENTITY: Route = row(Method::Post, "/contract/entity/{id}", JSON);
static EFFECTS: Route = row(Method::Get, "/contract/effects/{id}", Body::None);
static SET_FLAG: Route = row(Method::Post, "/contract/flag/{name}", Body::None);
static FLAG: Route = row(Method::Get, "/contract/flag/{name}", Body::None);
static AFTER: Route = row(Method::Post, "/contract/after/{name}", Body::None);
static FETCH: Route = row(Method::Post, "/contract/fetch", JSON);
static SERVICES: Route = row(Method::Post, "/contract/services", Body::None);
static TRAP: Route = row(Method::Post, "/contract/trap/{how}", Body::None);
static MAINTAIN: Route = row(Method::Post, "/contract/maintain", Body::None);

/// The routes of this function.
pub fn routes<P: Platform>() -> Group<P> {
    Group::new(Function::Ops)
        .at(&SUITES, handlers::suites)
        .at(&RUN, handlers::run)
        .at(&ENTITY, handlers::entity)
        .at(&EFFECTS, handlers::effects)
        .at(&SET_FLAG, handlers::set_flag)
        .at(&FLAG, handlers::flag)
        .at(&AFTER, handlers::after)
        .at(&FETCH, handlers::fetch)
        .at(&SERVICES, handlers::services)
        .at(&TRAP, handlers::trap)
        .at(&MAINTAIN, handlers::maintain)
}
