//! Letting go at the gateway of what is held or waits for the payer: all that is left, since an order was
//! cancelled (a void) or since the last of its lines was (a release).

use diesel::result::Error as DieselError;
use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use uuid::Uuid;

use super::capture::{follow_up, refusal, unanswered};
use super::{PaymentService, now, releases, settle};
use crate::domain::{Effect, Fact, Failure, TransactionKind, TransactionStatus};
use crate::error::PaymentError;
use crate::store::{Movement, NewMovement, Payment, ledger, payments};

#[eshopz_crash::crash_points]
impl PaymentService {
    /// Asks the gateway, as often as it takes: the key makes it one void.
    pub(super) async fn carry_out_void(&self, payment: &Payment, row: Movement) -> Result<Movement, PaymentError> {
        self.at_ours(payment)?;
        let told = match self.ask(self.gateway.void(follow_up(payment, &row))).await {
            Ok(reference) => Ok(reference),
            Err(error) => Err(refusal(&error).ok_or_else(|| unanswered(&row, &error))?),
        };
        // Most likely it was collected meanwhile: find that out, so that it can be refunded. First, because a refusal
        // that is noted is not asked about again for a while.
        if told.is_err() {
            self.learn_of(payment).await?;
        }
        self.settle_void(payment.id, row.id, told).await
    }

    async fn settle_void(
        &self,
        payment: Uuid,
        void: Uuid,
        told: Result<String, Failure>,
    ) -> Result<Movement, PaymentError> {
        let mut conn = self.db.conn().await?;
        let (payment, row, effects) = conn
            .transaction(async |conn| {
                let mut payment = payments::lock(conn, payment).await?.ok_or(PaymentError::NotFound)?;
                let row = ledger::find(conn, void).await?.ok_or(PaymentError::NotFound)?;
                if row.status != TransactionStatus::Pending {
                    return Ok((payment, row, Vec::new()));
                }
                let (row, effects) = match told {
                    Ok(reference) => let_go(conn, &mut payment, row, reference).await?,
                    Err(failure) => (refused(conn, &payment, row, failure).await?, Vec::new()),
                };
                Ok::<_, PaymentError>((payment, row, effects))
            })
            .await?;
        self.meter(&payment, &effects);
        Ok(row)
    }
}

/// The gateway let it go: the payment is over.
#[eshopz_crash::crash_points]
pub(super) async fn let_go(
    conn: &mut AsyncPgConnection,
    payment: &mut Payment,
    mut row: Movement,
    reference: String,
) -> Result<(Movement, Vec<Effect>), DieselError> {
    row.gateway_reference = Some(reference);
    row.settle(TransactionStatus::Succeeded, now());
    ledger::save(conn, &row).await?;
    if row.kind == TransactionKind::Release {
        settle::apply(conn, payment, Fact::Released { amount: row.amount_minor }).await?;
        releases::publish(conn, payment, &row).await?;
    }
    let charge = row.charge_reference.clone().unwrap_or_default();
    let fact = Fact::Voided { reference: charge, attempt: payment.attempt_id };
    let effects = settle::apply(conn, payment, fact).await?;
    ledger::replace_waiting(conn, payment.id, now()).await?;
    Ok((row, effects))
}

/// What a charge's being let go means when we had asked for it and the answer was lost; `None` when we had not.
#[eshopz_crash::crash_points]
pub(super) async fn answered(
    conn: &mut AsyncPgConnection,
    payment: &mut Payment,
    reference: &str,
) -> Result<Option<Vec<Effect>>, DieselError> {
    let open = ledger::open_change_of_hold(conn, payment.id).await?.filter(|row| {
        let charge = row.charge_reference.as_deref();
        row.kind != TransactionKind::Capture && charge.is_none_or(|charge| charge == reference)
    });
    let Some(open) = open else { return Ok(None) };
    let (_, effects) = let_go(conn, payment, open, reference.to_owned()).await?;
    Ok(Some(effects))
}

/// The gateway let a charge go that we had not asked it to. The ledger shows it when it ends the payment.
#[eshopz_crash::crash_points]
pub(super) async fn unasked(
    conn: &mut AsyncPgConnection,
    payment: &mut Payment,
    attempt: Option<Uuid>,
    reference: String,
) -> Result<Vec<Effect>, DieselError> {
    let effects = settle::apply(conn, payment, Fact::Voided { reference: reference.clone(), attempt }).await?;
    if effects.contains(&Effect::Cancelled) {
        ledger::replace_waiting(conn, payment.id, now()).await?;
        let (kind, status) = (TransactionKind::Void, TransactionStatus::Succeeded);
        let told = NewMovement::told(payment, kind, status, payment.state().capturable(), &reference);
        ledger::insert(conn, &told).await?;
    }
    Ok(effects)
}

/// The gateway says of an attempt's charge that it was let go.
#[eshopz_crash::crash_points]
pub(super) async fn let_go_elsewhere(
    conn: &mut AsyncPgConnection,
    payment: &mut Payment,
    attempt: Uuid,
    reference: String,
) -> Result<Vec<Effect>, DieselError> {
    match answered(conn, payment, &reference).await? {
        Some(effects) => Ok(effects),
        None => unasked(conn, payment, Some(attempt), reference).await,
    }
}

#[eshopz_crash::crash_points]
async fn refused(
    conn: &mut AsyncPgConnection,
    payment: &Payment,
    mut row: Movement,
    failure: Failure,
) -> Result<Movement, PaymentError> {
    row.fail(failure, now());
    ledger::save(conn, &row).await?;
    if row.kind == TransactionKind::Release {
        settle::publish_refund_failed(conn, payment, &row).await?;
    }
    Ok(row)
}
