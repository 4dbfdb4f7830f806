//! TEP and platform tokens: what an independent library makes of them, and what of tampered ones is refused.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation};
use serde_json::{Value, json};
use tmcp_e2e::{Ask, World, claims_of, header_of};

const INFO: (&str, &str) = ("GET", "/api/v1/storage-info");
const LOGOUT: (&str, &str) = ("POST", "/api/v1/auth/logout");

async fn status(world: &World, (method, path): (&str, &str), token: &str) -> u16 {
    let answer = world.request(method, path).bearer_auth(token).ask().await;
    match answer.status {
        401 => {
            assert_eq!(answer.is_refused(401, "INVALID_TOKEN")["message"], "the access token is missing, expired or not valid")
        }
        403 => drop(answer.is_refused(403, "INSUFFICIENT_PERMISSIONS")),
        _ => {}
    }
    answer.status
}

#[tokio::test]
async fn an_independent_library_verifies_a_tep_under_the_published_keys() {
    let world = World::new();
    let (person, app) = (world.person().await, world.app().await);
    let context = json!({"launch_source": "room", "room_id": "!r"}).to_string();
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", &person.token),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("requested_token_type", "urn:tmcp:params:oauth:token-type:tep"),
        ("scope", "storage:read"),
        ("miniapp_context", &context),
    ];
    let body = world.form("/oauth2/token", &app, &form).await.ok();
    let tep = body["access_token"].as_str().unwrap();
    let jwt = tep.strip_prefix("tep.").expect("the prefix");

    let answer = world.get("/.well-known/jwks.json").ask().await;
    let published = answer.ok();
    for key in published["keys"].as_array().unwrap() {
        let members: Vec<&String> = key.as_object().unwrap().keys().collect();
        assert!(["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().all(|secret| !members.contains(&&(*secret).to_owned())));
        assert_eq!((&key["kty"], &key["alg"], &key["use"]), (&json!("RSA"), &json!("RS256"), &json!("sig")));
    }
    let keys: JwkSet = serde_json::from_value(published).unwrap();
    let header = jsonwebtoken::decode_header(jwt).unwrap();
    assert_eq!((header.alg, header.typ.as_deref()), (Algorithm::RS256, Some("JWT")));
    let key = keys.find(&header.kid.expect("a kid")).expect("the key is published");
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_issuer(&[&world.up.base_url]);
    validation.set_audience(&[&app.app_id]);
    validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
    validation.validate_nbf = true;
    let key = DecodingKey::from_jwk(key).unwrap();
    let claims = jsonwebtoken::decode::<Value>(jwt, &key, &validation).expect("it verifies").claims;

    let expected = [
        ("sub", json!(person.matrix.user_id)),
        ("client_id", json!(app.client_id)),
        ("azp", json!(app.client_id)),
        ("token_type", json!("tep_access_token")),
        ("scope", json!("storage:read")),
        ("uid", json!(person.uid)),
        ("wallet_id", body["wallet_id"].clone()),
        ("delegated_from", json!("matrix_session")),
        ("miniapp_context", json!({"launch_source": "room", "room_id": "!r"})),
    ];
    for (name, value) in expected {
        assert_eq!(claims[name], value, "{name}");
    }
    assert!(
        claims["wallet_id"].as_str().unwrap().starts_with("tw_")
            && claims["session_id"].as_str().unwrap().starts_with("session_")
    );
    assert!(claims["jti"].as_str().unwrap().len() >= 16 && claims["gen"].is_i64());
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
    assert_eq!(claims["nbf"], claims["iat"]);
}

/// Header and claims of a real token, as changed by a row of a table.
struct Forgery<'a> {
    world: &'a World,
    token: &'a str,
    prefix: &'a str,
    route: (&'a str, &'a str),
}

