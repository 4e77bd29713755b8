//! Giving back what was charged twice: a late charge of a payment that another one had secured already.

use diesel_async::AsyncConnection as _;
use uuid::Uuid;

use super::{PaymentService, now};
use crate::domain::{TransactionKind, TransactionStatus};
use crate::error::PaymentError;
use crate::gateway::{FollowUp, GatewayError};
use crate::store::{Movement, NewMovement, ledger, payments};

/// The key of giving a charge back: made from the charge's own, and another than that.
const fn key_of_return(charge: Uuid) -> Uuid {
    Uuid::from_u128(!charge.as_u128())
}

#[eshopz_crash::crash_points]
impl PaymentService {
    /// Gives a surplus charge back, or lets it go when it is only held.
    pub(super) async fn give_back(&self, row: &Movement) -> Result<(), PaymentError> {
        let payment = self.load(row.payment_id).await?;
        let request = FollowUp {
            idempotency_key: key_of_return(row.id),
            charge: row.gateway_reference.clone().unwrap_or_default(),
            amount: payment.money(row.amount_minor),
        };
        let told = if row.kind == TransactionKind::Authorization {
            self.ask(self.gateway.void(request)).await
        } else {
            self.ask(self.gateway.refund(request)).await
        };
        match told {
            Ok(reference) => self.mark_returned(row, Some(&reference)).await,
            Err(GatewayError::Rejected { code, .. }) if code == "charge_already_refunded" => {
                self.mark_returned(row, None).await
            }
            Err(error) => {
                tracing::error!(payment = %row.payment_id, transaction = %row.id, %error, "a surplus is not given back");
                Ok(())
            }
        }
    }

    async fn mark_returned(&self, row: &Movement, reference: Option<&str>) -> Result<(), PaymentError> {
        let mut conn = self.db.conn().await?;
        conn.transaction(async |conn| {
            let payment = payments::lock(conn, row.payment_id).await?.ok_or(PaymentError::NotFound)?;
            let mut row = ledger::find(conn, row.id).await?.ok_or(PaymentError::NotFound)?;
            if row.status == TransactionStatus::Surplus {
                row.settle(TransactionStatus::Returned, now());
                ledger::save(conn, &row).await?;
                let given_back = NewMovement {
                    status: TransactionStatus::Succeeded,
                    gateway_reference: reference,
                    charge_reference: row.gateway_reference.as_deref(),
                    reason: Some("the payment was secured by another charge"),
                    settled_at: Some(now()),
                    ..NewMovement::asking(&payment, key_of_return(row.id), TransactionKind::Return, row.amount_minor)
                };
                ledger::insert(conn, &given_back).await?;
            }
            Ok(())
        })
        .await
    }
}
