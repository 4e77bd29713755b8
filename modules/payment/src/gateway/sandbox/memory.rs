//! What the sandbox remembers: charges by idempotency key, and what was done to them afterwards.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl};
use eshopz_kernel::Currency;
use eshopz_platform::db::Single as _;
use eshopz_platform::prepared::prepared;
use uuid::Uuid;

use super::{Behaviour, cards, rejected, unknown};
use crate::gateway::{ChargeRequest, FollowUp, GatewayError, GatewayEvent, GatewayNews};

/// A charge as the sandbox knows it.
#[derive(Debug, QueryableByName)]
pub(super) struct SandboxCharge {
    #[diesel(sql_type = Text)]
    pub reference: String,
    #[diesel(sql_type = SqlUuid)]
    pub idempotency_key: Uuid,
    #[diesel(sql_type = SqlUuid)]
    pub payment_id: Uuid,
    #[diesel(sql_type = Text)]
    merchant_reference: String,
    #[diesel(sql_type = Text)]
    pub status: String,
    #[diesel(sql_type = Text)]
    pub payment_method: String,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = BigInt)]
    pub amount_minor: i64,
    #[diesel(sql_type = BigInt)]
    pub captured_minor: i64,
    #[diesel(sql_type = BigInt)]
    pub refunded_minor: i64,
    #[diesel(sql_type = Timestamptz)]
    pub created_at: DateTime<Utc>,
}

impl SandboxCharge {
    /// Whether it was made by a request; else an event told of it, which has no key and no reference.
    pub(super) const fn was_asked_for(&self) -> bool {
        !self.merchant_reference.is_empty()
    }

    pub(super) fn currency(&self) -> Currency {
        self.currency.parse().unwrap_or(Currency::USD)
    }
}

/// What can be done to a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Capture,
    Void,
    Refund,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Void => "void",
            Self::Refund => "refund",
        }
    }

    const fn prefix(self) -> &'static str {
        match self {
            Self::Capture => "sbx_ca_",
            Self::Void => "sbx_vo_",
            Self::Refund => "sbx_re_",
        }
    }
}

fn new_reference(prefix: &str) -> String {
    format!("{prefix}{}", Uuid::now_v7().simple())
}

/// The charge of an idempotency key.
pub(super) async fn by_key(conn: &mut AsyncPgConnection, key: Uuid) -> QueryResult<Option<SandboxCharge>> {
    prepared(sql_query("SELECT * FROM sandbox_charges WHERE idempotency_key = $1").bind::<SqlUuid, _>(key))
        .single(conn)
        .await
        .optional()
}

/// Makes a charge with this status, or answers with the one that the key has made already.
pub(super) async fn charge(
    conn: &mut AsyncPgConnection,
    request: &ChargeRequest,
    status: &'static str,
) -> QueryResult<SandboxCharge> {
    let captured = if status == "succeeded" { request.amount.amount } else { 0 };
    // A payer who tries another way has given up the one that waited.
    let made: Option<SandboxCharge> = prepared(
        sql_query(
            "WITH made AS ( \
                INSERT INTO sandbox_charges (reference, idempotency_key, payment_id, merchant_reference, amount_minor, \
                    currency, captured_minor, payment_method, captures, status) \
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (idempotency_key) DO NOTHING \
                RETURNING reference, idempotency_key, payment_id, merchant_reference, status, payment_method, currency, \
                    amount_minor, captured_minor, refunded_minor, created_at), \
             given_up AS ( \
                UPDATE sandbox_charges c SET status = 'cancelled' FROM made \
                WHERE c.payment_id = made.payment_id AND c.status = 'requires_action') \
             SELECT * FROM made",
        )
        .bind::<Text, _>(new_reference("sbx_ch_"))
        .bind::<SqlUuid, _>(request.idempotency_key)
        .bind::<SqlUuid, _>(request.payment_id.uuid())
        .bind::<Text, _>(&request.reference)
        .bind::<BigInt, _>(request.amount.amount)
        .bind::<Text, _>(request.amount.currency.code())
        .bind::<BigInt, _>(captured)
        .bind::<Text, _>(&request.method)
        .bind::<Bool, _>(request.capture)
        .bind::<Text, _>(status),
    )
    .single(conn)
    .await
    .optional()?;
    match made {
        Some(made) => Ok(made),
        None => by_key(conn, request.idempotency_key).await?.ok_or(diesel::result::Error::NotFound),
    }
}

#[derive(QueryableByName)]
struct Done {
    #[diesel(sql_type = Text)]
    reference: String,
}

/// The sandbox refused, or its memory failed it.
enum Trouble {
    Refused(GatewayError),
    Store(diesel::result::Error),
}

impl From<diesel::result::Error> for Trouble {
    fn from(error: diesel::result::Error) -> Self {
        Self::Store(error)
    }
}

/// Does something to a charge, or answers with what its key has done already.
pub(super) async fn follow_up(
    conn: &mut AsyncPgConnection,
    request: &FollowUp,
    kind: Kind,
) -> Result<String, GatewayError> {
    let done = conn
        .transaction(async |conn| {
            let charge = lock(conn, &request.charge)
                .await?
                .ok_or_else(|| Trouble::Refused(rejected("resource_missing", "There is no such charge.")))?;
            if let Some(done) = done_before(conn, request.idempotency_key).await? {
                return Ok(done.reference);
            }
            let amount = request.amount.amount;
            let change = permitted(&charge, kind, amount).map_err(Trouble::Refused)?;
            if let Some(change) = change {
                update(conn, &charge.reference, change).await?;
            }
            Ok::<_, Trouble>(note(conn, request, kind).await?)
        })
        .await;
    done.map_err(|trouble| match trouble {
        Trouble::Refused(refusal) => refusal,
        Trouble::Store(error) => unknown(error),
    })
}

