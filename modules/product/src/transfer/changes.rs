//! The rows that have to be written to get from the products as they are to those that are planned.

use uuid::Uuid;

use super::plan::Planned;
use super::state::{ProductState, VariantState};

/// What a batch writes, by table.
#[derive(Debug, Default)]
pub struct Changes<'a> {
    pub new_products: Vec<&'a ProductState>,
    pub changed_products: Vec<&'a ProductState>,
    pub new_variants: Vec<(Uuid, &'a VariantState)>,
    pub changed_variants: Vec<ChangedVariant<'a>>,
    /// Of variants that were there.
    pub stock: Vec<StockChange>,
}

/// A variant whose row differs; `seen` when a customer could tell, and not only the next import.
#[derive(Debug)]
pub struct ChangedVariant<'a> {
    pub variant: &'a VariantState,
    pub seen: bool,
}

/// Stock that is set; a movement if `delta` is not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StockChange {
    pub variant_id: Uuid,
    pub on_hand: i64,
    pub delta: i64,
    pub backorder: bool,
}

impl<'a> Changes<'a> {
    /// Compares what is with what is planned.
    #[must_use]
    pub fn of(planned: &'a [Planned]) -> Self {
        let mut changes = Self::default();
        for Planned { before, after, .. } in planned {
            match before {
                None => changes.add_new(after),
                Some(before) => changes.compare(before, after),
            }
        }
        changes
    }

    /// Everything of products that are not there yet.
    #[must_use]
    pub fn all_new(products: &'a [ProductState]) -> Self {
        let mut changes = Self::default();
        products.iter().for_each(|product| changes.add_new(product));
        changes
    }

    fn add_new(&mut self, product: &'a ProductState) {
        self.new_products.push(product);
        self.new_variants.extend(product.variants.iter().map(|variant| (product.id, variant)));
    }

    fn compare(&mut self, before: &ProductState, after: &'a ProductState) {
        let mut seen = false;
        for variant in &after.variants {
            match before.variants.iter().find(|known| known.id == variant.id) {
                None => {
                    self.new_variants.push((after.id, variant));
                    seen = true;
                }
                Some(known) => seen |= self.compare_variant(known, variant),
            }
        }
        if seen || differs(before, after) {
            self.changed_products.push(after);
        }
    }

    /// Says whether the variant's row differs to customers.
    fn compare_variant(&mut self, known: &VariantState, variant: &'a VariantState) -> bool {
        let seen = known.differs(variant);
        if seen || known.imported_on_hand != variant.imported_on_hand {
            self.changed_variants.push(ChangedVariant { variant, seen });
        }
        if known.stock != variant.stock {
            self.stock.push(StockChange {
                variant_id: variant.id,
                on_hand: variant.stock.on_hand,
                delta: variant.stock.on_hand.saturating_sub(known.stock.on_hand),
                backorder: variant.stock.backorder,
            });
        }
        seen
    }
}

/// Whether the product's own row differs.
fn differs(before: &ProductState, after: &ProductState) -> bool {
    let own = |product: &ProductState| ProductState { variants: Vec::new(), ..product.clone() };
    own(before) != own(after)
}
