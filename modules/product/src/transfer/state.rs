//! A product as the shop holds it, whole. An import compares two of these: the one that is there and
//! the one that the file asks for.

use std::collections::HashMap;

use eshopz_kernel::{ProductId, VariantId};
use uuid::Uuid;

use crate::domain::options::title_of;
use crate::domain::stock::Level;
use crate::domain::{Image, ProductOption, Status};

/// A product with its variants, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductState {
    pub id: Uuid,
    pub handle: String,
    pub title: String,
    pub description: String,
    pub vendor: String,
    pub product_type: String,
    pub tags: Vec<String>,
    pub status: Status,
    pub category_id: Option<Uuid>,
    pub options: Vec<ProductOption>,
    pub images: Vec<Image>,
    pub variants: Vec<VariantState>,
}

/// A variant with its stock. Amounts are minor units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariantState {
    pub id: Uuid,
    pub sku: Option<String>,
    pub option_values: Vec<String>,
    pub price: i64,
    pub compare_at: Option<i64>,
    pub barcode: Option<String>,
    pub grams: i32,
    pub requires_shipping: bool,
    pub taxable: bool,
    pub position: i32,
    pub image_url: Option<String>,
    /// What the last import asked for.
    pub imported_on_hand: Option<i32>,
    pub stock: Level,
}

impl ProductState {
    /// A product that is not in the shop yet.
    #[must_use]
    pub fn new(handle: &str) -> Self {
        Self {
            id: ProductId::new().uuid(),
            handle: handle.to_owned(),
            title: String::new(),
            description: String::new(),
            vendor: String::new(),
            product_type: String::new(),
            tags: Vec::new(),
            status: Status::Active,
            category_id: None,
            options: Vec::new(),
            images: Vec::new(),
            variants: Vec::new(),
        }
    }

    /// The lowest and the highest price of its variants.
    #[must_use]
    pub fn price_range(&self) -> (i64, i64) {
        let prices = || self.variants.iter().map(|variant| variant.price);
        (prices().min().unwrap_or(0), prices().max().unwrap_or(0))
    }

    /// Its SKUs, to be searched.
    #[must_use]
    pub fn skus(&self) -> String {
        let skus: Vec<&str> = self.variants.iter().filter_map(|variant| variant.sku.as_deref()).collect();
        skus.join(" ")
    }

    /// Gives the options these names. Values of the variants that are new become part of them.
    pub fn name_options(&mut self, names: &[String]) {
        let named = |name: &String| ProductOption { name: name.clone(), values: Vec::new() };
        let mut options: Vec<ProductOption> = names.iter().map(named).collect();
        for (option, before) in options.iter_mut().zip(std::mem::take(&mut self.options)) {
            option.values = before.values;
        }
        for values in self.variants.iter().map(|variant| &variant.option_values) {
            for (option, value) in options.iter_mut().zip(values) {
                if !option.values.contains(value) {
                    option.values.push(value.clone());
                }
            }
        }
        self.options = options;
    }
}

impl VariantState {
    /// A variant that is not in the shop yet.
    #[must_use]
    pub fn new(option_values: Vec<String>, price: i64, position: i32) -> Self {
        Self {
            id: VariantId::new().uuid(),
            sku: None,
            option_values,
            price,
            compare_at: None,
            barcode: None,
            grams: 0,
            requires_shipping: true,
            taxable: true,
            position,
            image_url: None,
            imported_on_hand: None,
            stock: Level { on_hand: 0, reserved: 0, backorder: false },
        }
    }

    /// `M / Blue`, or `Default Title` without options.
    #[must_use]
    pub fn title(&self) -> String {
        title_of(&self.option_values)
    }

    /// Whether its row differs, apart from what the last import asked for.
    #[must_use]
    pub fn differs(&self, other: &Self) -> bool {
        let comparable = |variant: &Self| Self {
            imported_on_hand: None,
            stock: Level { backorder: variant.stock.backorder, on_hand: 0, reserved: 0 },
            ..variant.clone()
        };
        comparable(self) != comparable(other)
    }
}

/// What a batch needs to know of the shop.
#[derive(Clone, Debug, Default)]
pub struct Shop {
    /// The products that the batch names, by handle.
    pub products: HashMap<String, ProductState>,
    /// Which variant has a SKU, of those that the batch names.
    pub skus: HashMap<String, Uuid>,
}

impl Shop {
    /// Takes over stock that has been locked. Says whether it had moved since it was read.
    pub fn refresh(&mut self, locked: &HashMap<Uuid, Level>) -> bool {
        let mut moved = false;
        for variant in self.products.values_mut().flat_map(|product| &mut product.variants) {
            if let Some(stock) = locked.get(&variant.id).filter(|stock| **stock != variant.stock) {
                variant.stock = *stock;
                moved = true;
            }
        }
        moved
    }
}
