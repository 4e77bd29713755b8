//! Giving back what was charged twice: a late charge of a payment that another one had secured already.

use diesel::result::Error as DieselError;
use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use uuid::Uuid;

use super::settle::Money;
use super::{PaymentService, now};
use crate::domain::{TransactionKind, TransactionStatus};
use crate::error::PaymentError;
use crate::gateway::{ChargeStatus, FollowUp, GatewayError};
use crate::store::{Movement, NewMovement, Payment, ledger, payments};

/// The key of refunding a charge: made from the charge's own, and another than that.
const fn key_of_return(charge: Uuid) -> Uuid {
    Uuid::from_u128(!charge.as_u128())
}

/// The key of letting a charge go. Not the refund's: a gateway takes one key for one kind of request.
pub(super) const fn key_of_void(charge: Uuid) -> Uuid {
    Uuid::from_u128((!charge.as_u128()).rotate_left(64))
}

/// The key of refunding what is left of a charge, one for each amount: what was refused stays refused under its
/// own.
fn key_of_rest(charge: Uuid, left: i64) -> Uuid {
    Uuid::from_u128(key_of_return(charge).as_u128() ^ u128::from(left.unsigned_abs()))
}

/// How a surplus went back.
struct Back {
    kind: TransactionKind,
    key: Uuid,
    /// Minor units.
    amount: i64,
    reference: Option<String>,
}

#[eshopz_crash::crash_points]
impl PaymentService {
    /// Gives a surplus charge back, or lets it go when it is only held.
    pub(super) async fn give_back(&self, row: &Movement) -> Result<(), PaymentError> {
        let payment = self.load(row.payment_id).await?;
        let held = row.kind == TransactionKind::Authorization;
        let key = if held { key_of_void(row.id) } else { key_of_return(row.id) };
        let request = request(&payment, row, key, row.amount_minor);
        let told = if held {
            self.ask(self.gateway.void(request)).await
        } else {
            self.ask(self.gateway.refund(request)).await
        };
        match told {
            Ok(reference) => {
                let back = Back { kind: row.kind, key, amount: row.amount_minor, reference: Some(reference) };
                self.mark_returned(row, back).await
            }
            Err(GatewayError::Rejected { code, .. }) => self.give_back_the_rest(&payment, row, &code).await,
            Err(error) => {
                kept(row, &error.to_string());
                Ok(())
            }
        }
    }

    /// It was refused: most likely what was held is collected, or a part has gone back by other means. The gateway's
    /// books say what is left.
    async fn give_back_the_rest(&self, payment: &Payment, row: &Movement, code: &str) -> Result<(), PaymentError> {
        let reference = row.gateway_reference.clone().unwrap_or_default();
        let found = match self.ask(self.gateway.look_up(&reference)).await {
            Ok(found) => found.filter(|charge| charge.status != ChargeStatus::Waiting),
            Err(error) => {
                kept(row, &error.to_string());
                return Ok(());
            }
        };
        let Some(charge) = found.filter(|charge| charge.status != ChargeStatus::Authorized) else {
            kept(row, code);
            return Ok(());
        };
        let left = charge.captured.saturating_sub(charge.refunded);
        if left <= 0 {
            let (kind, key) = (row.kind, key_of_return(row.id));
            return self.mark_returned(row, Back { kind, key, amount: row.amount_minor, reference: None }).await;
        }
        let key = key_of_rest(row.id, left);
        match self.ask(self.gateway.refund(request(payment, row, key, left))).await {
            Ok(reference) => {
                let kind = TransactionKind::Charge;
                self.mark_returned(row, Back { kind, key, amount: left, reference: Some(reference) }).await
            }
            Err(error) => {
                kept(row, &error.to_string());
                Ok(())
            }
        }
    }

