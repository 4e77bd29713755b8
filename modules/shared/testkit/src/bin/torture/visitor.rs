//! Somebody at the shop: looks around, and once in twenty requests buys.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use eshopz_testkit::load::body::array;
use eshopz_testkit::load::{Call, Dice};

use crate::client::Outcome;
use crate::ledger::{Account, Cart};
use crate::shop::Shop;

/// Requests for each checkout.
const REQUESTS_PER_CHECKOUT: u64 = 20;
/// Accounts made by all visitors together, which is less than what one address may make in an hour.
const ACCOUNTS: usize = 600;

/// One visitor.
pub struct Visitor {
    shop: Rc<Shop>,
    dice: Dice,
    account: Option<Rc<RefCell<Account>>>,
    /// The cart that is kept for long.
    kept: Option<Cart>,
}

impl Visitor {
    pub fn new(shop: Rc<Shop>, seed: u64) -> Self {
        Self { shop, dice: Dice::new(seed), account: None, kept: None }
    }

    /// Comes and goes until then.
    pub async fn stay(mut self, until: Instant) {
        while Instant::now() < until {
            // A setback is either the shop's right or noted already; the next visit begins anew.
            let _ = self.visit().await;
        }
        self.shop.ledger.borrow_mut().carts.extend(self.kept);
    }

    async fn visit(&mut self) -> Outcome<()> {
        if self.shop.may_check_out(REQUESTS_PER_CHECKOUT) {
            return self.buy().await;
        }
        match self.dice.below(100) {
            0..6 => self.keep().await,
            6..9 => self.shop.clone().staff(&mut self.dice).await,
            9..12 => self.be_customer().await,
            _ => self.browse().await,
        }
    }

    /// A cart, an order, and what becomes of it.
    async fn buy(&mut self) -> Outcome<()> {
        let shop = self.shop.clone();
        let mut cart = match &self.account {
            Some(account) if self.dice.below(3) == 0 => {
                shop.stay_signed_in(account).await?;
                shop.own_cart(account).await?
            }
            _ => shop.guest_cart().await?,
        };
        for _ in 0..=self.dice.below(3) {
            shop.add(&mut cart, &mut self.dice).await?;
        }
        if self.dice.below(3) == 0 {
            shop.change(&mut cart, &mut self.dice).await?;
        }
        if cart.lines.is_empty() {
            return Ok(());
        }
        let Some((order, payment)) = shop.check_out(&cart, &mut self.dice).await? else { return Ok(()) };
        shop.follow(&order, payment, &mut self.dice).await
    }

    /// Edits a cart that is not ordered, and now and then leaves it for good.
    async fn keep(&mut self) -> Outcome<()> {
        let shop = self.shop.clone();
        // Lost when an edit goes wrong: what is in it then is not known.
        let mut cart = match self.kept.take() {
            Some(cart) => cart,
            None => shop.guest_cart().await?,
        };
        match self.dice.below(5) {
            0 | 1 => drop(shop.add(&mut cart, &mut self.dice).await?),
            2 | 3 => shop.change(&mut cart, &mut self.dice).await?,
            _ => shop.read_cart(&mut cart).await?,
        }
        if self.dice.below(12) == 0 {
            shop.ledger.borrow_mut().carts.push(cart);
        } else {
            self.kept = Some(cart);
        }
        Ok(())
    }

    async fn be_customer(&mut self) -> Outcome<()> {
        let shop = self.shop.clone();
        let is_full = shop.ledger.borrow().accounts.len() >= ACCOUNTS;
        match &self.account {
            Some(account) if is_full || self.dice.below(8) > 0 => {
                if self.dice.below(4) == 0 {
                    shop.refresh(account).await?;
                }
                shop.stay_signed_in(account).await?;
                shop.look_at_own(account).await
            }
            _ if is_full => Ok(()),
            _ => {
                self.account = None;
                self.account = Some(shop.sign_up().await?);
                Ok(())
            }
        }
    }

    /// A look at the catalogue.
    async fn browse(&mut self) -> Outcome<()> {
        let shop = self.shop.clone();
        let Some(product) = shop.shelf.look(&mut self.dice) else { return Ok(()) };
        let (operation, path) = match self.dice.below(10) {
            0..4 => ("GET /products/{handle}", format!("/api/v1/products/{}", product.handle)),
            4 | 5 => ("GET /products/{id}", format!("/api/v1/products/{}", product.id)),
            6 => ("GET /products?q=", "/api/v1/products?q=shirt&facets=true&limit=10".to_owned()),
            7 | 8 => ("GET /products", "/api/v1/products?limit=20".to_owned()),
            _ => ("GET /categories", "/api/v1/categories".to_owned()),
        };
        let body = shop.client.expect(&Call::get(operation, path), &[200]).await?.reply.body;
        let right = match operation {
            "GET /products?q=" => body["facets"].is_object(),
            "GET /products" | "GET /categories" => !array(&body["items"]).is_empty(),
            _ => body["id"] == product.id.as_str() && body["handle"] == product.handle.as_str(),
        };
        shop.check(right, operation, "is not what was asked for", &body);
        Ok(())
    }
}
