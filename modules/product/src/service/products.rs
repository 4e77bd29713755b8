//! Reading, making, changing and archiving products.

use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use eshopz_kernel::ProductId;
use eshopz_platform::audit::{self, Entry};
use eshopz_platform::http::IfMatch;
use uuid::Uuid;

use super::variants::{self, price_range};
use super::{ProductDraft, ProductPatch, ProductService, WholeProduct, tell_changed};
use crate::domain::{Options, ProductOption, Status, handle};
use crate::error::ProductError;
use crate::store;
use crate::store::products::{NewProduct, ProductChanges};

const PRODUCT: ProductError = ProductError::NotFound("product");

/// How often a number is tried that somebody may ask for by name at the same moment.
const HANDLE_TRIES: usize = 5;

impl ProductService {
    /// A product by its id or its handle. `all` shows those that are not active too.
    ///
    /// # Errors
    /// [`ProductError::NotFound`].
    pub async fn find_product(&self, reference: &str, all: bool) -> Result<WholeProduct, ProductError> {
        if reference.contains('\0') {
            return Err(PRODUCT);
        }
        let mut conn = self.db.conn().await?;
        let found = match Uuid::try_parse(reference) {
            Ok(id) => store::products::by_id(&mut conn, id).await?,
            Err(_) => store::products::by_handle(&mut conn, reference).await?,
        };
        let found = found.filter(|found| all || found.product.status == Status::Active).ok_or(PRODUCT)?;
        Ok(found.into())
    }

    /// Makes a product with its variants and their stock.
    ///
    /// # Errors
    /// [`ProductError::HandleTaken`], [`ProductError::SkuTaken`], [`ProductError::OptionValuesTaken`],
    /// [`ProductError::UnknownCategory`], [`ProductError::Field`].
    pub async fn create_product(&self, draft: ProductDraft, actor: &str) -> Result<WholeProduct, ProductError> {
        let mut conn = self.db.conn().await?;
        let made = (*conn)
            .transaction(async |conn| {
                let id = insert(conn, draft, actor).await?;
                audit::record(conn, &Entry::new("product.created", "product", id)).await?;
                tell_changed(conn, id).await?;
                whole(conn, id).await
            })
            .await
            .map_err(ProductError::by_constraint)?;
        drop(conn);
        self.shelf.changed([made.product.id]).await;
        Ok(made)
    }

    /// Changes a product.
    ///
    /// # Errors
    /// [`ProductError::NotFound`], [`ProductError::HandleTaken`], [`ProductError::UnknownCategory`],
    /// [`ProductError::Field`] when the options do not fit the variants; 412 by `if_match`.
    pub async fn update_product(
        &self,
        id: ProductId,
        patch: ProductPatch,
        if_match: &IfMatch,
    ) -> Result<WholeProduct, ProductError> {
        let id = id.uuid();
        let mut conn = self.db.conn().await?;
        let updated = (*conn)
            .transaction(async |conn| {
                let locked = store::products::lock(conn, id).await?.ok_or(PRODUCT)?;
                if_match.check(locked.version)?;
                let changes = changes(conn, &locked, patch).await?;
                store::products::update(conn, id, &changes).await?;
                audit::record(conn, &Entry::new("product.updated", "product", id)).await?;
                tell_changed(conn, id).await?;
                whole(conn, id).await
            })
            .await
            .map_err(ProductError::by_constraint)?;
        drop(conn);
        self.shelf.changed([id]).await;
        Ok(updated)
    }

    /// Takes a product out of the shop. It stays for the orders that have it, and for admins.
    ///
    /// # Errors
    /// [`ProductError::NotFound`]; 412 by `if_match`.
    pub async fn archive_product(&self, id: ProductId, if_match: &IfMatch) -> Result<(), ProductError> {
        let id = id.uuid();
        let mut conn = self.db.conn().await?;
        (*conn)
            .transaction(async |conn| {
                let locked = store::products::lock(conn, id).await?.ok_or(PRODUCT)?;
                if_match.check(locked.version)?;
                if locked.status != Status::Archived {
                    let changes = ProductChanges { status: Some(Status::Archived), ..ProductChanges::default() };
                    store::products::update(conn, id, &changes).await?;
                    audit::record(conn, &Entry::new("product.archived", "product", id)).await?;
                    tell_changed(conn, id).await?;
                }
                Ok::<_, ProductError>(())
            })
            .await?;
        drop(conn);
        self.shelf.changed([id]).await;
        Ok(())
    }
}

