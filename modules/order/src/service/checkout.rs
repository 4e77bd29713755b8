//! Phases one and two of a checkout: prepare (read the cart, price it afresh, reserve its stock) and
//! commit (one transaction, one order per cart).

use chrono::{DateTime, SubsecRound as _, Utc};
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use eshopz_cart_api::{CartOwner, CheckoutCart};
use eshopz_kernel::{CartId, FaultKind, OrderId};
use eshopz_order_api::OrderPlaced;
use eshopz_platform::db::StoreError;
use eshopz_platform::events::outbox::Entry;
use eshopz_platform::idempotency::Claim;
use eshopz_product_api::ReserveStock;
use serde_json::Value;

use super::{OrderService, PlaceOrder, count_stockout};
use crate::domain::{self, Buyer, OrderStatus, PostalAddress, Quote};
use crate::error::OrderError;
use crate::store::{self, LineRow, NewOrder, OrderRow, Placing};

/// An order about to be committed; its stock is reserved.
pub(super) struct Draft {
    pub cart: CartId,
    pub order: OrderId,
    pub token: Option<String>,
    email: String,
    /// By the database's clock.
    placed_at: DateTime<Utc>,
    quote: Quote,
    shipping_address: Value,
    billing_address: Value,
}

#[eshopz_crash::crash_points]
impl OrderService {
    /// The cart, if it is the buyer's: by account, or by a guest's token that an account has not taken over.
    pub(super) async fn cart_of(&self, cart: CartId, buyer: &Buyer) -> Result<CheckoutCart, OrderError> {
        let by_token = buyer.cart_token.clone().map(CartOwner::Guest);
        let Some(owner) = buyer.customer.map(CartOwner::Customer).or_else(|| by_token.clone()) else {
            return Err(OrderError::NotFound("cart"));
        };
        match (self.carts.for_checkout(cart, &owner).await, by_token) {
            (Err(fault), Some(token)) if fault.kind == FaultKind::NotFound && owner != token => {
                Ok(self.carts.for_checkout(cart, &token).await?)
            }
            (found, _) => Ok(found?),
        }
    }

    /// Phase one. What it reserves is freed by time if nothing comes of it.
    pub(super) async fn prepare(&self, command: &PlaceOrder, cart: CheckoutCart) -> Result<Draft, OrderError> {
        if cart.lines.is_empty() {
            return Err(OrderError::CartEmpty);
        }
        let ids: Vec<_> = cart.lines.iter().map(|line| line.variant_id).collect();
        let variants = async { Ok(self.products.variants(&ids).await?) };
        let (email, variants) = futures::try_join!(self.email(command), variants)?;
        let country = &command.shipping_address.country;
        let quote = domain::quote(&cart.lines, variants, &self.settings.pricing, country).map_err(|lines| {
            count_stockout();
            OrderError::InsufficientStock(lines)
        })?;
        let total = quote.totals.total;
        if command.expected_total.is_some_and(|expected| expected != total) {
            return Err(OrderError::CartChanged { total });
        }
        let order = domain::order_id(cart.id, cart.version, cart.updated_at);
        let placed_at = self.db.clock().await?.trunc_subsecs(6);
        self.reserve(order, &quote, placed_at).await?;
        Ok(Draft {
            cart: cart.id,
            order,
            token: command.buyer.guest_token(order),
            email,
            placed_at,
            quote,
            shipping_address: stored(&command.shipping_address),
            billing_address: stored(command.billing_address.as_ref().unwrap_or(&command.shipping_address)),
        })
    }

    async fn email(&self, command: &PlaceOrder) -> Result<String, OrderError> {
        match (command.buyer.customer, &command.email) {
            (Some(user), _) => Ok(self.users.user(user).await?.email),
            (None, Some(email)) => Ok(email.clone()),
            (None, None) => Err(OrderError::EmailRequired),
        }
    }

