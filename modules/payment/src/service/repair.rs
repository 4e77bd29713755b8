//! What `eshopz verify --repair` may do to payments: what the periodic job does, at once and for one of them.

use eshopz_payment_api::PaymentStatus;
use uuid::Uuid;

use super::PaymentService;
use crate::error::PaymentError;
use crate::store::{Movement, ledger, payments, webhooks};

impl PaymentService {
    /// Asks the gateway again about a movement that has no answer; false when it still has none.
    ///
    /// # Errors
    /// The database's, and the gateway's.
    pub(crate) async fn ask_again(&self, movement: Uuid) -> Result<bool, PaymentError> {
        let Some(row) = self.movement(movement).await? else { return Ok(false) };
        let before = row.status;
        self.chase(row).await?;
        Ok(self.movement(movement).await?.is_some_and(|row| row.status != before))
    }

    /// Applies an event that waits; false when what it is about is not known yet.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn apply_again(&self, event: Uuid) -> Result<bool, PaymentError> {
        self.apply_stored(event).await?;
        let mut conn = self.db.conn().await?;
        Ok(webhooks::is_applied(&mut conn, event).await?)
    }

    /// Goes on giving back a payment whose order is cancelled; false when something is still to be given back.
    ///
    /// # Errors
    /// The database's, and the gateway's.
    pub(crate) async fn undo_again(&self, payment: Uuid) -> Result<bool, PaymentError> {
        self.finish_undo(payment).await?;
        let mut conn = self.db.conn().await?;
        let payment = payments::find(&mut conn, payment).await?.ok_or(PaymentError::NotFound)?;
        let held = matches!(payment.status.0, PaymentStatus::Authorized | PaymentStatus::RequiresAction);
        Ok(!held && payment.captured_minor == payment.refunded_minor)
    }

    async fn movement(&self, id: Uuid) -> Result<Option<Movement>, PaymentError> {
        let mut conn = self.db.conn().await?;
        Ok(ledger::find(&mut conn, id).await?)
    }
}
