//! `cargo xtask openapi`: `openapi.json`, generated from the route table and checked in. A difference fails the tests.

use std::fs;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};
use tmcp_protocol::ErrorCode;
use tmcp_protocol::routes::{Access, Body, ErrorForm, IMAGES, ROUTES, Route};
use tmcp_protocol::token::TokenKind;

use crate::paths::Paths;
use shapes::Shape;

mod shapes;

const FILE: &str = "openapi.json";
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// Writes the document; with `check`, only compares.
pub fn run(paths: &Paths, check: bool) -> Result<()> {
    let path = paths.root.join(FILE);
    let text = format!("{}\n", serde_json::to_string_pretty(&document())?);
    if !check {
        fs::write(&path, text).with_context(|| format!("cannot write {FILE}"))?;
        println!("{FILE} written");
        return Ok(());
    }
    if fs::read_to_string(&path).unwrap_or_default() != text {
        bail!("{FILE} is not what the route table gives: run `cargo xtask openapi`");
    }
    println!("{FILE} follows the route table");
    Ok(())
}

fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES.iter().filter(|route| route.is_public_path()) {
        let item = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(item) = item.as_object_mut() {
            item.insert(route.method.as_str().to_lowercase(), operation(route));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "TMCP server",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Tween Mini-App Communication Protocol: sign-in with Matrix, tokens, mini-app storage.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "tep": {"type": "http", "scheme": "bearer", "bearerFormat": "TEP", "description": "One person in one mini-app."},
                "platform": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "The result of a sign-in."},
                "client": {"type": "http", "scheme": "bearer", "bearerFormat": "TEP", "description": "An app's backend, for nobody."},
                "administrator": {"type": "http", "scheme": "bearer", "description": "The administrator's secret."},
                "developer": {"type": "http", "scheme": "bearer", "bearerFormat": "dev.JWT", "description": "A developer, at the console."},
                "console": {"type": "http", "scheme": "basic", "description": "The developers' console's id and secret."},
                "homeserver": {"type": "http", "scheme": "bearer", "description": "The hs_token of a homeserver's registration."},
                "operator": {"type": "http", "scheme": "bearer", "description": "The operator's secret."},
            },
            "schemas": {"Error": error_schema(), "OAuthError": oauth_error_schema(), "MatrixError": matrix_error_schema()},
        },
    })
}

fn operation(route: &Route) -> Value {
    let shape = shapes::of(route).unwrap_or_default();
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.summary,
        "tags": [route.function.as_str()],
        "security": security(route),
        "responses": responses(route, &shape),
    });
    let media = match route.body {
        Body::None => None,
        Body::Json(max) => Some((&[JSON][..], max)),
        Body::Form(max) => Some((&[FORM][..], max)),
        Body::JsonOrForm(max) => Some((&[JSON, FORM][..], max)),
        Body::Image(max) => Some((&IMAGES[..], max)),
    };
    if let Some((media, max)) = media {
        let schema = shape.body.unwrap_or_else(|| json!({"type": "object"}));
        let content: Map<String, Value> = media.iter().map(|media| ((*media).to_owned(), json!({"schema": schema}))).collect();
        let body = json!({"required": true, "description": format!("At most {max} bytes."), "content": content});
        put(&mut operation, "requestBody", body);
    }
    let in_path = shapes::in_path(route).into_iter().map(|(name, schema)| ("path", name, true, schema));
    let parameters: Vec<Value> = in_path
        .chain(shape.parameters)
        .map(|(place, name, required, schema)| json!({"name": name, "in": place, "required": required, "schema": schema}))
        .collect();
    if !parameters.is_empty() {
        put(&mut operation, "parameters", json!(parameters));
    }
    operation
}

fn put(object: &mut Value, name: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}

fn operation_id(route: &Route) -> String {
    let words = route.path.split(['/', '-', '{', '}', '.']).filter(|word| !word.is_empty());
    std::iter::once(route.method.as_str().to_lowercase()).chain(words.map(str::to_owned)).collect::<Vec<_>>().join("_")
}

fn security(route: &Route) -> Value {
    let scopes: Vec<&str> = route.scopes.iter().map(|scope| scope.as_str()).collect();
    match route.access {
        Access::Tokens(kinds) => kinds
            .iter()
            .map(|kind| match kind {
                TokenKind::Tep => json!({ "tep": scopes }),
                TokenKind::Platform => json!({"platform": []}),
                TokenKind::Client => json!({"client": []}),
                TokenKind::Developer => json!({"developer": []}),
            })
            .collect(),
        Access::Operator => json!([{"operator": []}]),
        Access::Administrator => json!([{"administrator": []}]),
        Access::Management => json!([{"administrator": []}, {"console": []}]),
        Access::Homeserver => json!([{"homeserver": []}]),
        Access::Public | Access::Service => json!([]),
    }
}

