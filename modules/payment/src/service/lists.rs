//! Pages of payments, and of a payment's ledger.

use chrono::{DateTime, Utc};
use eshopz_kernel::{Cursor, Fault, Page};
use eshopz_platform::db::{Conn, StoreError};
use uuid::Uuid;

use super::PaymentService;
use crate::domain::TransactionKind;
use crate::store::lists::{self, PaymentFilter};
use crate::store::{Movement, Payment, payments};

/// Which page of which payments.
#[derive(Clone, Debug, Default)]
pub struct PaymentQuery {
    pub filter: PaymentFilter,
    pub cursor: Option<String>,
    pub limit: usize,
}

/// Where a page begins. The order is part of it: a cursor of the other order is refused.
type PaymentCursor = (bool, DateTime<Utc>, Uuid);
/// The same in a ledger, whose payment and kind are part of it.
type LedgerCursor = (Uuid, Option<TransactionKind>, DateTime<Utc>, Uuid);

fn not_of_this_list() -> Fault {
    Fault::field("/cursor", "invalid_cursor", "is not a cursor of this list; begin without one")
}

impl PaymentService {
    /// A page of payments, which a reader may answer.
    ///
    /// # Errors
    /// 422 `invalid_cursor`.
    pub async fn list(&self, query: PaymentQuery) -> Result<Page<Payment>, Fault> {
        let newest_first = query.filter.newest_first;
        let after = match query.cursor.as_deref().map(Cursor::decode::<PaymentCursor>).transpose()? {
            Some((order, at, id)) if order == newest_first => Some((Cursor::time(at)?, id)),
            Some(_) => return Err(not_of_this_list()),
            None => None,
        };
        let mut conn = self.db.read_conn().await?;
        let limit = i64::try_from(query.limit).unwrap_or(100);
        let rows = lists::payments(&mut conn, &query.filter, after, limit).await.map_err(StoreError::from)?;
        Ok(Page::from_rows(rows, query.limit, |row| (newest_first, row.created_at, row.id), |row| row))
    }

    /// A page of a payment's ledger, from its beginning; of one kind, or all. A reader may answer it, but
    /// not one that is behind the payment itself: who does not see a refund might make it again.
    ///
    /// # Errors
    /// 422 `invalid_cursor`.
    pub async fn ledger(
        &self,
        payment: &Payment,
        kind: Option<TransactionKind>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Movement>, Fault> {
        let id = payment.id;
        let after = match cursor.map(Cursor::decode::<LedgerCursor>).transpose()? {
            Some((of, only, at, last)) if of == id && only == kind => Some((Cursor::time(at)?, last)),
            Some(_) => return Err(not_of_this_list()),
            None => None,
        };
        let mut conn = self.as_new_as(payment).await?;
        let rows = lists::ledger(&mut conn, id, kind, after, i64::try_from(limit).unwrap_or(100))
            .await
            .map_err(StoreError::from)?;
        Ok(Page::from_rows(rows, limit, |row| (id, kind, row.created_at, row.id), |row| row))
    }

    /// A connection on which the payment is at this version at least. Every attempt and every refund is
    /// written together with a new version.
    async fn as_new_as(&self, payment: &Payment) -> Result<Conn, StoreError> {
        let mut conn = self.db.read_conn().await?;
        if payments::version(&mut conn, payment.id).await? >= Some(payment.version) {
            return Ok(conn);
        }
        drop(conn);
        self.db.conn().await
    }
}
