//! The periodic jobs: what unpaid orders come to, and what crashes have left behind. Each has a lease of its own, so
//! that none waits for what another one asks of the gateway.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use eshopz_kernel::Fault;
use eshopz_platform::jobs::Periodic;

use crate::service::OrderService;

/// How often unpaid orders are looked for.
const EXPIRE_EVERY: Duration = Duration::from_secs(5);
/// How often unfinished business is looked for. The listeners do nearly all of it, at once.
const PICK_UP_EVERY: Duration = Duration::from_secs(15);
/// How often refunds that failed are looked for. Their pauses are far longer.
const ASK_AGAIN_EVERY: Duration = Duration::from_secs(60);

/// Every job of the module.
pub fn all(service: &Arc<OrderService>) -> Vec<Periodic> {
    vec![
        job(service, "order.expire_unpaid", EXPIRE_EVERY, |service| async move { service.expire_unpaid().await }),
        job(
            service,
            "order.finish_left_behind",
            PICK_UP_EVERY,
            |service| async move { service.finish_left_behind().await },
        ),
        job(
            service,
            "order.undo_left_behind",
            PICK_UP_EVERY,
            |service| async move { service.undo_left_behind().await },
        ),
        job(service, "order.take_back_left_behind", PICK_UP_EVERY, |service| async move {
            service.take_back_left_behind().await
        }),
        job(service, "order.ask_for_refunds", PICK_UP_EVERY, |service| async move { service.ask_for_refunds().await }),
        job(service, "order.ask_again_for_refunds", ASK_AGAIN_EVERY, |service| async move {
            service.ask_again_for_refunds().await
        }),
    ]
}

fn job<F, R>(service: &Arc<OrderService>, name: &'static str, every: Duration, work: F) -> Periodic
where
    F: Fn(Arc<OrderService>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), Fault>> + Send + 'static,
{
    let service = Arc::clone(service);
    Periodic::new(name, every, move || work(Arc::clone(&service)))
}
