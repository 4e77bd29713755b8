//! What has no reference but a clock.

use std::time::Duration;

use serde_json::{Value, json};

use crate::load::{Figures, drive};
use crate::machine::{Machine, Mode};
use crate::search::Searches;
use crate::table::medians;
use crate::work::Work;

pub const SEARCH_WITH_ERROR: &str = "search with a typing error";
/// Products that a search has to be good at.
pub const MANY: u32 = 100_000;

const CONNECTIONS: usize = 16;
/// Milliseconds that one in a hundred may take longer than.
const MUST: f64 = 30.0;
const AIM: f64 = 15.0;

/// Searches for words that the catalogue does not have, each nearly one that it has.
pub struct SearchWithError {
    products: u32,
    figures: Figures,
}

impl SearchWithError {
    /// Without copies, which would answer most of them.
    pub async fn measure(
        machine: &mut Machine,
        searches: &Searches,
        products: u32,
        (rounds, length): (usize, Duration),
    ) -> Result<Self, String> {
        let (shop, _) = machine.shop(Mode::Bare).await?;
        let work = Work::Read(shop.port, searches.wrong.clone());
        drive(&work, CONNECTIONS, Duration::from_secs(1)).await?;
        let mut figures = Vec::new();
        for _ in 0..rounds {
            figures.push(drive(&work, CONNECTIONS, length).await?);
        }
        Ok(Self { products, figures: medians(&figures) })
    }

    pub fn is_good(&self) -> bool {
        self.figures.p99_ms <= MUST
    }

    pub fn line(&self) -> String {
        let Figures { per_second, p50_ms, p99_ms } = self.figures;
        let mark = if self.is_good() { "" } else { "  ABOVE" };
        format!(
            "{SEARCH_WITH_ERROR}, {} products, {CONNECTIONS} connections: p99 {p99_ms:.2} ms (must {MUST:.0}, aim \
             {AIM:.0}), p50 {p50_ms:.2} ms, {per_second:.0}/s{mark}",
            self.products
        )
    }

    pub fn json(&self) -> Value {
        json!({"name": SEARCH_WITH_ERROR, "products": self.products, "connections": CONNECTIONS,
            "must_ms": MUST, "aim_ms": AIM, "shop": self.figures.json()})
    }
}
