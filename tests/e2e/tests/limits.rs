//! Rate limits, exact under concurrency: a run of its own, with the protocol's capacities and buckets that never refill.
//!
//! One test, since the buckets of the one source address are shared: 30 sign-ins and 800 requests without a token are all there
//! are. Not here: `account` (a logout ends its token, so one token draws once) and `token_validation` (1100 introspections would
//! need more address tokens than there are). `pipeline` sees the figures of `account`; auth's own tests exhaust `token_validation`.

use serde_json::json;
use tmcp_e2e::{Answer, App, Ask, Person, Session, World, at_once};
use tmcp_protocol::limits::{LimitClass, Limits};

/// That so many passed, and that the others were refused in the right form with the right figures.
fn exactly(what: &str, class: LimitClass, passed: usize, answers: &[Answer], oauth: bool) {
    let limit = Limits::parse(r#"{"refill":0}"#).unwrap().get(class);
    let (refused, good): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 429);
    assert_eq!(good.len(), passed, "{what}: of {} requests", answers.len());
    let mut remaining: Vec<u32> = Vec::new();
    for answer in good {
        assert!(answer.status < 500, "{what}: {}", answer.text);
        assert_eq!(answer.header("x-ratelimit-limit"), limit.capacity.to_string(), "{what}");
        assert_eq!(answer.header("x-ratelimit-burst"), limit.burst.to_string(), "{what}");
        let left: u32 = answer.header("x-ratelimit-remaining").parse().unwrap();
        assert_eq!(answer.header("x-ratelimit-burst-remaining"), left.min(limit.burst).to_string(), "{what}");
        assert_eq!(answer.header("retry-after"), "");
        remaining.push(left);
    }
    remaining.sort_unstable();
    assert_eq!(remaining, (0..u32::try_from(passed).unwrap()).collect::<Vec<_>>(), "{what}: each of them drew one");
    for answer in refused {
        if oauth {
            answer.is_oauth_error(429, "temporarily_unavailable");
        } else {
            let error = answer.is_refused(429, "RATE_LIMIT_EXCEEDED");
            assert_eq!(error["retry_after"].to_string(), answer.header("retry-after"), "{what}");
            assert_eq!(error["details"]["limit"], limit.capacity, "{what}");
        }
        let wait: u64 =
            answer.header("retry-after").parse().unwrap_or_else(|_| panic!("{what}: Retry-After in {:?}", answer.headers));
        assert!(wait > 0, "{what}");
        assert_eq!(answer.header("x-ratelimit-remaining"), "0", "{what}");
        assert!(answer.header("x-ratelimit-reset").parse::<i64>().unwrap() > 1_700_000_000, "{what}");
        assert!(answer.header("x-ratelimit-reset-after").parse::<u64>().unwrap() > 0, "{what}");
    }
}

/// Alice has exceeded two limits of an app with its tokens, storage and batches: the server of this run suspends at the third.
async fn who_exceeds_a_third_limit_has_to_wait(world: &World, alice: &Person, app: &App, tep: &str, elsewhere: &Session) {
    let told = |answer: &Answer| answer.is_refused(403, "ACCOUNT_SUSPENDED");
    let profile = (0..90).map(|_| {
        let (world, tep) = (world.clone(), tep.to_owned());
        async move { world.get("/oauth2/userinfo").bearer_auth(tep).ask().await }
    });
    let answers = at_once(90, profile).await;
    let passed = answers.iter().filter(|answer| answer.json()["error"]["code"] == "INSUFFICIENT_PERMISSIONS").count();
    assert_eq!(passed, 70, "as many as the bucket holds");
    let error = told(&world.probe(tep).await);
    let details = &error["details"];
    let until = details["suspended_until"].as_str().unwrap_or_else(|| panic!("{error}"));
    assert!(until.ends_with('Z') && details["reason"].is_string(), "{error}");
    answers
        .iter()
        .filter(|answer| answer.status != 429 && answer.json()["error"]["code"] != "INSUFFICIENT_PERMISSIONS")
        .for_each(|answer| {
            told(answer);
        });
    world.exchange(app, &alice.token, None).await.is_oauth_error(403, "account_suspended");
    // Another app, and the platform, have nothing to do with it: else an app could lock a person out of everything.
    world.probe(&elsewhere.access).await.ok();
    let rows = world.audit_log().await;
    let found = rows.iter().filter(|row| row.action == "user.suspend" && row.actor.as_deref() == Some("limits"));
    let targets: Vec<_> = found.map(|row| row.target.as_deref()).collect();
    assert_eq!(targets, [Some(alice.uid.as_str())]);
    // An administrator lets her in again.
    let lift = json!({"user": alice.matrix.user_id});
    world.post("/api/v1/admin/users/lift").bearer_auth(&world.up.admin_token).json(&lift).ask().await.ok();
    world.get("/oauth2/userinfo").bearer_auth(tep).ask().await.is_refused(429, "RATE_LIMIT_EXCEEDED");
}

