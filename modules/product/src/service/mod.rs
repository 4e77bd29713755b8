//! The use cases of the catalogue. Whoever changes a product or its variants locks the product first,
//! then the variant, then its stock.

mod catalogue;
mod categories;
mod drafts;
mod giving_back;
mod meant;
mod products;
mod repair;
mod reserving;
pub mod shelf;
mod showing;
mod stock;
mod variants;

use std::sync::Arc;

use chrono::Utc;
use diesel_async::AsyncPgConnection;
use eshopz_kernel::{Currency, ProductId};
use eshopz_platform::cache::{Counters, Redis, Throttle};
use eshopz_platform::db::Db;
use eshopz_platform::events::outbox;
use eshopz_product_api::ProductChanged;
use uuid::Uuid;

use catalogue::FacetCounts;
pub use catalogue::{Filter, Listing};
pub use categories::{CategoryDraft, CategoryPatch};
pub use drafts::{ProductDraft, ProductPatch, VariantDraft, VariantPatch};
use meant::Meant;
use shelf::Shelf;
pub use stock::StockChange;

use crate::ProductSettings;
use crate::error::ProductError;
use crate::store::rows::{Product, Variant, WithVariants};

/// The most variants that a product has.
pub const MAX_VARIANTS: usize = 2_000;

/// A product with its variants.
#[derive(Clone, Debug)]
pub struct WholeProduct {
    pub product: Product,
    pub variants: Vec<Variant>,
}

impl From<WithVariants> for WholeProduct {
    fn from(row: WithVariants) -> Self {
        Self { product: row.product, variants: row.variants.0 }
    }
}

/// What the module does.
pub struct ProductService {
    pub(crate) db: Db,
    settings: ProductSettings,
    facets: FacetCounts,
    meant: Meant,
    pub(crate) shelf: Arc<Shelf>,
    /// Imports, by admin.
    pub(crate) imports: Throttle,
}

impl std::fmt::Debug for ProductService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProductService").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl ProductService {
    #[must_use]
    pub fn new(db: Db, redis: Redis, settings: ProductSettings) -> Self {
        let imports = Throttle::new(Counters::new(redis.clone()), "import", settings.imports_per_admin, 3_600);
        let shelf = Arc::new(Shelf::new(&db, redis, settings.cache));
        Self { db, settings, facets: FacetCounts::default(), meant: Meant::default(), shelf, imports }
    }

    /// The currency of all prices.
    #[must_use]
    pub const fn currency(&self) -> Currency {
        self.settings.currency
    }

    /// How often reservations past their deadline are looked for.
    #[must_use]
    pub const fn free_overdue_every(&self) -> std::time::Duration {
        self.settings.free_overdue_every
    }
}

/// Tells the others, in the transaction of the change.
async fn tell_changed(conn: &mut AsyncPgConnection, product: Uuid) -> Result<(), ProductError> {
    outbox::publish(conn, &ProductChanged { product_id: ProductId::from(product), at: Utc::now() }).await?;
    Ok(())
}
