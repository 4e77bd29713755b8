//! The periodic jobs: what unpaid orders come to, and what crashes have left behind.

use std::sync::Arc;
use std::time::Duration;

use eshopz_platform::jobs::Periodic;

use crate::service::OrderService;

/// How often unpaid orders are looked for.
const EXPIRE_EVERY: Duration = Duration::from_secs(5);
/// How often unfinished business is looked for. The listeners do nearly all of it, at once.
const PICK_UP_EVERY: Duration = Duration::from_secs(15);

/// Every job of the module.
pub fn all(service: &Arc<OrderService>) -> Vec<Periodic> {
    let (expiring, picking_up) = (Arc::clone(service), Arc::clone(service));
    vec![
        Periodic::new("order.expire_unpaid", EXPIRE_EVERY, move || {
            let service = Arc::clone(&expiring);
            async move { service.expire_unpaid().await }
        }),
        Periodic::new("order.pick_up_left_behind", PICK_UP_EVERY, move || {
            let service = Arc::clone(&picking_up);
            async move { service.pick_up_left_behind().await }
        }),
    ]
}
