//! Making, reading, merging and removing carts.

use actix_web::{delete, get, post, web};
use eshopz_kernel::{CartId, Currency, country};
use eshopz_platform::http::{Answer, Body, Caller, IfMatch, OptionalBody, PathId, Problem, Query, Reply, SignedIn};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::PREFIX;
use super::views::CartView;
use crate::domain::Holder;
use crate::pricing::PricedCart;
use crate::service::CartService;
use crate::token::TokenHash;

/// What a new cart is to be like.
#[derive(Debug, Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"currency": "USD"}))]
pub struct CreateCart {
    /// The shop's currency, if it is given.
    pub currency: Option<Currency>,
}

/// Which guest's cart is to be taken over.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MergeCarts {
    /// The guest's cart.
    pub cart_id: CartId,
    /// Its token.
    #[validate(length(min = 1, max = 200))]
    #[schema(min_length = 1, max_length = 200)]
    pub token: String,
}

/// How a cart is to be shown.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CartQuery {
    /// Where it would be sent to (ISO 3166 alpha-2): `totals` then has the tax of that country.
    #[validate(custom(function = known_country))]
    #[param(pattern = "<country>", example = "DE")]
    pub country: Option<String>,
}

fn known_country(text: &str) -> Result<(), ValidationError> {
    if country::is_country(text) {
        return Ok(());
    }
    Err(ValidationError::new("country")
        .with_message("must be a country of ISO 3166 alpha-2 in capitals, such as DE".into()))
}

/// A cart with the ETag of its version.
pub(super) fn shown(cart: PricedCart) -> Answer {
    let version = cart.cart.version;
    Ok(Reply::ok(&CartView::from(cart))?.etag(version))
}

/// Make a cart
///
/// A guest gets a new cart and its `token`, which is shown this once; send it as `X-Cart-Token`. Whoever is
/// signed in gets the open cart of the account: 201 when it was made now, 200 when there was one.
#[utoipa::path(
    tag = "cart",
    request_body(content = Option<CreateCart>, description = "May be left out."),
    responses(
        (status = 201, body = CartView, description = "The new cart.",
            headers(("Location" = String, description = "Its path."), ("ETag" = String, description = "Its version."))),
        (status = 200, body = CartView, description = "The account's open cart.",
            headers(("ETag" = String, description = "Its version."))),
        (status = 422, body = Problem, description = "`validation_failed`: `/currency` is not the shop's."),
    ),
    security((), ("bearer" = []))
)]
#[post("")]
pub async fn create_cart(
    service: web::Data<CartService>,
    caller: Caller,
    OptionalBody(body): OptionalBody<CreateCart>,
) -> Answer {
    let (cart, token) = match caller.user_id() {
        None => service.create_for_guest(body.currency).await.map(|(cart, token)| (cart, Some(token)))?,
        Some(customer) => match service.open_for_customer(customer, body.currency, None).await? {
            (cart, true) => (cart, None),
            (cart, false) => return shown(cart),
        },
    };
    let version = cart.cart.version;
    let view = CartView { token, ..CartView::from(cart) };
    Ok(Reply::created(format!("{PREFIX}/{}", view.id), &view)?.etag(version))
}

/// Read my cart
///
/// The open cart of the account, made on first use.
#[utoipa::path(
    tag = "cart",
    params(CartQuery),
    responses(
        (status = 200, body = CartView, description = "The open cart.",
            headers(("ETag" = String, description = "Its version and content."))),
        (status = 304, description = "`If-None-Match` has it already."),
    ),
    security(("bearer" = []))
)]
#[get("/mine")]
pub async fn get_my_cart(
    service: web::Data<CartService>,
    SignedIn(customer): SignedIn,
    Query(query): Query<CartQuery>,
) -> Answer {
    let (cart, _) = service.open_for_customer(customer.user_id, None, query.country.as_deref()).await?;
    shown(cart)
}

/// Read a cart
///
/// At the prices and with the stock of this moment. A cart that is not yours looks as if it did not exist.
#[utoipa::path(
    tag = "cart",
    params(("id" = Uuid, Path, description = "The cart."), CartQuery),
    responses(
        (status = 200, body = CartView, description = "The cart.",
            headers(("ETag" = String, description = "Its version and content."))),
        (status = 304, description = "`If-None-Match` has it already."),
    ),
    security((), ("bearer" = []), ("cart_token" = []))
)]
#[get("/{id}")]
pub async fn get_cart(
    service: web::Data<CartService>,
    PathId(id): PathId<CartId>,
    caller: Caller,
    Query(query): Query<CartQuery>,
) -> Answer {
    shown(service.read(id, &Holder::from(&caller), query.country.as_deref()).await?)
}

/// Remove a cart
///
/// With everything in it. One that was ordered stays.
#[utoipa::path(
    tag = "cart",
    params(
        ("id" = Uuid, Path, description = "The cart."),
        ("If-Match" = Option<String>, Header, description = "Only if this is still its ETag."),
    ),
    responses(
        (status = 204, description = "It is gone."),
        (status = 409, body = Problem, description = "`cart_not_open`: it was ordered or abandoned."),
        (status = 412, body = Problem, description = "`etag_mismatch`: it has changed since."),
    ),
    security((), ("bearer" = []), ("cart_token" = []))
)]
#[delete("/{id}")]
pub async fn delete_cart(
    service: web::Data<CartService>,
    PathId(id): PathId<CartId>,
    caller: Caller,
    if_match: IfMatch,
) -> Answer {
    service.delete(id, &Holder::from(&caller), &if_match).await?;
    Ok(Reply::no_content())
}

/// Take a guest's cart over
///
/// After signing in: the lines of the guest's cart go into this cart of the account. Where both have a
/// variant the larger quantity wins. The guest's cart is closed and its token spent. More than is in stock
/// stays in the cart; `available` shows it. Once done, the same again changes nothing.
#[utoipa::path(
    tag = "cart",
    params(("id" = Uuid, Path, description = "The account's cart.")),
    request_body = MergeCarts,
    responses(
        (status = 200, body = CartView, description = "The cart with both.",
            headers(("ETag" = String, description = "Its version."))),
        (status = 404, body = Problem, description = "`not_found`: the cart is not the account's, or the token not the other's."),
        (status = 409, body = Problem, description = "`cart_not_open`: one of them was ordered or abandoned."),
        (status = 422, body = Problem, description = "`too_many_lines`: together they have more lines than a cart may."),
    ),
    security(("bearer" = []))
)]
#[post("/{id}/merge")]
pub async fn merge_carts(
    service: web::Data<CartService>,
    PathId(id): PathId<CartId>,
    SignedIn(customer): SignedIn,
    Body(body): Body<MergeCarts>,
) -> Answer {
    shown(service.merge(id, customer.user_id, body.cart_id, &TokenHash::of(&body.token)).await?)
}
