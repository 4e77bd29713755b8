//! So many of each variant, as requests and answers have it.

use eshopz_kernel::VariantId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

use crate::domain::Quantities;

/// So many of a variant of the order.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OrderItemQuantity)]
pub struct ItemQuantity {
    pub variant_id: VariantId,
    #[validate(range(min = 1, max = 1_000_000_000))]
    #[schema(minimum = 1, maximum = 1_000_000_000, examples(1))]
    pub quantity: i64,
}

/// The items by variant; one that is named twice counts in the sum.
pub fn quantities(items: &[ItemQuantity]) -> Quantities {
    let mut sums = Quantities::new();
    for item in items {
        let sum = sums.entry(item.variant_id).or_default();
        *sum = item.quantity.saturating_add(*sum);
    }
    sums
}
