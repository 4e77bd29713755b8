//! What the module measures beside what every module does.

use eshopz_platform::meters::{Metric, one_of};

/// All of it.
pub const METRICS: &[Metric] = &[
    Metric::counter(
        "eshopz_orders_total",
        &[one_of("status", &["cancelled", "delivered", "paid", "pending_payment", "processing", "shipped"])],
        "Orders that came to a state.",
    ),
    Metric::counter("eshopz_stockouts_total", &[], "Checkouts that failed for want of stock."),
];
