//! Making, changing and removing the variants of a product.

use std::collections::HashSet;

use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use eshopz_kernel::{ProductId, VariantId};
use eshopz_platform::audit::{self, Entry};
use eshopz_platform::http::IfMatch;
use uuid::Uuid;

use super::{MAX_VARIANTS, ProductService, VariantDraft, VariantPatch, tell_changed};
use crate::domain::options::title_of;
use crate::domain::{Options, Status};
use crate::error::ProductError;
use crate::store;
use crate::store::levels::Opening;
use crate::store::rows::VariantOfProduct;
use crate::store::variants::{NewVariant, VariantChanges};

const VARIANT: ProductError = ProductError::NotFound("variant");

/// Variants that are made by one statement.
const BATCH: usize = 500;

impl ProductService {
    /// A variant. `all` shows those of products that are not active too.
    ///
    /// # Errors
    /// [`ProductError::NotFound`].
    pub async fn find_variant(&self, id: VariantId, all: bool) -> Result<VariantOfProduct, ProductError> {
        let mut conn = self.db.conn().await?;
        let found = store::variants::by_id(&mut conn, id.uuid()).await?;
        found.filter(|found| all || found.status == Status::Active).ok_or(VARIANT)
    }

    /// Adds a variant to a product.
    ///
    /// # Errors
    /// [`ProductError::NotFound`], [`ProductError::SkuTaken`], [`ProductError::OptionValuesTaken`],
    /// [`ProductError::TooManyVariants`], [`ProductError::Field`].
    pub async fn create_variant(
        &self,
        product: ProductId,
        mut draft: VariantDraft,
        actor: &str,
    ) -> Result<VariantOfProduct, ProductError> {
        let product = product.uuid();
        let mut conn = self.db.conn().await?;
        let created = (*conn)
            .transaction(async |conn| {
                let locked = store::products::lock(conn, product).await?.ok_or(ProductError::NotFound("product"))?;
                let (count, last) = store::variants::extent(conn, product).await?;
                if usize::try_from(count).unwrap_or(usize::MAX) >= MAX_VARIANTS {
                    return Err(ProductError::TooManyVariants { max: MAX_VARIANTS });
                }
                draft.position = draft.position.or(Some(last.saturating_add(1)));
                let mut options = locked.options;
                if count == 0 && options.0.is_empty() {
                    // The first variant says what the product's options are, as with a new product.
                    options = Options::for_new(None, Some(&draft.option_values));
                }
                let planned = plan_one(product, &mut options, draft)?;
                let id = planned.insert(conn, actor).await?;
                note(conn, "variant.created", id, product).await?;
                store::products::refresh(conn, product, &options).await?;
                tell_changed(conn, product).await?;
                store::variants::by_id(conn, id).await?.ok_or(VARIANT)
            })
            .await
            .map_err(ProductError::by_constraint)?;
        drop(conn);
        self.shelf.changed([product]).await;
        Ok(created)
    }

    /// Changes a variant.
    ///
    /// # Errors
    /// [`ProductError::NotFound`], [`ProductError::SkuTaken`], [`ProductError::OptionValuesTaken`],
    /// [`ProductError::Field`], [`ProductError::StockReserved`] when more was sold than there is and
    /// that is no longer to be; 412 by `if_match`.
    pub async fn update_variant(
        &self,
        id: VariantId,
        patch: VariantPatch,
        if_match: &IfMatch,
    ) -> Result<VariantOfProduct, ProductError> {
        let id = id.uuid();
        let mut conn = self.db.conn().await?;
        let updated = (*conn)
            .transaction(async |conn| {
                let (product, variant) = lock(conn, id).await?;
                if_match.check(variant.variant.version)?;
                let mut options = product.options;
                let backorder = patch.backorder;
                let changes = changes(&variant, &mut options, patch)?;
                store::variants::update(conn, id, &changes).await?;
                note(conn, "variant.updated", id, product.id).await?;
                if let Some(backorder) = backorder {
                    store::levels::set_backorder(conn, id, backorder).await?;
                }
                store::products::refresh(conn, product.id, &options).await?;
                tell_changed(conn, product.id).await?;
                store::variants::by_id(conn, id).await?.ok_or(VARIANT)
            })
            .await
            .map_err(ProductError::by_constraint)?;
        drop(conn);
        self.shelf.changed([updated.variant.product_id]).await;
        Ok(updated)
    }

    /// Removes a variant.
    ///
    /// # Errors
    /// [`ProductError::NotFound`], [`ProductError::LastVariant`], [`ProductError::StockReserved`]; 412
    /// by `if_match`.
    pub async fn delete_variant(&self, id: VariantId, if_match: &IfMatch) -> Result<(), ProductError> {
        let id = id.uuid();
        let mut conn = self.db.conn().await?;
        let product = (*conn)
            .transaction(async |conn| {
                let (product, VariantOfProduct { variant, .. }) = lock(conn, id).await?;
                if_match.check(variant.version)?;
                if variant.reserved > 0 {
                    return Err(ProductError::StockReserved(Some(variant.reserved)));
                }
                if store::variants::extent(conn, product.id).await?.0 <= 1 {
                    return Err(ProductError::LastVariant);
                }
                store::variants::delete(conn, id).await?;
                note(conn, "variant.deleted", id, product.id).await?;
                store::products::refresh(conn, product.id, &product.options).await?;
                tell_changed(conn, product.id).await?;
                Ok::<_, ProductError>(product.id)
            })
            .await?;
        drop(conn);
        self.shelf.changed([product]).await;
        Ok(())
    }
}

