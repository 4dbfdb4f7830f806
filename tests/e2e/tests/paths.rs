//! What stands outside the table: unknown paths, the internal interface, request ids, bodies without a length.

use serde_json::json;
use tmcp_e2e::{Ask, World};
use tmcp_protocol::routes::ROUTES;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Status and text of the answer to a request written by hand.
async fn raw(world: &World, head: &str, body: &[u8]) -> (u16, String) {
    let address = world.up.base_url.strip_prefix("http://").expect("plain HTTP");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("{head}\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    let mut bytes = Vec::new();
    // The server may close before it has read everything: what came until then counts.
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("no answer to {head:?}: {text:?}")), text)
}

#[tokio::test]
async fn unknown_paths_are_answered_in_the_envelope_with_all_headers() {
    let world = World::new();
    let paths = [
        "/",
        "/nope",
        "/api",
        "/api/v1/storagex",
        "/api/v1/storage-info/",
        "/api/v1/storage/a/b",
        "/api/v1/storage/",
        "/api/v2/storage",
        "/ops",
        "/ops/nope",
        "/.well-known/nope",
        "/favicon.ico",
        "/API/V1/storage",
    ];
    for path in paths {
        for method in ["GET", "POST", "PATCH"] {
            let answer = world.request(method, path).ask().await;
            assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text);
            answer.is_refused(404, "NOT_FOUND");
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
            assert!(answer.header("strict-transport-security").starts_with("max-age=31536000"), "{path}");
        }
    }
}

#[tokio::test]
async fn unknown_oauth_paths_are_answered_in_the_form_of_oauth() {
    let world = World::new();
    for path in ["/oauth2/nope", "/oauth2/token/x", "/oauth2/"] {
        let answer = world.get(path).ask().await;
        assert_eq!(answer.status, 404, "{path}");
        answer.is_oauth_error(404, "invalid_request");
    }
}

#[tokio::test]
async fn the_internal_interface_cannot_be_reached_from_outside() {
    let world = World::new();
    let keys = world.keys();
    let internal: Vec<_> = ROUTES.iter().filter(|route| !route.is_public_path()).collect();
    assert!(internal.len() >= 8);
    for route in internal {
        let (method, body) = (
            route.method.as_str(),
            json!({"matrix_user_id": "@alice:localhost", "access_token": "a", "origin": "x", "uid": "x"}).to_string(),
        );
        let real = keys.service_token(method, route.path, body.as_bytes());
        for token in [None, Some(""), Some("1.AAAA"), Some(real.as_str())] {
            for path in [
                route.path.to_owned(),
                format!("/{}", route.path),
                route.path.replace("/internal", "/INTERNAL"),
                format!("/ops/..{}", route.path),
                format!("{}?x=/ops/health", route.path),
            ] {
                let mut request = world.request(method, &path).header("content-type", "application/json").body(body.clone());
                if let Some(token) = token {
                    request = request.header("x-tmcp-service", token);
                }
                let answer = request.ask().await;
                assert_eq!(answer.status, 404, "{path} with {token:?}: {}", answer.text);
                assert_eq!(answer.json()["error"]["code"], "NOT_FOUND", "{path}");
            }
        }
        for path in [
            route.path.replace("/internal", "/%69nternal"),
            format!("/ops/%2e%2e{}", route.path),
            format!("/api/v1/storage/..%2f..%2f..{}", route.path),
        ] {
            let head = format!(
                "POST {path} HTTP/1.1\r\nx-tmcp-service: {real}\r\ncontent-type: application/json\r\ncontent-length: {}",
                body.len()
            );
            let (status, text) = raw(&world, &head, body.as_bytes()).await;
            assert!((400..500).contains(&status), "{path}: {text}");
        }
    }
}

#[tokio::test]
async fn a_request_id_is_taken_up_where_it_is_a_short_word() {
    let world = World::new();
    for good in ["req_12345678", "abcdefgh", "A-b_9-0000", &"x".repeat(64)] {
        for path in ["/ops/health", "/api/v1/storage-info"] {
            assert_eq!(world.get(path).header("x-request-id", good).ask().await.header("x-request-id"), good);
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    for bad in ["short", "with space here", "<script>alert</script>", "ünïcödé-words", &"x".repeat(65)] {
        let answer = world.get("/api/v1/storage-info").header("x-request-id", bad).ask().await;
        let id = answer.is_refused(401, "INVALID_TOKEN")["request_id"].as_str().unwrap().to_owned();
        assert!(id.starts_with("req_") && id != bad && seen.insert(id.clone()), "{bad:?} became {id}");
    }
}

#[tokio::test]
async fn the_limit_holds_for_bodies_that_do_not_tell_their_length() {
    let world = World::new();
    let chunk = [b"4000\r\n".as_slice(), &[b'x'; 0x4000], b"\r\n"].concat();
    for (path, kind) in [("/api/v1/auth/matrix", "application/json"), ("/oauth2/token", "application/x-www-form-urlencoded")] {
        let head = format!("POST {path} HTTP/1.1\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked");
        // One byte over it: a server that refuses closes, and what it has not read by then may take its answer along (RFC 9112
        // section 9.6), so that there is next to nothing of it.
        let (status, text) = raw(&world, &head, &[chunk.as_slice(), b"1\r\nx\r\n0\r\n\r\n"].concat()).await;
        assert_eq!(status, 413, "{path}: {text}");
        let (status, text) = raw(&world, &head, &[chunk.as_slice(), b"0\r\n\r\n"].concat()).await;
        assert_eq!(status, 400, "{path}: {text}");
    }
}

#[tokio::test]
async fn head_answers_as_get_does_without_a_body() {
    let world = World::new();
    let answer = world.request("HEAD", "/ops/health").ask().await;
    assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    assert_eq!(world.request("HEAD", "/api/v1/storage-info").ask().await.status, 401);
}

#[tokio::test]
async fn operation_says_how_it_stands_and_repeats_harmlessly() {
    let world = World::new();
    assert_eq!(world.get("/ops/health").ask().await.ok()["status"], "ok");
    assert_eq!(world.get("/ops/ready").ask().await.ok()["status"], "ready");
    for _ in 0..2 {
        let done = world.post("/ops/maintenance").bearer_auth(&world.up.operator_token).ask().await.ok();
        assert!(done["storage"].is_object() && done["auth"].is_object() && done["identity"].is_object(), "{done}");
    }
    let migrated = world.post("/ops/migrate").bearer_auth(&world.up.operator_token).ask().await;
    match world.up.runtime.as_str() {
        "spin" => assert_eq!(migrated.ok()["applied"], json!([]), "every migration was applied when it came up"),
        _ => drop(migrated.is_refused(400, "INVALID_REQUEST")),
    }
}
