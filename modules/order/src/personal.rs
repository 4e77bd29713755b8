//! What of the module's columns tells of a person, and what becomes of it when the account is deleted
//! (`store/forget.rs`). What was sold, for how much and to which country stays: the books need it.

use eshopz_platform::personal::{Columns, Fate};

/// Every column that can hold text.
pub const PERSONAL: &[Columns] = &[
    Columns::new(
        "orders",
        Fate::Erased,
        // Reasons are what people wrote.
        &["email", "shipping_address", "billing_address", "tracking", "cancel_reason"],
    ),
    Columns::new("orders", Fate::Impersonal, &["number", "token_hash", "status", "currency"]),
    Columns::new("order_lines", Fate::Impersonal, &["sku", "title", "variant_title", "image_url"]),
    Columns::new("order_timeline", Fate::Erased, &["reason"]),
    Columns::new("order_timeline", Fate::Impersonal, &["from_status", "to_status", "event", "actor"]),
    Columns::new("order_reversals", Fate::Erased, &["reason", "note"]),
    Columns::new("order_reversals", Fate::Impersonal, &["kind", "status"]),
    Columns::new("order_refunds", Fate::Erased, &["reason"]),
    Columns::new("order_refunds", Fate::Impersonal, &["status"]),
];
