//! Reconciling by hand: whoever calls for it wants to know at once how everything stands. So it waits for no
//! due time, waits out what somebody may still wait for, and says what stays open.

use std::future::Future;
use std::time::Duration;

use chrono::{DateTime, Utc};
use eshopz_kernel::Fault;
use eshopz_platform::books::{Finding, Report};
use uuid::Uuid;

use super::reconcile::each;
use super::{PaymentService, earlier};
use crate::error::PaymentError;
use crate::store::open::{self, Left};
use crate::store::{payments, webhooks};

const MODULE: &str = "payment";
/// Whether all that is open could be settled.
const OPEN: &str = "open";
/// How much of a kind is read at once.
const BATCH: i64 = 50;
/// The most rounds, however much each of them settles.
const ROUNDS: u32 = 5;
/// How long the gateway may take to find one attempt: a list without end is read to its end.
const PATIENCE: Duration = Duration::from_secs(600);
/// The database's time goes on while it is waited for.
const A_MOMENT: Duration = Duration::from_millis(200);

impl PaymentService {
    /// Settles what is open, whether it is due or not, as long as that brings anything; a finding for each
    /// that stays open.
    ///
    /// # Errors
    /// Those of the statements that find the work.
    pub async fn reconcile_all(&self) -> Result<Report, Fault> {
        let begun = self.db.clock().await?;
        let mut left = self.left(begun, begun).await?;
        let count = left.len();
        for round in 1..=ROUNDS {
            let asked_before = earlier(self.db.clock().await?, self.patience());
            self.round(asked_before).await?;
            let now_left = self.left(begun, asked_before).await?;
            let helped = !is_same(&now_left, &left);
            left = now_left;
            let all_asked = left.iter().all(|row| !row.in_flight);
            if left.is_empty() || (all_asked && !helped) || round == ROUNDS {
                break;
            }
            tokio::time::sleep(self.patience() + A_MOMENT).await;
        }
        let findings = left.into_iter().map(finding).collect();
        Ok(Report { checked: vec![(MODULE, OPEN, i64::try_from(count).unwrap_or(i64::MAX))], findings })
    }

    /// Everything once, except what somebody may still wait for.
    async fn round(&self, before: DateTime<Utc>) -> Result<(), PaymentError> {
        let gateway = self.gateway.name();
        let movements = async |after| {
            let mut conn = self.db.conn().await?;
            Ok(open::after(&mut conn, gateway, before, after, BATCH).await?)
        };
        through(movements, |row| row.id, |row| self.chase_within(PATIENCE, row)).await?;
        let unheard = async |after| {
            let mut conn = self.db.conn().await?;
            Ok(open::unheard_after(&mut conn, gateway, after, BATCH).await?)
        };
        through(unheard, |payment| payment.payment_id, |payment| self.hear_of(payment)).await?;
        let events = async |after| {
            let mut conn = self.db.conn().await?;
            Ok(webhooks::waiting_after(&mut conn, gateway, after, BATCH).await?)
        };
        through(events, |id| *id, |id| self.apply_stored(id)).await?;
        let undoing = async |after| {
            let mut conn = self.db.conn().await?;
            Ok(payments::to_undo_after(&mut conn, gateway, after, BATCH).await?)
        };
        through(undoing, |id| *id, |id| self.finish_undo(id)).await
    }

    async fn left(&self, made_until: DateTime<Utc>, before: DateTime<Utc>) -> Result<Vec<Left>, PaymentError> {
        let mut conn = self.db.conn().await?;
        Ok(open::left(&mut conn, self.gateway.name(), made_until, before).await?)
    }
}

/// Works on all there is, some at a time.
async fn through<T, F>(
    take: impl AsyncFn(Uuid) -> Result<Vec<T>, PaymentError>,
    id_of: impl Fn(&T) -> Uuid,
    work: impl Fn(T) -> F,
) -> Result<(), PaymentError>
where
    F: Future<Output = Result<(), PaymentError>>,
{
    let mut after = Uuid::nil();
    loop {
        let taken = take(after).await?;
        let Some(last) = taken.last() else { return Ok(()) };
        after = id_of(last);
        each(taken, &work).await;
    }
}

/// Whether the same is open as before, however long ago it was asked about.
fn is_same(one: &[Left], other: &[Left]) -> bool {
    let states = |left: &[Left]| left.iter().map(|row| (row.id, row.status.clone())).collect::<Vec<_>>();
    states(one) == states(other)
}

fn finding(left: Left) -> Finding {
    let Left { id, payment_id, what, status, since, .. } = left;
    let detail = format!("{what} of payment {payment_id} is {status} since {since}, and could not be settled");
    Finding { module: MODULE, check: OPEN, subject: id.to_string(), detail }
}
