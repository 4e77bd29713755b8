//! The module's HTTP: `/api/v1/orders`.

mod audit_log;
mod change;
mod items;
mod place;
mod read;
mod return_view;
mod returns;
mod views;

use eshopz_platform::http::{Admin, Caller};
use utoipa_actix_web::scope;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::domain::{Actor, Viewer, token_hash};

/// The module's handlers.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(
        scope::scope("/api/v1/orders")
            .service(place::place_order)
            .service(read::list_orders)
            // Before the orders' names, or it would be taken for one.
            .service(audit_log::list_order_audit_log)
            .service(read::get_order)
            .service(read::list_order_timeline)
            .service(change::cancel_order)
            .service(change::transition_order)
            .service(returns::create_order_return)
            .service(returns::list_order_returns)
            .service(returns::get_order_return)
            .service(returns::accept_order_return)
            .service(returns::reject_order_return),
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

/// An admin as somebody who looks at any order and changes it.
fn staff(caller: &Admin) -> (Viewer, Actor) {
    let user = caller.0.user_id;
    (Viewer { user: Some(user), admin: true, token_hash: None }, Actor::Admin(user))
}
