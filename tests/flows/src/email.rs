//! Signing in by a code that is sent to an e-mail address.

use super::world::{Begun, MAIL, World, cookie};
use bytes::Bytes;
use serde_json::{Value as Json, json};
use tmcp_testkit::{Answer, dies};

const CAROL: &str = "carol%40example.org";

impl World {
    async fn ask_for_mail(&self, begun: &Begun, address: &str) -> Answer {
        let form = format!("state={}&address={address}", begun.parameter("state"));
        let request = http::Request::builder().method("POST").uri("/sign-in/email/mail").header("cookie", &begun.cookie);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        self.broker.send(request.body(Bytes::from(form)).unwrap()).await
    }

    /// What was sent last.
    fn mail(&self) -> Json {
        let sent = self.platform.recorded().seen().into_iter().rfind(|request| request.url == MAIL).expect("a mail");
        assert!(sent.headers.iter().any(|(name, value)| name == "authorization" && value == "Bearer mail-secret"));
        serde_json::from_slice(&sent.body).unwrap()
    }

    /// A code that was sent for a sign-in.
    async fn code(&self, begun: &Begun) -> String {
        let page = self.ask_for_mail(begun, CAROL).await;
        assert!(page.status == 200 && page.text.contains("carol@example.org"), "{page:?}");
        let mail = self.mail();
        let code = mail["subject"].as_str().unwrap().split(' ').next().unwrap().to_owned();
        assert!(code.len() == 8 && !page.text.contains(&code), "the page does not tell it");
        code
    }

    async fn enter(&self, begun: &Begun, cookie: &str, code: &str) -> Answer {
        self.back("mail", cookie, &format!("state={}&code={code}", begun.parameter("state"))).await
    }

    async fn by_mail(&self) -> Answer {
        let begun = self.begin("mail", "").await;
        let code = self.code(&begun).await;
        self.enter(&begun, &begun.cookie, &code).await
    }
}

#[tokio::test]
async fn who_can_read_the_mail_is_the_person() {
    let world = World::new().await;
    let begun = world.begin("mail", "").await;
    let page = World::get(&world.broker, &begun.cookie, &format!("/sign-in/email/mail?{}", begun.url.query().unwrap())).await;
    assert!(page.status == 200 && page.text.contains("Sign in with E-mail"), "{}", page.text);
    let first = world.by_mail().await;
    assert_eq!((first.status, first.headers["refresh"].to_str().unwrap()), (200, "0; url=/account"), "{first:?}");
    let session = cookie(&first);
    let page = world.page(&session).await;
    assert!(page.contains("signed in as <strong>carol@example.org (E-mail)"), "{page}");
    let mail = world.mail();
    assert_eq!((&mail["to"], &mail["from"]), (&json!("carol@example.org"), &json!("us@tmcp.example")));
    let text = mail["text"].as_str().unwrap();
    assert!(text.contains("https://tmcp.example/sign-in/callback/mail?state=") && text.contains("ten minutes"), "{text}");
    world.by_mail().await;
    assert_eq!(world.rows("SELECT email FROM users").await, [json!({"email": "carol@example.org"})]);
    // An address that a provider vouches for leads to nobody else's account.
    world.sign_in(&json!({"email": "carol@example.org", "email_verified": true})).await;
    assert_eq!(world.rows("SELECT uid FROM users").await.len(), 2);
    let lines = world.platform.log_lines();
    assert!(lines.iter().all(|line| !line.contains("carol@example.org") && !line.contains("mail-secret")));
}

