//! What there is to buy, read from the shop at the start.
#![allow(clippy::indexing_slicing, reason = "JSON that is read has Null for what is not there")]

use std::cell::Cell;

use serde_json::Value;

use super::{Call, Dice, Http};

/// Pages of the catalogue that are read at most.
const PAGES: usize = 50;
/// Variants with less are left to others: what is not there must not count as a failure of the shop.
const ENOUGH: i64 = 5;

/// A variant.
#[derive(Debug)]
pub struct Line {
    pub variant: String,
    pub price: i64,
    /// How many there are, as far as this program knows.
    left: Cell<i64>,
}

/// A product as it is looked up.
#[derive(Debug)]
pub struct Product {
    pub id: String,
    pub handle: String,
}

/// The catalogue.
#[derive(Debug)]
pub struct Shelf {
    pub products: Vec<Product>,
    lines: Vec<Line>,
}

impl Shelf {
    /// Reads all products, of which a demo has hundreds.
    ///
    /// # Errors
    /// When the shop has too little to sell, or cannot be read.
    pub async fn read(http: &Http) -> Result<Self, String> {
        let mut shelf = Self { products: Vec::new(), lines: Vec::new() };
        let mut path = "/api/v1/products?limit=100".to_owned();
        for _ in 0..PAGES {
            let page = http.once(&Call::get("GET /products", path)).await?;
            let Some(items) = page.body["items"].as_array() else {
                return Err(format!("GET /products answers {} {}", page.status, page.body));
            };
            items.iter().for_each(|product| shelf.put(product));
            let Some(cursor) = page.body["next_cursor"].as_str() else { break };
            path = format!("/api/v1/products?limit=100&cursor={cursor}");
        }
        if shelf.lines.len() < 2 {
            return Err("the shop has no two variants in stock: eshopz seed demo".to_owned());
        }
        Ok(shelf)
    }

    fn put(&mut self, product: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        self.products.push(Product { id: text(&product["id"]), handle: text(&product["handle"]) });
        for variant in product["variants"].as_array().into_iter().flatten() {
            let is_endless = variant["inventory_policy"] == "continue";
            let left = if is_endless { i64::MAX } else { variant["available"].as_i64().unwrap_or(0) };
            if left < ENOUGH {
                continue;
            }
            let price = variant["price"]["amount"].as_i64().unwrap_or(0);
            self.lines.push(Line { variant: text(&variant["id"]), price, left: Cell::new(left) });
        }
    }

    /// Takes one of a variant other than `but`; none when all is sold.
    #[must_use]
    pub fn take(&self, dice: &mut Dice, but: Option<&str>) -> Option<&Line> {
        let from = dice.below(self.lines.len());
        let (before, after) = self.lines.split_at_checked(from)?;
        let mut around = after.iter().chain(before);
        let line = around.find(|line| line.left.get() > 0 && Some(line.variant.as_str()) != but)?;
        line.left.set(line.left.get() - 1);
        Some(line)
    }

    /// Takes a variant off the shelf which others have bought up.
    pub fn sold_out(&self, variant: &str) {
        self.lines.iter().filter(|line| line.variant == variant).for_each(|line| line.left.set(0));
    }

    /// Any product.
    #[must_use]
    pub fn look(&self, dice: &mut Dice) -> Option<&Product> {
        self.products.get(dice.below(self.products.len()))
    }
}
