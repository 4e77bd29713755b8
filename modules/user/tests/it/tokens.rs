//! Which access tokens open the door, and which do not.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey as _;
use eshopz_user::UserSettings;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::shop::{Shop, access, settings};

/// Header and claims of a token.
fn parts(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    let mut json = || serde_json::from_slice(&parts.next().unwrap()).unwrap();
    (json(), json())
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

#[tokio::test]
async fn a_token_says_who_and_for_how_long() {
    let shop = Shop::open().await;
    let user = shop.register("ann@example.com").await;
    let (header, claims) = parts(&access(&shop.sign_in("ann@example.com").await));
    assert_eq!(header["alg"], "EdDSA");
    let mut names: Vec<&String> = claims.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, ["aud", "exp", "iat", "iss", "jti", "role", "sid", "sub"]);
    assert_eq!((&claims["sub"], &claims["role"]), (&user["id"], &json!("customer")));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 900);

    let jwks = shop.app.send("GET", "/.well-known/jwks.json", &[], None).await.unwrap();
    assert_eq!((jwks.status, jwks.header("cache-control").as_str()), (200, "public, max-age=10"));
    let keys = jwks.json()["keys"].as_array().unwrap().clone();
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0]["kid"], header["kid"]);
    assert_eq!(
        (&keys[0]["kty"], &keys[0]["crv"], &keys[0]["alg"], &keys[0]["use"]),
        (&json!("OKP"), &json!("Ed25519"), &json!("EdDSA"), &json!("sig"))
    );
    assert_eq!(keys[0].as_object().unwrap().len(), 6, "nothing private");
    assert_eq!(URL_SAFE_NO_PAD.decode(keys[0]["x"].as_str().unwrap()).unwrap().len(), 32);
}

#[tokio::test]
async fn forged_tokens_are_refused() {
    let shop = Shop::open().await;
    let good = shop.customer("ann@example.com").await;
    let (header, claims) = parts(&good);
    let jwks = shop.app.send("GET", "/.well-known/jwks.json", &[], None).await.unwrap().json();
    let public = jwks["keys"][0]["x"].as_str().unwrap();
    let kid = header["kid"].as_str().unwrap();

    let der = SigningKey::from_bytes(&[9; 32]).to_pkcs8_der().unwrap();
    let foreign = EncodingKey::from_ed_der(der.as_bytes());
    let by = |algorithm, kid: &str, key: &EncodingKey| {
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(algorithm) };
        jsonwebtoken::encode(&header, &claims, key).unwrap()
    };
    let mut admin = claims.clone();
    admin["role"] = json!("admin");
    let signature = good.rsplit('.').next().unwrap();
    let forged = [
        ("alg none", format!("{}.{}.", encode(&json!({"alg": "none", "typ": "JWT", "kid": kid})), encode(&claims))),
        ("another's key", by(Algorithm::EdDSA, kid, &foreign)),
        ("an unknown key", by(Algorithm::EdDSA, "unknown", &foreign)),
        ("the public key as a secret", by(Algorithm::HS256, kid, &EncodingKey::from_secret(public.as_bytes()))),
        ("other claims", format!("{}.{}.{signature}", encode(&header), encode(&admin))),
        ("no signature", format!("{}.{}", encode(&header), encode(&claims))),
        ("no token", "nonsense".to_owned()),
    ];
    for (what, token) in forged {
        let answer = shop.call("GET", "/users/me", &token, Value::Null).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "invalid_token"), "{what}");
    }
    assert!(shop.is_signed_in(&good).await);
}

#[tokio::test]
async fn expired_tokens_are_refused() {
    let shop = Shop::open_with(UserSettings { access_token_ttl: Duration::ZERO, ..settings() }).await;
    let token = shop.customer("ann@example.com").await;
    let answer = shop.call("GET", "/users/me", &token, Value::Null).await;
    assert_eq!((answer.status, answer.code().as_str()), (401, "invalid_token"));
}

#[tokio::test]
async fn without_a_token_there_is_no_way_in() {
    let shop = Shop::open().await;
    let customer = shop.customer("ann@example.com").await;
    let id = eshopz_kernel::UserId::new();
    for (method, path) in [
        ("GET", "/users/me".to_owned()),
        ("PATCH", "/users/me".to_owned()),
        ("DELETE", "/users/me".to_owned()),
        ("PUT", "/users/me/password".to_owned()),
        ("GET", "/users/me/sessions".to_owned()),
        ("DELETE", format!("/users/me/sessions/{id}")),
        ("GET", "/users/me/addresses".to_owned()),
        ("POST", "/users/me/addresses".to_owned()),
        ("GET", format!("/users/me/addresses/{id}")),
        ("PATCH", format!("/users/me/addresses/{id}")),
        ("DELETE", format!("/users/me/addresses/{id}")),
        ("POST", "/auth/logout".to_owned()),
    ] {
        let answer = shop.call(method, &path, "", Value::Null).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "unauthenticated"), "{method} {path}");
    }
    for (method, path) in
        [("GET", "/users".to_owned()), ("GET", format!("/users/{id}")), ("PATCH", format!("/users/{id}"))]
    {
        assert_eq!(shop.call(method, &path, "", json!({})).await.status, 401, "{method} {path}");
        let answer = shop.call(method, &path, &customer, json!({})).await;
        assert_eq!((answer.status, answer.code().as_str()), (403, "forbidden"), "{method} {path}");
    }
}
