//! Giving money back. The payment's row says how much is left, by a CHECK, before the gateway is asked.

use diesel::result::QueryResult;
use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use eshopz_kernel::{Money, PaymentId};
use eshopz_platform::audit;
use eshopz_platform::idempotency::Claim;
use futures::future::BoxFuture;
use uuid::Uuid;

use super::capture::{follow_up, noted, refusal, unanswered};
use super::{PaymentService, claim_key, now, settle};
use crate::domain::{Fact, Failure, TransactionKind, TransactionStatus};
use crate::error::PaymentError;
use crate::gateway::GatewayCharge;
use crate::store::{Movement, NewMovement, Payment, ledger, payments};

#[eshopz_crash::crash_points]
impl PaymentService {
    /// Refunds in part or, without an amount, all that is left. The refund is `pending` while the
    /// gateway's answer is not known, and is asked for again until it is.
    ///
    /// # Errors
    /// 409 `refund_exceeds_captured`; 422 for a bad amount.
    pub async fn refund(
        &self,
        id: PaymentId,
        amount: Option<Money>,
        reason: Option<&str>,
        claim: &Claim,
    ) -> Result<Movement, PaymentError> {
        let refund = Uuid::now_v7();
        let (payment, row) = {
            let mut conn = self.db.conn().await?;
            conn.transaction(async |conn| {
                claim_key(conn, Some(claim), refund).await?;
                let payment = payments::lock(conn, id.uuid()).await?.ok_or(PaymentError::NotFound)?;
                self.at_ours(&payment)?;
                let (payment, row) = begin(conn, &payment, refund, amount, reason).await?;
                audit::record(conn, &noted("payment.refunded", &payment, &row)).await?;
                Ok::<_, PaymentError>((payment, row))
            })
            .await?
        };
        self.carry_out_refund(&payment, row).await
    }

    /// Takes up a refund that a process began and did not live to answer.
    ///
    /// # Errors
    /// 404 when there is none.
    pub async fn resume_refund(&self, id: PaymentId, refund: Uuid) -> Result<Movement, PaymentError> {
        let payment = self.load(id.uuid()).await?;
        let row = {
            let mut conn = self.db.conn().await?;
            ledger::find(&mut conn, refund).await?.ok_or(PaymentError::NotFound)?
        };
        if row.status == TransactionStatus::Pending { self.carry_out_refund(&payment, row).await } else { Ok(row) }
    }

    /// Asks the gateway, as often as it takes: the key makes it one refund.
    pub(super) async fn carry_out_refund(&self, payment: &Payment, row: Movement) -> Result<Movement, PaymentError> {
        self.at_ours(payment)?;
        let told = match self.ask(self.gateway.refund(follow_up(payment, &row))).await {
            Ok(reference) => Ok(reference),
            Err(error) => match refusal(&error) {
                Some(failure) => {
                    self.learn_of_refunds(payment).await;
                    Err(failure)
                }
                None => {
                    let _ = unanswered(&row, &error);
                    return Ok(row);
                }
            },
        };
        let row = self.settle_refund(payment.id, row.id, told).await?;
        if row.status == TransactionStatus::Succeeded {
            self.after_refund(payment.id).await?;
        }
        Ok(row)
    }