/// What a charge becomes: status, captured, refunded.
type Change = (&'static str, i64, i64);

/// What the operation makes of the charge; `None` when there is nothing to do.
fn permitted(charge: &SandboxCharge, kind: Kind, amount: i64) -> Result<Option<Change>, GatewayError> {
    match (kind, charge.status.as_str()) {
        (Kind::Capture, "authorized") if amount <= charge.amount_minor => Ok(Some(("succeeded", amount, 0))),
        (Kind::Capture, _) => Err(rejected("charge_not_capturable", "It is not held, or not so much.")),
        (Kind::Void, "authorized" | "requires_action") => Ok(Some(("cancelled", 0, 0))),
        (Kind::Void, "cancelled" | "declined") => Ok(None),
        (Kind::Void, _) => Err(rejected("charge_already_captured", "It was collected; refund it.")),
        (Kind::Refund, _) if refuses_refunds(charge) => {
            Err(rejected("refund_failed", "The bank does not take the money back."))
        }
        (Kind::Refund, "succeeded") => {
            let refunded = charge.refunded_minor.saturating_add(amount);
            if refunded > charge.captured_minor {
                return Err(rejected("charge_already_refunded", "So much is not left to refund."));
            }
            Ok(Some(("succeeded", charge.captured_minor, refunded)))
        }
        (Kind::Refund, _) => Err(rejected("charge_not_refundable", "Nothing was collected.")),
    }
}

fn refuses_refunds(charge: &SandboxCharge) -> bool {
    cards::named(&charge.payment_method).is_some_and(|card| card.behaviour == Behaviour::RefuseRefunds)
}

async fn lock(conn: &mut AsyncPgConnection, reference: &str) -> QueryResult<Option<SandboxCharge>> {
    prepared(sql_query("SELECT * FROM sandbox_charges WHERE reference = $1 FOR UPDATE").bind::<Text, _>(reference))
        .single(conn)
        .await
        .optional()
}

async fn done_before(conn: &mut AsyncPgConnection, key: Uuid) -> QueryResult<Option<Done>> {
    prepared(sql_query("SELECT reference FROM sandbox_operations WHERE idempotency_key = $1").bind::<SqlUuid, _>(key))
        .single(conn)
        .await
        .optional()
}

async fn update(conn: &mut AsyncPgConnection, reference: &str, change: Change) -> QueryResult<usize> {
    let (status, captured, refunded) = change;
    prepared(
        sql_query(
            "UPDATE sandbox_charges SET status = $2, captured_minor = $3, refunded_minor = $4 WHERE reference = $1",
        )
        .bind::<Text, _>(reference)
        .bind::<Text, _>(status)
        .bind::<BigInt, _>(captured)
        .bind::<BigInt, _>(refunded),
    )
    .execute(conn)
    .await
}

async fn note(conn: &mut AsyncPgConnection, request: &FollowUp, kind: Kind) -> QueryResult<String> {
    let reference = new_reference(kind.prefix());
    prepared(
        sql_query(
            "INSERT INTO sandbox_operations (idempotency_key, charge_reference, kind, amount_minor, reference) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind::<SqlUuid, _>(request.idempotency_key)
        .bind::<Text, _>(&request.charge)
        .bind::<Text, _>(kind.as_str())
        .bind::<BigInt, _>(request.amount.amount)
        .bind::<Text, _>(&reference),
    )
    .execute(conn)
    .await?;
    Ok(reference)
}

/// Lets the memory follow an event that somebody sent in the sandbox's name. Sums only grow, so that
/// order and repetition do not matter here either. Money under a reference that it does not know makes a
/// charge: the word of the gateway is what happened.
pub(super) async fn follow_event(conn: &mut AsyncPgConnection, event: &GatewayEvent) -> QueryResult<()> {
    let (status, captured, refunded) = match event.news {
        GatewayNews::Captured { amount } => ("succeeded", amount, 0),
        GatewayNews::Refunded { total } => ("succeeded", total, total),
        GatewayNews::Authorized => ("authorized", 0, 0),
        GatewayNews::Voided => ("cancelled", 0, 0),
        GatewayNews::Failed { .. } | GatewayNews::RefundFailed { .. } | GatewayNews::Other => return Ok(()),
    };
    prepared(
        sql_query(
            "INSERT INTO sandbox_charges AS c (reference, idempotency_key, payment_id, merchant_reference, amount_minor, \
                currency, captured_minor, refunded_minor, payment_method, captures, status) \
             SELECT $1, $2, coalesce($3, $2), '', $5, 'USD', $5, $6, 'pm_card_visa', true, $4 \
             WHERE ($3 IS NOT NULL AND $4 = 'succeeded') OR EXISTS (SELECT FROM sandbox_charges WHERE reference = $1) \
             ON CONFLICT (reference) DO UPDATE SET \
                amount_minor = greatest(c.amount_minor, $5), \
                captured_minor = greatest(c.captured_minor, $5), \
                refunded_minor = greatest(c.refunded_minor, $6), \
                status = CASE WHEN $4 = 'succeeded' THEN 'succeeded' \
                              WHEN c.status IN ('requires_action', 'authorized') THEN $4 ELSE c.status END",
        )
        .bind::<Text, _>(&event.reference)
        .bind::<SqlUuid, _>(Uuid::now_v7())
        .bind::<Nullable<SqlUuid>, _>(event.payment_id.map(|id| id.uuid()))
        .bind::<Text, _>(status)
        .bind::<BigInt, _>(captured)
        .bind::<BigInt, _>(refunded),
    )
    .execute(conn)
    .await?;
    Ok(())
}
