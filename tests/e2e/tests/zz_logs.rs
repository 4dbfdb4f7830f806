//! What the server wrote to its logs during all the tests before this one, which is why its name comes last: enough to follow a
//! request, and no secret.

use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tmcp_e2e::{Ask, MARKER, Session, World, issued, remember, unique};

/// Bytes of a secret that count as the secret.
const WINDOW: usize = 16;

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn logs(world: &World) -> Vec<(PathBuf, String)> {
    let read = |path: PathBuf| (path.clone(), String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned());
    files(&world.up.log_dir).into_iter().map(read).collect()
}

/// The server's own log lines of a request, as soon as there are as many as wanted.
async fn lines_of(world: &World, request_id: &str, wanted: usize) -> Vec<Value> {
    let began = Instant::now();
    loop {
        let logs = logs(world);
        let lines: Vec<Value> = logs
            .iter()
            .flat_map(|(_, text)| text.lines())
            .filter(|line| line.contains(request_id))
            .filter_map(|line| serde_json::from_str(&line[line.find('{')?..=line.rfind('}')?]).ok())
            .filter(|line: &Value| line["request_id"] == request_id)
            .collect();
        if lines.len() >= wanted {
            return lines;
        }
        assert!(began.elapsed() < Duration::from_secs(15), "{} of {wanted} lines about {request_id}: {lines:?}", lines.len());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn a_request_leaves_one_line_in_every_function_it_came_through() {
    let world = World::new();
    let (person, app) = (world.person().await, world.app().await);
    let tep = world.session(&app, &person).await.access;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let (id, store) = (unique("logtest-"), unique("logtest-"));
    let request = world
        .post("/api/v1/auth/matrix")
        .header("x-request-id", &id)
        .header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
    request.json(&json!({"matrix_user_id": person.matrix.user_id, "access_token": person.matrix.access_token})).ask().await.ok();
    world.get("/api/v1/storage/some-key-of-mine").header("x-request-id", &store).bearer_auth(&tep).ask().await.expect(404);

    let lines = lines_of(&world, &id, 2).await;
    let routes: HashSet<&str> = lines.iter().filter_map(|line| line["route"].as_str()).collect();
    assert_eq!((lines.len(), &routes), (2, &HashSet::from(["/api/v1/auth/matrix", "/internal/verify"])));
    for line in &lines {
        assert_eq!((&line["trace_id"], &line["status"], &line["method"]), (&json!(trace), &json!(200), &json!("POST")), "{line}");
        assert!(line["ms"].is_i64() && line["at"].is_string(), "{line}");
    }
    let lines = lines_of(&world, &store, 1).await;
    assert_eq!(lines.len(), 1);
    let expected = json!({"route": "/api/v1/storage/{key}", "status": 404, "uid": person.uid, "app": app.app_id});
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(lines[0][name], *value, "{}", lines[0]);
    }
}

/// Sends secrets to every place where a careless server would log them.
async fn tempt(world: &World) {
    let (person, app) = (world.person().await, world.app().await);
    let backend = world.backend_of(&app).await;
    let session = world.session(&app, &person).await;
    let value = format!("{MARKER}{}", unique(""));
    let storage = tmcp_e2e::Storage::new(world.clone(), session.access.clone());
    storage.put("k", &value).await.ok();
    storage.put("large", &value.repeat(1000)).await.ok();
    storage.value("large").await;
    storage.put_with("k", &json!({"value": value, "ttl": 1})).await.expect(400);
    storage.put_with("k", &json!({"value": [value]})).await.expect(400);
    storage.put("k", &value.repeat(100_000)).await.expect(413);
    storage.sync(&json!({"operations": [{"op": "set", "key": "k", "value": value, "client_timestamp": 1}]})).await.ok();
    world.get(&format!("/api/v1/storage-info?access_token={}", unique("harmless-"))).ask().await.expect(401);
    for token in [&session.access, &session.refresh, &person.token, &person.matrix.access_token] {
        world.form("/oauth2/introspect", &backend, &[("token", token)]).await.ok();
        world.probe(&format!("{token}x")).await;
        world.exchange(&app, &format!("{token}x"), None).await.expect(401);
        world.form("/oauth2/token", &app, &[("grant_type", token)]).await.expect(400);
    }
    world
        .form(
            "/oauth2/token",
            &app,
            &[("grant_type", "refresh_token"), ("refresh_token", &session.refresh), ("refresh_token", &session.refresh)],
        )
        .await
        .expect(400);
    let openid = world.openid_token(&person.matrix).await;
    for _ in 0..2 {
        world.sign_in_with(&json!({"matrix_user_id": person.matrix.user_id, "openid_token": openid})).await;
    }
    world
        .sign_in_with(&json!({"matrix_user_id": person.matrix.access_token, "access_token": {"a": person.matrix.access_token}}))
        .await
        .expect(400);
    let next = Session::of(&world.refresh(&app, &session.refresh).await);
    world.form("/oauth2/revoke", &app, &[("token", &next.refresh)]).await.ok();
    remember(&value);
}

/// Every text in the development keys that is a secret.
fn key_material(keys: &Value, found: &mut Vec<String>) {
    match keys {
        Value::Object(members) => {
            let public = ["kty", "use", "alg", "kid", "n", "e", "jwks", "current"];
            members.iter().filter(|(name, _)| !public.contains(&name.as_str())).for_each(|(_, value)| key_material(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| key_material(item, found)),
        Value::String(text) => found.push(text.clone()),
        _ => {}
    }
}

#[tokio::test]
async fn no_secret_is_in_any_log() {
    let world = World::new();
    tempt(&world).await;
    let mut secrets = issued();
    key_material(&world.keys().all, &mut secrets);
    secrets.extend(world.up.users.values().map(|user| user.access_token.clone()));
    secrets.extend([world.up.operator_token.clone(), world.up.admin_token.clone()]);
    secrets.extend(world.up.demo_backend.client_secret.clone());
    assert!(secrets.len() > 20, "too few to mean anything: {}", secrets.len());

    // The beginning behind a JWT's constant header, and the end: a piece of a secret is one, too.
    let mut needles: HashMap<[u8; WINDOW], &str> = HashMap::new();
    for secret in &secrets {
        let bytes = secret.as_bytes();
        for start in [0, bytes.len().saturating_sub(WINDOW)] {
            if let Some(window) = bytes.get(start..start + WINDOW) {
                needles.insert(window.try_into().unwrap(), secret);
            }
        }
    }
    // The last lines are still on their way.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let logs = logs(&world);
    let total: usize = logs.iter().map(|(_, text)| text.len()).sum();
    assert!(total > 10_000, "{total} bytes of logs are too few to mean anything");
    for (path, text) in &logs {
        let place = |at: usize| {
            let start = text[..at].rfind('\n').map_or(0, |n| n + 1);
            text[start..].lines().next().unwrap_or_default().chars().take(600).collect::<String>()
        };
        for form in
            [MARKER, "eyJ", "tep.", "rt_", "syt_", "secret_", "PRIVATE KEY", "Bearer ", "access_token=", "access_token%3D"]
        {
            let allowed =
                |at: usize| form == "rt_" && text.as_bytes().get(at.wrapping_sub(1)).is_some_and(u8::is_ascii_alphanumeric);
            if let Some((at, _)) = text.match_indices(form).find(|(at, _)| !allowed(*at)) {
                panic!("{} has {form:?}: {}", path.display(), place(at));
            }
        }
        for (at, window) in text.as_bytes().windows(WINDOW).enumerate() {
            let window: &[u8; WINDOW] = window.try_into().unwrap();
            if let Some(secret) = needles.get(window) {
                let at = (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
                panic!("{} has the secret {}…: {}", path.display(), &secret[..secret.len().min(12)], place(at));
            }
        }
    }
}
