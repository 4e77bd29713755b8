//! The database as a file, some products at a time.
//!
//! By keyset in the order of the ids, so that the memory stays the same however large the catalogue is,
//! and no transaction is held while a slow client reads.

use bytes::Bytes;
use eshopz_kernel::{Currency, Fault};
use eshopz_platform::db::Db;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use uuid::Uuid;

use super::categories::CategoryTree;
use super::load;
use super::state::{ProductState, VariantState};
use crate::csv::write::{ProductSheet, SheetWriter, VariantSheet};
use crate::error::ProductError;

/// Products that are read at once.
const BATCH: usize = 500;

/// Writes the whole catalogue as a product CSV and says how many products are in it. `progress` is told
/// how many there are so far.
///
/// # Errors
/// When the database cannot be reached, or the file cannot be written.
pub async fn export<W: AsyncWrite + Unpin>(
    db: &Db,
    currency: Currency,
    mut writer: W,
    mut progress: impl FnMut(u64),
) -> Result<u64, ProductError> {
    let mut parts = std::pin::pin!(parts(db.clone(), currency));
    let mut products = 0;
    while let Some((bytes, count)) = parts.try_next().await? {
        writer.write_all(&bytes).await.map_err(|error| unwritten("write the export", error))?;
        products += count;
        progress(products);
    }
    writer.flush().await.map_err(|error| unwritten("write the export", error))?;
    Ok(products)
}

/// The same as a stream of chunks; the first holds the header.
pub fn export_chunks(db: Db, currency: Currency) -> impl Stream<Item = Result<Bytes, ProductError>> {
    parts(db, currency).map(|part| part.map(|(bytes, _)| bytes))
}

struct Position {
    writer: SheetWriter,
    after: Uuid,
    ended: bool,
}

/// Chunks with the number of products in each.
fn parts(db: Db, currency: Currency) -> impl Stream<Item = Result<(Bytes, u64), ProductError>> {
    futures::stream::try_unfold(None, move |position: Option<Position>| {
        let db = db.clone();
        async move {
            let mut position = match position {
                Some(position) if position.ended => return Ok(None),
                Some(position) => position,
                None => Position {
                    writer: SheetWriter::new(currency).map_err(unserialised)?,
                    after: Uuid::nil(),
                    ended: false,
                },
            };
            let part = next_part(&db, &mut position).await?;
            Ok(Some((part, Some(position))))
        }
    })
}

async fn next_part(db: &Db, position: &mut Position) -> Result<(Bytes, u64), ProductError> {
    let mut conn = db.read_conn().await?;
    let products = load::products_after(&mut conn, position.after, i64::try_from(BATCH).unwrap_or(i64::MAX)).await?;
    // Read after the products, so that it has their categories.
    let tree = CategoryTree::new(load::categories(&mut conn).await?);
    drop(conn);
    let count = products.len();
    position.ended = count < BATCH;
    position.after = products.last().map_or(position.after, |last| last.id);
    for product in products {
        position.writer.add(&sheet(&tree, product)).map_err(unserialised)?;
    }
    let bytes = position.writer.take().map_err(unserialised)?;
    Ok((Bytes::from(bytes), u64::try_from(count).unwrap_or(0)))
}

fn sheet(tree: &CategoryTree, product: ProductState) -> ProductSheet {
    ProductSheet {
        handle: product.handle,
        title: product.title,
        body: product.description,
        vendor: product.vendor,
        product_type: product.product_type,
        tags: product.tags,
        status: product.status.as_str().to_owned(),
        category: product.category_id.map(|id| tree.path(id)).unwrap_or_default(),
        option_names: product.options.into_iter().map(|option| option.name).collect(),
        variants: product.variants.into_iter().map(variant_sheet).collect(),
        images: product.images.into_iter().map(|image| (image.url, image.alt)).collect(),
    }
}

fn variant_sheet(variant: VariantState) -> VariantSheet {
    VariantSheet {
        option_values: variant.option_values,
        sku: variant.sku,
        price: variant.price,
        compare_at: variant.compare_at,
        barcode: variant.barcode,
        grams: variant.grams,
        requires_shipping: variant.requires_shipping,
        taxable: variant.taxable,
        backorder: variant.stock.backorder,
        on_hand: variant.stock.on_hand,
        image_url: variant.image_url,
    }
}

fn unwritten(what: &str, error: std::io::Error) -> ProductError {
    Fault::internal(what).caused_by(error).into()
}

fn unserialised(error: csv::Error) -> ProductError {
    Fault::internal("write CSV").caused_by(error).into()
}
