//! What the clients were told. The shop has to stand by it when all is over.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Instant;

/// Who opens a cart or an order, and how.
#[derive(Clone, Debug)]
pub enum Holder {
    /// By a token that goes into this header.
    Guest(&'static str, String),
    Account(Rc<RefCell<Account>>),
}

impl Holder {
    /// The header that opens it now.
    pub fn header(&self) -> (&'static str, String) {
        match self {
            Self::Guest(name, token) => (name, token.clone()),
            Self::Account(account) => ("authorization", account.borrow().bearer.clone()),
        }
    }
}

/// Somebody who has signed up.
#[derive(Debug)]
pub struct Account {
    pub email: String,
    pub bearer: String,
    pub refresh: String,
    /// When it was signed in, or went on with its session.
    pub since: Instant,
}

/// A line of a cart.
#[derive(Clone, Debug, Default)]
pub struct Line {
    pub item: String,
    /// What its quantity can be, as far as its owner was told.
    pub may_be: BTreeSet<i64>,
}

/// A cart and what its owner put into it.
#[derive(Clone, Debug)]
pub struct Cart {
    pub id: String,
    pub holder: Holder,
    pub lines: BTreeMap<String, Line>,
    pub total: i64,
}

/// An order and what was said of it.
#[derive(Debug)]
pub struct Order {
    pub id: String,
    pub holder: Holder,
    pub payment: String,
    pub total: i64,
    pub lines: BTreeMap<String, i64>,
    /// Somebody has tried to pay for it.
    pub pays: bool,
    /// Somebody was told that it is paid.
    pub paid: bool,
    /// Somebody has tried to cancel it.
    pub cancels: bool,
    /// Somebody was told that it is cancelled.
    pub cancelled: bool,
    /// Somebody was told that it is on its way.
    pub shipped: bool,
    /// Items that somebody has tried to cancel by themselves.
    pub items_tried: i64,
    /// Items that were cancelled by themselves, and returned, as somebody was told.
    pub items_cancelled: BTreeMap<String, i64>,
    pub items_returned: BTreeMap<String, i64>,
    /// What was collected of what was held, as staff was told.
    pub captured: Option<i64>,
    /// Refunds that were acknowledged: id and amount.
    pub refunds: Vec<(String, i64)>,
}

pub type SharedOrder = Rc<RefCell<Order>>;

/// All of it.
#[derive(Debug, Default)]
pub struct Ledger {
    pub accounts: Vec<Rc<RefCell<Account>>>,
    /// Carts that were left as they are.
    pub carts: Vec<Cart>,
    /// Carts whose order was refused for good.
    pub refused: Vec<String>,
    pub orders: Vec<SharedOrder>,
}
