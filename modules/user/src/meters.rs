//! What the module measures beside what every module does.

use eshopz_platform::meters::{Metric, label, one_of};

/// All of it.
pub const METRICS: &[Metric] = &[
    Metric::counter("eshopz_user_registrations_total", &[], "Accounts made."),
    Metric::counter("eshopz_user_sign_ins_total", &[one_of("outcome", &["done", "refused"])], "Passwords compared."),
    Metric::counter(
        "eshopz_user_letters_total",
        &[label("outcome")],
        "Letters that were handed to the mail server, or dropped.",
    ),
    Metric::gauge("eshopz_user_hashes_waiting", &[], "Passwords that wait for their turn to be hashed."),
    Metric::counter(
        "eshopz_user_hashes_refused_total",
        &[],
        "Passwords that were not hashed since too many waited already.",
    ),
    Metric::histogram(
        "eshopz_user_hash_duration_seconds",
        &[one_of("step", &["hashing", "waiting"])],
        "What hashing a password with Argon2id took, and waiting for it.",
    ),
];