/// Notes in the audit log what was done to a variant.
async fn note(conn: &mut AsyncPgConnection, action: &'static str, id: Uuid, product: Uuid) -> Result<(), ProductError> {
    Ok(audit::record(conn, &Entry::new(action, "variant", id).with("product_id", product)).await?)
}

/// Locks a variant's product, the variant and its stock, in this order.
async fn lock(
    conn: &mut AsyncPgConnection,
    id: Uuid,
) -> Result<(store::products::LockedProduct, VariantOfProduct), ProductError> {
    let product = store::variants::product_of(conn, id).await?.ok_or(VARIANT)?;
    let product = store::products::lock(conn, product).await?.ok_or(VARIANT)?;
    // It may have been removed while the product was waited for.
    let variant = store::variants::lock(conn, id).await?.ok_or(VARIANT)?;
    Ok((product, variant))
}

fn changes(now: &VariantOfProduct, options: &mut Options, patch: VariantPatch) -> Result<VariantChanges, ProductError> {
    let VariantOfProduct { variant, .. } = now;
    let values = match &patch.option_values {
        Some(values) => Some(options.take_in(values, "/option_values")?),
        None => None,
    };
    // A title that was made of the values follows them.
    let made = values.as_ref().filter(|_| variant.title == title_of(&variant.option_values));
    Ok(VariantChanges {
        sku: patch.sku,
        title: patch.title.or_else(|| made.map(|values| title_of(values))),
        option_values: values,
        price_minor: patch.price_minor,
        compare_at_minor: patch.compare_at_minor,
        barcode: patch.barcode,
        weight_grams: patch.weight_grams,
        requires_shipping: patch.requires_shipping,
        taxable: patch.taxable,
        position: patch.position,
        image_url: patch.image_url,
    })
}

/// The lowest and the highest price.
pub(super) fn price_range(variants: &[VariantDraft]) -> (i64, i64) {
    let prices = || variants.iter().map(|variant| variant.price_minor);
    (prices().min().unwrap_or(0), prices().max().unwrap_or(0))
}

/// Rows that are ready to be written.
#[derive(Debug, Default)]
pub(super) struct Planned {
    variants: Vec<NewVariant>,
    openings: Vec<Opening>,
}

/// The variants of a new product, in the order given.
///
/// # Errors
/// [`ProductError::Field`] when the values do not fit the options, [`ProductError::OptionValuesTaken`]
/// and [`ProductError::SkuTaken`] when two are alike.
pub(super) fn plan(product: Uuid, options: &mut Options, drafts: Vec<VariantDraft>) -> Result<Planned, ProductError> {
    let mut planned = Planned::default();
    let (mut values, mut skus) = (HashSet::new(), HashSet::new());
    for ((index, mut draft), position) in drafts.into_iter().enumerate().zip(1..) {
        draft.position = draft.position.or(Some(position));
        let field = format!("/variants/{index}/option_values");
        let taken_in = options.take_in(&draft.option_values, &field)?;
        if !values.insert(taken_in.clone()) {
            return Err(ProductError::OptionValuesTaken);
        }
        if draft.sku.as_ref().is_some_and(|sku| !skus.insert(sku.clone())) {
            return Err(ProductError::SkuTaken);
        }
        planned.add(product, taken_in, draft);
    }
    Ok(planned)
}

fn plan_one(product: Uuid, options: &mut Options, draft: VariantDraft) -> Result<Planned, ProductError> {
    let values = options.take_in(&draft.option_values, "/option_values")?;
    let mut planned = Planned::default();
    planned.add(product, values, draft);
    Ok(planned)
}

impl Planned {
    fn add(&mut self, product_id: Uuid, option_values: Vec<String>, draft: VariantDraft) {
        let id = VariantId::new().uuid();
        self.openings.push(Opening { variant_id: id, on_hand: draft.on_hand, backorder: draft.backorder });
        self.variants.push(NewVariant {
            id,
            product_id,
            sku: draft.sku,
            title: draft.title.unwrap_or_else(|| title_of(&option_values)),
            option_values,
            price_minor: draft.price_minor,
            compare_at_minor: draft.compare_at_minor,
            barcode: draft.barcode,
            weight_grams: draft.weight_grams,
            requires_shipping: draft.requires_shipping,
            taxable: draft.taxable,
            position: draft.position.unwrap_or(1),
            image_url: draft.image_url,
        });
    }

    /// Writes the variants and opens their stock; returns the last one's id.
    pub(super) async fn insert(&self, conn: &mut AsyncPgConnection, actor: &str) -> Result<Uuid, ProductError> {
        for batch in self.variants.chunks(BATCH) {
            store::variants::insert(conn, batch).await?;
        }
        store::levels::open(conn, &self.openings, actor).await?;
        Ok(self.variants.last().map_or(Uuid::nil(), |variant| variant.id))
    }
}
