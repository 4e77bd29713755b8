//! The state of a payment and the facts that move it.
//!
//! Facts come from our own calls and from the gateway's webhooks, in any order and any number of times.
//! [`reduce`] is monotone, so that none of this matters: what was collected only grows, money beats every
//! other news, and an attempt's failure counts only while that attempt is the latest and not secured.

use eshopz_payment_api::PaymentStatus;
use serde_json::Value;
use uuid::Uuid;

use super::{Failure, Method};

/// After so many attempts the payment is failed for good: whoever needs more is trying out card numbers.
pub const MAX_ATTEMPTS: i32 = 25;

/// What a payment is at a moment. Amounts are minor units.
#[derive(Clone, Debug, PartialEq)]
pub struct PaymentState {
    pub status: PaymentStatus,
    pub amount: i64,
    pub captured: i64,
    /// Refunds that are done or on their way.
    pub refunded: i64,
    /// The most that the gateway said has gone back.
    pub refunded_at_gateway: i64,
    /// What of it did not arrive and is ours again.
    pub bounced_at_gateway: i64,
    /// What was held and will not be collected.
    pub released: i64,
    /// The gateway's name of the charge that the payment rests on.
    pub reference: Option<String>,
    /// The latest attempt.
    pub attempt: Option<Uuid>,
    /// How many attempts there were.
    pub attempts: i32,
    pub undo_requested: bool,
    pub method: Option<Method>,
    pub failure: Option<Failure>,
    pub next_action: Option<Value>,
}

/// Something that has become true.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// The gateway holds the amount.
    Authorized { reference: String, method: Option<Method> },
    /// The gateway has collected `amount` in all under this reference.
    Captured { reference: String, amount: i64, method: Option<Method> },
    /// The payer has to do something for this attempt.
    ActionRequired { attempt: Uuid, next_action: Value },
    /// This attempt came to nothing.
    AttemptFailed { attempt: Uuid, failure: Failure },
    /// The gateway let the charge go; `attempt` when it is known which one it was.
    Voided { reference: String, attempt: Option<Uuid> },
    /// `total` went back at the gateway under this reference, so far.
    RefundedAtGateway { reference: String, total: i64 },
    /// A refund that was on its way failed.
    RefundReturned { amount: i64 },
    /// A refund that the gateway had told as done did not arrive.
    RefundBounced { amount: i64 },
    /// So much of what is held will not be collected.
    Released { amount: i64 },
    /// The attempt had a method that the gateway does not know: as if it had not been.
    AttemptForgotten { attempt: Uuid },
    /// The order was cancelled.
    UndoRequested,
}

/// What follows from a fact beside the new state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    Authorized,
    /// So much more was collected; 0 for an order that costs nothing.
    Captured {
        amount: i64,
    },
    AttemptFailed,
    Cancelled,
    /// So much went back that we had not asked for.
    RefundedOutside {
        amount: i64,
    },
    /// So much was collected although it had been released: it has to go back.
    ReleaseBroken {
        amount: i64,
    },
    /// Money came in for a payment that does not want it: it has to go back.
    Surplus,
}

/// Why a payment cannot be confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// An attempt is on its way.
    InProgress,
    /// Cancelled, failed for good, or about to be undone.
    Closed,
}

impl PaymentState {
    /// Begins an attempt. `Ok(false)` when the payment is secured and needs none.
    ///
    /// # Errors
    /// [`Refusal`] when none may begin.
    pub fn begin(&mut self, attempt: Uuid) -> Result<bool, Refusal> {
        match self.status {
            PaymentStatus::Authorized | PaymentStatus::Succeeded if !self.undo_requested => return Ok(false),
            PaymentStatus::RequiresPaymentMethod | PaymentStatus::RequiresAction if !self.undo_requested => {}
            PaymentStatus::Processing if !self.undo_requested => return Err(Refusal::InProgress),
            _ => return Err(Refusal::Closed),
        }
        self.status = PaymentStatus::Processing;
        self.attempt = Some(attempt);
        self.attempts = self.attempts.saturating_add(1);
        self.failure = None;
        self.next_action = None;
        Ok(true)
    }

    /// What is held and can still be collected.
    #[must_use]
    pub const fn capturable(&self) -> i64 {
        self.amount.saturating_sub(self.released)
    }

    /// What can still be refunded.
    #[must_use]
    pub const fn refundable(&self) -> i64 {
        self.captured.saturating_sub(self.refunded)
    }

    /// Whether the latest attempt is `attempt` and still open.
    fn is_open(&self, attempt: Uuid) -> bool {
        self.attempt == Some(attempt)
            && matches!(self.status, PaymentStatus::Processing | PaymentStatus::RequiresAction)
    }

    fn rests_on(&self, reference: &str) -> bool {
        self.reference.as_deref() == Some(reference)
    }

    /// Takes a charge as the one that the payment rests on.
    fn rest_on(&mut self, reference: String, method: Option<Method>) {
        if !self.rests_on(&reference) {
            self.reference = Some(reference);
            (self.refunded_at_gateway, self.bounced_at_gateway) = (0, 0);
        }
        self.method = self.method.take().or(method);
        self.failure = None;
        self.next_action = None;
    }

