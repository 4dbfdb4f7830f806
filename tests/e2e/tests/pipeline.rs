//! What holds at every public row of the route table: the loops run over the table itself, so a new row is covered by being in it.
//! Bodies have a file of their own.

use serde_json::json;
use std::collections::BTreeSet;
use tmcp_e2e::rows::{Tokens, content_type, is_dressed, is_refused, name, path, public};
use tmcp_e2e::{Ask, Session, World};
use tmcp_protocol::limits::Limits;
use tmcp_protocol::routes::{Access, Body, Route};
use tmcp_protocol::token::TokenKind;

#[tokio::test]
async fn a_row_that_takes_a_token_refuses_none_and_nonsense() {
    let tokens = Tokens::new().await;
    for route in public().filter(|route| route.access != Access::Public) {
        for token in [None, Some("nonsense"), Some("tep.a.b.c"), Some("a.b.c"), Some(&"x".repeat(9000))] {
            let answer = tokens.request(route, token).ask().await;
            // A homeserver with a wrong token is told so (Application Service API, "Authorization").
            if route.access == Access::Homeserver && token.is_some() {
                is_refused(route, &answer, 403, "");
                continue;
            }
            is_refused(route, &answer, 401, "INVALID_TOKEN");
            assert!(answer.header("www-authenticate").starts_with("Bearer"), "{}", name(route));
        }
    }
}

#[tokio::test]
async fn a_row_refuses_tokens_of_other_kinds_and_scopes() {
    let tokens = Tokens::new().await;
    for route in public() {
        for (token, status) in tokens.wrong(route) {
            let code = if status == 403 { "INSUFFICIENT_PERMISSIONS" } else { "INVALID_TOKEN" };
            is_refused(route, &tokens.request(route, Some(token)).ask().await, status, code);
        }
        if route.scopes.is_empty() {
            continue;
        }
        let answer = tokens.request(route, Some(&tokens.weak)).ask().await;
        is_refused(route, &answer, 403, "INSUFFICIENT_PERMISSIONS");
        let needed: Vec<&str> = route.scopes.iter().map(|scope| scope.as_str()).collect();
        assert_eq!(answer.json()["error"]["details"]["required_scopes"], json!(needed), "{}", name(route));
    }
}

#[tokio::test]
async fn one_of_the_storage_scopes_does_not_do_for_the_other() {
    let world = World::new();
    let (person, app) = (world.person().await, world.app().await);
    for scope in ["storage:read", "storage:write"] {
        let token = Session::of(&world.exchange(&app, &person.token, Some(scope)).await).access;
        for route in public().filter(|route| !route.scopes.is_empty()) {
            let mut request = world.request(route.method.as_str(), &path(route)).bearer_auth(&token);
            if route.body != Body::None {
                request = request.header("content-type", content_type(route)).body("{");
            }
            let status = request.ask().await.status;
            let granted = route.scopes.iter().any(|needed| needed.as_str() == scope);
            assert_eq!(status == 403, !granted, "{} with {scope}: {status}", name(route));
        }
    }
}

#[tokio::test]
async fn a_path_tells_which_methods_it_takes() {
    let world = World::new();
    let serves = |route: &Route, path: &str| {
        let (given, wanted): (Vec<_>, Vec<_>) = (path.split('/').collect(), route.path.split('/').collect());
        let fits = |(given, wanted): (&&str, &&str)| given == wanted || (wanted.starts_with('{') && !given.is_empty());
        given.len() == wanted.len() && given.iter().zip(&wanted).all(fits)
    };
    let paths: BTreeSet<String> = public().map(path).collect();
    for path in paths {
        let mut allowed: BTreeSet<&str> =
            public().filter(|route| serves(route, &path)).map(|route| route.method.as_str()).collect();
        if allowed.contains("GET") {
            allowed.insert("HEAD");
        }
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"].into_iter().filter(|method| !allowed.contains(method))
        {
            let answer = world.request(method, &path).ask().await;
            assert_eq!(answer.status, 405, "{method} {path}: {}", answer.text);
            is_dressed(&format!("{method} {path}"), &answer);
            if path.starts_with("/oauth2/") || path.starts_with("/organizations/") || path.starts_with("/admin/") {
                answer.is_oauth_error(405, "invalid_request");
            } else if path.starts_with("/_matrix/") {
                assert_eq!(answer.json()["errcode"], "M_UNRECOGNIZED", "{path}");
            } else if path.starts_with("/account") || path.starts_with("/sign-in/") || path.starts_with("/saml/acs/") {
                assert!(answer.text.contains("<h1>"), "{path}: {}", answer.text);
            } else {
                answer.is_refused(405, "METHOD_NOT_ALLOWED");
            }
            let told: BTreeSet<&str> = answer.header("allow").split(',').map(str::trim).collect();
            assert_eq!(told, allowed, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn every_row_draws_from_the_bucket_of_its_class() {
    let tokens = Tokens::new().await;
    let limits = Limits::parse(r#"{"scale":1000}"#).unwrap();
    for route in public() {
        // A logout ends the token, so it gets one of its own.
        let own = tokens.world.person().await.token;
        let token = match route.access {
            Access::Tokens([TokenKind::Platform]) => Some(own.as_str()),
            // Guesses at a secret are counted, its holder is not.
            Access::Operator | Access::Administrator | Access::Management => None,
            _ => tokens.right(route),
        };
        let mut request = tokens.request(route, token);
        if route.body != Body::None {
            request = request.header("content-type", content_type(route)).body("");
        }
        let answer = request.ask().await;
        let served = answer.status != 404 || !answer.text.contains("there is nothing at this path");
        assert!(served, "{} is not served", name(route));
        assert!(answer.status < 500, "{}: {}", name(route), answer.text);
        is_dressed(&name(route), &answer);
        let Some(class) = route.limit else {
            assert_eq!(answer.header("x-ratelimit-limit"), "", "{} has no limit", name(route));
            continue;
        };
        let figure = |header: &str| {
            answer.header(header).parse::<u32>().unwrap_or_else(|_| panic!("{}: {header} in {:?}", name(route), answer.headers))
        };
        let limit = limits.get(class);
        assert_eq!((figure("x-ratelimit-limit"), figure("x-ratelimit-burst")), (limit.capacity, limit.burst), "{}", name(route));
        assert!(figure("x-ratelimit-remaining") < limit.capacity + limit.burst, "{}", name(route));
        assert!(figure("x-ratelimit-burst-remaining") <= limit.burst && figure("x-ratelimit-reset") > 1_700_000_000);
        figure("x-ratelimit-reset-after");
    }
}
