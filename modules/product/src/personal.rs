//! The catalogue tells of no person: who changed the stock is named by his id.

use eshopz_platform::personal::{Columns, Fate};

/// Every column that can hold text.
pub const PERSONAL: &[Columns] = &[
    Columns::new("categories", Fate::Impersonal, &["slug", "name"]),
    Columns::new(
        "products",
        Fate::Impersonal,
        &["handle", "title", "description", "vendor", "product_type", "tags", "status", "options", "images", "skus"],
    ),
    Columns::new("variants", Fate::Impersonal, &["sku", "title", "option_values", "barcode", "image_url"]),
    Columns::new("stock_movements", Fate::Impersonal, &["kind", "reason", "actor"]),
    Columns::new("reservations", Fate::Impersonal, &["state"]),
    Columns::new("search_words", Fate::Impersonal, &["word"]),
    Columns::new("product_words", Fate::Impersonal, &["status"]),
];
