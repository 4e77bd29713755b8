//! What of the module's columns tells of a person: whose cart it is, and so what is in it. A deleted account's carts go
//! (`service/upkeep.rs`).

use eshopz_platform::personal::{Columns, Fate};

/// Every column that can hold text.
pub const PERSONAL: &[Columns] = &[
    Columns::new("carts", Fate::Removed, &["status", "token_hash", "currency"]),
    Columns::new("cart_items", Fate::Removed, &["sku", "title", "variant_title", "image_url"]),
];
