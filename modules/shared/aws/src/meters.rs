//! What is measured of queues.

use eshopz_platform::meters::{Metric, label};

/// All of it.
pub const METRICS: &[Metric] = &[
    Metric::counter("eshopz_sqs_messages_total", &[label("outcome")], "Messages that were handled."),
    Metric::histogram(
        "eshopz_sqs_handling_duration_seconds",
        &[label("event"), label("listener")],
        "What a listener took for an event of a queue.",
    ),
    Metric::gauge("eshopz_sqs_waiting", &[], "Messages in the queue that nobody has received."),
    Metric::gauge("eshopz_sqs_dead", &[], "Messages in the queue of dead letters."),
];
