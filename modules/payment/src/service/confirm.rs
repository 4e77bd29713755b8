//! Paying: one attempt with one method.

use diesel_async::AsyncConnection as _;
use eshopz_kernel::PaymentId;
use eshopz_platform::idempotency::Claim;
use uuid::Uuid;

use super::attempts::{Asked, answer, came_to_nothing};
use super::{PaymentService, claim_key};
use crate::domain::{Refusal, TransactionStatus};
use crate::error::PaymentError;
use crate::store::{Movement, NewMovement, Payment, ledger, payments, replaced};

/// A payment, and the attempt that is about to be made with those that it replaces; none when it is secured already.
type Begun = (Payment, Option<(Movement, Vec<Movement>)>);

#[eshopz_crash::crash_points]
impl PaymentService {
    /// Tries to pay. A payment that is secured already is a success.
    ///
    /// # Errors
    /// 402 under the gateway's reason; 409 `payment_in_progress` or `payment_not_confirmable`; 422
    /// `unknown_payment_method`; 503 when the gateway cannot be reached.
    pub async fn confirm(&self, id: PaymentId, method: &str, claim: Option<&Claim>) -> Result<Payment, PaymentError> {
        if !self.gateway.knows_method(method) {
            return Err(PaymentError::UnknownMethod);
        }
        let begun = match self.begin(id.uuid(), method, claim).await {
            Err(PaymentError::InProgress) => {
                if claim.is_none()
                    && let Some((payment, attempt)) = self.same_attempt(id.uuid(), method).await?
                {
                    return self.carry_out_again(payment, attempt).await;
                }
                self.chase_abandoned_attempt(id.uuid()).await?;
                self.begin(id.uuid(), method, claim).await?
            }
            begun => begun?,
        };
        match begun {
            (payment, Some((attempt, replaced))) => {
                self.carry_out_instead(payment, attempt, replaced, Asked::First).await
            }
            (payment, None) => Ok(payment),
        }
    }

    /// Takes up an attempt that a process began and did not live to answer. When nothing came of it, and
    /// the job has found that out meanwhile, it is made anew.
    ///
    /// # Errors
    /// As [`Self::confirm`].
    pub async fn resume_confirm(
        &self,
        id: PaymentId,
        method: &str,
        claim: &Claim,
        attempt: Uuid,
    ) -> Result<Payment, PaymentError> {
        let attempt = {
            let mut conn = self.db.conn().await?;
            ledger::find(&mut conn, attempt).await?
        };
        // After the attempt: of one that has just been settled by somebody else it must not tell what was before.
        let payment = self.load(id.uuid()).await?;
        match attempt {
            Some(attempt) if attempt.status == TransactionStatus::Pending => {
                self.carry_out_again(payment, attempt).await
            }
            Some(attempt) if came_to_nothing(&attempt) => self.confirm(id, method, Some(claim)).await,
            Some(attempt) => answer(payment, &attempt),
            None => Ok(payment),
        }
    }

    async fn begin(&self, id: Uuid, method: &str, claim: Option<&Claim>) -> Result<Begun, PaymentError> {
        let kind = self.kind_of_attempts();
        let attempt = Uuid::now_v7();
        let mut conn = self.db.conn().await?;
        conn.transaction(async |conn| {
            claim_key(conn, claim, attempt).await?;
            // The database's time: since when an attempt is on its way is compared with that.
            let (mut payment, now) = payments::lock_at(conn, id).await?.ok_or(PaymentError::NotFound)?;
            if !payment.status.0.is_secured() {
                self.at_ours(&payment)?;
            }
            let mut state = payment.state();
            let status = state.status;
            let begun = state.begin(attempt).map_err(|refusal| match refusal {
                Refusal::InProgress => PaymentError::InProgress,
                Refusal::Closed => PaymentError::NotConfirmable(status),
            })?;
            if !begun {
                return Ok((payment, None));
            }
            payment.set_state(state, now);
            payments::save(conn, &mut payment, now).await?;
            let replaced = replaced::begin(conn, id).await?;
            let amount = payment.amount_minor;
            let new = NewMovement {
                payment_method: Some(method),
                charge_reference: None,
                ..NewMovement::asking(&payment, attempt, kind, amount)
            };
            let movement = ledger::insert(conn, &new).await?;
            Ok((payment, Some((movement, replaced))))
        })
        .await
    }

    /// The attempt on its way, if it is one with the same method. Without a key it is told from another by
    /// nothing else: whoever calls again, since the first call was cut off, means this one.
    async fn same_attempt(&self, id: Uuid, method: &str) -> Result<Option<(Payment, Movement)>, PaymentError> {
        let mut conn = self.db.conn().await?;
        let Some(payment) = payments::find(&mut conn, id).await? else { return Ok(None) };
        let Some(attempt) = payment.attempt_id else { return Ok(None) };
        let open = ledger::find(&mut conn, attempt)
            .await?
            .filter(|row| row.status == TransactionStatus::Pending && row.payment_method.as_deref() == Some(method));
        Ok(open.map(|attempt| (payment, attempt)))
    }

    /// An attempt that has been on its way for too long is settled before another may begin.
    async fn chase_abandoned_attempt(&self, id: Uuid) -> Result<(), PaymentError> {
        let abandoned = {
            let mut conn = self.db.conn().await?;
            payments::abandoned_attempt(&mut conn, id, self.patience()).await?
        };
        match abandoned {
            Some(attempt) => self.chase_attempt(id, attempt).await,
            None => Ok(()),
        }
    }
}
