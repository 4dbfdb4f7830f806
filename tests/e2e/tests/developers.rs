//! Developers at the console: who gets in, how it ends, and their organisations.

use serde_json::{Value, json};
use tmcp_e2e::browser::{VERIFIER, location, parameter};
use tmcp_e2e::{Answer, Ask, CONSOLE_BACK, Person, Session, World, at_once, claims_of, header_of};

async fn organizations(world: &World, token: &str) -> Answer {
    world.get("/organizations/v1").bearer_auth(token).ask().await
}

async fn ends(world: &World, session: &Session) {
    organizations(world, &session.access).await.is_oauth_error(401, "invalid_developer_token");
    let refused = world.console_refresh(&session.refresh).await;
    assert!(matches!(refused.status, 400 | 403), "{}", refused.text);
}

#[tokio::test]
async fn who_is_on_the_list_gets_in_and_has_an_organisation() {
    let world = World::new();
    let person = world.person().await;
    let nobody = world.nobodys_browser().page(&world.console_path()).await;
    assert!(nobody.status == 200 && nobody.text.contains("Sign in"), "{}", nobody.text);
    // The code outlives the refusal: who is put on the list within its minute need not begin again.
    let code = world.console_code(&person).await;
    world.console_redeem(&code).await.is_oauth_error(403, "developer_not_whitelisted");
    world.list(&person.matrix.user_id).await.ok();
    let answer = world.console_redeem(&code).await.ok();
    assert_eq!(
        (&answer["token_type"], &answer["expires_in"], &answer["roles"]),
        (&json!("Bearer"), &json!(86_400), &json!(["admin"]))
    );
    let own = answer["organizations"][0].clone();
    let local = person.matrix.user_id.trim_start_matches('@').split(':').next().unwrap();
    assert_eq!((&own["name"], &own["role"]), (&json!(local), &json!("admin")));
    let access = answer["access_token"].as_str().unwrap();
    assert!(access.starts_with("dev."));
    let (header, claims) = (header_of(access), claims_of(access));
    assert_eq!((&header["alg"], &header["typ"]), (&json!("RS256"), &json!("developer+jwt")));
    assert_eq!((&claims["aud"], &claims["sub"]), (&json!("tmcp_developer_api"), &json!(person.matrix.user_id)));
    assert_eq!((&claims["token_type"], &claims["developer_id"]), (&json!("developer_token"), &answer["developer_id"]));
    assert_eq!(claims["permissions"], json!(["miniapp:register", "miniapp:manage", "webhook:configure"]));
    assert_eq!(organizations(&world, access).await.ok()["organizations"], json!([own]));
    // No route of anybody else's takes it.
    world.get("/api/v1/profile").bearer_auth(access).ask().await.is_refused(403, "INSUFFICIENT_PERMISSIONS");
    world.probe(access).await.is_refused(403, "INSUFFICIENT_PERMISSIONS");
    // The second time nothing is founded.
    let again = world.console_redeem(&world.console_code(&person).await).await.ok();
    assert_eq!((&again["developer_id"], &again["organizations"]), (&answer["developer_id"], &answer["organizations"]));
}