    async fn reserve(&self, order: OrderId, quote: &Quote, placed_at: DateTime<Utc>) -> Result<(), OrderError> {
        let expires_at = placed_at + self.settings.unpaid_expiry + self.settings.reservation_grace;
        let command = ReserveStock { order_id: order, lines: quote.stock(), expires_at };
        self.products.reserve(command).await.map_err(|fault| {
            if fault.code == "insufficient_stock" {
                count_stockout();
            }
            fault.into()
        })
    }

    /// Phase two. `None` when a twin was there before us, with this key or with this cart.
    pub(super) async fn commit(
        &self,
        claim: &Claim,
        draft: &Draft,
        command: &PlaceOrder,
    ) -> Result<Option<OrderRow>, OrderError> {
        let event = Entry::of(&draft.placed_event(command))?;
        let placing = Placing {
            key: claim.row(draft.order.uuid()),
            order: &draft.row(command),
            lines: &draft.lines(),
            actor: command.buyer.actor(),
            event: &event,
        };
        let mut conn = self.db.conn().await?;
        let placed = match store::place(&mut conn, &placing).await {
            Err(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => None,
            Err(error) => {
                // It may have been written all the same; then a repetition need not wait.
                claim.note(Some(draft.order.uuid()));
                return Err(error.into());
            }
            Ok(placed) => placed,
        };
        claim.note(placed.as_ref().map(|order| order.id));
        Ok(placed)
    }

    /// After a lost race: the winner's order. Our reservation goes unless it is the winner's as well.
    pub(super) async fn winner(&self, draft: &Draft) -> Result<OrderRow, OrderError> {
        let found = self.order_of_cart(draft.cart).await?;
        let shared = found
            .as_ref()
            .is_some_and(|winner| winner.order_id() == draft.order && winner.status != OrderStatus::Cancelled);
        if found.is_some() && !shared {
            self.let_go(draft.order).await;
        }
        found.ok_or(OrderError::KeyInUse)
    }

    /// Frees what an attempt that lost has reserved; if it cannot be done now, time does it.
    async fn let_go(&self, order: OrderId) {
        if let Err(error) = self.products.release(order).await {
            tracing::warn!(%order, %error, "a reservation that nobody needs stays until its deadline");
        }
    }

    pub(super) async fn order_of_cart(&self, cart: CartId) -> Result<Option<OrderRow>, OrderError> {
        let mut conn = self.db.conn().await?;
        Ok(store::by_cart(&mut conn, cart).await.map_err(StoreError::from)?)
    }
}

impl Draft {
    /// Whether whoever places it is about to have it paid.
    pub(super) fn is_paid_at_once(&self, command: &PlaceOrder) -> bool {
        command.payment_method.is_some() && self.quote.totals.total.amount > 0
    }

    pub(super) fn lines(&self) -> Vec<LineRow> {
        self.quote.lines.iter().map(|line| LineRow::new(self.order, line)).collect()
    }

    fn row(&self, command: &PlaceOrder) -> NewOrder {
        let totals = self.quote.totals;
        NewOrder {
            cart_id: self.cart.uuid(),
            customer_id: command.buyer.customer.map(|user| user.uuid()),
            token_hash: self.token.as_deref().map(domain::token_hash),
            email: self.email.clone(),
            currency: totals.total.currency.code().to_owned(),
            subtotal_minor: totals.subtotal.amount,
            discount_minor: totals.discount.amount,
            shipping_minor: totals.shipping.amount,
            tax_minor: totals.tax.amount,
            total_minor: totals.total.amount,
            shipping_address: self.shipping_address.clone(),
            billing_address: self.billing_address.clone(),
            payment_id: domain::payment_id(self.order).uuid(),
            placed_at: self.placed_at,
            selling: self.is_paid_at_once(command),
        }
    }

    /// Its number is the database's to give.
    fn placed_event(&self, command: &PlaceOrder) -> OrderPlaced {
        OrderPlaced {
            order_id: self.order,
            number: String::new(),
            cart_id: self.cart,
            customer_id: command.buyer.customer,
            total: self.quote.totals.total,
            at: self.placed_at,
        }
    }
}

fn stored(address: &PostalAddress) -> Value {
    serde_json::to_value(address).unwrap_or(Value::Null)
}