impl Forgery<'_> {
    /// The route's status for the token with these members changed; `null` takes a member away.
    async fn answer(&self, header: &Value, claims: &Value) -> u16 {
        let change = |mut whole: Value, changes: &Value| {
            let members = whole.as_object_mut().unwrap();
            for (name, value) in changes.as_object().unwrap() {
                if value.is_null() { drop(members.remove(name)) } else { drop(members.insert(name.clone(), value.clone())) }
            }
            whole
        };
        let (header, claims) = (change(header_of(self.token), header), change(claims_of(self.token), claims));
        let token = self.world.keys().sign(&header, &claims);
        status(self.world, self.route, &format!("{}{token}", self.prefix)).await
    }

    /// Every way in which the claims and header of either kind can be wrong, under a signature that is right.
    async fn all_are_refused(&self) {
        let claims = claims_of(self.token);
        let now = claims["iat"].as_i64().unwrap();
        let none = json!({});
        let wrong_claims = [
            json!({"iss": "https://tmcp.example"}),
            json!({"iss": format!("{}/", self.world.up.base_url)}),
            json!({"iss": null}),
            json!({"aud": "ma_other"}),
            json!({"aud": "tmcp-server"}),
            json!({"aud": [claims["aud"]]}),
            json!({"aud": null}),
            json!({"token_type": "access_token"}),
            json!({"token_type": "refresh_token"}),
            json!({"token_type": null}),
            json!({"nbf": now + 120}),
            json!({"nbf": null}),
            json!({"iat": now + 120}),
            json!({"iat": null}),
            json!({"exp": now - 1}),
            json!({"exp": now - 7200, "iat": now - 10_800, "nbf": now - 10_800}),
            json!({"exp": null}),
            json!({"exp": "never"}),
            json!({"sub": null}),
            json!({"sub": "somebody"}),
            json!({"session_id": null}),
            json!({"gen": null}),
            json!({"gen": "0"}),
        ];
        for change in wrong_claims {
            assert_eq!(self.answer(&none, &change).await, 401, "claims {change}");
        }
        let wrong_headers = [
            json!({"kid": "another"}),
            json!({"kid": null}),
            json!({"kid": ""}),
            json!({"alg": "rs256"}),
            json!({"alg": "RS512"}),
            json!({"alg": "none"}),
            json!({"alg": null}),
            json!({"typ": null}),
            json!({"typ": "at+jwt"}),
        ];
        for change in wrong_headers {
            assert_eq!(self.answer(&change, &none).await, 401, "header {change}");
        }
    }
}

#[tokio::test]
async fn a_tep_whose_claims_or_header_do_not_fit_is_refused() {
    let world = World::new();
    let (person, app) = (world.person().await, world.app().await);
    let token = world.session(&app, &person).await.access;
    let forgery = Forgery { world: &world, token: &token, prefix: "tep.", route: INFO };
    forgery.all_are_refused().await;
    for change in
        [json!({"azp": "ma_other"}), json!({"azp": null}), json!({"uid": null}), json!({"scope": "root"}), json!({"scope": null})]
    {
        assert_eq!(forgery.answer(&json!({}), &change).await, 401, "claims {change}");
    }
    assert_eq!(forgery.answer(&json!({"typ": "platform+jwt"}), &json!({})).await, 401);
    // Not because such a token could not be made at all:
    assert_eq!(forgery.answer(&json!({}), &json!({})).await, 200);
}

#[tokio::test]
async fn a_platform_token_whose_claims_or_header_do_not_fit_is_refused() {
    let world = World::new();
    let person = world.person().await;
    let forgery = Forgery { world: &world, token: &person.token, prefix: "", route: LOGOUT };
    forgery.all_are_refused().await;
    assert_eq!(forgery.answer(&json!({"typ": "JWT"}), &json!({})).await, 401);
    assert_eq!(forgery.answer(&json!({}), &json!({})).await, 204);
}