fn responses(route: &Route, shape: &Shape) -> Value {
    let content = match route.errors {
        ErrorForm::Tmcp => json!({ JSON: {"schema": {"$ref": "#/components/schemas/Error"}} }),
        ErrorForm::OAuth => json!({ JSON: {"schema": {"$ref": "#/components/schemas/OAuthError"}} }),
        ErrorForm::Matrix => json!({ JSON: {"schema": {"$ref": "#/components/schemas/MatrixError"}} }),
        ErrorForm::Page => json!({"text/html": {"schema": {"type": "string"}}}),
    };
    // A form is sent by a page, whose reader wants a page.
    let mut content = content;
    if let (Body::JsonOrForm(_), Some(kinds)) = (route.body, content.as_object_mut()) {
        kinds.insert("text/html".to_owned(), json!({"schema": {"type": "string"}}));
    }
    let error = |description: &str| json!({"description": description, "content": content});
    let leads_on = route.errors == ErrorForm::Page || matches!(route.body, Body::JsonOrForm(_));
    let mut responses = json!({"503": error("A part of the service does not answer.")});
    for (status, _) in &shape.good {
        let mut answer = json!({"description": "It worked."});
        let alike = shape.good.iter().filter(|(other, _)| other == status);
        let content: Map<String, Value> = alike
            .filter_map(|(_, content)| content.as_ref())
            .map(|(media, schema)| ((*media).to_owned(), json!({ "schema": schema })))
            .collect();
        if !content.is_empty() {
            put(&mut answer, "content", Value::Object(content));
        }
        put(&mut responses, status, answer);
    }
    let mut add = |status: &str, description: &str| {
        if let Some(object) = responses.as_object_mut() {
            object.insert(status.to_owned(), error(description));
        }
    };
    if route.body != Body::None {
        add("400", "The body or a parameter is wrong.");
        add("413", "The body is too large, or the quota would be exceeded.");
        add("415", "The body is of another type.");
    }
    if route.access != Access::Public || route.body != Body::None {
        add("401", "The credentials are missing or do not hold.");
        add("403", "The credentials hold, but not for this.");
    }
    if route.path.contains('{') {
        add("400", "The key is not one.");
        add("404", "There is nothing.");
    }
    if leads_on {
        add("400", "The request is not one that can be answered.");
        add("404", "There is nothing, or it is over.");
    }
    if shape.parameters.iter().any(|(place, ..)| *place == "query") {
        add("400", "A parameter is wrong.");
    }
    for (status, description) in &shape.refusals {
        add(status, description);
    }
    if route.limit.is_some() {
        add("429", "Too many requests; see Retry-After.");
    }
    if let (true, Some(object)) = (leads_on, responses.as_object_mut()) {
        object.insert("303".to_owned(), json!({"description": "The browser goes on elsewhere."}));
    }
    responses
}

fn error_schema() -> Value {
    let codes: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    let error = json!({
        "type": "object",
        "required": ["code", "message", "timestamp", "request_id"],
        "properties": {
            "code": {"type": "string", "enum": codes},
            "message": {"type": "string"},
            "details": {"type": "object"},
            "retry_after": {"type": "integer", "description": "Seconds."},
            "timestamp": {"type": "string", "format": "date-time"},
            "request_id": {"type": "string"},
        },
    });
    json!({"type": "object", "required": ["error"], "properties": {"error": error}})
}

fn matrix_error_schema() -> Value {
    let text = json!({"type": "string"});
    json!({"type": "object", "required": ["errcode", "error"], "properties": {"errcode": text, "error": text}})
}

fn oauth_error_schema() -> Value {
    json!({
        "type": "object",
        "required": ["error"],
        "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_public_route_is_in_the_document_once() {
        let document = document();
        let mut ids = std::collections::BTreeSet::new();
        for route in ROUTES.iter().filter(|route| route.is_public_path()) {
            let operation = &document["paths"][route.path][route.method.as_str().to_lowercase()];
            let shape =
                shapes::of(route).unwrap_or_else(|| panic!("say what {} {} takes and gives", route.method.as_str(), route.path));
            assert_eq!(shape.body.is_some(), route.body != Body::None, "{}", route.path);
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{}", route.path);
        }
        assert!(!document.to_string().contains("/internal/"));
    }
}
