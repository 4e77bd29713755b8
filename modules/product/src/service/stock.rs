//! Counting and adjusting the stock, and its ledger.

use chrono::{DateTime, Utc};
use diesel_async::AsyncConnection as _;
use eshopz_kernel::VariantId;
use eshopz_platform::audit::{self, Entry};
use eshopz_platform::http::IfMatch;
use uuid::Uuid;

use super::{ProductService, tell_changed};
use crate::domain::MovementKind;
use crate::error::ProductError;
use crate::store;
use crate::store::levels::Change;
use crate::store::rows::{Movement, VariantOfProduct};
use crate::store::variants::VariantChanges;

const VARIANT: ProductError = ProductError::NotFound("variant");

/// What is to become of a variant's stock.
#[derive(Clone, Debug)]
pub enum StockChange {
    /// Counted: so many are there.
    Set(i64),
    /// So many more, or fewer when below 0, and why.
    Adjust { delta: i64, reason: String },
}

impl StockChange {
    const fn from(&self, on_hand: i64) -> i64 {
        match self {
            Self::Set(counted) => *counted,
            Self::Adjust { delta, .. } => on_hand.saturating_add(*delta),
        }
    }

    const fn kind(&self) -> MovementKind {
        match self {
            Self::Set(_) => MovementKind::Set,
            Self::Adjust { .. } => MovementKind::Adjustment,
        }
    }

    const fn action(&self) -> &'static str {
        match self {
            Self::Set(_) => "stock.set",
            Self::Adjust { .. } => "stock.adjusted",
        }
    }

    fn reason(&self) -> Option<&str> {
        match self {
            Self::Set(_) => None,
            Self::Adjust { reason, .. } => Some(reason),
        }
    }
}

impl ProductService {
    /// Changes a variant's stock. Setting it to what it is writes nothing.
    ///
    /// # Errors
    /// [`ProductError::NotFound`], [`ProductError::StockReserved`] when less would be left than orders
    /// hold; 412 by `if_match`.
    pub async fn change_stock(
        &self,
        id: VariantId,
        change: &StockChange,
        actor: &str,
        if_match: &IfMatch,
    ) -> Result<VariantOfProduct, ProductError> {
        let id = id.uuid();
        let mut conn = self.db.conn().await?;
        let changed = (*conn)
            .transaction(async |conn| {
                let found = store::variants::lock(conn, id).await?.ok_or(VARIANT)?;
                if_match.check(found.variant.version)?;
                let level = found.variant.level();
                let on_hand = change.from(level.on_hand);
                if on_hand == level.on_hand {
                    return Ok(found);
                }
                if !level.may_become(on_hand) {
                    return Err(ProductError::StockReserved(Some(level.reserved)));
                }
                let (kind, reason) = (change.kind(), change.reason());
                let entry = Change { variant_id: id, on_hand, delta: on_hand - level.on_hand, kind, reason, actor };
                store::levels::change(conn, &entry).await?;
                let noted =
                    Entry::new(change.action(), "variant", id).with("delta", entry.delta).with("on_hand", on_hand);
                audit::record(conn, &noted).await?;
                store::variants::update(conn, id, &VariantChanges::default()).await?;
                tell_changed(conn, found.variant.product_id).await?;
                store::variants::by_id(conn, id).await?.ok_or(VARIANT)
            })
            .await
            .map_err(ProductError::by_constraint)?;
        drop(conn);
        self.shelf.changed([changed.variant.product_id]).await;
        Ok(changed)
    }

    /// The movements of a variant before a place in the ledger, newest first. Not a reader's: the newest come
    /// first, and who does not see his adjustment makes it again.
    ///
    /// # Errors
    /// [`ProductError::NotFound`].
    pub async fn stock_movements(
        &self,
        id: VariantId,
        before: Option<(DateTime<Utc>, Uuid)>,
        limit: usize,
    ) -> Result<Vec<Movement>, ProductError> {
        let mut conn = self.db.conn().await?;
        store::variants::product_of(&mut conn, id.uuid()).await?.ok_or(VARIANT)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(store::movements::of_variant(&mut conn, id.uuid(), before, limit).await?)
    }
}