#[tokio::test]
async fn a_code_is_the_consoles_once_for_one_address_and_one_verifier() {
    let world = World::new();
    let person = world.person().await;
    world.list(&person.matrix.user_id).await.ok();
    let browser = world.browser(&person).await;
    let path = world.console_path();
    for (from, to) in [
        ("redirect_uri=http%3A%2F%2F127.0.0.1%3A5174", "redirect_uri=http%3A%2F%2Fevil.example"),
        ("client_id=tmcp", "client_id=other"),
    ] {
        let page = browser.page(&path.replace(from, to)).await;
        assert_eq!((page.status, page.header("location")), (400, ""), "{}", page.text);
    }
    let refused = browser.page(&path.replace("code_challenge_method=S256", "code_challenge_method=plain")).await;
    assert_eq!((parameter(&refused, "error"), parameter(&refused, "iss")), ("invalid_request".into(), world.up.base_url.clone()));
    let back = browser.page(&path).await;
    assert!(location(&back).starts_with(&format!("{CONSOLE_BACK}?code=dauth_")), "{:?}", back.headers);
    assert_eq!(parameter(&back, "state"), "a state & more");
    let code = parameter(&back, "code");
    let grant = |redirect: &'static str, verifier: String| {
        let (world, code) = (world.clone(), code.clone());
        async move {
            let form = [
                ("grant_type", "authorization_code"),
                ("code", code.as_str()),
                ("redirect_uri", redirect),
                ("code_verifier", verifier.as_str()),
            ];
            world.console(&form).await
        }
    };
    grant("http://127.0.0.1:5174/other", VERIFIER.to_owned()).await.is_oauth_error(400, "invalid_grant");
    grant(CONSOLE_BACK, "x".repeat(43)).await.is_oauth_error(400, "invalid_grant");
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", CONSOLE_BACK),
        ("code_verifier", VERIFIER),
        ("client_id", world.up.developer_console.client_id.as_str()),
        ("client_secret", "wrong"),
    ];
    world.post("/oauth2/developer/token").form(&form).ask().await.is_oauth_error(401, "invalid_client");
    // However many try at once, one gets it, and what it got ends with the second.
    let answers = at_once(8, (0..8).map(|_| grant(CONSOLE_BACK, VERIFIER.to_owned()))).await;
    let granted: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert!(granted.len() <= 1, "{} of one code", granted.len());
    for answer in granted {
        ends(&world, &Session::of(answer)).await;
    }
}

#[tokio::test]
async fn a_refresh_token_is_used_once_and_its_reuse_ends_the_session() {
    let world = World::new();
    let person = world.person().await;
    let first = world.developer(&person).await;
    let next = Session::of(&world.console_refresh(&first.refresh).await);
    organizations(&world, &next.access).await.ok();
    let last = Session::of(&world.console_refresh(&next.refresh).await);
    // The first one again, with its successor in use: somebody else has it.
    world.console_refresh(&first.refresh).await.is_oauth_error(400, "invalid_grant");
    ends(&world, &last).await;
    let other = world.developer(&person).await;
    let answers = at_once(
        8,
        (0..8).map(|_| {
            let (world, token) = (world.clone(), other.refresh.clone());
            async move { world.console_refresh(&token).await }
        }),
    )
    .await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
}

/// Ends something, by which a developer's session has to end.
async fn by(world: &World, person: &Person, session: &Session, way: &str) {
    match way {
        "revoke" => {
            let form = [("token", session.refresh.as_str()), ("token_type_hint", "developer_token")];
            let answer = world.post("/oauth2/developer/revoke").bearer_auth(&session.access).form(&form).ask().await.ok();
            assert_eq!(answer["revoked"], json!(true));
        }
        "logout" => {
            world.post("/api/v1/auth/logout").bearer_auth(&person.token).ask().await.expect(204);
        }
        "list" => {
            let path = format!("/admin/developers/{}", person.matrix.user_id.replace('@', "%40").replace(':', "%3A"));
            let console = &world.up.developer_console;
            let request = world.request("DELETE", &path).basic_auth(&console.client_id, console.client_secret.as_ref());
            request.ask().await.expect(204);
        }
        _ => unreachable!(),
    }
}

#[tokio::test]
async fn a_session_ends_by_revocation_by_logout_and_with_the_list() {
    let world = World::new();
    for way in ["revoke", "logout", "list"] {
        let person = world.person().await;
        let session = world.developer(&person).await;
        organizations(&world, &session.access).await.ok();
        by(&world, &person, &session, way).await;
        ends(&world, &session).await;
    }
    // Somebody else's token ends nothing.
    let (one, other) = (world.person().await, world.person().await);
    let (own, others) = (world.developer(&one).await, world.developer(&other).await);
    let form = [("token", others.access.as_str())];
    world.post("/oauth2/developer/revoke").bearer_auth(&own.access).form(&form).ask().await.ok();
    for session in [&own, &others] {
        organizations(&world, &session.access).await.ok();
    }
}

