//! What every gateway has to do, asked of each of them in the same words: the sandbox, and Stripe's before
//! localstripe.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use eshopz_kernel::PaymentId;
use eshopz_payment::SandboxGateway;
use eshopz_payment::gateway::{
    Charge, ChargeOutcome, ChargeRequest, ChargeStatus, FollowUp, Gateway, GatewayCharge, GatewayError,
};
use eshopz_testkit::db::TestDb;
use eshopz_testkit::localstripe::Localstripe;
use uuid::Uuid;

use crate::shop::usd;
use crate::stripe::{key_of_age, sought, stripe_at};

/// A gateway with what it runs on, and its names of the cards.
struct Candidate {
    gateway: Arc<dyn Gateway>,
    declined: String,
    authenticated: String,
    _runs_on: Box<dyn Send + Sync>,
}

impl Candidate {
    async fn sandbox() -> Self {
        let db = TestDb::new(&["payment"]).await;
        Self {
            gateway: Arc::new(SandboxGateway::new(db.db("payments"))),
            declined: "pm_card_chargeDeclined".to_owned(),
            authenticated: "pm_card_authenticationRequired".to_owned(),
            _runs_on: Box::new(db),
        }
    }

    async fn stripe() -> Self {
        let server = Localstripe::start();
        Self {
            gateway: Arc::new(stripe_at(server.endpoint())),
            declined: server.method("4000000000000341").await,
            authenticated: server.method("4000002500003155").await,
            _runs_on: Box::new(server),
        }
    }

    async fn charge(&self, method: &str, capture: bool) -> (ChargeRequest, Charge) {
        let request = ChargeRequest {
            idempotency_key: Uuid::now_v7(),
            payment_id: PaymentId::new(),
            amount: usd(1_000),
            method: method.to_owned(),
            capture,
            reference: "order-1".to_owned(),
        };
        let charge = self.gateway.authorize_or_charge(request.clone()).await.unwrap();
        (request, charge)
    }

    /// What the gateway's list says of an attempt.
    async fn listed(&self, attempt: Uuid) -> GatewayCharge {
        let page = self.gateway.charges_since(Utc::now() - TimeDelta::minutes(5), None).await.unwrap();
        page.charges.into_iter().find(|charge| charge.attempt == Some(attempt)).unwrap()
    }
}

fn about(charge: &Charge, amount: i64) -> FollowUp {
    FollowUp { idempotency_key: Uuid::now_v7(), charge: charge.reference.clone(), amount: usd(amount) }
}

async fn a_charge_is_made_found_and_listed(candidate: Candidate) {
    let before = Utc::now() - TimeDelta::seconds(2);
    let (request, charge) = candidate.charge("pm_card_visa", true).await;
    assert_eq!(charge.outcome, ChargeOutcome::Succeeded { captured: 1_000 });
    let method = charge.method.as_ref().unwrap();
    assert_eq!((method.brand.as_str(), method.last4.as_str()), ("visa", "4242"));
    let found = candidate.gateway.find(sought(request.idempotency_key)).await.unwrap().unwrap();
    assert_eq!(found, charge);
    let listed = candidate.listed(request.idempotency_key).await;
    assert_eq!((listed.reference, listed.payment_id), (charge.reference, Some(request.payment_id)));
    assert_eq!((listed.status, listed.amount), (ChargeStatus::Succeeded, request.amount));
    assert_eq!((listed.captured, listed.refunded), (1_000, 0));
    assert!(before < listed.created_at && listed.created_at <= Utc::now(), "{}", listed.created_at);
}

async fn a_decline_has_a_reason(candidate: Candidate) {
    let (request, charge) = candidate.charge(&candidate.declined, true).await;
    assert!(matches!(charge.outcome, ChargeOutcome::Declined { code, .. } if code == "card_declined"));
    let listed = candidate.listed(request.idempotency_key).await;
    assert_eq!((listed.status, listed.captured), (ChargeStatus::Declined, 0));
}

async fn a_charge_that_waits_can_be_let_go(candidate: Candidate) {
    let (request, charge) = candidate.charge(&candidate.authenticated, true).await;
    assert!(matches!(charge.outcome, ChargeOutcome::RequiresAction { .. }), "{:?}", charge.outcome);
    assert_eq!(candidate.listed(request.idempotency_key).await.status, ChargeStatus::Waiting);
    candidate.gateway.void(about(&charge, 1_000)).await.unwrap();
    let found = candidate.gateway.find(sought(request.idempotency_key)).await.unwrap().unwrap();
    assert_eq!(found.outcome, ChargeOutcome::Voided);
    assert_eq!(candidate.listed(request.idempotency_key).await.status, ChargeStatus::Voided);
}

