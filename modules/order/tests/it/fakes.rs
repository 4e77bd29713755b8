//! The neighbours, in memory: each keeps its contract's promises.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::Utc;
use eshopz_cart_api::{CartApi, CartOwner, CheckoutCart, CheckoutLine};
use eshopz_kernel::{
    CartId, Currency, Fault, Money, OrderId, PaymentId, ProductId, RefundId, Role, SessionId, UserId, VariantId,
};
use eshopz_payment_api::{
    CreatePayment, PaymentApi, PaymentStatus, PaymentSummary, RefundPayment, RefundStatus, RefundSummary,
};
use eshopz_product_api::{GiveBackStock, ProductApi, ReserveStock, Shortage, StockLine, VariantSnapshot};
use eshopz_user_api::{ExportPart, UserApi, UserSummary, VerifyingKey};
use serde_json::json;
use uuid::Uuid;

/// What an order holds.
#[derive(Clone, Debug)]
pub struct Holding {
    pub lines: Vec<StockLine>,
    pub sold: bool,
}

#[derive(Clone, Debug)]
pub struct Cart {
    pub owner: CartOwner,
    pub checkout: CheckoutCart,
}

#[derive(Debug, Default)]
pub struct World {
    pub exported: Vec<ExportPart>,
    pub emails: HashMap<UserId, String>,
    /// With `available` as what is on hand and not reserved.
    pub variants: HashMap<VariantId, VariantSnapshot>,
    pub holdings: HashMap<OrderId, Holding>,
    /// Every order that ever reserved.
    pub reserved: Vec<OrderId>,
    pub carts: HashMap<CartId, Cart>,
    pub payments: HashMap<OrderId, PaymentSummary>,
    pub payers: HashMap<OrderId, Option<String>>,
    pub undone: Vec<OrderId>,
    /// The ids of what came back in parts.
    pub given_back: HashSet<Uuid>,
    pub refunds: HashMap<RefundId, RefundSummary>,
    /// Refunds are on their way until this is over and they are asked for again.
    pub slow_gateway: bool,
    /// How many refunds the gateway refuses from now on.
    pub refusals: u32,
}

#[derive(Debug, Default)]
pub struct Neighbours(Mutex<World>);

impl Neighbours {
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn variant(&self, price: i64, available: i64) -> VariantId {
        let id = VariantId::new();
        let snapshot = VariantSnapshot {
            id,
            product_id: ProductId::new(),
            sku: Some(format!("SKU-{id}")),
            title: "Mug".into(),
            variant_title: "Blue".into(),
            image_url: None,
            price: Money::new(price, Currency::USD),
            available,
            backorder: false,
            requires_shipping: true,
            taxable: true,
            sellable: true,
        };
        self.world().variants.insert(id, snapshot);
        id
    }

    pub fn cart(&self, owner: CartOwner, lines: &[(VariantId, i64)]) -> CartId {
        let id = CartId::new();
        let customer_id = match &owner {
            CartOwner::Customer(user) => Some(*user),
            CartOwner::Guest(_) => None,
        };
        let lines =
            lines.iter().map(|(variant_id, quantity)| CheckoutLine { variant_id: *variant_id, quantity: *quantity });
        let checkout = CheckoutCart {
            id,
            version: 1,
            updated_at: Utc::now(),
            customer_id,
            lines: lines.collect(),
            ordered_as: None,
        };
        self.world().carts.insert(id, Cart { owner, checkout });
        id
    }

    pub fn available(&self, variant: VariantId) -> i64 {
        self.world().variants[&variant].available
    }

    pub fn payment(&self, order: OrderId) -> PaymentSummary {
        self.world().payments[&order].clone()
    }
}

#[async_trait]
impl UserApi for Neighbours {
    async fn verifying_keys(&self) -> Result<Vec<VerifyingKey>, Fault> {
        Ok(Vec::new())
    }

