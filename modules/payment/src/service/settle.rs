//! Writing down what became known: the payment by the reducer, the ledger beside it, and the events.
//! Everything in here runs in the caller's transaction, with the payment's row locked.

use diesel::result::Error as DieselError;
use diesel_async::AsyncPgConnection;
use eshopz_kernel::RefundId;
use eshopz_payment_api::{
    PaymentAuthorized, PaymentCancelled, PaymentFailed, PaymentRefundFailed, PaymentRefunded, PaymentStatus,
    PaymentSucceeded,
};
use eshopz_platform::events::outbox;
use uuid::Uuid;

use super::{now, refunds, releases, surplus};
use crate::domain::{Effect, Fact, Method, TransactionKind, TransactionStatus, state};
use crate::store::{Movement, NewMovement, Payment, ledger, payments};

/// Money that came in or is held, as the gateway tells it.
#[derive(Debug)]
pub(super) struct Money<'a> {
    pub reference: &'a str,
    /// Minor units.
    pub amount: i64,
    pub method: Option<Method>,
}

/// Moves a payment by a fact, and writes what follows from it, but not the ledger's row that the fact is
/// about: the caller has that.
#[eshopz_crash::crash_points]
pub(super) async fn apply(
    conn: &mut AsyncPgConnection,
    payment: &mut Payment,
    fact: Fact,
) -> Result<Vec<Effect>, DieselError> {
    let before = payment.clone();
    let mut state = payment.state();
    let effects = state::reduce(&mut state, fact);
    let now = now();
    payment.set_state(state, now);
    if *payment != before {
        payments::save(conn, payment, now).await?;
    }
    for effect in &effects {
        publish(conn, payment, effect).await?;
    }
    Ok(effects)
}

#[eshopz_crash::crash_points]
async fn publish(conn: &mut AsyncPgConnection, payment: &mut Payment, effect: &Effect) -> Result<(), DieselError> {
    let (payment_id, order_id, at) = (payment.id.into(), payment.order_id.into(), payment.updated_at);
    let amount = payment.money(payment.amount_minor);
    match effect {
        Effect::Authorized => {
            outbox::publish(conn, &PaymentAuthorized { payment_id, order_id, amount, at }).await?;
        }
        Effect::Captured { .. } => {
            let amount = payment.money(payment.captured_minor);
            outbox::publish(conn, &PaymentSucceeded { payment_id, order_id, amount, at }).await?;
        }
        Effect::AttemptFailed => {
            outbox::publish(conn, &PaymentFailed { payment_id, order_id, amount, at }).await?;
        }
        Effect::Cancelled => {
            outbox::publish(conn, &PaymentCancelled { payment_id, order_id, amount, at }).await?;
        }
        Effect::RefundedOutside { amount } => {
            let reference = payment.gateway_reference.as_deref().unwrap_or_default();
            let told =
                NewMovement::told(payment, TransactionKind::Refund, TransactionStatus::Succeeded, *amount, reference);
            let refund = ledger::insert(conn, &told).await?;
            publish_refund(conn, payment, &refund).await?;
        }
        Effect::ReleaseBroken { amount } => refund_broken_release(conn, payment, *amount).await?,
        Effect::Surplus => {}
    }
    Ok(())
}

/// Was collected although it had been released, at the gateway and not by us: it goes back, and what is
/// left of the releases is written anew.
#[eshopz_crash::crash_points]
async fn refund_broken_release(
    conn: &mut AsyncPgConnection,
    payment: &mut Payment,
    broken: i64,
) -> Result<(), DieselError> {
    tracing::warn!(payment = %payment.id, broken, "more was collected than was left of the hold; it is refunded");
    // Whoever asked for them believes that they stand; the refund below tells of itself.
    for release in ledger::cancel_releases(conn, payment.id, now()).await? {
        publish_refund_failed(conn, payment, &release).await?;
    }
    if payment.released_minor > 0 {
        let (kind, reference) = (TransactionKind::Release, payment.gateway_reference.clone().unwrap_or_default());
        let left = NewMovement::told(payment, kind, TransactionStatus::Succeeded, payment.released_minor, &reference);
        let left = ledger::insert(conn, &left).await?;
        releases::publish(conn, payment, &left).await?;
    }
    let (amount, reason) = (broken.min(payment.state().refundable()), Some("collected although it was released"));
    if amount > 0
        && let Some((reserved, _)) = refunds::reserve(conn, payment, Uuid::now_v7(), amount, reason).await?
    {
        *payment = reserved;
    }
    Ok(())
}

/// Tells that money went back.
#[eshopz_crash::crash_points]
pub(super) async fn publish_refund(
    conn: &mut AsyncPgConnection,
    payment: &Payment,
    refund: &Movement,
) -> Result<(), DieselError> {
    let refunded = ledger::refunded(conn, payment.id).await?;
    let event = PaymentRefunded {
        payment_id: payment.id.into(),
        order_id: payment.order_id.into(),
        refund_id: RefundId::from(refund.id),
        amount: payment.money(refund.amount_minor),
        refunded_amount: payment.money(refunded),
        at: now(),
    };
    outbox::publish(conn, &event).await?;
    Ok(())
}

