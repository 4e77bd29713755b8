//! Placing an order: the three phases in a row, and what a repetition finds.

use std::time::Instant;

use eshopz_kernel::{CartId, Fault, FaultKind, Money};
use eshopz_payment_api::{PaymentStatus, PaymentSummary};
use eshopz_platform::idempotency::{self, Claim};
use uuid::Uuid;

use super::checkout::Draft;
use super::finish::payment_of;
use super::{OrderDetails, OrderService, count, no_payment_yet};
use crate::domain::{Buyer, OrderStatus, PostalAddress, token_hash};
use crate::error::OrderError;
use crate::store::OrderRow;

/// Make an order of a cart.
#[derive(Clone, Debug)]
pub struct PlaceOrder {
    pub buyer: Buyer,
    pub cart: CartId,
    /// Of a guest; an account has its own.
    pub email: Option<String>,
    pub shipping_address: PostalAddress,
    /// The shipping address, when there is none.
    pub billing_address: Option<PostalAddress>,
    /// Pay at once.
    pub payment_method: Option<String>,
    pub expected_total: Option<Money>,
}

impl PlaceOrder {
    /// Whether it comes from whom the order is of. To know the cart's token is not enough: in a browser that people share
    /// it may be another's.
    fn is_of_holder(&self, order: &OrderRow) -> bool {
        match order.customer() {
            Some(customer) => self.buyer.customer == Some(customer),
            None => self.token_of(order).is_some(),
        }
    }

    /// The token by which a guest holds the order, if it is theirs.
    fn token_of(&self, order: &OrderRow) -> Option<String> {
        let token = self.buyer.guest_token(order.order_id())?;
        (order.token_hash.as_deref() == Some(token_hash(&token).as_str())).then_some(token)
    }

    /// Whether the order that its cart has made goes where this one is to go.
    fn asks_for(&self, order: &OrderRow) -> bool {
        let billing = self.billing_address.as_ref().unwrap_or(&self.shipping_address);
        // An account's email is its own, whatever comes along.
        let email = self.buyer.customer.is_some() || self.email.as_deref() == Some(order.email.as_str());
        email && self.shipping_address == order.shipping_address && *billing == order.billing_address
    }
}

/// An order that was placed, now or before.
#[derive(Debug)]
pub struct Placed {
    pub details: OrderDetails,
    /// A guest's, when the order is new to them.
    pub token: Option<String>,
    /// This request made it.
    pub created: bool,
    /// It stands, but the payment that came along was not taken.
    pub refused: Option<Fault>,
}

#[eshopz_crash::crash_points]
impl OrderService {
    /// Places an order. `resumed` is the order of an earlier attempt with the same key that broke off.
    ///
    /// # Errors
    /// 404 for the cart; `cart_empty`, `cart_changed`, `cart_ordered`, `insufficient_stock`; a missing email.
    /// Nothing was placed then. 503 when a neighbour is away: the same again with the same key goes on from there.
    pub async fn place(&self, command: PlaceOrder, claim: &Claim, resumed: Option<Uuid>) -> Result<Placed, OrderError> {
        if command.buyer.customer.is_none() && command.email.is_none() {
            return Err(OrderError::EmailRequired);
        }
        let cart = self.cart_of(command.cart, &command.buyer).await?;
        let id = cart.id;
        if (resumed.is_some() || cart.ordered_as.is_some())
            && let Some(order) = self.order_of_cart(id).await?
        {
            return self.again(order, &command, claim, resumed).await;
        }
        let draft = match self.prepare(&command, cart).await {
            Ok(draft) => draft,
            // What stands in the way may be an order of this cart, which is not closed yet.
            Err(error) => match self.order_of_cart(id).await? {
                Some(order) => return self.again(order, &command, claim, resumed).await,
                None => return Err(error),
            },
        };
        let began = Instant::now();
        match self.commit(claim, &draft, &command).await? {
            Some(order) => {
                count(OrderStatus::PendingPayment);
                self.conclude_new(order, &command, draft, began).await
            }
            None => {
                let winner = self.winner(&draft).await?;
                self.again(winner, &command, claim, resumed).await
            }
        }
    }

    /// The order exists, and is what the buyer wants and expects to pay for. The key is noted for it, so that it
    /// keeps its answer, and what is unfinished is finished. Only the attempt that made the order, back from an
    /// interruption, still owes the token.
    async fn again(
        &self,
        order: OrderRow,
        command: &PlaceOrder,
        claim: &Claim,
        resumed: Option<Uuid>,
    ) -> Result<Placed, OrderError> {
        if !command.is_of_holder(&order) {
            return Err(OrderError::NotFound("cart"));
        }
        let total = order.totals().total;
        if command.expected_total.is_some_and(|expected| expected != total) {
            return Err(OrderError::CartChanged { total });
        }
        if !command.asks_for(&order) {
            return Err(OrderError::CartOrdered { id: order.order_id(), number: order.number });
        }
        {
            let mut conn = self.db.conn().await?;
            // A twin in another process has the key, and its answer is the one for both.
            if !idempotency::record(&mut conn, claim, order.id).await? {
                return Err(OrderError::KeyInUse);
            }
        }
        let created = resumed == Some(order.id);
        let token = if created { command.token_of(&order) } else { None };
        self.conclude(order, command, token, created).await
    }