#[tokio::test]
async fn exactly_as_many_requests_pass_as_a_bucket_holds() {
    let world = World::with_still_limits();
    let (alice, bob, app) = (world.person().await, world.person().await, world.app().await);
    let session = world.session(&app, &alice).await;
    let tep = session.access.clone();

    // 150 in parallel against 100 and a burst of 20, over all the rows of the class.
    let storage = (0..150).map(|n| {
        let (world, tep) = (world.clone(), tep.clone());
        let (method, path) = [
            ("GET", "/api/v1/storage-info"),
            ("GET", "/api/v1/storage"),
            ("GET", "/api/v1/storage/k"),
            ("DELETE", "/api/v1/storage/k"),
            ("PUT", "/api/v1/storage/k"),
        ][n % 5];
        let request = world.request(method, path).bearer_auth(tep);
        let request = if method == "PUT" { request.json(&json!({"value": "v"})) } else { request };
        async move { request.ask().await }
    });
    exactly("storage", LimitClass::Storage, 120, &at_once(150, storage).await, false);
    // Another token of the same person in the same app draws from the same bucket; a refused token draws from none.
    let second = world.session(&app, &alice).await;
    world.probe(&second.access).await.is_refused(429, "RATE_LIMIT_EXCEEDED");
    // Other people, other apps and other classes have their own.
    let other = world.app().await;
    for token in [world.session(&app, &bob).await.access, world.session(&other, &alice).await.access] {
        assert_eq!(world.probe(&token).await.header("x-ratelimit-remaining"), "119");
    }

    let batches = (0..40).map(|n| {
        let (world, tep) = (world.clone(), tep.clone());
        let path = ["batch/get", "batch/set", "batch/delete", "sync"][n % 4];
        async move { world.post(&format!("/api/v1/storage/{path}")).bearer_auth(tep).json(&json!({"keys": ["k"]})).ask().await }
    });
    exactly("storage_batch", LimitClass::StorageBatch, 12, &at_once(40, batches).await, false);

    let fresh = world.app().await;
    let exchanges = (0..30).map(|_| {
        let (world, app, token) = (world.clone(), fresh.clone(), bob.token.clone());
        async move { world.exchange(&app, &token, None).await }
    });
    exactly("token_generation", LimitClass::TokenGeneration, 13, &at_once(30, exchanges).await, true);

    let (mut refreshed, mut token) = (Vec::new(), second.refresh);
    for _ in 0..30 {
        let answer = world.refresh(&app, &token).await;
        if answer.status == 200 {
            token = answer.json()["refresh_token"].as_str().unwrap().to_owned();
        }
        refreshed.push(answer);
    }
    exactly("token_refresh", LimitClass::TokenRefresh, 25, &refreshed, true);

    who_exceeds_a_third_limit_has_to_wait(&world, &alice, &app, &tep, &world.session(&other, &alice).await).await;

    // Two sign-ins were made. Refused ones draw, too, and a flood of them never reaches the homeserver.
    let sign_ins = (0..60).map(|n| {
        let world = world.clone();
        let body =
            json!({"matrix_user_id": format!("@nobody{n}:{}", world.up.server_name.clone().unwrap()), "access_token": "wrong"});
        async move { world.sign_in_with(&body).await }
    });
    exactly("sign_in", LimitClass::SignIn, 28, &at_once(60, sign_ins).await, false);
    world.sign_in(&bob.matrix).await.is_refused(429, "RATE_LIMIT_EXCEEDED");

    // Whatever carries no token of ours draws from its address.
    let jwks = || world.get("/.well-known/jwks.json").ask();
    let left: usize = jwks().await.header("x-ratelimit-remaining").parse().unwrap();
    assert!((1..800).contains(&left), "{left}");
    let requests = (0..left + 40).map(|_| {
        let world = world.clone();
        async move { world.get("/.well-known/jwks.json").ask().await }
    });
    exactly("address", LimitClass::Address, left, &at_once(60, requests).await, false);
    world.form("/oauth2/token", &app, &[]).await.is_oauth_error(429, "temporarily_unavailable");
    // A header does not make another address of it.
    for (name, value) in [
        ("x-forwarded-for", "192.0.2.1"),
        ("x-real-ip", "192.0.2.1"),
        ("forwarded", "for=192.0.2.1"),
        ("spin-client-addr", "192.0.2.1:1"),
    ] {
        assert_eq!(world.get("/.well-known/jwks.json").header(name, value).ask().await.status, 429, "{name}");
    }
    // Those who carry one are not concerned.
    assert_eq!(world.post("/api/v1/auth/logout").bearer_auth(&alice.token).ask().await.status, 204);
}