async fn a_hold_is_collected_in_part_once(candidate: Candidate) {
    let (request, charge) = candidate.charge("pm_card_visa", false).await;
    assert_eq!(charge.outcome, ChargeOutcome::Authorized);
    let held = candidate.listed(request.idempotency_key).await;
    assert_eq!((held.status, held.captured, held.refunded), (ChargeStatus::Authorized, 0, 0));
    candidate.gateway.capture(about(&charge, 600)).await.unwrap();
    let taken = candidate.listed(request.idempotency_key).await;
    assert_eq!((taken.status, taken.captured - taken.refunded), (ChargeStatus::Succeeded, 600));
    let again = candidate.gateway.capture(about(&charge, 400)).await;
    assert!(matches!(again, Err(GatewayError::Rejected { .. })), "{again:?}");
}

async fn a_hold_is_let_go_as_often_as_one_likes_and_what_is_collected_is_not(candidate: Candidate) {
    let (request, charge) = candidate.charge("pm_card_visa", false).await;
    for _ in 0..2 {
        candidate.gateway.void(about(&charge, 1_000)).await.unwrap();
    }
    let listed = candidate.listed(request.idempotency_key).await;
    assert_eq!((listed.status, listed.captured, listed.refunded), (ChargeStatus::Voided, 0, 0));
    let (_, collected) = candidate.charge("pm_card_visa", true).await;
    let refused = candidate.gateway.void(about(&collected, 1_000)).await;
    assert!(matches!(refused, Err(GatewayError::Rejected { .. })), "{refused:?}");
}

async fn refunds_add_up(candidate: Candidate) {
    let (request, charge) = candidate.charge("pm_card_visa", true).await;
    let mut names = BTreeSet::from([charge.reference.clone()]);
    for part in [300, 500] {
        names.insert(candidate.gateway.refund(about(&charge, part)).await.unwrap());
    }
    assert_eq!(names.len(), 3);
    let listed = candidate.listed(request.idempotency_key).await;
    assert_eq!((listed.status, listed.captured, listed.refunded), (ChargeStatus::Succeeded, 1_000, 800));
}

async fn unknown_methods_and_charges_are_refused(candidate: Candidate) {
    let request = ChargeRequest {
        idempotency_key: Uuid::now_v7(),
        payment_id: PaymentId::new(),
        amount: usd(1_000),
        method: "pm_nobody".to_owned(),
        capture: true,
        reference: "order-1".to_owned(),
    };
    assert_eq!(candidate.gateway.authorize_or_charge(request).await, Err(GatewayError::UnknownMethod));
    for number in ["4242424242424242", "pm_4242424242424242", "", "pm_"] {
        assert!(!candidate.gateway.knows_method(number), "{number}");
    }
    let nobody = Charge { reference: "pi_nobody".to_owned(), method: None, outcome: ChargeOutcome::Voided };
    for told in [
        candidate.gateway.capture(about(&nobody, 1)).await,
        candidate.gateway.void(about(&nobody, 1)).await,
        candidate.gateway.refund(about(&nobody, 1)).await,
    ] {
        assert!(matches!(told, Err(GatewayError::Rejected { .. })), "{told:?}");
    }
    assert_eq!(candidate.gateway.find(sought(key_of_age(Duration::from_secs(600)))).await, Ok(None));
}

async fn the_list_comes_in_pieces(candidate: Candidate) {
    let mut made = BTreeSet::new();
    for _ in 0..101 {
        made.insert(candidate.charge("pm_card_visa", true).await.0.idempotency_key);
    }
    let since = Utc::now() - TimeDelta::minutes(5);
    let (mut seen, mut cursor, mut pieces) = (Vec::new(), None, 0);
    loop {
        let page = candidate.gateway.charges_since(since, cursor).await.unwrap();
        seen.extend(page.charges.into_iter().filter_map(|charge| charge.attempt));
        pieces += 1;
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!((seen.len(), pieces), (101, 2));
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), made);
}

async fn the_newest_is_found_behind_a_hundred(candidate: Candidate) {
    for _ in 0..101 {
        candidate.charge("pm_card_visa", true).await;
    }
    let (request, charge) = candidate.charge("pm_card_visa", true).await;
    let found = candidate.gateway.find(sought(request.idempotency_key)).await.unwrap();
    assert_eq!(found, Some(charge));
}

macro_rules! asked_of_both {
    ($($test:ident),+ $(,)?) => {
        mod sandbox {
            $(#[tokio::test]
            async fn $test() {
                super::$test(super::Candidate::sandbox().await).await;
            })+
        }
        mod stripe {
            $(#[tokio::test]
            async fn $test() {
                super::$test(super::Candidate::stripe().await).await;
            })+
        }
    };
}

asked_of_both!(
    a_charge_is_made_found_and_listed,
    a_decline_has_a_reason,
    a_charge_that_waits_can_be_let_go,
    a_hold_is_collected_in_part_once,
    a_hold_is_let_go_as_often_as_one_likes_and_what_is_collected_is_not,
    refunds_add_up,
    unknown_methods_and_charges_are_refused,
    the_list_comes_in_pieces,
    the_newest_is_found_behind_a_hundred,
);
