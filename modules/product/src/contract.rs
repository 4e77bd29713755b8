//! The module's contract: what the other modules call.

use async_trait::async_trait;
use eshopz_kernel::{Fault, Money, OrderId, VariantId};
use eshopz_platform::db::StoreError;
use eshopz_product_api::{GiveBackStock, ProductApi, ReserveStock, VariantSnapshot};
use uuid::Uuid;

use crate::service::ProductService;
use crate::store;

#[async_trait]
impl ProductApi for ProductService {
    async fn variants(&self, ids: &[VariantId]) -> Result<Vec<VariantSnapshot>, Fault> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
        let mut conn = self.db.conn().await?;
        let rows = store::variants::snapshots(&mut conn, &ids).await.map_err(StoreError::from)?;
        let snapshot = |row: store::variants::Snapshot| VariantSnapshot {
            id: row.id.into(),
            product_id: row.product_id.into(),
            sku: row.sku,
            title: row.title,
            variant_title: row.variant_title,
            image_url: row.image_url,
            price: Money::new(row.price_minor, self.currency()),
            available: row.available,
            backorder: row.backorder,
            requires_shipping: row.requires_shipping,
            taxable: row.taxable,
            sellable: row.sellable,
        };
        Ok(rows.into_iter().map(snapshot).collect())
    }

    async fn reserve(&self, command: ReserveStock) -> Result<(), Fault> {
        Ok(self.reserve_stock(command).await?)
    }

    async fn commit_reservation(&self, order: OrderId) -> Result<(), Fault> {
        Ok(self.sell_reserved(order).await?)
    }

    async fn release(&self, order: OrderId) -> Result<(), Fault> {
        Ok(self.release_stock(order).await?)
    }

    async fn give_back(&self, command: GiveBackStock) -> Result<(), Fault> {
        Ok(self.give_back_stock(command).await?)
    }
}
