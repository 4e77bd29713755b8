//! The gateway's list of charges beside ours. Both move while they are read, so a difference counts only
//! when it is still there at another look.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use eshopz_kernel::Fault;
use eshopz_payment_api::PaymentStatus;
use eshopz_platform::books::{Finding, Report};
use uuid::Uuid;

use super::PaymentService;
use crate::domain::{TransactionStatus, status_name};
use crate::error::PaymentError;
use crate::gateway::{ChargeStatus, GatewayCharge, GatewayError, GatewayPage};
use crate::store::comparison::{self, KnownCharge, OwnCharge};

const MODULE: &str = "payment";
/// Whether the gateway's charges are as here.
const THEIRS: &str = "gateway_charges";
/// Whether our charges are there.
const OURS: &str = "own_charges";

/// How often a difference is looked at, or a silent gateway asked.
const LOOKS: u32 = 3;
/// The time between two looks.
const PAUSE: Duration = Duration::from_millis(300);
/// How long the gateway may take for a piece of its list, or to find one charge in all of it.
const PATIENCE: Duration = Duration::from_secs(600);
/// How many of our charges are read at once.
const BATCH: i64 = 1_000;

impl PaymentService {
    /// Compares the gateway's charges since a moment with ours, and ours with the gateway's.
    ///
    /// # Errors
    /// When the gateway does not answer or the database cannot be read.
    pub async fn compare_with_gateway(
        &self,
        since: DateTime<Utc>,
        progress: impl Fn(u64) + Send + Sync,
    ) -> Result<Report, Fault> {
        let (mut report, mut seen, mut cursor) = (Report::default(), HashSet::new(), None);
        loop {
            let (page, findings) = self.compare_page(since, cursor).await?;
            seen.extend(page.charges.into_iter().map(|charge| charge.reference));
            progress(u64::try_from(seen.len()).unwrap_or(u64::MAX));
            report.findings.extend(findings);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        report.checked.push((MODULE, THEIRS, i64::try_from(seen.len()).unwrap_or(i64::MAX)));
        let ours = self.compare_own(since, &seen, &mut report.findings).await?;
        report.checked.push((MODULE, OURS, ours));
        Ok(report)
    }

    /// A piece of the gateway's list, and what of it differs at each of several looks.
    async fn compare_page(
        &self,
        since: DateTime<Utc>,
        cursor: Option<String>,
    ) -> Result<(GatewayPage, Vec<Finding>), Fault> {
        let mut look = 1;
        loop {
            let page = self.page(since, cursor.clone()).await?;
            let findings = self.differences(&page.charges).await?;
            if findings.is_empty() || look == LOOKS {
                return Ok((page, findings));
            }
            look += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn page(&self, since: DateTime<Utc>, cursor: Option<String>) -> Result<GatewayPage, Fault> {
        let mut look = 1;
        loop {
            match self.ask_within(PATIENCE, self.gateway.charges_since(since, cursor.clone())).await {
                Ok(page) => return Ok(page),
                Err(error) if look == LOOKS || matches!(error, GatewayError::Rejected { .. }) => {
                    return Err(
                        Fault::unavailable("The gateway does not show its list of charges.", 5).caused_by(error)
                    );
                }
                Err(error) => tracing::warn!(%error, "the gateway is asked for its list again"),
            }
            look += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn differences(&self, charges: &[GatewayCharge]) -> Result<Vec<Finding>, PaymentError> {
        let known = {
            let mut conn = self.db.conn().await?;
            comparison::known(&mut conn, charges).await?
        };
        let known: HashMap<&str, &KnownCharge> = known.iter().map(|known| (known.reference.as_str(), known)).collect();
        let told = charges.iter().filter_map(|charge| {
            let detail = difference(charge, known.get(charge.reference.as_str()).copied())?;
            Some(Finding { module: MODULE, check: THEIRS, subject: charge.reference.clone(), detail })
        });
        Ok(told.collect())
    }

    /// Our charges that were not in the gateway's list, and that it does not know when asked for each.
    async fn compare_own(
        &self,
        since: DateTime<Utc>,
        seen: &HashSet<String>,
        findings: &mut Vec<Finding>,
    ) -> Result<i64, Fault> {
        let (mut count, mut after) = (0_i64, Uuid::nil());
        loop {
            let ours = {
                let mut conn = self.db.conn().await.map_err(PaymentError::from)?;
                let gateway = self.gateway.name();
                comparison::own(&mut conn, gateway, since, after, BATCH).await.map_err(PaymentError::from)?
            };
            let Some(last) = ours.last() else { return Ok(count) };
            after = last.id;
            count = count.saturating_add(i64::try_from(ours.len()).unwrap_or(0));
            for charge in ours.iter().filter(|charge| !seen.contains(&charge.reference)) {
                findings.extend(self.missing(charge).await?);
            }
        }
    }

    async fn missing(&self, charge: &OwnCharge) -> Result<Option<Finding>, Fault> {
        let found = self.ask_within(PATIENCE, self.gateway.find(charge.sought())).await;
        let found = found.map_err(|error| Fault::unavailable("The gateway does not answer.", 5).caused_by(error))?;
        // Under whatever name: that is the gateway's to give, and the key is ours.
        if found.is_some() {
            return Ok(None);
        }
        let detail = format!("payment {} had it, and the gateway does not know it", charge.payment_id);
        Ok(Some(Finding { module: MODULE, check: OURS, subject: charge.reference.clone(), detail }))
    }
}

/// What is wrong between a charge and what we know of it.
fn difference(charge: &GatewayCharge, known: Option<&KnownCharge>) -> Option<String> {
    let there = format!("there it is {:?}, captured {}, refunded {}", charge.status, charge.captured, charge.refunded);
    let known = known.filter(|known| known.attempt.is_some() || known.rests);
    let Some((known, payment, status)) = known.and_then(|known| Some((known, known.payment_id?, known.status?.0)))
    else {
        let payment = charge.payment_id.map_or_else(|| "no payment".to_owned(), |id| format!("payment {id}"));
        return Some(format!("we do not know it; {there}, for {payment}"));
    };
    if known.moving {
        return None;
    }
    let here = format!("payment {payment} is {}", status_name(status));
    if known.rests {
        let same = is_same(status, charge.status)
            && known.captured_minor == charge.captured
            && known.refunded_minor == charge.refunded;
        let (captured, refunded) = (known.captured_minor, known.refunded_minor);
        return (!same).then(|| format!("{here}, captured {captured}, refunded {refunded}; {there}"));
    }
    let holds_nothing = charge.captured == charge.refunded && charge.status != ChargeStatus::Authorized;
    let waits = known.attempt == Some(TransactionStatus::RequiresAction);
    let same = holds_nothing && (!waits || charge.status == ChargeStatus::Waiting);
    (!same).then(|| format!("{here} without it; {there}"))
}

/// Whether a payment that rests on a charge is in the charge's state.
const fn is_same(payment: PaymentStatus, charge: ChargeStatus) -> bool {
    match charge {
        ChargeStatus::Authorized => matches!(payment, PaymentStatus::Authorized),
        ChargeStatus::Succeeded => matches!(payment, PaymentStatus::Succeeded),
        ChargeStatus::Voided => matches!(payment, PaymentStatus::Cancelled),
        ChargeStatus::Waiting | ChargeStatus::Declined => false,
    }
}
