//! The made-up catalogue into the database, many products at once.

use std::collections::HashSet;

use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use eshopz_kernel::Currency;
use eshopz_platform::db::Db;
use futures::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use uuid::Uuid;

use super::{classics, kinds::KINDS, product};
use crate::error::ProductError;
use crate::transfer::categories::CategoryTree;
use crate::transfer::changes::Changes;
use crate::transfer::state::ProductState;
use crate::transfer::{load, write};

/// The seed whose handles and SKUs are the shortest.
pub const DEFAULT_SEED: u64 = 1;

/// Products in a transaction.
const BATCH: u64 = 500;
/// Transactions at the same time: the work is PostgreSQL's, one process for each connection.
const HANDS: usize = 3;

/// What was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DemoReport {
    /// Products that were added.
    pub products: u64,
    /// Their variants.
    pub variants: u64,
    /// Products that were there already.
    pub known: u64,
}

/// Fills the shop with a made-up catalogue of so many products. `progress` is told how many of them are
/// in. Those that are there already stay as they are.
///
/// # Errors
/// When the database cannot be reached. What has been written stays; the same call again adds the rest.
pub async fn seed(
    db: &Db,
    currency: Currency,
    products: u64,
    seed: u64,
    mut progress: impl FnMut(u64),
) -> Result<DemoReport, ProductError> {
    let mut tree = plant_tree(db, currency).await?;
    let starts = (0..products).step_by(usize::try_from(BATCH).unwrap_or(1));
    let batches = starts.map(|start| {
        let range = start..products.min(start + BATCH);
        let made: Vec<ProductState> = range.map(|number| make(seed, number, currency, &mut tree)).collect();
        insert(db, made)
    });
    let mut done = futures::stream::iter(batches).buffer_unordered(HANDS);
    let mut report = DemoReport::default();
    while let Some(batch) = done.try_next().await? {
        report.products += batch.products;
        report.variants += batch.variants;
        report.known += batch.known;
        progress(report.products + report.known);
    }
    Ok(report)
}

fn make(seed: u64, number: u64, currency: Currency, tree: &mut CategoryTree) -> ProductState {
    classics::make(number, currency, tree).unwrap_or_else(|| product::make(seed, number + 1, currency, tree))
}

/// Makes every category that a product may be in, so that the batches do not compete for them.
async fn plant_tree(db: &Db, currency: Currency) -> Result<CategoryTree, ProductError> {
    let mut conn = db.conn().await?;
    let tree = conn
        .transaction(async |conn| {
            let mut tree = CategoryTree::new(load::categories(conn).await?);
            for kind in KINDS {
                tree.at(&product::names(kind), &[]);
            }
            for number in 0..classics::count() {
                classics::make(number, currency, &mut tree);
            }
            write::write(conn, tree.fresh(), &Changes::default()).await?;
            tree.settle();
            Ok::<_, ProductError>(tree)
        })
        .await?;
    Ok(tree)
}

async fn insert(db: &Db, made: Vec<ProductState>) -> Result<DemoReport, ProductError> {
    let mut conn = db.conn().await?;
    conn.transaction(async |conn| insert_missing(conn, made).await).await
}

/// Leaves out those whose id, handle or SKU is there.
async fn insert_missing(conn: &mut AsyncPgConnection, made: Vec<ProductState>) -> Result<DemoReport, ProductError> {
    let handles: Vec<&str> = made.iter().map(|product| product.handle.as_str()).collect();
    let known: HashSet<String> = load::known_handles(conn, &handles).await?.into_iter().collect();
    let ids: Vec<Uuid> = made.iter().map(|product| product.id).collect();
    let ids: HashSet<Uuid> = load::known_ids(conn, &ids).await?.into_iter().collect();
    let skus = || made.iter().flat_map(|product| &product.variants).filter_map(|variant| variant.sku.as_deref());
    let taken = load::sku_owners(conn, &skus().collect::<Vec<_>>()).await?;
    let is_free = |product: &ProductState| {
        let mut skus = product.variants.iter().filter_map(|variant| variant.sku.as_ref());
        !known.contains(&product.handle) && !ids.contains(&product.id) && !skus.any(|sku| taken.contains_key(sku))
    };
    let (fresh, rest): (Vec<ProductState>, Vec<ProductState>) = made.into_iter().partition(is_free);
    write::write(conn, &[], &Changes::all_new(&fresh)).await?;
    let count = |length: usize| u64::try_from(length).unwrap_or(0);
    let variants = fresh.iter().map(|product| product.variants.len()).sum();
    Ok(DemoReport { products: count(fresh.len()), variants: count(variants), known: count(rest.len()) })
}
