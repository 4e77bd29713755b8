//! Products as everybody sees them, from the shelf or from the database.

use eshopz_kernel::{Fault, FaultKind};
use uuid::Uuid;

use super::shelf::ProductCopy;
use super::{ProductService, WholeProduct};
use crate::error::ProductError;
use crate::store;

const PRODUCT: ProductError = ProductError::NotFound("product");

/// Writes a product as everybody sees it.
pub trait Write: Fn(WholeProduct) -> Result<ProductCopy, Fault> {}

impl<F: Fn(WholeProduct) -> Result<ProductCopy, Fault>> Write for F {}

impl ProductService {
    /// An active product by its id or its handle, as `write` has written it.
    ///
    /// # Errors
    /// [`ProductError::NotFound`].
    pub async fn show_product(&self, reference: &str, write: impl Write) -> Result<ProductCopy, ProductError> {
        if !self.shelf.is_on() || reference.contains('\0') {
            return Ok(write(self.find_product(reference, false).await?)?);
        }
        match Uuid::try_parse(reference) {
            Ok(id) => Ok(self.copy(id, &write).await?),
            Err(_) => self.show_by_handle(reference, &write).await,
        }
    }

    async fn show_by_handle(&self, handle: &str, write: &impl Write) -> Result<ProductCopy, ProductError> {
        if let Some(id) = self.shelf.handles.get(handle).await
            && let Some(copy) = self.copy_under(handle, id, write).await?
        {
            return Ok(copy);
        }
        let mut conn = self.db.conn().await?;
        let id = store::products::id_of(&mut conn, handle).await?.ok_or(PRODUCT)?;
        drop(conn);
        self.shelf.handles.insert(handle.to_owned(), id).await;
        match self.copy_under(handle, id, write).await? {
            Some(copy) => Ok(copy),
            // It got this handle a moment ago, and the copy does not know.
            None => Ok(write(self.find_product(handle, false).await?)?),
        }
    }

    /// The copy, if the product has this handle.
    async fn copy_under(
        &self,
        handle: &str,
        id: Uuid,
        write: &impl Write,
    ) -> Result<Option<ProductCopy>, ProductError> {
        match self.copy(id, write).await {
            Ok(copy) => Ok(Some(copy).filter(|copy| &*copy.handle == handle)),
            // Another product may have the handle by now.
            Err(fault) if fault.kind == FaultKind::NotFound => Ok(None),
            Err(fault) => Err(fault.into()),
        }
    }

    /// By the writer: what a replica has not heard yet must not be kept after a change.
    async fn copy(&self, id: Uuid, write: &impl Write) -> Result<ProductCopy, Fault> {
        let key = id.to_string();
        self.shelf.products.get(&key, async { write(self.find_product(&key, false).await?) }).await
    }
}