    async fn session_role(&self, _: SessionId) -> Result<Option<Role>, Fault> {
        Ok(None)
    }

    async fn user(&self, id: UserId) -> Result<UserSummary, Fault> {
        let email = self.world().emails.get(&id).cloned().ok_or_else(|| Fault::not_found("account"))?;
        Ok(UserSummary { id, email, full_name: "Ada".into(), role: Role::Customer })
    }

    async fn deliver_export(&self, part: ExportPart) -> Result<(), Fault> {
        self.world().exported.push(part);
        Ok(())
    }
}

impl World {
    /// Takes lines from what is available, all of them or none.
    fn take(&mut self, lines: &[StockLine]) -> Result<(), Fault> {
        let short: Vec<Shortage> = lines
            .iter()
            .filter(|line| self.variants[&line.variant_id].available < line.quantity)
            .map(|line| Shortage {
                variant_id: line.variant_id,
                requested: line.quantity,
                available: self.variants[&line.variant_id].available,
            })
            .collect();
        if !short.is_empty() {
            return Err(Fault::conflict("insufficient_stock", "short").with("lines", short));
        }
        for line in lines {
            self.variants.get_mut(&line.variant_id).unwrap().available -= line.quantity;
        }
        Ok(())
    }

    pub fn free(&mut self, order: OrderId) {
        for line in self.holdings.remove(&order).map(|held| held.lines).unwrap_or_default() {
            self.variants.get_mut(&line.variant_id).unwrap().available += line.quantity;
        }
    }
}

#[async_trait]
impl ProductApi for Neighbours {
    async fn variants(&self, ids: &[VariantId]) -> Result<Vec<VariantSnapshot>, Fault> {
        let world = self.world();
        Ok(ids.iter().filter_map(|id| world.variants.get(id).cloned()).collect())
    }

    async fn reserve(&self, command: ReserveStock) -> Result<(), Fault> {
        // Lets the others of a crowd in.
        tokio::task::yield_now().await;
        let mut world = self.world();
        if world.holdings.contains_key(&command.order_id) {
            return Ok(());
        }
        world.take(&command.lines)?;
        world.reserved.push(command.order_id);
        world.holdings.insert(command.order_id, Holding { lines: command.lines, sold: false });
        Ok(())
    }

    async fn commit_reservation(&self, order: OrderId) -> Result<(), Fault> {
        match self.world().holdings.get_mut(&order) {
            Some(held) => held.sold = true,
            None => return Err(Fault::conflict("insufficient_stock", "the reservation is gone")),
        }
        Ok(())
    }

    async fn release(&self, order: OrderId) -> Result<(), Fault> {
        self.world().free(order);
        Ok(())
    }

    async fn give_back(&self, command: GiveBackStock) -> Result<(), Fault> {
        tokio::task::yield_now().await;
        let mut guard = self.world();
        let world = &mut *guard;
        let Some(held) = world.holdings.get_mut(&command.order_id) else { return Ok(()) };
        if !world.given_back.insert(command.id) {
            return Ok(());
        }
        for line in command.lines {
            let kept = held.lines.iter_mut().find(|kept| kept.variant_id == line.variant_id).unwrap();
            assert!(kept.quantity >= line.quantity, "more comes back than is held");
            kept.quantity -= line.quantity;
            world.variants.get_mut(&line.variant_id).unwrap().available += line.quantity;
        }
        Ok(())
    }
}

#[async_trait]
impl CartApi for Neighbours {
    async fn for_checkout(&self, cart: CartId, owner: &CartOwner) -> Result<CheckoutCart, Fault> {
        let world = self.world();
        let found = world.carts.get(&cart).filter(|cart| cart.owner == *owner);
        found.map(|cart| cart.checkout.clone()).ok_or_else(|| Fault::not_found("cart"))
    }

