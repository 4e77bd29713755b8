//! The reducer under every order and repetition of what a gateway can say.

use super::*;

const REFERENCE: &str = "ch_1";

fn attempt(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn fresh() -> PaymentState {
    PaymentState {
        status: PaymentStatus::RequiresPaymentMethod,
        amount: 100,
        captured: 0,
        refunded: 0,
        refunded_at_gateway: 0,
        bounced_at_gateway: 0,
        released: 0,
        reference: None,
        attempt: None,
        attempts: 0,
        undo_requested: false,
        method: None,
        failure: None,
        next_action: None,
    }
}

fn processing() -> PaymentState {
    let mut state = fresh();
    assert_eq!(state.begin(attempt(1)), Ok(true));
    state
}

fn captured(amount: i64) -> Fact {
    let method = Method { r#type: "card".to_owned(), brand: "visa".to_owned(), last4: "4242".to_owned() };
    Fact::Captured { reference: REFERENCE.to_owned(), amount, method: Some(method) }
}

fn authorized() -> Fact {
    Fact::Authorized { reference: REFERENCE.to_owned(), method: None }
}

fn action() -> Fact {
    Fact::ActionRequired { attempt: attempt(1), next_action: Value::Bool(true) }
}

fn failed() -> Fact {
    Fact::AttemptFailed { attempt: attempt(1), failure: Failure::of("card_declined") }
}

fn voided() -> Fact {
    Fact::Voided { reference: REFERENCE.to_owned(), attempt: Some(attempt(1)) }
}

fn given_back(total: i64) -> Fact {
    Fact::RefundedAtGateway { reference: REFERENCE.to_owned(), total }
}

fn permutations(facts: &[Fact]) -> Vec<Vec<Fact>> {
    let Some((first, rest)) = facts.split_first() else { return vec![Vec::new()] };
    let mut all = Vec::new();
    for shorter in permutations(rest) {
        for place in 0..=shorter.len() {
            let mut longer = shorter.clone();
            longer.insert(place, first.clone());
            all.push(longer);
        }
    }
    all
}

fn run(mut state: PaymentState, facts: &[Fact]) -> PaymentState {
    for fact in facts {
        reduce(&mut state, fact.clone());
    }
    state
}

#[test]
fn every_order_of_the_same_facts_ends_in_the_same_state() {
    let stories: &[&[Fact]] = &[
        &[captured(100), authorized(), action(), given_back(30), given_back(70)],
        &[captured(100), failed(), action(), authorized()],
        &[captured(100), voided(), failed(), given_back(100)],
        &[captured(40), captured(100), captured(60), authorized(), given_back(50)],
        &[authorized(), voided(), action(), Fact::UndoRequested],
        &[authorized(), failed(), action()],
        &[failed(), voided(), action()],
        &[failed(), action(), Fact::UndoRequested],
        &[captured(100), Fact::UndoRequested, action(), given_back(100)],
    ];
    for story in stories {
        let twice = [*story, *story].concat();
        let expected = run(processing(), story);
        for order in permutations(story) {
            assert_eq!(run(processing(), &order), expected, "{order:?}");
            assert_eq!(run(processing(), &[order.clone(), order.clone()].concat()), expected, "twice {order:?}");
        }
        assert_eq!(run(processing(), &twice), expected);
    }
}

/// A small generator of its own (xorshift), so that a failure can be repeated.
fn random(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

#[test]
fn money_is_kept_whatever_comes() {
    let mut seed = 0x5eed_u64;
    for _ in 0..20_000 {
        let mut state = fresh();
        let mut next = 0_u128;
        for _ in 0..12 {
            let before = state.clone();
            let reference = format!("ch_{}", random(&mut seed) % 3);
            let of = attempt(u128::from(random(&mut seed)) % (next + 1));
            let amount = i64::try_from(random(&mut seed) % 130).unwrap();
            let effects = match random(&mut seed) % 11 {
                0 => {
                    next += 1;
                    let _ = state.begin(attempt(next));
                    Vec::new()
                }
                1 => reduce(&mut state, Fact::Captured { reference, amount, method: None }),
                2 => reduce(&mut state, Fact::Authorized { reference, method: None }),
                3 => reduce(&mut state, Fact::ActionRequired { attempt: of, next_action: Value::Null }),
                4 => reduce(&mut state, Fact::AttemptFailed { attempt: of, failure: Failure::of("x") }),
                5 => reduce(&mut state, Fact::Voided { reference, attempt: None }),
                6 => reduce(&mut state, Fact::RefundedAtGateway { reference, total: amount }),
                7 => reduce(&mut state, Fact::UndoRequested),
                8 if state.status == PaymentStatus::Authorized => {
                    let less = amount.min(state.capturable());
                    reduce(&mut state, Fact::Released { amount: less })
                }
                9 => reduce(&mut state, Fact::AttemptForgotten { attempt: of }),
                _ => {
                    let back = amount.min(state.refunded);
                    reduce(&mut state, Fact::RefundReturned { amount: back })
                }
            };
            assert!(state.captured >= before.captured && state.captured <= state.amount);
            assert!(state.refunded >= 0 && state.refunded <= state.captured);
            assert!(state.released >= 0 && state.released <= state.amount - state.captured);
            if before.status == PaymentStatus::Succeeded {
                assert_eq!(state.status, PaymentStatus::Succeeded);
                assert_eq!(state.reference, before.reference);
            }
            let grew: i64 =
                effects.iter().map(|effect| if let Effect::Captured { amount } = effect { *amount } else { 0 }).sum();
            assert_eq!(grew, state.captured - before.captured);
        }
    }
}

#[test]
fn a_second_charge_is_surplus() {
    let mut state = run(processing(), &[captured(100)]);
    let other = Fact::Captured { reference: "ch_2".to_owned(), amount: 100, method: None };
    assert_eq!(reduce(&mut state, other.clone()), [Effect::Surplus]);
    assert_eq!(reduce(&mut state, other), [Effect::Surplus]);
    assert_eq!((state.captured, state.reference.as_deref()), (100, Some(REFERENCE)));
}

#[test]
fn only_the_latest_attempt_can_fail_the_payment() {
    let mut state = run(processing(), &[failed()]);
    assert_eq!(state.failure.as_ref().map(|failure| failure.code.as_str()), Some("card_declined"));
    assert_eq!(state.begin(attempt(2)), Ok(true));
    assert_eq!(reduce(&mut state, failed()), []);
    assert_eq!((state.status, state.failure), (PaymentStatus::Processing, None));
}

#[test]
fn an_undone_payment_takes_no_attempt_and_no_money() {
    let mut state = run(fresh(), &[Fact::UndoRequested]);
    assert_eq!(state.status, PaymentStatus::Cancelled);
    assert_eq!(state.begin(attempt(1)), Err(Refusal::Closed));
    assert_eq!(reduce(&mut state, authorized()), [Effect::Surplus]);
    let late = run(processing(), &[Fact::UndoRequested, captured(100)]);
    assert_eq!((late.status, late.undo_requested, late.refundable()), (PaymentStatus::Succeeded, true, 100));
}

#[test]
fn attempts_are_not_for_trying_out_cards() {
    let mut state = fresh();
    for number in 1..=MAX_ATTEMPTS {
        let id = attempt(u128::try_from(number).unwrap());
        assert_eq!(state.begin(id), Ok(true));
        reduce(&mut state, Fact::AttemptFailed { attempt: id, failure: Failure::of("card_declined") });
    }
    assert_eq!(state.status, PaymentStatus::Failed);
    assert_eq!(state.begin(attempt(99)), Err(Refusal::Closed));
}

#[test]
fn a_gateway_that_is_away_uses_up_no_attempts() {
    let mut state = fresh();
    for number in 1..=MAX_ATTEMPTS * 2 {
        let id = attempt(u128::try_from(number).unwrap());
        assert_eq!(state.begin(id), Ok(true));
        let code = ["gateway_unavailable", "gateway_timeout"][usize::from(number % 2 == 0)];
        reduce(&mut state, Fact::AttemptFailed { attempt: id, failure: Failure::of(code) });
    }
    assert_eq!((state.status, state.attempts), (PaymentStatus::RequiresPaymentMethod, 0));
    assert_eq!(state.begin(attempt(99)), Ok(true));
}

#[test]
fn outside_refunds_are_booked_once() {
    let mut state = run(processing(), &[captured(100)]);
    state.refunded = 50; // one of ours, on its way
    assert_eq!(reduce(&mut state, given_back(50)), []);
    assert_eq!(reduce(&mut state, given_back(80)), [Effect::RefundedOutside { amount: 30 }]);
    assert_eq!(reduce(&mut state, given_back(80)), []);
    assert_eq!(reduce(&mut state, Fact::RefundReturned { amount: 50 }), [Effect::RefundedOutside { amount: 50 }]);
    assert_eq!(state.refunded, 80);
}

#[test]
fn an_order_that_costs_nothing_is_paid_once() {
    let mut state = PaymentState { amount: 0, ..processing() };
    assert_eq!(reduce(&mut state, captured(0)), [Effect::Captured { amount: 0 }]);
    assert_eq!(reduce(&mut state, captured(0)), []);
    assert_eq!(state.status, PaymentStatus::Succeeded);
}

#[test]
fn what_was_released_and_collected_all_the_same_goes_back() {
    let mut state = run(processing(), &[authorized(), Fact::Released { amount: 30 }, Fact::Released { amount: 20 }]);
    assert_eq!(state.capturable(), 50);
    let effects = reduce(&mut state, captured(80));
    assert_eq!(effects, [Effect::Captured { amount: 80 }, Effect::ReleaseBroken { amount: 30 }]);
    assert_eq!((state.captured, state.released), (80, 20));
    assert_eq!(reduce(&mut state, captured(80)), []);
}

#[test]
fn a_refund_that_did_not_arrive_is_not_booked_again() {
    let mut state = run(processing(), &[captured(100), given_back(60)]);
    assert_eq!(state.refunded, 60);
    assert_eq!(reduce(&mut state, Fact::RefundBounced { amount: 60 }), []);
    assert_eq!(reduce(&mut state, given_back(60)), [], "the same news, late");
    assert_eq!((state.refunded, state.refundable()), (0, 100));
}

#[test]
fn an_attempt_that_is_forgotten_was_none() {
    let mut state = processing();
    assert_eq!(reduce(&mut state, Fact::AttemptForgotten { attempt: attempt(1) }), []);
    assert_eq!((state.status, state.attempts), (PaymentStatus::RequiresPaymentMethod, 0));
    let mut undone = run(processing(), &[Fact::UndoRequested]);
    assert_eq!(reduce(&mut undone, Fact::AttemptForgotten { attempt: attempt(1) }), [Effect::Cancelled]);
    let mut paid = run(processing(), &[captured(100)]);
    assert_eq!(reduce(&mut paid, Fact::AttemptForgotten { attempt: attempt(1) }), []);
    assert_eq!(paid.status, PaymentStatus::Succeeded);
}
