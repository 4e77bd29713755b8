//! `verify --repair`: which findings the program may mend by itself, and how.
//!
//! Only what follows for certain from what was decided and written down: a step that was not gone, by the same code
//! that goes it every day, or a sum whose ledger is at hand. All of it can be repeated. Whatever needs a guess, such
//! as which of two books is right about money or about what lies on the shelf, is left to people.

use diesel::sql_types::{Nullable, Text, Uuid as SqlUuid};
use diesel::{OptionalExtension as _, QueryableByName, sql_query};
use eshopz_kernel::{EventId, Fault, OrderId, VariantId};
use eshopz_platform::books::Finding;
use eshopz_platform::db::{Db, Single as _, StoreError};
use eshopz_platform::events::{Subscriptions, lost};
use uuid::Uuid;

use crate::compose::Shop;
use crate::modules::Module;

/// Why it was done, in timelines and ledgers.
const REASON: &str = "verify --repair";
/// Who did it, in the stock's ledger.
const ACTOR: &str = "system";

/// What mends a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The order takes the step that it has not taken: it is finished, settled, undone, or a part is given back.
    GoOn,
    /// What a paid order still holds is sold; what a cancelled one holds, or bought, is given back.
    Sell,
    /// The order's cart is closed.
    Close,
    /// Refunds that failed are asked for again.
    Refund,
    /// What is held for nobody is freed.
    Free,
    /// What is reserved is counted again.
    Count,
    /// The deliveries that are missing are made.
    Redeliver,
    /// The gateway is asked again.
    Ask,
    /// The gateway's event is applied again.
    Apply,
    /// The payment is given back.
    GiveBack,
}

impl Remedy {
    /// For a finding, if there is any.
    #[must_use]
    pub fn of(finding: &Finding) -> Option<Self> {
        match finding.check {
            "order_finished" | "order_undone" | "order_taken_back" | "order_settled" | "order_money_back"
            | "order_voided" => Some(Self::GoOn),
            "order_stock_held" | "order_stock_sold" => Some(Self::Sell),
            "order_cart" => Some(Self::Close),
            "order_part_refunded" => Some(Self::Refund),
            "reservations_freed" | "stock_without_order" => Some(Self::Free),
            "stock_reserved" => Some(Self::Count),
            "outbox_deliveries" => Some(Self::Redeliver),
            "gateway_answers" => Some(Self::Ask),
            "parked_events" => Some(Self::Apply),
            "payments_undone" => Some(Self::GiveBack),
            _ => None,
        }
    }

    /// What it does, in words.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::GoOn => "the order goes on from where it stopped",
            Self::Sell => "what the order holds is sold, or given back if it is cancelled",
            Self::Close => "the cart is closed",
            Self::Refund => "the refund is asked for again",
            Self::Free => "what is held is freed",
            Self::Count => "what is reserved is counted from what orders hold",
            Self::Redeliver => "the event is delivered again",
            Self::Ask => "the gateway is asked again",
            Self::Apply => "the event is applied again",
            Self::GiveBack => "the payment is given back",
        }
    }
}

/// Mends one finding; false when there was nothing to do, or nothing could be done.
///
/// # Errors
/// Those of the modules.
pub async fn mend(
    shop: &Shop,
    subscriptions: &Subscriptions,
    finding: &Finding,
    remedy: Remedy,
) -> Result<bool, Fault> {
    let subject = finding.subject.as_str();
    match (remedy, &shop.order, &shop.product, &shop.payment) {
        (Remedy::GoOn, Some(order), ..) => order.repair(subject, REASON).await,
        (Remedy::Sell, Some(order), ..) => order.repair_sale(subject, REASON).await,
        (Remedy::Close, Some(order), ..) => order.repair_cart(subject, REASON).await,
        (Remedy::Refund, Some(order), ..) => order.repair_refunds(subject, REASON).await,
        (Remedy::Free, _, Some(product), _) => product.free_held(OrderId::from(id(subject)?), REASON, ACTOR).await,
        (Remedy::Count, _, Some(product), _) => {
            product.count_reserved(VariantId::from(id(subject)?), REASON, ACTOR).await
        }
        (Remedy::Redeliver, ..) => redeliver(shop, subscriptions, finding).await,
        (Remedy::Ask, .., Some(payment)) => payment.ask_again(id(subject)?).await,
        (Remedy::Apply, .., Some(payment)) => payment.apply_again(id(subject)?).await,
        (Remedy::GiveBack, .., Some(payment)) => payment.undo_again(id(subject)?).await,
        _ => Ok(false),
    }
}

async fn redeliver(shop: &Shop, subscriptions: &Subscriptions, finding: &Finding) -> Result<bool, Fault> {
    let of_module = |(module, _): &&(Module, _)| module.name() == finding.module;
    let Some((_, db)) = shop.pools().iter().find(of_module) else { return Ok(false) };
    let event = EventId::from(id(&finding.subject)?);
    let redelivered = {
        let mut conn = db.conn().await?;
        lost::redeliver(&mut conn, event, subscriptions).await.map_err(StoreError::from)?
    };
    if redelivered {
        note_redelivery(shop, db, event).await?;
    }
    Ok(redelivered)
}

/// An event as it is noted.
#[derive(QueryableByName)]
struct Told {
    #[diesel(sql_type = Text)]
    name: String,
    /// The order that it tells of.
    #[diesel(sql_type = Nullable<SqlUuid>)]
    order_id: Option<Uuid>,
}

/// Notes it in the timeline of the order that the event is about. One that is about no order has no ledger but the
/// log.
async fn note_redelivery(shop: &Shop, db: &Db, event: EventId) -> Result<(), Fault> {
    let told: Option<Told> = {
        let mut conn = db.conn().await?;
        sql_query("SELECT name, (payload ->> 'order_id')::uuid AS order_id FROM outbox WHERE id = $1")
            .bind::<SqlUuid, _>(event.uuid())
            .single(&mut conn)
            .await
            .optional()
            .map_err(StoreError::from)?
    };
    let Some(Told { name, order_id }) = told else { return Ok(()) };
    tracing::warn!(event = %event, name, "delivered again by {REASON}");
    if let (Some(order), Some(id)) = (&shop.order, order_id) {
        order.note_repair(OrderId::from(id), &format!("{REASON}: {name} is delivered again")).await?;
    }
    Ok(())
}

fn id(subject: &str) -> Result<Uuid, Fault> {
    Uuid::parse_str(subject).map_err(|_| Fault::internal(format!("{subject} is no id")))
}
