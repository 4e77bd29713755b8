//! What the module measures beside what every module does.

use eshopz_platform::meters::{Metric, one_of};

/// All of it.
pub const METRICS: &[Metric] = &[
    Metric::counter("eshopz_carts_created_total", &[one_of("holder", &["customer", "guest"])], "Carts made."),
    Metric::counter("eshopz_carts_abandoned_total", &[], "Carts that nobody touched until their time was over."),
];
