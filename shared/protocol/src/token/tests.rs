use super::*;
use crate::{AppId, ClientId, MatrixUserId, ScopeSet, Uid};

const ISSUER: &str = "https://tmcp.example";
const NOW: Millis = Millis(1_800_000_000_000);

fn tep() -> TepClaims {
    TepClaims {
        iss: ISSUER.into(),
        sub: MatrixUserId::parse("@alice:localhost").unwrap(),
        aud: AppId::parse("ma_demo").unwrap(),
        client_id: ClientId::parse("ma_demo").unwrap(),
        azp: AppId::parse("ma_demo").unwrap(),
        jti: "j".into(),
        token_type: TokenKind::Tep.token_type().into(),
        scope: ScopeSet::parse("storage:read").unwrap(),
        wallet_id: "tw_1".into(),
        session_id: "session_1".into(),
        uid: Uid::new(NOW, [1; 16]),
        generation: 0,
        level: AuthLevel::Full,
        privileged_until: None,
        privileged: None,
        delegated_from: None,
        miniapp_context: None,
    }
}

fn wire(claims: &TepClaims) -> String {
    Unsigned::encode(claims, "k1", NOW, 3600).unwrap().finish(b"signature")
}

fn check(claims: &TepClaims, now: Millis) -> Result<TepClaims, TokenError> {
    Unverified::parse(&wire(claims)).unwrap().check(ISSUER, now).map(|(claims, _)| claims)
}

#[test]
fn round_trips() {
    let text = wire(&tep());
    assert!(text.starts_with("tep."));
    let token = Unverified::parse(&text).unwrap();
    assert_eq!((token.kid(), token.kind(), token.signature()), ("k1", TokenKind::Tep, &b"signature"[..]));
    let (claims, until) = token.check::<TepClaims>(ISSUER, NOW).unwrap();
    assert_eq!((claims, until), (tep(), NOW.plus(3_600_000)));
}

#[test]
fn refuses_claims_that_do_not_fit() {
    let app = |id: &str| AppId::parse(id).unwrap();
    let wrong: Vec<TepClaims> = vec![
        TepClaims { iss: "https://other".into(), ..tep() },
        TepClaims { azp: app("ma_other"), ..tep() },
        TepClaims { aud: app("ma_other"), ..tep() },
        TepClaims { token_type: "access_token".into(), ..tep() },
    ];
    for claims in wrong {
        assert_eq!(check(&claims, NOW), Err(TokenError::Claims));
    }
    assert_eq!(check(&tep(), NOW.plus(3_600_000)), Err(TokenError::Expired));
    assert_eq!(check(&tep(), NOW.plus(-6_000)), Err(TokenError::Future));
    assert!(check(&tep(), NOW.plus(-5_000)).is_ok());
}

#[test]
fn refuses_headers_that_do_not_fit() {
    use base64::Engine;
    let b64 = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let error =
        |header: &str, prefix: &str| Unverified::parse(&format!("{prefix}{}.{}.{}", b64(header), b64("{}"), b64("s"))).err();
    let cases = [
        (r#"{"alg":"none","typ":"JWT","kid":"k1"}"#, "tep.", TokenError::Algorithm),
        (r#"{"alg":"HS256","typ":"JWT","kid":"k1"}"#, "tep.", TokenError::Algorithm),
        (r#"{"alg":"PS256","typ":"JWT","kid":"k1"}"#, "tep.", TokenError::Algorithm),
        (r#"{"alg":"rs256","typ":"JWT","kid":"k1"}"#, "tep.", TokenError::Algorithm),
        (r#"{"alg":"RS256","typ":"JWT"}"#, "tep.", TokenError::Key),
        (r#"{"alg":"RS256","kid":"k1"}"#, "tep.", TokenError::Malformed),
        (r#"{"alg":"RS256","typ":"platform+jwt","kid":"k1"}"#, "tep.", TokenError::Malformed),
        (r#"{"alg":"RS256","typ":"JWT","kid":"k1"}"#, "", TokenError::Malformed),
        (r#"["RS256","JWT","k1"]"#, "tep.", TokenError::Malformed),
        (r#"{"alg":"none","alg":"RS256","typ":"JWT","kid":"k1"}"#, "tep.", TokenError::Malformed),
        (r#"{"alg":"RS256","typ":"JWT","kid":"k1","kid":"k2"}"#, "tep.", TokenError::Malformed),
        (r#"{"alg":"RS256","typ":"platform+jwt","typ":"JWT","kid":"k1"}"#, "tep.", TokenError::Malformed),
    ];
    for (header, prefix, expected) in cases {
        assert_eq!(error(header, prefix), Some(expected), "{header}");
    }
    let good = b64(r#"{"alg":"RS256","typ":"JWT","kid":"k1"}"#);
    assert!(Unverified::parse(&format!("tep.{good}.e30.cw")).is_ok());
    let of_good = ["e30.e30.cw", "e30", "e30.cw==", "e30.cx", "e30.c w", "e30.+/8"].map(|rest| format!("tep.{good}.{rest}"));
    let long = format!("tep.{good}.e30.{}", "c".repeat(8192));
    for text in of_good.iter().map(String::as_str).chain([long.as_str(), "", "tep.", "a.b", "a.b.c.d", "tep.!.!.!"]) {
        assert_eq!(Unverified::parse(text).err(), Some(TokenError::Malformed), "{text}");
    }
}

#[test]
fn a_client_token_is_no_tep() {
    let client = |id: &str| ClientId::parse(id).unwrap();
    let app = AppId::parse("ma_demo").unwrap();
    let claims = ClientClaims {
        iss: ISSUER.into(),
        sub: client("ma_demo_backend"),
        aud: app.clone(),
        client_id: client("ma_demo_backend"),
        azp: app,
        jti: "j".into(),
        token_type: TokenKind::Client.token_type().into(),
        generation: 0,
    };
    let wire = |claims: &ClientClaims| Unsigned::encode(claims, "k1", NOW, 3600).unwrap().finish(b"signature");
    let text = wire(&claims);
    let token = Unverified::parse(&text).unwrap();
    assert_eq!(token.kind(), TokenKind::Client);
    assert_eq!(token.check::<TepClaims>(ISSUER, NOW).unwrap_err(), TokenError::Malformed);
    assert_eq!(token.check::<ClientClaims>(ISSUER, NOW).unwrap().0, claims);
    let other = wire(&ClientClaims { sub: client("ma_other"), ..claims });
    assert_eq!(Unverified::parse(&other).unwrap().check::<ClientClaims>(ISSUER, NOW).unwrap_err(), TokenError::Claims);
    // A TEP's claims under a client token's header do not pass, nor the other way round.
    let tep = wire_as(&tep(), TokenKind::Client);
    assert!(Unverified::parse(&tep).unwrap().check::<ClientClaims>(ISSUER, NOW).is_err());
}

fn wire_as(claims: &TepClaims, kind: TokenKind) -> String {
    use base64::Engine;
    let text = wire(claims);
    let body = text.split('.').nth(2).unwrap();
    let header = format!(r#"{{"alg":"RS256","typ":"{}","kid":"k1"}}"#, kind.typ());
    format!("tep.{}.{body}.c2ln", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(header))
}

#[test]
fn a_tep_is_no_platform_token() {
    let text = wire(&tep());
    let token = Unverified::parse(&text).unwrap();
    assert_eq!(token.check::<PlatformClaims>(ISSUER, NOW).unwrap_err(), TokenError::Malformed);
    let stripped = text.strip_prefix("tep.").unwrap();
    assert_eq!(Unverified::parse(stripped).err(), Some(TokenError::Malformed));
}