    async fn mark_returned(&self, row: &Movement, back: Back) -> Result<(), PaymentError> {
        let mut conn = self.db.conn().await?;
        conn.transaction(async |conn| {
            let payment = payments::lock(conn, row.payment_id).await?.ok_or(PaymentError::NotFound)?;
            let mut row = ledger::find(conn, row.id).await?.ok_or(PaymentError::NotFound)?;
            if row.status == TransactionStatus::Surplus {
                row.kind = back.kind;
                row.settle(TransactionStatus::Returned, now());
                ledger::save(conn, &row).await?;
                let given_back = NewMovement {
                    status: TransactionStatus::Succeeded,
                    gateway_reference: back.reference.as_deref(),
                    charge_reference: row.gateway_reference.as_deref(),
                    reason: Some("the payment was secured by another charge"),
                    settled_at: Some(now()),
                    ..NewMovement::asking(&payment, back.key, TransactionKind::Return, back.amount)
                };
                ledger::insert(conn, &given_back).await?;
            }
            Ok(())
        })
        .await
    }
}

fn request(payment: &Payment, row: &Movement, idempotency_key: Uuid, amount: i64) -> FollowUp {
    let charge = row.gateway_reference.clone().unwrap_or_default();
    FollowUp { idempotency_key, charge, amount: payment.money(amount) }
}

/// For now; it is tried again.
fn kept(row: &Movement, error: &str) {
    tracing::error!(payment = %row.payment_id, transaction = %row.id, error, "a surplus is not given back");
}

/// Notes a charge that the payment does not want, or that more is known of it; [`PaymentService::give_back`] gives it
/// back.
#[eshopz_crash::crash_points]
pub(super) async fn note(
    conn: &mut AsyncPgConnection,
    payment: &Payment,
    about: Option<Movement>,
    money: &Money<'_>,
    kind: TransactionKind,
) -> Result<(), DieselError> {
    let known = ledger::attempt_by_reference(conn, money.reference).await?;
    if known.as_ref().is_some_and(|row| !is_news(row, money, kind)) {
        return Ok(());
    }
    tracing::warn!(payment = %payment.id, reference = money.reference, "a surplus charge will be given back");
    let nameless = about.filter(|row| row.kind.is_attempt() && row.gateway_reference.is_none());
    match known.or(nameless) {
        Some(mut row) => {
            row.kind = kind;
            row.amount_minor = money.amount;
            row.gateway_reference = Some(money.reference.to_owned());
            row.turn_surplus(now());
            ledger::save(conn, &row).await?;
        }
        None => {
            let told = NewMovement::told(payment, kind, TransactionStatus::Surplus, money.amount, money.reference);
            ledger::insert(conn, &told).await?;
        }
    }
    Ok(())
}

/// Whether a surplus is more than was known of it: what was held is collected, though it was let go, or more of it is.
fn is_news(row: &Movement, money: &Money<'_>, kind: TransactionKind) -> bool {
    let collected = kind == TransactionKind::Charge;
    match row.status {
        TransactionStatus::Surplus => {
            collected && (row.kind == TransactionKind::Authorization || money.amount > row.amount_minor)
        }
        TransactionStatus::Returned => collected && row.kind == TransactionKind::Authorization,
        _ => true,
    }
}

/// Whether money of this name has gone back already, so that a closed payment must not take it for its own.
#[eshopz_crash::crash_points]
pub(super) async fn is_returned(conn: &mut AsyncPgConnection, reference: &str) -> Result<bool, DieselError> {
    let known = ledger::attempt_by_reference(conn, reference).await?;
    Ok(known.is_some_and(|row| row.status == TransactionStatus::Returned && row.kind == TransactionKind::Charge))
}

/// The payment rests on a charge of this name: it is no surplus any more.
#[eshopz_crash::crash_points]
pub(super) async fn take_over(conn: &mut AsyncPgConnection, reference: &str) -> Result<(), DieselError> {
    let known = ledger::attempt_by_reference(conn, reference).await?;
    if let Some(mut row) = known.filter(|row| row.status == TransactionStatus::Surplus) {
        let held = row.kind == TransactionKind::Authorization;
        row.settle(if held { TransactionStatus::Succeeded } else { TransactionStatus::Cancelled }, now());
        ledger::save(conn, &row).await?;
    }
    Ok(())
}
