//! One attempt at a time: what waits for the payer at the gateway is let go before he pays in another way, or he
//! could pay both. What he has paid meanwhile counts, and nothing else is asked of him.

use diesel_async::AsyncConnection as _;

use super::attempts::{Asked, Outcome, answer};
use super::capture::{refusal, unanswered};
use super::settle::{self, Money};
use super::surplus::key_of_void;
use super::webhooks::method_of;
use super::{PaymentService, now};
use crate::domain::{Failure, TransactionStatus, declines};
use crate::error::PaymentError;
use crate::gateway::{ChargeStatus, FollowUp};
use crate::store::{Movement, Payment, ledger, payments, replaced};

#[eshopz_crash::crash_points]
impl PaymentService {
    /// Carries an attempt out once those that it replaces cannot be paid any more. When one of them was paid, it is
    /// not carried out.
    ///
    /// # Errors
    /// As [`Self::confirm`].
    pub(super) async fn carry_out_instead(
        &self,
        payment: Payment,
        attempt: Movement,
        replaced: Vec<Movement>,
        asked: Asked,
    ) -> Result<Payment, PaymentError> {
        if replaced.is_empty() {
            return self.carry_out(payment, attempt, asked).await;
        }
        for row in &replaced {
            if let Err(error) = self.let_go_replaced(row).await {
                return self.give_way(&payment, &attempt, asked, error).await;
            }
        }
        let payment = self.load(payment.id).await?;
        if !payment.status.0.is_secured() {
            return self.carry_out(payment, attempt, asked).await;
        }
        // One that was asked for before may have been made: the job finds that out.
        if asked == Asked::First {
            self.close(&attempt).await?;
        }
        answer(payment, &attempt)
    }

    /// The same for an attempt that the gateway may have heard of before.
    pub(super) async fn carry_out_again(&self, payment: Payment, attempt: Movement) -> Result<Payment, PaymentError> {
        let replaced = {
            let mut conn = self.db.conn().await?;
            replaced::of_payment(&mut conn, payment.id).await?
        };
        self.carry_out_instead(payment, attempt, replaced, Asked::Again).await
    }

    /// Lets go at the gateway of an attempt that another has replaced, as often as it takes: the key makes it one void.
    pub(super) async fn let_go_replaced(&self, row: &Movement) -> Result<(), PaymentError> {
        let payment = self.load(row.payment_id).await?;
        let request = FollowUp {
            idempotency_key: key_of_void(row.id),
            charge: row.gateway_reference.clone().unwrap_or_default(),
            amount: payment.money(row.amount_minor),
        };
        match self.ask(self.gateway.void(request)).await {
            Ok(_) => self.close(row).await,
            Err(error) => match refusal(&error) {
                Some(failure) => self.learn_of_replaced(row, &failure).await,
                None => Err(unanswered(row, &error)),
            },
        }
    }

    /// It is not let go: most likely it was paid meanwhile.
    async fn learn_of_replaced(&self, row: &Movement, failure: &Failure) -> Result<(), PaymentError> {
        let reference = row.gateway_reference.clone().unwrap_or_default();
        let found = self.ask(self.gateway.look_up(&reference)).await.map_err(|error| unanswered(row, &error))?;
        match found.map(|charge| (charge.status, charge.captured)) {
            Some((ChargeStatus::Succeeded, captured)) => self.take_in_replaced(row, captured).await,
            Some((ChargeStatus::Voided | ChargeStatus::Declined, _)) | None => self.close(row).await,
            // The job tries again; should it be paid before that, it goes back.
            Some((ChargeStatus::Waiting | ChargeStatus::Authorized, _)) => {
                let code = &failure.code;
                tracing::error!(payment = %row.payment_id, attempt = %row.id, code, "an attempt cannot be let go");
                Ok(())
            }
        }
    }

    async fn take_in_replaced(&self, row: &Movement, captured: i64) -> Result<(), PaymentError> {
        let mut conn = self.db.conn().await?;
        let (payment, effects) = conn
            .transaction(async |conn| {
                let mut payment = payments::lock(conn, row.payment_id).await?.ok_or(PaymentError::NotFound)?;
                let Some(row) = ledger::find(conn, row.id).await?.filter(Movement::is_replaced) else {
                    return Ok((payment, Vec::new()));
                };
                let (reference, method) = (row.gateway_reference.clone().unwrap_or_default(), method_of(Some(&row)));
                let money = Money { reference: &reference, amount: captured, method };
                let effects = settle::captured(conn, &mut payment, Some(row), money).await?;
                Ok::<_, PaymentError>((payment, effects))
            })
            .await?;
        drop(conn);
        self.meter(&payment, &effects);
        self.finish_undo_if_wanted(&payment).await;
        Ok(())
    }

    /// What it replaces may still be paid, so the new attempt is not made; it can be tried again.
    async fn give_way(
        &self,
        payment: &Payment,
        attempt: &Movement,
        asked: Asked,
        error: PaymentError,
    ) -> Result<Payment, PaymentError> {
        if asked == Asked::Again {
            // The time before may have got through.
            return Err(error);
        }
        let failed = Outcome::Failed(Failure::of(declines::GATEWAY_UNAVAILABLE.code));
        let (payment, attempt) = self.settle_attempt(payment.id, attempt.id, failed).await?;
        self.finish_undo_if_wanted(&payment).await;
        answer(payment, &attempt)
    }

    /// An attempt of which nothing can come any more.
    async fn close(&self, attempt: &Movement) -> Result<(), PaymentError> {
        let mut conn = self.db.conn().await?;
        conn.transaction(async |conn| {
            payments::lock(conn, attempt.payment_id).await?.ok_or(PaymentError::NotFound)?;
            let open = ledger::find(conn, attempt.id).await?.filter(|row| row.status == TransactionStatus::Pending);
            if let Some(mut row) = open {
                row.settle(TransactionStatus::Cancelled, now());
                ledger::save(conn, &row).await?;
            }
            Ok(())
        })
        .await
    }
}
