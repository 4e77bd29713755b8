//! The lines of a cart. Every change answers with the whole cart.

use actix_web::{delete, patch, post, web};
use eshopz_kernel::{CartId, CartItemId, VariantId};
use eshopz_platform::http::{Answer, Body, Caller, IfMatch, PathId, Problem, Reply};
use serde::Deserialize;
use utoipa::ToSchema;
use validator::Validate;

use super::PREFIX;
use super::carts::shown;
use super::views::CartView;
use crate::domain::Holder;
use crate::service::CartService;

/// So many of a variant.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddCartItem {
    /// The example is the demo catalogue's Classic Cotton T-Shirt in M.
    #[schema(value_type = uuid::Uuid, example = "019a0000-0000-7000-8000-000000000002")]
    pub variant_id: VariantId,
    /// Added to what the line has already.
    #[validate(range(min = 1))]
    #[schema(minimum = 1, maximum = 99_999, example = 1)]
    pub quantity: i64,
}

/// How many a line is to have.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateCartItem {
    /// 0 removes the line.
    #[validate(range(min = 0))]
    #[schema(minimum = 0, maximum = 99_999, example = 2)]
    pub quantity: i64,
}

/// Put into a cart
///
/// Adds to the line of the variant if there is one (200), else makes one (201). What is in the cart is not
/// reserved: that is done by the order.
#[utoipa::path(
    tag = "cart",
    params(
        ("id" = Uuid, Path, description = "The cart."),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the cart's ETag."),
    ),
    request_body = AddCartItem,
    responses(
        (status = 201, body = CartView, description = "A new line; the whole cart.",
            headers(("Location" = String, description = "The line's path."), ("ETag" = String, description = "The cart's version."))),
        (status = 200, body = CartView, description = "More in a line that was there; the whole cart.",
            headers(("ETag" = String, description = "The cart's version."))),
        (status = 409, body = Problem, description = "`insufficient_stock`: the line would have more than is `available`; \
            `cart_not_open`: it was ordered or abandoned."),
        (status = 412, body = Problem, description = "`etag_mismatch`: the cart has changed since."),
        (status = 422, body = Problem, description = "`validation_failed`: `/variant_id` is unknown or not on sale, or \
            `/quantity` too large; `too_many_lines`."),
    ),
    security((), ("bearer" = []), ("cart_token" = []))
)]
#[post("/{id}/items")]
pub async fn add_cart_item(
    service: web::Data<CartService>,
    PathId(id): PathId<CartId>,
    caller: Caller,
    if_match: IfMatch,
    Body(body): Body<AddCartItem>,
) -> Answer {
    let added = service.add_item(id, &Holder::from(&caller), &if_match, body.variant_id, body.quantity).await?;
    if !added.created {
        return shown(added.cart);
    }
    let version = added.cart.cart.version;
    let location = format!("{PREFIX}/{id}/items/{}", added.item);
    Ok(Reply::created(location, &CartView::from(added.cart))?.etag(version))
}

/// Empty a cart
#[utoipa::path(
    tag = "cart",
    params(
        ("id" = Uuid, Path, description = "The cart."),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the cart's ETag."),
    ),
    responses(
        (status = 200, body = CartView, description = "The cart, empty.",
            headers(("ETag" = String, description = "The cart's version."))),
        (status = 409, body = Problem, description = "`cart_not_open`: it was ordered or abandoned."),
        (status = 412, body = Problem, description = "`etag_mismatch`: the cart has changed since."),
    ),
    security((), ("bearer" = []), ("cart_token" = []))
)]
#[delete("/{id}/items")]
pub async fn empty_cart(
    service: web::Data<CartService>,
    PathId(id): PathId<CartId>,
    caller: Caller,
    if_match: IfMatch,
) -> Answer {
    shown(service.empty(id, &Holder::from(&caller), &if_match).await?)
}

/// Change how many
///
/// Sets the quantity of a line; 0 removes it. The line then has today's price, so `price_changed` is false.
#[utoipa::path(
    tag = "cart",
    params(
        ("id" = Uuid, Path, description = "The cart."),
        ("item_id" = Uuid, Path, description = "The line."),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the cart's ETag."),
    ),
    request_body = UpdateCartItem,
    responses(
        (status = 200, body = CartView, description = "The whole cart.",
            headers(("ETag" = String, description = "The cart's version."))),
        (status = 409, body = Problem, description = "`insufficient_stock`: more than is `available`; \
            `cart_not_open`: it was ordered or abandoned."),
        (status = 412, body = Problem, description = "`etag_mismatch`: the cart has changed since."),
    ),
    security((), ("bearer" = []), ("cart_token" = []))
)]
#[patch("/{id}/items/{item_id}")]
pub async fn update_cart_item(
    service: web::Data<CartService>,
    PathId(id): PathId<CartId>,
    PathId(item): PathId<CartItemId, 1>,
    caller: Caller,
    if_match: IfMatch,
    Body(body): Body<UpdateCartItem>,
) -> Answer {
    shown(service.set_quantity(id, &Holder::from(&caller), &if_match, item, body.quantity).await?)
}

/// Take out of a cart
#[utoipa::path(
    tag = "cart",
    params(
        ("id" = Uuid, Path, description = "The cart."),
        ("item_id" = Uuid, Path, description = "The line."),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the cart's ETag."),
    ),
    responses(
        (status = 200, body = CartView, description = "The whole cart.",
            headers(("ETag" = String, description = "The cart's version."))),
        (status = 409, body = Problem, description = "`cart_not_open`: it was ordered or abandoned."),
        (status = 412, body = Problem, description = "`etag_mismatch`: the cart has changed since."),
    ),
    security((), ("bearer" = []), ("cart_token" = []))
)]
#[delete("/{id}/items/{item_id}")]
pub async fn remove_cart_item(
    service: web::Data<CartService>,
    PathId(id): PathId<CartId>,
    PathId(item): PathId<CartItemId, 1>,
    caller: Caller,
    if_match: IfMatch,
) -> Answer {
    shown(service.remove_item(id, &Holder::from(&caller), &if_match, item).await?)
}
