//! What the module measures beside what every module does.

use eshopz_platform::meters::{Metric, label, one_of};

/// All of it.
pub const METRICS: &[Metric] = &[
    Metric::counter(
        "eshopz_payments_total",
        &[label("outcome"), label("reason")],
        "What became of payments and refunds, with the gateway's reason where one failed.",
    ),
    Metric::counter(
        "eshopz_payment_revenue_minor_total",
        &[one_of("direction", &["captured", "refunded"]), label("currency")],
        "Money that came in and went back, in minor units of its currency (ISO 4217).",
    ),
    Metric::gauge(
        "eshopz_payment_webhooks_parked",
        &[],
        "Events of the gateway that wait for a payment which is not known yet.",
    ),
];
