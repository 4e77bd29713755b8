//! What of the module's columns tells of a person, and what becomes of it when the account is deleted (`forget.rs`).
//! Amounts and the gateway's references stay: the books need them.

use eshopz_platform::personal::{Columns, Fate};

/// The sandbox stands for another company.
const ELSEWHERE: Fate = Fate::Kept("it is what a gateway keeps, and a gateway has it elsewhere");

/// Every column that can hold text.
pub const PERSONAL: &[Columns] = &[
    Columns::new("payments", Fate::Erased, &["method", "next_action", "undo_reason"]),
    Columns::new(
        "payments",
        Fate::Impersonal,
        &["payer_token_hash", "currency", "status", "gateway", "gateway_reference", "failure_code", "failure_message"],
    ),
    Columns::new("transactions", Fate::Erased, &["payment_method", "method", "reason"]),
    Columns::new(
        "transactions",
        Fate::Impersonal,
        &["kind", "status", "currency", "gateway_reference", "charge_reference", "failure_code", "failure_message"],
    ),
    // Emptied once it is applied, whoever it is about.
    Columns::new("webhook_events", Fate::Erased, &["body"]),
    Columns::new("webhook_events", Fate::Impersonal, &["gateway", "event_id", "type", "reference"]),
    Columns::new(
        "sandbox_charges",
        ELSEWHERE,
        &["reference", "merchant_reference", "currency", "payment_method", "status"],
    ),
    Columns::new("sandbox_operations", ELSEWHERE, &["charge_reference", "kind", "reference"]),
];