#[tokio::test]
async fn a_code_counts_five_tries_in_its_own_browser_for_ten_minutes() {
    let world = World::new().await;
    let begun = world.begin("mail", "").await;
    let code = world.code(&begun).await;
    // Whatever opens the link elsewhere uses nothing up.
    let other = world.begin("mail", "").await;
    for cookie in ["", other.cookie.as_str()] {
        assert_eq!(world.enter(&begun, cookie, &code).await.status, 400, "{cookie}");
    }
    for _ in 0..4 {
        let page = world.enter(&begun, &begun.cookie, "00000000").await;
        assert!(page.status == 401 && page.text.contains("not the code"), "{}", page.text);
    }
    // At another provider it is nothing.
    let elsewhere = world.back("work", &begun.cookie, &format!("state={}&code={code}", begun.parameter("state"))).await;
    assert_eq!(elsewhere.status, 400);
    let right = world.enter(&begun, &begun.cookie, &code).await;
    assert_eq!(right.status, 200, "the fifth: {}", right.text);
    assert_eq!(world.enter(&begun, &begun.cookie, &code).await.status, 400, "used up");
    // Too often, and then not even the right one; another one is.
    let begun = world.begin("mail", "").await;
    let code = world.code(&begun).await;
    for _ in 0..5 {
        world.enter(&begun, &begun.cookie, "1").await;
    }
    let page = world.enter(&begun, &begun.cookie, &code).await;
    assert!(page.status == 401 && page.text.contains("tried too often"), "{}", page.text);
    let another = world.code(&begun).await;
    assert_eq!(world.enter(&begun, &begun.cookie, &another).await.status, 200);
    let begun = world.begin("mail", "").await;
    let code = world.code(&begun).await;
    world.platform.advance(600_001);
    assert_eq!(world.enter(&begun, &begun.cookie, &code).await.status, 400, "over");
    let maintain = tmcp_protocol::routes::INTERNAL_MAINTAIN_BROKER;
    assert_eq!(world.broker.internal(&maintain, json!({})).await.status, 200);
    assert_eq!(world.rows("SELECT state FROM email_codes").await.len(), 0);
    let refused = world
        .rows("SELECT id FROM audit WHERE action = 'sign_in.email' AND outcome = 'refused' AND target = 'carol@example.org'")
        .await;
    assert_eq!(refused.len(), 9, "those that counted");
}

#[tokio::test]
async fn nobodys_mailbox_is_filled_and_no_other_address_is_written_to() {
    let world = World::new().await;
    world.platform.set("LIMITS", "{}");
    let mut statuses = Vec::new();
    for n in 0..8 {
        let begun = world.begin("mail", "").await;
        let address = if n % 2 == 0 { CAROL.to_owned() } else { format!("carol%2B{n}%40example.org") };
        statuses.push(world.ask_for_mail(&begun, &address).await.status);
    }
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 6, "five an hour, and one more at once: {statuses:?}");
    assert!(statuses.ends_with(&[429]));
    let sent = world.platform.recorded().seen().len();
    let begun = world.begin("mail", "").await;
    for address in ["", "carol", "a%40b%40c.example", "x%0Ay%40example.org"] {
        let page = world.ask_for_mail(&begun, address).await;
        assert!(page.status == 400 && page.text.contains("not an e-mail address"), "{address}: {}", page.text);
    }
    let nobody = Begun { cookie: String::new(), url: begun.url.clone() };
    assert_eq!(world.ask_for_mail(&nobody, "dave%40example.org").await.status, 400, "without a sign-in under way");
    assert_eq!(world.platform.recorded().seen().len(), sent, "nothing was sent");
}

#[tokio::test]
async fn a_mail_that_does_not_go_out_is_an_outage_and_one_without_a_way_a_mistake() {
    let world = World::new().await;
    world.platform.recorded().answer("POST", MAIL, 500, "");
    let begun = world.begin("mail", "").await;
    assert_eq!(world.ask_for_mail(&begun, CAROL).await.status, 503);
    let other = World::new().await;
    other.platform.set("PROVIDERS", r#"[{"id":"mail","kind":"email","name":"E-mail"}]"#);
    let answer = World::get(&other.broker, "", "/sign-in/mail").await;
    assert_eq!(answer.status, 503);
    assert!(other.platform.log_lines().iter().any(|line| line.contains("provider `mail`: endpoint is missing")));
}

#[tokio::test]
async fn a_sign_in_by_mail_that_dies_is_begun_again() {
    for step in 0.. {
        let world = World::new().await;
        let begun = world.begin("mail", "").await;
        let code = world.code(&begun).await;
        world.platform.faults().die_at(Some(step));
        let died = dies(world.enter(&begun, &begun.cookie, &code)).is_none();
        world.platform.faults().die_at(None);
        assert_eq!(world.by_mail().await.status, 200, "step {step}");
        assert_eq!(world.rows("SELECT uid FROM users").await.len(), 1, "step {step}");
        if !died {
            assert!(step > 5, "{step} steps");
            return;
        }
    }
}
