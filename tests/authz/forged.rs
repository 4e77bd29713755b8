//! Tokens that are almost right, and tokens in the wrong place.

use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::stage::Stage;
use super::tokens::{self, FOREIGN, OURS};
use crate::support::{Answer, PASSWORD, is_problem};

const ME: &str = "/api/v1/users/me";
/// Asked by anybody, signed in or not: a token that is no good is refused all the same.
const OF_ANYBODY: &str = "/api/v1/products";

async fn with(stage: &Stage, path: &str, token: &str) -> Answer {
    stage.shop.send("GET", path, &[("authorization", &format!("Bearer {token}"))], None).await
}

async fn is_refused(stage: &Stage, what: &str, token: &str) {
    for path in [ME, OF_ANYBODY] {
        let answer = with(stage, path, token).await;
        assert_eq!(answer.status, 401, "{what} is let in to {path}: {}", answer.text);
        is_problem(&answer, &[401], "invalid_token");
    }
}

/// The forms in which somebody might take the public key for the secret of an HMAC (RFC 8725, 2.1).
fn public_secrets(key: &Value) -> Vec<Vec<u8>> {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    let x = key["x"].as_str().unwrap();
    let raw = URL_SAFE_NO_PAD.decode(x).unwrap();
    let der = [&[0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0][..], &raw].concat();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(&der));
    vec![raw, x.as_bytes().to_vec(), der, pem.clone().into_bytes(), pem.trim_end().as_bytes().to_vec(), vec![0]]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_almost_right_is_refused() {
    let stage = Stage::build().await;
    let (ada, eve) = (stage.customer().await, stage.customer().await);
    let (header, claims) = tokens::read(&ada.bearer);
    // What the test signs itself is taken, so what is refused below is refused for what is wrong with it.
    assert_eq!(with(&stage, ME, &OURS.sign(&header, &claims)).await.expect(200)["id"], json!(ada.id));

    let keys = stage.shop.get("/.well-known/jwks.json", &[]).await;
    for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        for secret in public_secrets(&keys["keys"][0]) {
            for alg in [format!("{algorithm:?}"), "EdDSA".to_owned()] {
                let mut header = header.clone();
                header["alg"] = json!(alg);
                let token = tokens::signed(&header, &claims, &EncodingKey::from_secret(&secret), algorithm);
                is_refused(&stage, &format!("{algorithm:?} as {alg}"), &token).await;
            }
        }
    }

    let wrong = [
        json!({"aud": "another"}),
        json!({"aud": null}),
        json!({"iss": "another"}),
        json!({"iss": null}),
        json!({"exp": null}),
        json!({"exp": "never"}),
        json!({"sub": null}),
        json!({"sid": null}),
        json!({"sid": "0197c0de-0000-7000-8000-000000000001"}),
    ];
    for change in wrong {
        let (header, claims) = tokens::changed(&ada.bearer, change.clone());
        is_refused(&stage, &change.to_string(), &OURS.sign(&header, &claims)).await;
    }

    // The shop's signature under something else than it signed.
    let signature = ada.bearer.rsplit('.').next().unwrap();
    for change in [json!({"role": "admin"}), json!({"sub": eve.id}), json!({"exp": 4_000_000_000_i64})] {
        let (header, claims) = tokens::changed(&ada.bearer, change.clone());
        let token = format!("{}.{signature}", tokens::unsigned(&header, &claims));
        is_refused(&stage, &format!("tampered {change}"), &token).await;
    }

    // A key that comes along, or a place to get one from (RFC 8725, 3.10).
    let own = json!({"kty": "OKP", "crv": "Ed25519", "x": "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE"});
    for brought in [
        json!({"jwk": own}),
        json!({"jku": "http://127.0.0.1:1/keys"}),
        json!({"kid": "../../etc/passwd"}),
        json!({"kid": "' OR 1=1"}),
    ] {
        let mut header = header.clone();
        for (name, value) in brought.as_object().unwrap() {
            header[name] = value.clone();
        }
        is_refused(&stage, &brought.to_string(), &FOREIGN.sign(&header, &claims)).await;
    }
    let mut nameless = header.clone();
    nameless.as_object_mut().unwrap().remove("kid");
    is_refused(&stage, "a token without the name of a key", &OURS.sign(&nameless, &claims)).await;
    for token in ["", "a.b.c", "..", &"x".repeat(4_000)] {
        is_refused(&stage, "nonsense", token).await;
    }
}

/// What an account may is what it may now, not what its token says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_role_is_the_accounts_and_not_the_tokens() {
    let stage = Stage::build().await;
    let ada = stage.customer().await;
    let (header, claims) = tokens::changed(&ada.bearer, json!({"role": "admin"}));
    let answer = with(&stage, "/api/v1/users", &OURS.sign(&header, &claims)).await;
    // As of an admin's session that has shown no second factor where one is needed: it may do what a customer may.
    is_problem(&answer, &[403], "second_factor_needed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_counts_in_its_header_only_and_until_its_session_ends() {
    let stage = Stage::build().await;
    let ada = stage.customer().await;
    let token = ada.bearer.trim_start_matches("Bearer ");
    for name in ["access_token", "token", "authorization", "bearer"] {
        let answer = stage.shop.send("GET", &format!("{ME}?{name}={token}"), &[], None).await;
        is_problem(&answer, &[401], "unauthenticated");
        for cookie in [format!("{name}={token}"), format!("{name}=Bearer {token}")] {
            let answer = stage.shop.send("GET", ME, &[("cookie", &cookie)], None).await;
            is_problem(&answer, &[401], "unauthenticated");
        }
    }
    for name in ["x-access-token", "x-authorization", "proxy-authorization", "x-cart-token", "x-order-token"] {
        let answer = stage.shop.send("GET", ME, &[(name, &ada.bearer)], None).await;
        is_problem(&answer, &[401], "unauthenticated");
    }
    let form = format!("access_token={token}").into_bytes();
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    is_problem(&stage.shop.raw("GET", ME, &headers, form).await, &[401], "unauthenticated");
    // A refresh token is no access token.
    is_refused(&stage, "a refresh token", &ada.refresh_token).await;

    assert_eq!(with(&stage, ME, token).await.status, 200);
    let headers = [("authorization", ada.bearer.as_str())];
    let gone = stage.shop.send("POST", "/api/v1/auth/logout", &headers, None).await;
    assert_eq!(gone.status, 204);
    stage.shop.within_a_second(ME, &headers, |answer| answer.status == 401).await;
    // Another with the same session, of another moment: the session is what ended.
    let (header, claims) = tokens::changed(token, json!({"jti": "0197c0de-0000-7000-8000-000000000001"}));
    is_refused(&stage, "a token of an ended session", &OURS.sign(&header, &claims)).await;
    assert!(!stage.shop.sign_in(&ada.email, PASSWORD).await.is_empty());
}