    /// Books what the gateway gave back and we did not know of.
    fn book_outside_refunds(&mut self) -> Vec<Effect> {
        let gone = self.refunded_at_gateway.saturating_sub(self.bounced_at_gateway);
        let outside = gone.min(self.captured).saturating_sub(self.refunded);
        if outside <= 0 {
            return Vec::new();
        }
        self.refunded = self.refunded.saturating_add(outside);
        vec![Effect::RefundedOutside { amount: outside }]
    }

    /// Closes it, unless something was paid or may yet be.
    fn close_unpaid(&mut self) -> Vec<Effect> {
        match self.status {
            PaymentStatus::RequiresPaymentMethod | PaymentStatus::Failed => self.close(),
            _ => Vec::new(),
        }
    }

    fn close(&mut self) -> Vec<Effect> {
        self.status = PaymentStatus::Cancelled;
        self.failure = None;
        self.next_action = None;
        vec![Effect::Cancelled]
    }
}

/// Moves the state by one fact.
pub fn reduce(state: &mut PaymentState, fact: Fact) -> Vec<Effect> {
    match fact {
        Fact::Captured { reference, amount, method } => captured(state, reference, amount, method),
        Fact::Authorized { reference, method } => authorized(state, reference, method),
        Fact::ActionRequired { attempt, next_action } => {
            if state.is_open(attempt) && state.status == PaymentStatus::Processing {
                state.status = PaymentStatus::RequiresAction;
                state.next_action = Some(next_action);
            }
            Vec::new()
        }
        Fact::AttemptFailed { attempt, failure } => attempt_failed(state, attempt, failure),
        Fact::Voided { reference, attempt } => voided(state, reference, attempt),
        Fact::RefundedAtGateway { reference, total } => {
            let reference = state.reference.get_or_insert(reference.clone()) == &reference;
            if reference {
                state.refunded_at_gateway = state.refunded_at_gateway.max(total);
            }
            state.book_outside_refunds()
        }
        Fact::RefundReturned { amount } => {
            state.refunded = state.refunded.saturating_sub(amount);
            state.book_outside_refunds()
        }
        Fact::RefundBounced { amount } => {
            state.bounced_at_gateway = state.bounced_at_gateway.saturating_add(amount);
            state.refunded = state.refunded.saturating_sub(amount);
            state.book_outside_refunds()
        }
        Fact::Released { amount } => {
            state.released = state.released.saturating_add(amount);
            Vec::new()
        }
        Fact::AttemptForgotten { attempt } => {
            if state.is_open(attempt) {
                state.status = PaymentStatus::RequiresPaymentMethod;
                state.attempts = state.attempts.saturating_sub(1);
                state.attempt = None;
            }
            if state.undo_requested { state.close_unpaid() } else { Vec::new() }
        }
        Fact::UndoRequested => {
            state.undo_requested = true;
            state.close_unpaid()
        }
    }
}

fn captured(state: &mut PaymentState, reference: String, amount: i64, method: Option<Method>) -> Vec<Effect> {
    if state.status.is_secured() && !state.rests_on(&reference) {
        return vec![Effect::Surplus];
    }
    let first = state.status != PaymentStatus::Succeeded;
    let collected = state.captured.max(amount.min(state.amount));
    let more = collected.saturating_sub(state.captured);
    state.rest_on(reference, method);
    state.status = PaymentStatus::Succeeded;
    state.captured = collected;
    let broken = collected.saturating_sub(state.capturable());
    let mut effects = Vec::new();
    if first || more > 0 {
        effects.push(Effect::Captured { amount: more });
    }
    if broken > 0 {
        state.released = state.released.saturating_sub(broken);
        effects.push(Effect::ReleaseBroken { amount: broken });
    }
    effects.extend(state.book_outside_refunds());
    effects
}

fn authorized(state: &mut PaymentState, reference: String, method: Option<Method>) -> Vec<Effect> {
    let closed = state.status.is_secured() || state.status == PaymentStatus::Cancelled;
    if closed {
        return if state.rests_on(&reference) { Vec::new() } else { vec![Effect::Surplus] };
    }
    state.rest_on(reference, method);
    state.status = PaymentStatus::Authorized;
    vec![Effect::Authorized]
}

fn attempt_failed(state: &mut PaymentState, attempt: Uuid, failure: Failure) -> Vec<Effect> {
    if !state.is_open(attempt) {
        return Vec::new();
    }
    if state.undo_requested {
        return [vec![Effect::AttemptFailed], state.close()].concat();
    }
    // A gateway that is away has tried no card.
    if failure.is_the_gateways() {
        state.attempts = state.attempts.saturating_sub(1);
    }
    let last = state.attempts >= MAX_ATTEMPTS;
    state.status = if last { PaymentStatus::Failed } else { PaymentStatus::RequiresPaymentMethod };
    state.failure = Some(failure);
    state.next_action = None;
    vec![Effect::AttemptFailed]
}

fn voided(state: &mut PaymentState, reference: String, attempt: Option<Uuid>) -> Vec<Effect> {
    let ours = match state.status {
        PaymentStatus::Succeeded | PaymentStatus::Cancelled => false,
        PaymentStatus::Authorized => state.rests_on(&reference),
        PaymentStatus::RequiresPaymentMethod
        | PaymentStatus::RequiresAction
        | PaymentStatus::Processing
        | PaymentStatus::Failed => attempt.is_none() || attempt == state.attempt,
    };
    if !ours {
        return Vec::new();
    }
    state.reference = Some(reference);
    state.close()
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