    async fn close(&self, cart: CartId, order: OrderId) -> Result<(), Fault> {
        if let Some(cart) = self.world().carts.get_mut(&cart) {
            cart.checkout.ordered_as = Some(order);
        }
        Ok(())
    }
}

#[async_trait]
impl PaymentApi for Neighbours {
    async fn create(&self, command: CreatePayment) -> Result<PaymentSummary, Fault> {
        tokio::task::yield_now().await;
        let mut world = self.world();
        world.payers.insert(command.order_id, command.payer_token_hash.clone());
        let made = PaymentSummary {
            id: command.payment_id,
            order_id: command.order_id,
            status: PaymentStatus::RequiresPaymentMethod,
            amount: command.amount,
            captured_amount: Money::zero(command.amount.currency),
            refunded_amount: Money::zero(command.amount.currency),
            next_action: None,
        };
        Ok(world.payments.entry(command.order_id).or_insert(made).clone())
    }

    async fn confirm(&self, payment: PaymentId, payment_method: &str) -> Result<PaymentSummary, Fault> {
        let mut world = self.world();
        let found = world.payments.values_mut().find(|found| found.id == payment);
        let payment = found.ok_or_else(|| Fault::not_found("payment"))?;
        if payment.status.is_secured() {
            return Ok(payment.clone());
        }
        if payment.status == PaymentStatus::Cancelled {
            return Err(Fault::conflict("payment_cancelled", "cancelled"));
        }
        match payment_method {
            "pm_card_chargeDeclined" => return Err(Fault::payment_declined("card_declined", "declined")),
            "pm_card_authenticationRequired" => {
                payment.status = PaymentStatus::RequiresAction;
                payment.next_action = Some(json!({"type": "redirect"}));
            }
            "pm_sandbox_timeout" => payment.status = PaymentStatus::Processing,
            "pm_card_visa" => {
                payment.status = PaymentStatus::Succeeded;
                payment.captured_amount = payment.amount;
            }
            _ => return Err(Fault::field("/payment_method", "unknown", "there is no such method")),
        }
        Ok(payment.clone())
    }

    async fn of_orders(&self, orders: &[OrderId]) -> Result<Vec<PaymentSummary>, Fault> {
        let world = self.world();
        Ok(orders.iter().filter_map(|order| world.payments.get(order).cloned()).collect())
    }

    async fn undo(&self, order: OrderId, _: &str) -> Result<PaymentSummary, Fault> {
        let mut world = self.world();
        world.undone.push(order);
        let payment = world.payments.get_mut(&order).ok_or_else(|| Fault::not_found("payment"))?;
        if payment.status.is_secured() {
            payment.refunded_amount = payment.captured_amount;
        } else {
            payment.status = PaymentStatus::Cancelled;
        }
        Ok(payment.clone())
    }

    async fn refund(&self, command: RefundPayment) -> Result<RefundSummary, Fault> {
        tokio::task::yield_now().await;
        let mut guard = self.world();
        let world = &mut *guard;
        let status = if world.slow_gateway { RefundStatus::Pending } else { RefundStatus::Succeeded };
        if let Some(known) = world.refunds.get_mut(&command.refund_id) {
            if known.status == RefundStatus::Pending {
                known.status = status;
            }
            return Ok(known.clone());
        }
        let payment = world.payments.get_mut(&command.order_id).ok_or_else(|| Fault::not_found("payment"))?;
        if command.amount.amount > payment.captured_amount.amount - payment.refunded_amount.amount {
            return Err(Fault::conflict("refund_exceeds_captured", "too much"));
        }
        let status = if world.refusals > 0 { RefundStatus::Failed } else { status };
        world.refusals = world.refusals.saturating_sub(1);
        if status != RefundStatus::Failed {
            payment.refunded_amount.amount += command.amount.amount;
        }
        let refund = RefundSummary { id: command.refund_id, status, amount: command.amount };
        world.refunds.insert(command.refund_id, refund.clone());
        Ok(refund)
    }
}
