//! The module's periodic work.

use std::sync::Arc;
use std::time::Duration;

use eshopz_platform::jobs::Periodic;

use crate::service::CartService;

/// Carts whose time is up are closed; the old ones of guests are removed.
pub fn all(service: &Arc<CartService>) -> Vec<Periodic> {
    let (abandon, delete) = (Arc::clone(service), Arc::clone(service));
    vec![
        Periodic::new("cart.abandon_expired", Duration::from_secs(600), move || {
            let service = Arc::clone(&abandon);
            async move { Ok(service.abandon_expired().await?) }
        }),
        Periodic::new("cart.delete_abandoned", Duration::from_secs(3_600), move || {
            let service = Arc::clone(&delete);
            async move { Ok(service.delete_abandoned().await?) }
        }),
    ]
}
