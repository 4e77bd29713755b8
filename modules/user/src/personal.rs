//! What of the module's columns tells of a person, and what becomes of it when the account is deleted
//! (`service/profile.rs`).

use eshopz_platform::personal::{Columns, Fate};

/// Every column that can hold text.
pub const PERSONAL: &[Columns] = &[
    Columns::new("users", Fate::Erased, &["email", "password_hash", "full_name", "phone"]),
    Columns::new("users", Fate::Impersonal, &["role"]),
    Columns::new("sessions", Fate::Erased, &["user_agent", "address"]),
    Columns::new("refresh_tokens", Fate::Impersonal, &["hash"]),
    Columns::new("mailed_tokens", Fate::Removed, &["hash", "purpose"]),
    // An address that somebody named becomes an account's id within a second, or goes.
    Columns::new("letters", Fate::Removed, &["purpose", "address"]),
    Columns::new("second_factors", Fate::Removed, &["secret_encrypted", "sealed_by"]),
    Columns::new("recovery_codes", Fate::Removed, &["hash"]),
    Columns::new(
        "addresses",
        Fate::Removed,
        &["name", "line1", "line2", "city", "region", "postal_code", "country", "phone"],
    ),
    Columns::new("export_parts", Fate::Removed, &["module", "document"]),
    Columns::new("signing_keys", Fate::Impersonal, &["kid", "private_key_encrypted", "public_key"]),
];