#[tokio::test]
async fn a_suspended_person_is_no_developer_meanwhile() {
    let world = World::new();
    let person = world.person().await;
    let session = world.developer(&person).await;
    let admin = async |path: &str, body: Value| world.post(path).bearer_auth(&world.up.admin_token).json(&body).ask().await;
    admin("/api/v1/admin/users/suspend", json!({"user": person.matrix.user_id, "reason": "a test"})).await.ok();
    organizations(&world, &session.access).await.is_oauth_error(403, "account_suspended");
    world.console_refresh(&session.refresh).await.is_oauth_error(403, "account_suspended");
    admin("/api/v1/admin/users/lift", json!({"user": person.matrix.user_id})).await.ok();
    organizations(&world, &session.access).await.ok();
}

#[tokio::test]
async fn the_list_is_the_administrators_and_the_consoles() {
    let world = World::new();
    let person = world.person().await;
    let entry = world.list(&person.matrix.user_id).await.ok();
    assert_eq!((&entry["added_by"], &entry["note"]), (&json!("administrator"), &json!("a test")));
    let console = &world.up.developer_console;
    let after = person.matrix.user_id.trim_end_matches(":localhost");
    let request = world.get(&format!("/admin/developers/whitelist?after={}", after.replace('@', "%40")));
    let list = request.basic_auth(&console.client_id, console.client_secret.as_ref()).ask().await.ok();
    assert_eq!(list["developers"][0]["matrix_user_id"], json!(person.matrix.user_id));
    let wrong = world.get("/admin/developers/whitelist").basic_auth(&console.client_id, Some("wrong")).ask().await;
    wrong.is_oauth_error(401, "invalid_token");
    world.get("/admin/developers/whitelist").bearer_auth(&person.token).ask().await.is_oauth_error(401, "invalid_token");
    world
        .request("DELETE", "/admin/developers/developer_nobody")
        .bearer_auth(&world.up.admin_token)
        .ask()
        .await
        .is_oauth_error(404, "not_found");
}

/// Somebody who is a developer, with their ids.
struct Member {
    person: Person,
    token: String,
    id: String,
}

impl Member {
    async fn new(world: &World) -> Self {
        let person = world.person().await;
        let token = world.developer(&person).await.access;
        let id = claims_of(&token)["developer_id"].as_str().unwrap().to_owned();
        Self { person, token, id }
    }

    async fn ask(&self, world: &World, method: &str, path: &str, body: Value) -> Answer {
        let request = world.request(method, &format!("/organizations/v1{path}")).bearer_auth(&self.token);
        if body.is_null() { request.ask().await } else { request.json(&body).ask().await }
    }

    async fn found(&self, world: &World) -> String {
        let body = json!({"name": "An organisation", "website": "https://org.example", "contact_email": "us@org.example"});
        let founded = self.ask(world, "POST", "/create", body).await.ok();
        assert_eq!(founded["roles"], json!([{"matrix_user_id": self.person.matrix.user_id, "role": "admin"}]));
        founded["org_id"].as_str().unwrap().to_owned()
    }

    async fn invite(&self, world: &World, org: &str, whom: &Member, role: &str) -> Answer {
        let body = json!({"matrix_user_id": whom.person.matrix.user_id, "role": role});
        self.ask(world, "POST", &format!("/{org}/members"), body).await
    }

    async fn accept(&self, world: &World, invitation: &Value) -> Answer {
        let id = invitation["invitation_id"].as_str().unwrap();
        self.ask(world, "POST", &format!("/invitations/{id}/accept"), Value::Null).await
    }

    async fn give(&self, world: &World, org: &str, whom: &Member, role: &str) -> Answer {
        self.ask(world, "PATCH", &format!("/{org}/members/{}", whom.id), json!({ "role": role })).await
    }
}