/// Tells that money that was to go back did not get there.
#[eshopz_crash::crash_points]
pub(super) async fn publish_refund_failed(
    conn: &mut AsyncPgConnection,
    payment: &Payment,
    refund: &Movement,
) -> Result<(), DieselError> {
    let event = PaymentRefundFailed {
        payment_id: payment.id.into(),
        order_id: payment.order_id.into(),
        refund_id: RefundId::from(refund.id),
        amount: payment.money(refund.amount_minor),
        code: refund.failure_code.clone().unwrap_or_default(),
        at: now(),
    };
    outbox::publish(conn, &event).await?;
    Ok(())
}

/// Money was collected. `about` is the attempt or capture that collected it, when it is known.
#[eshopz_crash::crash_points]
pub(super) async fn captured(
    conn: &mut AsyncPgConnection,
    payment: &mut Payment,
    about: Option<Movement>,
    money: Money<'_>,
) -> Result<Vec<Effect>, DieselError> {
    // Of a closed payment a charge may have been a surplus, and begin to count now that it is collected.
    let was_closed = payment.status.0 == PaymentStatus::Cancelled;
    if was_closed && surplus::is_returned(conn, money.reference).await? {
        return Ok(Vec::new());
    }
    let fact =
        Fact::Captured { reference: money.reference.to_owned(), amount: money.amount, method: money.method.clone() };
    let effects = apply(conn, payment, fact).await?;
    if effects.contains(&Effect::Surplus) {
        surplus::note(conn, payment, about, &money, TransactionKind::Charge).await?;
        return Ok(effects);
    }
    let more = effects.iter().find_map(|effect| match effect {
        Effect::Captured { amount } => Some(*amount),
        _ => None,
    });
    match (more, about) {
        (Some(more), Some(mut row)) if collects(&row) => {
            row.amount_minor = more;
            row.gateway_reference.get_or_insert_with(|| money.reference.to_owned());
            row.settle(TransactionStatus::Succeeded, now());
            ledger::save(conn, &row).await?;
        }
        (Some(more), about) => {
            close_attempt(conn, about, money.reference, TransactionStatus::Succeeded).await?;
            let told = NewMovement::told(
                payment,
                TransactionKind::Capture,
                TransactionStatus::Succeeded,
                more,
                money.reference,
            );
            ledger::insert(conn, &told).await?;
        }
        // Booked already by another row: this one adds nothing to the sums.
        (None, about) => close_attempt(conn, about, money.reference, TransactionStatus::Cancelled).await?,
    }
    if was_closed {
        surplus::take_over(conn, money.reference).await?;
    }
    Ok(effects)
}

/// Whether the row's success is what adds to the captured sum.
fn collects(row: &Movement) -> bool {
    matches!(row.kind, TransactionKind::Charge | TransactionKind::Capture) && row.status != TransactionStatus::Succeeded
}

/// The gateway holds the amount. `about` is the attempt, when it is known.
#[eshopz_crash::crash_points]
pub(super) async fn authorized(
    conn: &mut AsyncPgConnection,
    payment: &mut Payment,
    about: Option<Movement>,
    money: Money<'_>,
) -> Result<Vec<Effect>, DieselError> {
    // It is about to be let go for another: were it taken, the payment would rest on nothing.
    if about.as_ref().is_some_and(Movement::is_replaced) {
        return Ok(Vec::new());
    }
    let fact = Fact::Authorized { reference: money.reference.to_owned(), method: money.method.clone() };
    let effects = apply(conn, payment, fact).await?;
    if effects.contains(&Effect::Surplus) {
        surplus::note(conn, payment, about, &money, TransactionKind::Authorization).await?;
        return Ok(effects);
    }
    match about {
        Some(mut row) if effects.contains(&Effect::Authorized) => {
            row.kind = TransactionKind::Authorization;
            row.gateway_reference.get_or_insert_with(|| money.reference.to_owned());
            row.settle(TransactionStatus::Succeeded, now());
            ledger::save(conn, &row).await?;
        }
        None if effects.contains(&Effect::Authorized) => {
            let kind = TransactionKind::Authorization;
            let told = NewMovement::told(payment, kind, TransactionStatus::Succeeded, money.amount, money.reference);
            ledger::insert(conn, &told).await?;
        }
        about => close_attempt(conn, about, money.reference, TransactionStatus::Cancelled).await?,
    }
    Ok(effects)
}

/// Gives an attempt that is still open its end.
#[eshopz_crash::crash_points]
async fn close_attempt(
    conn: &mut AsyncPgConnection,
    about: Option<Movement>,
    reference: &str,
    status: TransactionStatus,
) -> Result<(), DieselError> {
    if let Some(mut row) = about
        && matches!(row.status, TransactionStatus::Pending | TransactionStatus::RequiresAction)
    {
        row.gateway_reference.get_or_insert_with(|| reference.to_owned());
        row.settle(status, now());
        ledger::save(conn, &row).await?;
    }
    Ok(())
}
