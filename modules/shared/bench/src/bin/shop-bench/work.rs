//! What connections do again and again; every answer is checked.

use std::cell::RefCell;
use std::rc::Rc;

use eshopz_testkit::load::{Dice, Shelf};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::client::{Conn, Log};

/// Ports of the processes that serve the paths: all the same, unless the shop is split.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    pub user: u16,
    pub cart: u16,
    pub order: u16,
}

impl Ports {
    pub const fn all(port: u16) -> Self {
        Self { user: port, cart: port, order: port }
    }
}

/// A cart of two, ready to be ordered.
#[derive(Debug)]
pub struct Cart {
    id: String,
    token: String,
    total: i64,
}

#[derive(Deserialize)]
struct NewCart {
    id: String,
    token: String,
}

#[derive(Deserialize)]
struct Amount {
    amount: i64,
}

#[derive(Deserialize)]
struct Totals {
    total: Amount,
}

#[derive(Deserialize)]
struct Line {
    variant_id: String,
    quantity: i64,
}

#[derive(Deserialize)]
struct Filled {
    items: Vec<Line>,
    totals: Totals,
}

#[derive(Deserialize)]
struct Placed {
    status: String,
}

#[derive(Deserialize)]
struct SignedIn {
    access_token: String,
}

/// A page of which nothing but its length matters.
#[derive(Deserialize)]
struct Page {
    items: Vec<IgnoredAny>,
}

/// A kind of work; clones share what is prepared.
#[derive(Clone)]
pub enum Work {
    /// Pages at these paths, one after the other, none of them empty.
    Read(u16, Rc<[String]>),
    /// This path.
    Get(u16, Rc<str>),
    /// An empty POST to the reference.
    Post(u16, &'static str),
    Add(Ports, Rc<Shelf>),
    /// Orders of carts that were filled before.
    Place(Ports, Rc<Queue>),
    Checkout(Ports, Rc<Shelf>),
    /// Accounts' addresses, all with [`PASSWORD`].
    SignIn(Ports, Rc<Vec<String>>),
}

#[derive(Default)]
pub struct Queue {
    carts: RefCell<Vec<Cart>>,
}

impl Queue {
    pub fn len(&self) -> usize {
        self.carts.borrow().len()
    }
}

pub const PASSWORD: &str = "a long enough passphrase";

/// Somebody with connections of their own.
pub struct Person {
    work: Work,
    dice: Dice,
    cart: Conn,
    /// Those of others, unless all are at the same port.
    order: Option<Conn>,
    user: Option<Conn>,
    /// What [`Work::Add`] adds to, and its two variants.
    open: Option<(NewCart, [String; 2])>,
    turn: usize,
}

impl Person {
    pub async fn new(work: &Work, seed: u64) -> Result<Self, String> {
        Self::with(work, seed, None).await
    }

    /// Somebody of whose requests is noted what comes of them.
    pub async fn noted(work: &Work, seed: u64, log: &Rc<Log>) -> Result<Self, String> {
        Self::with(work, seed, Some(log)).await
    }

    async fn with(work: &Work, seed: u64, log: Option<&Rc<Log>>) -> Result<Self, String> {
        let ports = match work {
            Work::Post(port, _) | Work::Get(port, _) | Work::Read(port, _) => Ports::all(*port),
            Work::Add(ports, _) | Work::Place(ports, _) | Work::Checkout(ports, _) | Work::SignIn(ports, _) => *ports,
        };
        let open = async |port| match log {
            Some(log) => Conn::noted(port, log).await,
            None => Conn::open(port).await,
        };
        let other = async |port| if port == ports.cart { Ok(None) } else { open(port).await.map(Some) };
        let mut person = Self {
            work: work.clone(),
            dice: Dice::new(seed),
            cart: open(ports.cart).await?,
            order: other(ports.order).await?,
            user: other(ports.user).await?,
            open: None,
            turn: usize::try_from(seed).unwrap_or(0),
        };
        if let Work::Add(_, shelf) = work {
            let variants = person.two(shelf)?;
            person.open = Some((person.new_cart().await?, variants));
        }
        Ok(person)
    }

