//! Tokens: `Unverified::parse`, the claims' checks, and verification as every request goes through it.
//!
//! Promises: the text is the one spelling of its parts; what is accepted fits its kind, its issuer and the time, and survives being
//! encoded again; a token whose bytes were changed does not verify.

use crate::input::{Input, done};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::cell::OnceCell;
use tmcp_http::caller::{self, Caller};
use tmcp_http::{Settings, sha256_hex};
use tmcp_ports::{Clock, Platform};
use tmcp_protocol::Millis;
use tmcp_protocol::jwk::{KeySet, PrivateJwk};
use tmcp_protocol::token::{Kind, PlatformClaims, TepClaims, TokenKind, Unsigned, Unverified};
use tmcp_testkit::{TestPlatform, private_ring, tep};

const ISSUER: &str = "https://tmcp.example";
/// An hour: the seeds' tokens live from 1,795,305,600 on.
const NOWS: [i64; 3] = [0, 1_795_305_600_000, 1_795_309_200_000];

struct World {
    platform: TestPlatform,
    settings: std::sync::Arc<Settings>,
    ring: KeySet<PrivateJwk>,
    good: String,
}

thread_local! {
    static WORLD: OnceCell<World> = const { OnceCell::new() };
}

fn world<T>(run: impl FnOnce(&World) -> T) -> T {
    WORLD.with(|cell| {
        run(cell.get_or_init(|| {
            let platform = TestPlatform::new();
            let good = tep(&platform, 1, "ma_a", "storage:read storage:write");
            let ring = KeySet::parse_private(private_ring()).expect("the test ring");
            let settings = Settings::of(&platform, platform.clock().now()).expect("the test settings");
            World { settings, ring, good, platform }
        }))
    })
}

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    match input.choice(4) {
        0 => as_it_comes(&input.text()),
        1 => of_parts(input),
        2 => changed(input),
        _ => signed(input),
    }
}

fn of_prefix(choice: u8) -> TokenKind {
    if choice == 0 { TokenKind::Tep } else { TokenKind::Platform }
}

fn as_it_comes(text: &str) {
    let Ok(token) = Unverified::parse(text) else { return };
    let jwt = text.strip_prefix(token.kind().prefix()).expect("its kind's prefix");
    assert!(jwt.len() <= 8192, "a token of {} bytes was taken", jwt.len());
    let input = std::str::from_utf8(token.signing_input()).expect("text");
    let spelt = format!("{}{input}.{}", token.kind().prefix(), URL_SAFE_NO_PAD.encode(token.signature()));
    assert_eq!(spelt, text, "two spellings of one token");
    for now in NOWS.map(Millis) {
        accepted::<TepClaims>(&token, jwt, now);
        accepted::<PlatformClaims>(&token, jwt, now);
    }
}

fn accepted<K: Kind + PartialEq + std::fmt::Debug>(token: &Unverified<'_>, jwt: &str, now: Millis) {
    let Ok((claims, until)) = token.check::<K>(ISSUER, now) else { return };
    assert_eq!(token.kind(), K::KIND, "a token of another kind");
    assert!(claims.consistent(ISSUER), "claims that do not fit: {claims:?}");
    assert!(until > now, "an expired token: {until:?}");
    let text = serde_json::to_string(&claims).expect("claims");
    // Numbers with a fraction do not come back bit for bit, and a long token may grow over the limit.
    if jwt.len() > 4096 || text.contains(['.', 'e', 'E']) && serde_json::from_str::<K>(&text).ok().as_ref() != Some(&claims) {
        return;
    }
    let again = Unsigned::encode(&claims, "k", now, 60).expect("claims can be encoded").finish(b"s");
    let again = Unverified::parse(&again).expect("what was encoded parses");
    let (same, _) = again.check::<K>(ISSUER, now).expect("what was encoded is accepted");
    assert_eq!(same, claims, "claims changed on their way");
}

/// Header and claims as JSON, each in a line of its own: behind the base64 that stops blind mutation.
fn of_parts(mut input: Input<'_>) {
    let prefix = of_prefix(input.choice(2)).prefix();
    let (header, claims) = input.lines();
    as_it_comes(&format!("{prefix}{}.{}.c2ln", URL_SAFE_NO_PAD.encode(&*header), URL_SAFE_NO_PAD.encode(&*claims)));
}

/// A good token with some bytes replaced, taken out or put in.
fn changed(mut input: Input<'_>) {
    world(|world| {
        let mut bytes = world.good.clone().into_bytes();
        while !input.0.is_empty() {
            let (kind, at, byte) = (input.choice(3), input.number::<2>(), input.byte());
            let at = usize::try_from(at).unwrap_or(0) % bytes.len().max(1);
            match kind {
                0 if !bytes.is_empty() => bytes[at] = byte,
                1 if !bytes.is_empty() => {
                    bytes.remove(at);
                }
                _ => bytes.insert(at, byte),
            }
        }
        let Ok(text) = String::from_utf8(bytes) else { return };
        as_it_comes(&text);
        let verified = done(caller::verify(&world.platform, &world.settings, &text, world.platform.clock().now()))
            .expect("the signer works");
        assert_eq!(verified.is_ok(), text == world.good, "a changed token verifies: {text}");
    });
}

/// Any header and claims under a signature that is right: what is accepted is what we would have issued.
fn signed(mut input: Input<'_>) {
    let kind = of_prefix(input.choice(2));
    let (header, claims) = input.lines();
    world(|world| {
        let key = world.ring.keys.first().expect("a key");
        let head = if header.is_empty() {
            format!(r#"{{"alg":"RS256","typ":"{}","kid":"{}"}}"#, kind.typ(), key.public.kid)
        } else {
            header.into_owned()
        };
        let body = format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(&*claims));
        // A signature costs more than all else here: only where the parser lets the token through.
        let text = |signature: &[u8]| format!("{}{body}.{}", kind.prefix(), URL_SAFE_NO_PAD.encode(signature));
        if Unverified::parse(&text(&[1; 256])).is_err() {
            return;
        }
        let signature = tmcp_testkit::sign(key, body.as_bytes()).expect("a signature");
        let text = text(&signature);
        let verified = done(caller::verify(&world.platform, &world.settings, &text, world.platform.clock().now()))
            .expect("the signer works");
        let Ok(verified) = verified else { return };
        assert!(verified.until > world.platform.clock().now(), "an expired token verifies");
        match verified.caller {
            Caller::Tep(claims) => assert!(kind == TokenKind::Tep && claims.iss == ISSUER && claims.azp == claims.aud),
            Caller::Platform(claims) => assert!(kind == TokenKind::Platform && claims.iss == ISSUER && claims.aud == ISSUER),
            _ => panic!("a token of nobody"),
        }
        assert_eq!(sha256_hex(&text).len(), 64);
    });
}