#[tokio::test]
async fn admins_invite_and_whom_it_is_for_joins() {
    let world = World::new();
    let (admin, other, stranger) = (Member::new(&world).await, Member::new(&world).await, Member::new(&world).await);
    let org = admin.found(&world).await;
    let invitation = admin.invite(&world, &org, &other, "viewer").await.ok();
    assert_eq!((&invitation["status"], &invitation["invited_by"]), (&json!("pending"), &json!(admin.id)));
    let open = other.ask(&world, "GET", "/invitations", Value::Null).await.ok();
    assert_eq!(open["invitations"][0]["organization"], json!("An organisation"));
    // Nobody else's to accept, see or withdraw.
    stranger.accept(&world, &invitation).await.is_oauth_error(404, "not_found");
    let path = format!("/invitations/{}", invitation["invitation_id"].as_str().unwrap());
    stranger.ask(&world, "DELETE", &path, Value::Null).await.is_oauth_error(404, "not_found");
    stranger.ask(&world, "GET", &format!("/{org}"), Value::Null).await.is_oauth_error(404, "not_found");
    assert_eq!(other.accept(&world, &invitation).await.ok()["role"], json!("viewer"));
    other.accept(&world, &invitation).await.is_oauth_error(404, "not_found");
    admin.invite(&world, &org, &other, "admin").await.is_oauth_error(409, "conflict");
    let shown = other.ask(&world, "GET", &format!("/{org}"), Value::Null).await.ok();
    assert_eq!((shown["members"].as_array().map(Vec::len), &shown["invitations"]), (Some(2), &json!([])));
    // A viewer invites nobody, and gives nobody a role, not themselves.
    other.invite(&world, &org, &stranger, "viewer").await.is_oauth_error(403, "insufficient_permissions");
    other.give(&world, &org, &other, "admin").await.is_oauth_error(403, "insufficient_permissions");
    // Declined by whom it is for.
    let second = admin.invite(&world, &org, &stranger, "developer").await.ok();
    let path = format!("/invitations/{}", second["invitation_id"].as_str().unwrap());
    stranger.ask(&world, "DELETE", &path, Value::Null).await.expect(204);
    stranger.accept(&world, &second).await.is_oauth_error(404, "not_found");
    for wrong in [
        json!({"name": ""}),
        json!({"name": "n", "website": "http://x.example"}),
        json!({"name": "n", "contact_email": "nobody"}),
        json!({"name": "n", "more": 1}),
    ] {
        admin.ask(&world, "POST", "/create", wrong).await.is_oauth_error(400, "invalid_request");
    }
}

#[tokio::test]
async fn an_organisation_keeps_an_admin_whoever_leaves_at_once() {
    let world = World::new();
    let (one, two) = (Member::new(&world).await, Member::new(&world).await);
    let org = one.found(&world).await;
    let leave = |member: &Member| format!("/{org}/members/{}", member.id);
    one.ask(&world, "DELETE", &leave(&one), Value::Null).await.is_oauth_error(409, "conflict");
    one.give(&world, &org, &one, "viewer").await.is_oauth_error(409, "conflict");
    let invitation = one.invite(&world, &org, &two, "admin").await.ok();
    two.accept(&world, &invitation).await.ok();
    // Each takes the other's role at once: one of them is too late.
    let (first, second) = tokio::join!(one.give(&world, &org, &two, "viewer"), two.give(&world, &org, &one, "viewer"));
    let done = [&first, &second].into_iter().filter(|answer| answer.status == 200).count();
    assert_eq!(done, 1, "{} {}", first.text, second.text);
    let (admin, viewer) = if first.status == 200 { (&one, &two) } else { (&two, &one) };
    // What an admin invited to who is none any more is withdrawn with that.
    admin.give(&world, &org, viewer, "admin").await.ok();
    let third = Member::new(&world).await;
    let invitation = viewer.invite(&world, &org, &third, "admin").await.ok();
    admin.give(&world, &org, viewer, "developer").await.ok();
    third.accept(&world, &invitation).await.is_oauth_error(404, "not_found");
    viewer.ask(&world, "DELETE", &leave(viewer), Value::Null).await.expect(204);
    viewer.ask(&world, "GET", &format!("/{org}"), Value::Null).await.is_oauth_error(404, "not_found");
}