    /// Once; false when there is nothing left to do.
    pub async fn once(&mut self) -> Result<bool, String> {
        self.turn = self.turn.wrapping_add(1);
        match self.work.clone() {
            Work::Post(_, path) => {
                let reply = self.cart.post(path, &[], String::new()).await?;
                reply.expect::<serde_json::Value>(201)?;
            }
            Work::Get(_, path) => drop(self.cart.get(&path, &[]).await?.expect::<IgnoredAny>(200)?),
            Work::Read(_, paths) => {
                let path = paths.get(self.turn % paths.len().max(1)).map_or("", String::as_str);
                if self.cart.get(path, &[]).await?.expect::<Page>(200)?.items.is_empty() {
                    return Err(format!("{path}: an empty page"));
                }
            }
            Work::Add(..) => self.add_again().await?,
            Work::Place(_, queue) => {
                let Some(cart) = queue.carts.borrow_mut().pop() else { return Ok(false) };
                self.place(&cart).await?;
            }
            Work::Checkout(_, shelf) => {
                let cart = self.fill(&shelf).await?;
                self.place(&cart).await?;
            }
            Work::SignIn(_, accounts) => {
                let email = accounts.get(self.turn % accounts.len().max(1)).map_or("", String::as_str);
                let body = format!(r#"{{"email":"{email}","password":"{PASSWORD}"}}"#);
                let reply = self.user.as_mut().unwrap_or(&mut self.cart).post("/api/v1/auth/login", &[], body).await?;
                if reply.expect::<SignedIn>(200)?.access_token.is_empty() {
                    return Err("an empty token".to_owned());
                }
            }
        }
        Ok(true)
    }

    /// Fills a cart for [`Work::Place`].
    pub async fn prepare(&mut self, queue: &Queue, shelf: &Shelf) -> Result<(), String> {
        let cart = self.fill(shelf).await?;
        queue.carts.borrow_mut().push(cart);
        Ok(())
    }

    fn two(&mut self, shelf: &Shelf) -> Result<[String; 2], String> {
        let sold_out = || "everything is sold".to_owned();
        let one = shelf.take(&mut self.dice, None).ok_or_else(sold_out)?.variant.clone();
        let other = shelf.take(&mut self.dice, Some(&one)).ok_or_else(sold_out)?.variant.clone();
        Ok([one, other])
    }

    async fn new_cart(&mut self) -> Result<NewCart, String> {
        self.cart.post("/api/v1/carts", &[], String::new()).await?.expect(201)
    }

    async fn fill(&mut self, shelf: &Shelf) -> Result<Cart, String> {
        let NewCart { id, token } = self.new_cart().await?;
        let mut total = 0;
        for (number, variant) in (1..).zip(self.two(shelf)?) {
            let filled = self.add(&id, &token, &variant).await?;
            if filled.items.len() != number {
                return Err(format!("a cart of {} lines instead of {number}", filled.items.len()));
            }
            total = filled.totals.total.amount;
        }
        Ok(Cart { id, token, total })
    }

    async fn add(&mut self, cart: &str, token: &str, variant: &str) -> Result<Filled, String> {
        let path = format!("/api/v1/carts/{cart}/items");
        let body = format!(r#"{{"variant_id":"{variant}","quantity":1}}"#);
        let reply = self.cart.post(&path, &[("x-cart-token", token)], body).await?;
        // 200 when the line was there already.
        let filled: Filled = reply.expect(if reply.status == 200 { 200 } else { 201 })?;
        if filled.items.iter().any(|line| line.variant_id == variant && line.quantity > 0) {
            return Ok(filled);
        }
        Err("a cart without what was added".to_owned())
    }

    async fn add_again(&mut self) -> Result<(), String> {
        let Some((cart, variants)) = self.open.take() else { return Err("no cart".to_owned()) };
        let variant = variants.get(self.turn % 2).cloned().unwrap_or_default();
        let added = self.add(&cart.id, &cart.token, &variant).await;
        self.open = Some((cart, variants));
        added.map(drop)
    }

    async fn place(&mut self, cart: &Cart) -> Result<(), String> {
        let body = format!(
            r#"{{"cart_id":"{}","email":"ada@example.com","payment_method":"pm_card_visa","shipping_address":{{"name":"Ada Lovelace","line1":"12 St James Square","city":"London","postal_code":"SW1Y 4JH","country":"GB"}},"expected_total":{{"amount":{},"currency":"USD"}}}}"#,
            cart.id, cart.total
        );
        let headers = [("x-cart-token", cart.token.as_str()), ("idempotency-key", cart.id.as_str())];
        let placed: Placed =
            self.order.as_mut().unwrap_or(&mut self.cart).post("/api/v1/orders", &headers, body).await?.expect(201)?;
        if placed.status == "paid" { Ok(()) } else { Err(format!("an order that is {}", placed.status)) }
    }
}
