//! Who calls: a signed-in account, a guest with a token, or nobody. Extractors, so that a handler's
//! signature says who may come in.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};
use eshopz_kernel::{Fault, Role, UserId};

use super::HttpFault;
use crate::audit::Actor;
use crate::auth::{Authenticator, Principal};
use crate::context;

/// The header by which a guest holds a cart.
pub const CART_TOKEN: &str = "x-cart-token";
/// The header by which a guest holds an order and its payment.
pub const ORDER_TOKEN: &str = "x-order-token";

/// Anybody: signed in or not. A bearer token that is present but no good is still refused (401).
#[derive(Clone, Debug, Default)]
pub struct Caller {
    pub principal: Option<Principal>,
    pub cart_token: Option<String>,
    pub order_token: Option<String>,
}

impl Caller {
    /// The account, if one is signed in.
    #[must_use]
    pub fn user_id(&self) -> Option<UserId> {
        self.principal.as_ref().map(|principal| principal.user_id)
    }

    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.principal.as_ref().is_some_and(|principal| principal.role == Role::Admin)
    }
}

/// A signed-in account of any role; otherwise 401.
#[derive(Clone, Debug)]
pub struct SignedIn(pub Principal);

/// A signed-in admin; otherwise 401 or 403.
#[derive(Clone, Debug)]
pub struct Admin(pub Principal);

type Extracting<T> = Pin<Box<dyn Future<Output = Result<T, HttpFault>>>>;

impl FromRequest for Caller {
    type Error = HttpFault;
    type Future = Extracting<Self>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move {
            let text = |name| req.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
            Ok(Self {
                principal: authenticate(&req).await?,
                cart_token: text(CART_TOKEN),
                order_token: text(ORDER_TOKEN),
            })
        })
    }
}

impl FromRequest for SignedIn {
    type Error = HttpFault;
    type Future = Extracting<Self>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move { Ok(Self(required(&req).await?)) })
    }
}

impl FromRequest for Admin {
    type Error = HttpFault;
    type Future = Extracting<Self>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move {
            let principal = required(&req).await?;
            if principal.lacks_second_factor {
                return Err(Fault::forbidden(
                    "second_factor_needed",
                    "An admin needs a second factor here. Set one up with POST /api/v1/users/me/second-factor, or sign \
                     in with its code.",
                )
                .into());
            }
            if principal.role != Role::Admin {
                return Err(Fault::forbidden("forbidden", "This needs the role `admin`.").into());
            }
            Ok(Self(principal))
        })
    }
}

async fn required(req: &HttpRequest) -> Result<Principal, Fault> {
    authenticate(req).await?.ok_or_else(|| {
        Fault::unauthenticated("unauthenticated", "Sign in and send the access token as `Authorization: Bearer …`.")
    })
}

async fn authenticate(req: &HttpRequest) -> Result<Option<Principal>, Fault> {
    let Some(value) = req.headers().get(header::AUTHORIZATION) else { return Ok(None) };
    let token = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(|| Fault::unauthenticated("invalid_token", "`Authorization` must be `Bearer` and a token."))?;
    let authenticator = req
        .app_data::<web::Data<Authenticator>>()
        .ok_or_else(|| Fault::internal("no Authenticator in the application's data"))?;
    let principal = authenticator.authenticate(token).await?;
    context::note_actor(Actor::Account(principal.user_id, principal.role));
    Ok(Some(principal))
}
