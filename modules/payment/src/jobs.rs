//! What the module does from time to time.

use std::sync::Arc;
use std::time::Duration;

use eshopz_platform::jobs::Periodic;

use crate::service::PaymentService;

/// The periodic jobs.
pub(crate) fn all(service: &Arc<PaymentService>) -> Vec<Periodic> {
    let (reconciling, sweeping) = (Arc::clone(service), Arc::clone(service));
    vec![
        Periodic::new("reconcile", Duration::from_secs(10), move || {
            let service = Arc::clone(&reconciling);
            async move { service.reconcile().await }
        }),
        Periodic::new("sweep_webhooks", Duration::from_secs(3_600), move || {
            let service = Arc::clone(&sweeping);
            async move { service.sweep_webhooks().await }
        }),
    ]
}
