//! `/.well-known/jwks.json`: the keys with which anybody can check access tokens.

use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::{HttpResponse, get};
use eshopz_platform::http::Answer;
use eshopz_user_api::{UserApi as _, VerifyingKey};
use serde::Serialize;
use utoipa::ToSchema;

use super::Service;

/// No longer than others of the shop remember the keys: a new one is announced for a time that allows for it.
const CACHED: &str = "public, max-age=10";

/// A JSON Web Key Set (RFC 7517).
#[derive(Serialize, ToSchema)]
#[schema(as = JsonWebKeySet)]
pub struct KeySet {
    keys: Vec<Key>,
}

/// The public half of an Ed25519 key (RFC 8037).
#[derive(Serialize, ToSchema)]
#[schema(as = JsonWebKey)]
pub struct Key {
    #[schema(examples("OKP"))]
    kty: &'static str,
    #[schema(examples("Ed25519"))]
    crv: &'static str,
    #[schema(examples("sig"))]
    r#use: &'static str,
    #[schema(examples("EdDSA"))]
    alg: &'static str,
    /// As in the header of the tokens that it signed.
    kid: String,
    /// The key, in base64url.
    x: String,
}

impl From<VerifyingKey> for Key {
    fn from(key: VerifyingKey) -> Self {
        Self { kty: "OKP", crv: "Ed25519", r#use: "sig", alg: "EdDSA", kid: key.kid, x: key.x }
    }
}

/// The keys that sign access tokens.
///
/// Those included that will sign soon, and those that signed what is still good.
#[utoipa::path(
    tag = "user",
    responses((status = 200, body = KeySet, description = "JSON Web Key Set")),
    security(()),
)]
#[get("/.well-known/jwks.json")]
pub async fn list_signing_keys(service: Service) -> Answer<HttpResponse> {
    let keys = service.verifying_keys().await?.into_iter().map(Key::from).collect();
    let cache = (CACHE_CONTROL, HeaderValue::from_static(CACHED));
    Ok(HttpResponse::Ok().insert_header(cache).json(KeySet { keys }))
}