#[tokio::test]
async fn a_signature_that_is_not_ours_is_refused() {
    let world = World::new();
    let (person, app) = (world.person().await, world.app().await);
    let token = world.session(&app, &person).await.access;
    let (keys, header, claims) = (world.keys(), header_of(&token), claims_of(&token));
    let with_alg = |alg: &str| {
        let mut header = header.clone();
        header["alg"] = json!(alg);
        header
    };
    let public = keys.all["jwks"].clone();
    let modulus = public["keys"][0]["n"].as_str().unwrap();
    let secrets: [Vec<u8>; 5] = [
        Vec::new(),
        public.to_string().into_bytes(),
        public["keys"][0].to_string().into_bytes(),
        modulus.as_bytes().to_vec(),
        URL_SAFE_NO_PAD.decode(modulus).unwrap(),
    ];
    let mut forged: Vec<(String, String)> = Vec::new();
    for secret in secrets {
        let key = EncodingKey::from_secret(&secret);
        forged.push((
            format!("HS256 under {} bytes", secret.len()),
            keys.sign_with(&key, Algorithm::HS256, &with_alg("HS256"), &claims),
        ));
        forged.push((
            format!("HS256 called RS256 under {} bytes", secret.len()),
            keys.sign_with(&key, Algorithm::HS256, &header, &claims),
        ));
    }
    let rsa = keys.encoding_key();
    for (name, algorithm) in
        [("PS256", Algorithm::PS256), ("PS512", Algorithm::PS512), ("RS384", Algorithm::RS384), ("RS512", Algorithm::RS512)]
    {
        forged.push((name.to_owned(), keys.sign_with(&rsa, algorithm, &with_alg(name), &claims)));
        forged.push((format!("{name} called RS256"), keys.sign_with(&rsa, algorithm, &header, &claims)));
    }
    let jwt = token.strip_prefix("tep.").unwrap();
    let parts: Vec<&str> = jwt.split('.').collect();
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    for alg in ["none", "None", "NONE", "nOnE"] {
        forged.push((alg.to_owned(), format!("{}.{}.", encode(&with_alg(alg)), parts[1])));
        forged.push((format!("{alg} with a signature"), format!("{}.{}.{}", encode(&with_alg(alg)), parts[1], parts[2])));
    }
    let other = world.session(&app, &world.person().await).await.access;
    let others: Vec<&str> = other.split('.').skip(1).collect();
    forged.push(("somebody else's signature".to_owned(), format!("{}.{}.{}", parts[0], parts[1], others[2])));
    forged.push(("somebody else's claims".to_owned(), format!("{}.{}.{}", parts[0], others[1], parts[2])));
    forged.push(("no signature".to_owned(), format!("{}.{}.", parts[0], parts[1])));
    forged.push(("two parts".to_owned(), format!("{}.{}", parts[0], parts[1])));
    forged.push(("four parts".to_owned(), format!("{jwt}.{}", parts[2])));
    let mut more = claims.clone();
    more["scope"] = json!("storage:read storage:write wallet:pay");
    forged.push(("more scope under the old signature".to_owned(), format!("{}.{}.{}", parts[0], encode(&more), parts[2])));
    for (name, jwt) in forged {
        assert_eq!(status(&world, INFO, &format!("tep.{jwt}")).await, 401, "{name}");
    }
    assert_eq!(status(&world, INFO, &token).await, 200);
}

#[tokio::test]
async fn no_kind_of_token_passes_for_another() {
    let world = World::new();
    let (person, app) = (world.person().await, world.app().await);
    let session = world.session(&app, &person).await;
    let (tep, platform) = (session.access.as_str(), person.token.as_str());
    let bare = tep.strip_prefix("tep.").unwrap();
    let keys = world.keys();
    let tep_as_platform = keys.sign(&header_of(platform), &claims_of(tep));
    let platform_as_tep = format!("tep.{}", keys.sign(&header_of(tep), &claims_of(platform)));
    let openid = world.openid_token(&person.matrix).await;
    let prefixed = format!("tep.{platform}");
    let doubled = format!("tep.{tep}");
    let everywhere_401 = [
        ("a TEP without its prefix", bare),
        ("a TEP with two prefixes", &doubled),
        ("a platform token with a prefix", &prefixed),
        ("a TEP's claims under a platform header", &tep_as_platform),
        ("a platform token's claims under a TEP's header", &platform_as_tep),
        ("a refresh token", &session.refresh),
        ("a Matrix access token", &person.matrix.access_token),
        ("a Matrix OpenID token", openid["access_token"].as_str().unwrap()),
        ("the operator's token", &world.up.operator_token),
        ("the administrator's token", &world.up.admin_token),
        ("the Application Service's token", world.service_token()),
        ("nothing", ""),
    ];
    for (name, token) in everywhere_401 {
        for route in [INFO, LOGOUT] {
            assert_eq!(status(&world, route, token).await, 401, "{name} at {}", route.1);
        }
    }
    assert_eq!(status(&world, LOGOUT, tep).await, 403, "a TEP on an account route");
    assert_eq!(status(&world, INFO, platform).await, 403, "a platform token on an app's route");
    assert_eq!((status(&world, INFO, tep).await, status(&world, LOGOUT, platform).await), (200, 204));
}

#[tokio::test]
async fn a_token_counts_in_the_authorization_header_alone() {
    let world = World::new();
    let (person, app) = (world.person().await, world.app().await);
    let token = world.session(&app, &person).await.access;
    let path = format!("{}?access_token={token}", INFO.1);
    assert_eq!(world.get(&path).ask().await.status, 401, "in the query");
    assert_eq!(world.get(INFO.1).header("cookie", format!("access_token={token}")).ask().await.status, 401, "in a cookie");
    for scheme in ["Basic", "Token", "MAC"] {
        let answer = world.get(INFO.1).header("authorization", format!("{scheme} {token}")).ask().await;
        assert_eq!(answer.status, 401, "{scheme}");
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
    }
    let answer = world.get(INFO.1).header("authorization", format!("bearer {token}")).ask().await;
    assert_eq!(answer.status, 200, "the scheme's case does not matter (RFC 7235)");
}