    /// Applies what the gateway told of a refund before its name was known here. In a box: an event can
    /// lead to the next refund.
    fn after_refund(&self, payment: Uuid) -> BoxFuture<'_, Result<(), PaymentError>> {
        Box::pin(async move {
            let payment = self.load(payment).await?;
            let reference = payment.gateway_reference.clone();
            self.with_parked(payment, reference.as_deref()).await.map(drop)
        })
    }

    /// It was refused: most likely somebody has given the money back by other means, and we were not told. What the
    /// gateway's books have of it is booked as soon as the refund that was refused is, or the same would be asked
    /// for again for ever.
    async fn learn_of_refunds(&self, payment: &Payment) {
        let Some(reference) = &payment.gateway_reference else { return };
        let learnt = match self.ask(self.gateway.look_up(reference)).await {
            Ok(Some(charge)) => self.note_refunded(payment.id, charge).await,
            Ok(None) => Ok(()),
            Err(error) => Err(PaymentError::GatewayRefused(error.to_string())),
        };
        if let Err(error) = learnt {
            tracing::warn!(payment = %payment.id, %error, "it is not known what has gone back");
        }
    }

    async fn note_refunded(&self, payment: Uuid, charge: GatewayCharge) -> Result<(), PaymentError> {
        let mut conn = self.db.conn().await?;
        let (payment, effects) = conn
            .transaction(async |conn| {
                let mut payment = payments::lock(conn, payment).await?.ok_or(PaymentError::NotFound)?;
                let fact = Fact::RefundedAtGateway { reference: charge.reference, total: charge.refunded };
                let effects = settle::apply(conn, &mut payment, fact).await?;
                Ok::<_, PaymentError>((payment, effects))
            })
            .await?;
        self.meter(&payment, &effects);
        Ok(())
    }

    async fn settle_refund(
        &self,
        payment: Uuid,
        refund: Uuid,
        told: Result<String, Failure>,
    ) -> Result<Movement, PaymentError> {
        let mut conn = self.db.conn().await?;
        let (payment, row, fresh, effects) = conn
            .transaction(async |conn| {
                let mut payment = payments::lock(conn, payment).await?.ok_or(PaymentError::NotFound)?;
                let mut row = ledger::find(conn, refund).await?.ok_or(PaymentError::NotFound)?;
                if row.status != TransactionStatus::Pending {
                    return Ok((payment, row, false, Vec::new()));
                }
                let mut effects = Vec::new();
                match told {
                    Ok(reference) => {
                        row.gateway_reference = Some(reference);
                        row.settle(TransactionStatus::Succeeded, now());
                        ledger::save(conn, &row).await?;
                        settle::publish_refund(conn, &payment, &row).await?;
                    }
                    Err(failure) => {
                        row.fail(failure, now());
                        ledger::save(conn, &row).await?;
                        let fact = Fact::RefundReturned { amount: row.amount_minor };
                        effects = settle::apply(conn, &mut payment, fact).await?;
                        settle::publish_refund_failed(conn, &payment, &row).await?;
                    }
                }
                Ok::<_, PaymentError>((payment, row, true, effects))
            })
            .await?;
        if fresh {
            self.meter_refund(&row);
            self.meter(&payment, &effects);
        }
        Ok(row)
    }
}

/// Checks the amount, takes it from what can be refunded and writes the refund down.
#[eshopz_crash::crash_points]
pub(super) async fn begin(
    conn: &mut AsyncPgConnection,
    payment: &Payment,
    refund: Uuid,
    amount: Option<Money>,
    reason: Option<&str>,
) -> Result<(Payment, Movement), PaymentError> {
    let left = payment.money(payment.state().refundable());
    let amount = part_of(left, amount)?;
    let reserved = reserve(conn, payment, refund, amount, reason).await?;
    reserved.ok_or(PaymentError::RefundExceeds { refundable: left })
}

/// Takes the amount from what can be refunded and writes the refund down; nothing when there is not so much.
#[eshopz_crash::crash_points]
pub(super) async fn reserve(
    conn: &mut AsyncPgConnection,
    payment: &Payment,
    refund: Uuid,
    amount: i64,
    reason: Option<&str>,
) -> QueryResult<Option<(Payment, Movement)>> {
    let Some(payment) = payments::reserve_refund(conn, payment.id, amount).await? else { return Ok(None) };
    let new = NewMovement { reason, ..NewMovement::asking(&payment, refund, TransactionKind::Refund, amount) };
    let row = ledger::insert(conn, &new).await?;
    Ok(Some((payment, row)))
}

/// The amount to give back of what is left, all of it when none is named, in minor units.
pub(super) fn part_of(left: Money, amount: Option<Money>) -> Result<i64, PaymentError> {
    let amount = amount.unwrap_or(left);
    if amount.currency != left.currency {
        return Err(PaymentError::BadAmount { expected: left });
    }
    if left.amount == 0 || amount.amount > left.amount {
        return Err(PaymentError::RefundExceeds { refundable: left });
    }
    if amount.amount < 1 {
        return Err(PaymentError::BadAmount { expected: left });
    }
    Ok(amount.amount)
}
