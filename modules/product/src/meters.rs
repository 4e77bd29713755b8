//! What the module measures beside what every module does.

use eshopz_platform::meters::Metric;

/// All of it.
pub const METRICS: &[Metric] = &[Metric::counter(
    "eshopz_product_reservations_expired_total",
    &[],
    "Reservations of stock that nobody turned into an order in time.",
)];
