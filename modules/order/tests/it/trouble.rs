//! The way to the neighbours, which can be troubled: a call that does not get there, or one whose answer
//! gets lost on the way back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use eshopz_cart_api::{CartApi, CartOwner, CheckoutCart};
use eshopz_kernel::{CartId, Fault, OrderId, PaymentId, Role, SessionId, UserId, VariantId};
use eshopz_payment_api::{CreatePayment, PaymentApi, PaymentSummary, RefundPayment, RefundSummary};
use eshopz_product_api::{GiveBackStock, ProductApi, ReserveStock, VariantSnapshot};
use eshopz_user_api::{ExportPart, UserApi, UserSummary, VerifyingKey};

use crate::fakes::Neighbours;

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It does not get there.
    Request,
    /// It is done, and nobody hears of it.
    Answer,
}

#[derive(Default)]
pub struct Way {
    near: Arc<Neighbours>,
    /// By call, as in `products.reserve`: what goes wrong and how often.
    plan: Mutex<HashMap<&'static str, (Trouble, u32)>>,
    tried: Mutex<HashMap<&'static str, u32>>,
    /// Calls that are held up on the way, up to which one of them.
    held: Mutex<HashMap<&'static str, u32>>,
}

impl Way {
    pub fn to(near: Arc<Neighbours>) -> Self {
        Self { near, ..Self::default() }
    }

    /// The next such call fails.
    pub fn once(&self, call: &'static str, trouble: Trouble) {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).insert(call, (trouble, 1));
    }

    /// No such call gets there until it is [`Self::clear`].
    pub fn block(&self, call: &'static str) {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).insert(call, (Trouble::Request, u32::MAX));
    }

    /// No such call arrives until it is [`Self::let_through`].
    pub fn hold(&self, call: &'static str) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).insert(call, u32::MAX);
    }

    /// The next such call does not arrive until it is [`Self::let_through`]; those after it do.
    pub fn hold_next(&self, call: &'static str) {
        let next = self.tried(call) + 1;
        self.held.lock().unwrap_or_else(PoisonError::into_inner).insert(call, next);
    }

    pub fn let_through(&self, call: &'static str) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(call);
    }

    fn is_held(&self, call: &'static str, number: u32) -> bool {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).get(call).is_some_and(|last| number <= *last)
    }

    pub fn clear(&self) {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Whether every planned trouble came about.
    pub fn is_clear(&self) -> bool {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// How often a call was tried.
    pub fn tried(&self, call: &'static str) -> u32 {
        self.tried.lock().unwrap_or_else(PoisonError::into_inner).get(call).copied().unwrap_or(0)
    }

    fn meet(&self, call: &'static str, trouble: Trouble) -> Result<(), Fault> {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        match plan.get_mut(call) {
            Some((planned, left)) if *planned == trouble => {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    plan.remove(call);
                }
                Err(Fault::unavailable(format!("{call} is troubled"), 1))
            }
            _ => Ok(()),
        }
    }

    async fn on<T>(&self, call: &'static str, done: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let number = {
            let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
            let number = tried.entry(call).or_default();
            *number += 1;
            *number
        };
        while self.is_held(call, number) {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        self.meet(call, Trouble::Request)?;
        let answer = done.await?;
        self.meet(call, Trouble::Answer)?;
        Ok(answer)
    }
}

#[async_trait]
impl UserApi for Way {
    async fn verifying_keys(&self) -> Result<Vec<VerifyingKey>, Fault> {
        self.on("users.verifying_keys", self.near.verifying_keys()).await
    }

    async fn session_role(&self, session: SessionId) -> Result<Option<Role>, Fault> {
        self.on("users.session_role", self.near.session_role(session)).await
    }

    async fn user(&self, id: UserId) -> Result<UserSummary, Fault> {
        self.on("users.user", self.near.user(id)).await
    }

    async fn deliver_export(&self, part: ExportPart) -> Result<(), Fault> {
        self.on("users.deliver_export", self.near.deliver_export(part)).await
    }
}

#[async_trait]
impl ProductApi for Way {
    async fn variants(&self, ids: &[VariantId]) -> Result<Vec<VariantSnapshot>, Fault> {
        self.on("products.variants", self.near.variants(ids)).await
    }

    async fn reserve(&self, command: ReserveStock) -> Result<(), Fault> {
        self.on("products.reserve", self.near.reserve(command)).await
    }

    async fn commit_reservation(&self, order: OrderId) -> Result<(), Fault> {
        self.on("products.commit_reservation", self.near.commit_reservation(order)).await
    }

    async fn release(&self, order: OrderId) -> Result<(), Fault> {
        self.on("products.release", self.near.release(order)).await
    }

    async fn give_back(&self, command: GiveBackStock) -> Result<(), Fault> {
        self.on("products.give_back", self.near.give_back(command)).await
    }
}

#[async_trait]
impl CartApi for Way {
    async fn for_checkout(&self, cart: CartId, owner: &CartOwner) -> Result<CheckoutCart, Fault> {
        self.on("carts.for_checkout", self.near.for_checkout(cart, owner)).await
    }

    async fn close(&self, cart: CartId, order: OrderId) -> Result<(), Fault> {
        self.on("carts.close", self.near.close(cart, order)).await
    }
}

#[async_trait]
impl PaymentApi for Way {
    async fn create(&self, command: CreatePayment) -> Result<PaymentSummary, Fault> {
        self.on("payments.create", self.near.create(command)).await
    }

    async fn confirm(&self, payment: PaymentId, payment_method: &str) -> Result<PaymentSummary, Fault> {
        self.on("payments.confirm", self.near.confirm(payment, payment_method)).await
    }

    async fn of_orders(&self, orders: &[OrderId]) -> Result<Vec<PaymentSummary>, Fault> {
        self.on("payments.of_orders", self.near.of_orders(orders)).await
    }

    async fn undo(&self, order: OrderId, reason: &str) -> Result<PaymentSummary, Fault> {
        self.on("payments.undo", self.near.undo(order, reason)).await
    }

    async fn refund(&self, command: RefundPayment) -> Result<RefundSummary, Fault> {
        self.on("payments.refund", self.near.refund(command)).await
    }
}