/// A product that is there, as it is now.
pub(super) async fn whole(conn: &mut AsyncPgConnection, id: Uuid) -> Result<WholeProduct, ProductError> {
    Ok(store::products::by_id(conn, id).await?.ok_or(PRODUCT)?.into())
}

async fn insert(conn: &mut AsyncPgConnection, draft: ProductDraft, actor: &str) -> Result<Uuid, ProductError> {
    let id = ProductId::new().uuid();
    let category_id = match &draft.category {
        Some(slug) => Some(category_id(conn, slug).await?),
        None => None,
    };
    let (price_min_minor, price_max_minor) = price_range(&draft.variants);
    let skus: Vec<&str> = draft.variants.iter().filter_map(|variant| variant.sku.as_deref()).collect();
    let skus = skus.join(" ");
    let mut options = Options::for_new(draft.options, draft.variants.first().map(|first| &first.option_values));
    let planned = variants::plan(id, &mut options, draft.variants)?;
    let new = NewProduct {
        id,
        handle: draft.handle.clone().unwrap_or_else(|| handle::from_title(&draft.title)),
        title: draft.title,
        description: draft.description,
        vendor: draft.vendor,
        product_type: draft.product_type,
        tags: draft.tags,
        status: draft.status,
        category_id,
        options,
        images: draft.images,
        price_min_minor,
        price_max_minor,
        skus,
    };
    insert_under_free_handle(conn, new, draft.handle.is_some()).await?;
    planned.insert(conn, actor).await?;
    Ok(id)
}

/// A handle that was asked for is taken or not; one made of the title gets a number until it is free.
async fn insert_under_free_handle(
    conn: &mut AsyncPgConnection,
    mut new: NewProduct,
    asked_for: bool,
) -> Result<(), ProductError> {
    if store::products::insert(conn, &new).await? {
        return Ok(());
    }
    if asked_for {
        return Err(ProductError::HandleTaken);
    }
    let base = new.handle.clone();
    store::products::lock_numbers(conn, &base).await?;
    for _ in 0..HANDLE_TRIES {
        let last = store::products::last_suffix(conn, &base).await?;
        new.handle = format!("{base}-{}", last.max(1) + 1);
        if store::products::insert(conn, &new).await? {
            return Ok(());
        }
    }
    Err(ProductError::HandleTaken)
}

async fn category_id(conn: &mut AsyncPgConnection, slug: &str) -> Result<Uuid, ProductError> {
    store::categories::id_of(conn, slug).await?.ok_or(ProductError::UnknownCategory { field: "/category" })
}

async fn changes(
    conn: &mut AsyncPgConnection,
    locked: &store::products::LockedProduct,
    patch: ProductPatch,
) -> Result<ProductChanges, ProductError> {
    let category_id = match patch.category {
        None => None,
        Some(None) => Some(None),
        Some(Some(slug)) => Some(Some(category_id(conn, &slug).await?)),
    };
    let options = match patch.options {
        None => None,
        Some(options) => Some(renamed(conn, locked, options).await?),
    };
    Ok(ProductChanges {
        handle: patch.handle,
        title: patch.title,
        description: patch.description,
        vendor: patch.vendor,
        product_type: patch.product_type,
        tags: patch.tags,
        status: patch.status,
        category_id,
        options,
        images: patch.images,
    })
}

/// Options can be renamed and their values ordered anew. Values that variants have stay.
async fn renamed(
    conn: &mut AsyncPgConnection,
    locked: &store::products::LockedProduct,
    options: Vec<ProductOption>,
) -> Result<Options, ProductError> {
    let count = locked.options.0.len();
    if options.len() != count {
        let message = format!("must be {count} as before: every variant has a value for each option");
        return Err(ProductError::field("/options", "options", message));
    }
    let mut options = Options(options);
    for values in store::variants::option_values(conn, locked.id).await? {
        let by_name = options.name_values(&values);
        options.take_in(&by_name, "/options")?;
    }
    Ok(options)
}