    /// Phase three. The order stands whatever happens here: what fails now is done by the listeners. But
    /// while a neighbour is away its answer would be a guess, so there is none: a repetition has it.
    async fn conclude(
        &self,
        order: OrderRow,
        command: &PlaceOrder,
        token: Option<String>,
        created: bool,
    ) -> Result<Placed, OrderError> {
        let finished = self.finish(order.clone(), None).await;
        let (order, payment) = or_later(&order, finished)?.unwrap_or((order, None));
        let (order, payment, refused) = match &command.payment_method {
            Some(method) if order.status == OrderStatus::PendingPayment && order.finished_at.is_some() => {
                self.pay(order, method).await?
            }
            _ => (order, payment, None),
        };
        let details = self.concluded(order, payment).await?;
        Ok(Placed { details, token, created, refused })
    }

    /// The same for an order that was placed a moment ago: nobody else has begun anything about it.
    async fn conclude_new(
        &self,
        order: OrderRow,
        command: &PlaceOrder,
        draft: Draft,
        began: Instant,
    ) -> Result<Placed, OrderError> {
        let (order, payment, refused) = match &command.payment_method {
            Some(method) if draft.is_paid_at_once(command) => self.pay_new(order, method, began).await?,
            _ => {
                let finished = self.finish(order.clone(), None).await;
                let (order, payment) = or_later(&order, finished)?.unwrap_or((order, None));
                (order, payment, None)
            }
        };
        let payment = self.or_as_known(&order, payment).await?;
        let details = OrderDetails { order, payment, lines: draft.lines(), refunds: Vec::new() };
        Ok(Placed { details, token: draft.token, created: true, refused })
    }

    /// Makes the payment and has it paid, closes the cart meanwhile, and settles the order. That it was not paid, or not
    /// yet, is told whatever is left to the listeners: a repetition would be another attempt.
    async fn pay_new(&self, order: OrderRow, method: &str, began: Instant) -> Result<Paid, OrderError> {
        let closing = self.carts.close(CartId(order.cart_id), order.order_id());
        let (paid, closed) = futures::join!(self.payments.pay(payment_of(&order), method), closing);
        let is_closed = closed.is_ok();
        let (payment, refused) = match paid {
            Ok(payment) if payment.status.is_secured() => {
                let settled = self.settle_new(&order, is_closed, began).await;
                let order = or_later(&order, settled)?.unwrap_or(order);
                or_later(&order, closed.map_err(OrderError::from))?;
                return Ok((order, Some(payment), None));
            }
            Ok(payment) => (Some(payment), None),
            Err(fault) if matches!(fault.kind, FaultKind::PaymentDeclined | FaultKind::Invalid) => (None, Some(fault)),
            Err(fault) => {
                or_later(&order, Err::<(), _>(fault.into()))?;
                return Ok((order, None, None));
            }
        };
        let left = self.leave_unpaid(order.clone(), is_closed, began).await;
        // Of an attempt without an answer a repetition hears what became of it.
        let on_its_way = payment.as_ref().is_some_and(|payment| payment.status == PaymentStatus::Processing);
        let order = match left {
            Ok(left) => left,
            Err(error) if on_its_way => or_later(&order, Err(error))?.unwrap_or(order),
            Err(error) => {
                tracing::warn!(order = %order.number, %error, "an unpaid order is not noted as finished yet");
                order
            }
        };
        Ok((order, payment, refused))
    }

    /// Confirms the payment. A refusal is the buyer's to hear; whatever else goes wrong shows in the
    /// payment's status, and the order becomes paid by the payment's event.
    async fn pay(&self, order: OrderRow, method: &str) -> Result<Paid, OrderError> {
        match self.payments.confirm(order.payment(), method).await {
            Ok(payment) if payment.status.is_secured() => {
                let settled = self.settle(order.order_id(), None).await;
                Ok((or_later(&order, settled)?.unwrap_or(order), Some(payment), None))
            }
            Ok(payment) => Ok((order, Some(payment), None)),
            Err(fault) if matches!(fault.kind, FaultKind::PaymentDeclined | FaultKind::Invalid) => {
                Ok((order, None, Some(fault)))
            }
            Err(fault) => {
                or_later(&order, Err::<(), _>(fault.into()))?;
                Ok((order, None, None))
            }
        }
    }

    async fn concluded(&self, order: OrderRow, payment: Option<PaymentSummary>) -> Result<OrderDetails, OrderError> {
        let (lines, refunds) = self.parts_of(&order).await?;
        let payment = self.or_as_known(&order, payment).await?;
        Ok(OrderDetails { payment, order, lines, refunds })
    }

    /// The payment, or what the payment module says of it now.
    async fn or_as_known(
        &self,
        order: &OrderRow,
        payment: Option<PaymentSummary>,
    ) -> Result<PaymentSummary, OrderError> {
        if let Some(payment) = payment {
            return Ok(payment);
        }
        let known = or_later(order, self.payments_of(std::slice::from_ref(order)).await)?;
        Ok(known.and_then(|known| known.into_values().next()).unwrap_or_else(|| no_payment_yet(order)))
    }
}

/// An order after its payment was tried: with the payment if it is known, and why it was refused.
type Paid = (OrderRow, Option<PaymentSummary>, Option<Fault>);

/// What a placed order can do without for now; an error only if a repetition will have it.
fn or_later<T>(order: &OrderRow, outcome: Result<T, OrderError>) -> Result<Option<T>, OrderError> {
    match outcome {
        Ok(done) => Ok(Some(done)),
        Err(error) if error.is_passing() => Err(OrderError::Unfinished(Box::new(error))),
        Err(error) => {
            tracing::warn!(order = %order.number, %error, "the order is placed but not finished; a listener will");
            Ok(None)
        }
    }
}
