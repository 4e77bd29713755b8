//! The module's periodic work.

use std::sync::Arc;

use eshopz_platform::jobs::Periodic;

use crate::service::ProductService;

/// What orders hold past its deadline is freed.
pub fn all(service: &Arc<ProductService>) -> Vec<Periodic> {
    let every = service.free_overdue_every();
    let service = Arc::clone(service);
    vec![Periodic::new("product.free_overdue", every, move || {
        let service = Arc::clone(&service);
        async move { Ok(service.free_overdue().await?) }
    })]
}
