//! What a shop is doing when it dies. Each scenario prepares a case, undisturbed; then it is armed, does one
//! thing as a client does it that repeats what was not answered, and says how the case must end.

mod orders;
mod outages;
mod parts;
mod payments;
mod time;

use futures::future::BoxFuture;

use super::case::{Case, End};
use super::patient::Patient;
use crate::support::Shop;

/// When payments are collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capture {
    Automatic,
    Manual,
}

impl Capture {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Automatic => "automatic",
            Self::Manual => "manual",
        }
    }
}

/// A scenario.
pub struct Scenario {
    pub name: &'static str,
    pub capture: Capture,
    pub prepare: for<'a> fn(&'a Shop) -> BoxFuture<'a, Case>,
    pub run: for<'a> fn(&'a Patient, &'a Case) -> BoxFuture<'a, ()>,
    pub end: End,
}

macro_rules! scenarios {
    ($($module:ident::$name:ident($capture:ident, $prepare:expr, $end:expr)),* $(,)?) => {
        /// Every scenario.
        pub const ALL: &[Scenario] = &[$(
            Scenario {
                name: stringify!($name),
                capture: Capture::$capture,
                prepare: |shop| Box::pin($prepare(shop)),
                run: |patient, case| Box::pin($module::$name(patient, case)),
                end: $end,
            }
        ),*];
    };
}

scenarios! {
    orders::checkout(Automatic, orders::cart, orders::PAID),
    orders::checkout_of_twins(Automatic, orders::cart, orders::PAID),
    orders::checkout_of_an_account(Automatic, orders::cart, orders::PAID),
    orders::checkout_declined(Automatic, orders::cart, orders::PAID),
    orders::checkout_for_nothing(Automatic, orders::free_cart, orders::FREE),
    orders::checkout_held(Manual, orders::cart, orders::HELD),
    orders::cancel_paid(Automatic, orders::paid, orders::REFUNDED),
    orders::cancel_held(Manual, orders::paid, orders::LET_GO),
    orders::cancel_waiting(Automatic, payments::waiting, orders::LET_GO),
    orders::deliver(Automatic, orders::paid, orders::DELIVERED),
    orders::forget_the_customer(Automatic, orders::of_customer, orders::PAID),
    parts::cancel_lines(Automatic, orders::paid, parts::LESS),
    parts::cancel_lines_held(Manual, orders::paid, parts::LESS_HELD),
    parts::accept_return(Automatic, parts::delivered, parts::RETURNED),
    parts::return_all_held(Manual, parts::delivered, parts::ALL_LET_GO),
    parts::reject_return(Automatic, parts::delivered, orders::DELIVERED),
    payments::confirm(Automatic, orders::unpaid, orders::PAID),
    payments::confirm_waiting(Automatic, orders::unpaid, orders::PAID),
    payments::decline_then_confirm(Automatic, orders::unpaid, orders::PAID),
    payments::silence_then_confirm(Automatic, orders::unpaid, orders::PAID),
    payments::silence_then_insist(Automatic, orders::unpaid, orders::PAID),
    payments::cancel_what_was_collected(Manual, orders::paid, orders::REFUNDED),
    payments::capture_refused(Manual, orders::paid, orders::LET_GO),
    payments::capture_part(Manual, orders::paid, payments::COLLECTED_IN_PART),
    payments::refund_part(Automatic, orders::paid, payments::REFUNDED_IN_PART),
    payments::refund_refused(Automatic, payments::paid_for_good, orders::PAID),
    payments::webhook_paid(Automatic, payments::waiting, orders::PAID),
    payments::webhook_held(Manual, payments::waiting, orders::HELD),
    payments::webhook_collected(Manual, orders::paid, orders::PAID),
    payments::webhook_voided(Automatic, payments::waiting, payments::CLOSED),
    payments::webhook_failed(Automatic, payments::waiting, orders::PAID),
    payments::webhook_refunded(Automatic, orders::paid, payments::REFUNDED_OUTSIDE),
    payments::webhook_before_its_payment(Automatic, orders::unpaid, orders::PAID),
    payments::webhook_held_before_its_payment(Manual, orders::unpaid, orders::HELD),
    payments::webhook_of_too_much(Manual, orders::paid, parts::LESS),
    payments::webhook_of_a_second_charge(Automatic, orders::paid, orders::PAID),
    outages::capture_without_an_answer(Manual, orders::paid, outages::COLLECTED),
    outages::refund_without_an_answer(Automatic, orders::paid, outages::REFUNDED),
    outages::cancel_without_an_answer(Manual, orders::paid, orders::LET_GO),
    outages::return_without_an_answer(Automatic, parts::delivered, parts::RETURNED),
    outages::a_listener_that_fails(Automatic, orders::unpaid, outages::TOLD_AGAIN),
    time::expire_unpaid(Automatic, orders::unpaid, time::EXPIRED),
    time::pay_for_what_is_sold_out(Automatic, orders::unpaid, time::SOLD_OUT),
}
