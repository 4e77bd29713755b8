//! What the shop sells by: currency, shipping, tax, limits.

use std::time::Duration;

use clap::Args;
use eshopz_kernel::{Currency, Pricing};

use super::tax::{TaxRates, parse_tax_rates};

/// The shop's own settings.
#[derive(Args, Clone, Debug)]
pub struct ShopArgs {
    /// The shop's currency (ISO 4217).
    #[arg(long, env = "ESHOPZ_CURRENCY", default_value = "USD", global = true)]
    pub currency: Currency,

    /// Flat shipping rate in minor units, for carts with anything to ship.
    #[arg(long, env = "ESHOPZ_SHIPPING_FLAT", default_value_t = 0, global = true, hide_short_help = true,
          value_parser = clap::value_parser!(i64).range(0..=100_000_000))]
    pub shipping_flat: i64,

    /// Subtotal in minor units from which shipping is free.
    #[arg(long, env = "ESHOPZ_SHIPPING_FREE_FROM", global = true, hide_short_help = true,
          value_parser = clap::value_parser!(i64).range(0..))]
    pub shipping_free_from: Option<i64>,

    /// Tax in percent by country, such as `DE=19,FR=20,CH=8.1`.
    #[arg(long, env = "ESHOPZ_TAX_RATES", default_value = "", global = true, hide_short_help = true,
          value_parser = parse_tax_rates)]
    pub tax_rates: TaxRates,

    /// Minutes after which an unpaid order is cancelled and its stock is free again.
    #[arg(long, env = "ESHOPZ_ORDER_EXPIRY_MINUTES", default_value_t = 30.0, global = true, hide_short_help = true,
          value_parser = parse_minutes)]
    pub order_expiry_minutes: f64,

    /// The most lines that a cart may have.
    #[arg(long, env = "ESHOPZ_CART_MAX_LINES", default_value_t = 1_000, global = true, hide_short_help = true)]
    pub cart_max_lines: usize,

    /// The most of one variant that a cart may hold.
    #[arg(long, env = "ESHOPZ_CART_MAX_QUANTITY", default_value_t = 99_999, global = true, hide_short_help = true,
          value_parser = clap::value_parser!(i64).range(1..=1_000_000))]
    pub cart_max_quantity: i64,
}

fn parse_minutes(text: &str) -> Result<f64, String> {
    let minutes: f64 = text.parse().map_err(|_| format!("`{text}` is not a number of minutes"))?;
    if (0.01..=100_000.0).contains(&minutes) { Ok(minutes) } else { Err("must be from 0.01 to 100000".to_owned()) }
}

impl ShopArgs {
    /// How prices are summed up.
    #[must_use]
    pub fn pricing(&self) -> Pricing {
        Pricing {
            currency: self.currency,
            shipping_flat: self.shipping_flat,
            shipping_free_from: self.shipping_free_from,
            tax_rates: self.tax_rates.0.clone(),
        }
    }

    /// How long an order may stay unpaid.
    #[must_use]
    pub fn order_expiry(&self) -> Duration {
        Duration::from_secs_f64(self.order_expiry_minutes * 60.0)
    }
}
