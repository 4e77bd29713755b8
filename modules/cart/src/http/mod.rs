//! The module's endpoints: `/api/v1/carts`.

mod carts;
mod items;
mod views;

use eshopz_platform::http::Caller;
use eshopz_platform::http::methods::nothing_but;
use utoipa_actix_web::scope::scope;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::domain::Holder;
use crate::token::TokenHash;

const PREFIX: &str = "/api/v1/carts";

/// Adds the endpoints. `mine` comes before the ids, or it would be taken for one.
pub fn routes(cfg: &mut ServiceConfig<'_>) {
    cfg.service(
        scope(PREFIX)
            .service(carts::create_cart)
            .service(carts::get_my_cart)
            .route("/mine", nothing_but("GET"))
            .service(carts::get_cart)
            .service(carts::delete_cart)
            .service(carts::merge_carts)
            .service(items::add_cart_item)
            .service(items::empty_cart)
            .service(items::update_cart_item)
            .service(items::remove_cart_item),
    );
}

impl From<&Caller> for Holder {
    fn from(caller: &Caller) -> Self {
        Self { customer: caller.user_id(), token: caller.cart_token.as_deref().map(TokenHash::of) }
    }
}
