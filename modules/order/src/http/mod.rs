//! The module's HTTP: `/api/v1/orders`.

mod change;
mod place;
mod read;
mod views;

use eshopz_platform::http::Caller;
use utoipa_actix_web::scope;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::domain::{Viewer, token_hash};

/// The module's handlers.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(
        scope::scope("/api/v1/orders")
            .service(place::place_order)
            .service(read::list_orders)
            .service(read::get_order)
            .service(read::list_order_timeline)
            .service(change::cancel_order)
            .service(change::transition_order),
    );
}

/// The caller as somebody who looks at orders.
fn viewer(caller: &Caller) -> Viewer {
    Viewer {
        user: caller.user_id(),
        admin: caller.is_admin(),
        token_hash: caller.order_token.as_deref().map(token_hash),
    }
}
