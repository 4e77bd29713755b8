//! Customers with an account: signing up, in and on, and what they see of their own.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use eshopz_testkit::load::Call;
use eshopz_testkit::load::body::{array, text};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Client, Outcome, Setback};
use crate::ledger::{Account, Cart, Holder};
use crate::shop::{PASSWORD, Request, Shop};

const SIGN_UP: &str = "POST /users";
const SIGN_IN: &str = "POST /auth/login";
const REFRESH: &str = "POST /auth/refresh";
const ME: &str = "GET /users/me";
const MINE: &str = "GET /carts/mine";
const ORDERS: &str = "GET /orders";

/// Sooner than access tokens expire.
pub const RENEW: Duration = Duration::from_secs(600);

impl Client {
    /// Signs in: access and refresh token.
    pub async fn sign_in(&self, email: &str) -> Outcome<(String, String)> {
        let body = Some(json!({"email": email, "password": PASSWORD}));
        let path = "/api/v1/auth/login".to_owned();
        let call = Call { operation: SIGN_IN, method: Method::POST, path, headers: &[], body };
        let body = self.expect(&call, &[200]).await?.reply.body;
        Ok((format!("Bearer {}", text(&body, "access_token")), text(&body, "refresh_token")))
    }
}

impl Shop {
    /// A new customer, signed in.
    pub async fn sign_up(&self) -> Outcome<Rc<RefCell<Account>>> {
        let email = format!("{}@example.com", self.client.unique("ada"));
        let body = Some(json!({"email": email, "password": PASSWORD, "full_name": "Ada Lovelace"}));
        let path = "/api/v1/users".to_owned();
        let call = Call { operation: SIGN_UP, method: Method::POST, path, headers: &[], body };
        let answer = self.client.expect(&call, &[201, 409]).await?;
        if answer.reply.status == 409 && answer.before == 0 {
            self.client.unexpected(&call, &answer);
            return Err(Setback::Lost);
        }
        let (bearer, refresh) = self.client.sign_in(&email).await?;
        let account = Rc::new(RefCell::new(Account { email, bearer, refresh, since: Instant::now() }));
        self.ledger.borrow_mut().accounts.push(account.clone());
        Ok(account)
    }

    /// Goes on with a session by its refresh token, which is good for one answer.
    pub async fn refresh(&self, account: &RefCell<Account>) -> Outcome<()> {
        let body = Some(json!({"refresh_token": account.borrow().refresh.clone()}));
        let path = "/api/v1/auth/refresh".to_owned();
        let call = Call { operation: REFRESH, method: Method::POST, path, headers: &[], body };
        let answer = self.client.expect(&call, &[200, 401]).await?;
        let body = &answer.reply.body;
        let (bearer, refresh) = if answer.reply.status == 200 {
            (format!("Bearer {}", text(body, "access_token")), text(body, "refresh_token"))
        } else if answer.before > 0 && answer.reply.code() == "refresh_token_reused" {
            // The request before has spent it without an answer; that is what the contract says of it.
            self.client.tally.borrow_mut().count("sessions ended by a refresh whose answer was lost");
            let email = account.borrow().email.clone();
            self.client.sign_in(&email).await?
        } else {
            self.client.unexpected(&call, &answer);
            return Err(Setback::Lost);
        };
        let mut account = account.borrow_mut();
        (account.bearer, account.refresh, account.since) = (bearer, refresh, Instant::now());
        Ok(())
    }

    /// Goes on with the session before its access token has expired.
    pub async fn stay_signed_in(&self, account: &RefCell<Account>) -> Outcome<()> {
        let is_old = account.borrow().since.elapsed() > RENEW;
        if is_old { self.refresh(account).await } else { Ok(()) }
    }

    /// The customer's open cart, as it is.
    pub async fn own_cart(&self, account: &Rc<RefCell<Account>>) -> Outcome<Cart> {
        let body = self.own(account, MINE, "/api/v1/carts/mine").await?;
        let holder = Holder::Account(account.clone());
        let mut cart = Cart { id: text(&body, "id"), holder, lines: BTreeMap::new(), total: 0 };
        if array(&body["items"]).is_empty() {
            return Ok(cart);
        }
        // Not new: what is in it was checked when it was put there.
        cart.take_over(&body);
        Ok(cart)
    }

    /// Looks at what is the customer's own.
    pub async fn look_at_own(&self, account: &Rc<RefCell<Account>>) -> Outcome<()> {
        let me = self.own(account, ME, "/api/v1/users/me").await?;
        self.check(me["email"] == account.borrow().email.as_str(), ME, "is somebody else", &me);
        let listed = self.own(account, ORDERS, "/api/v1/orders?limit=100").await?;
        let ids: Vec<String> = array(&listed["items"]).iter().map(|order| text(order, "id")).collect();
        let is_mine = |holder: &Holder| matches!(holder, Holder::Account(own) if Rc::ptr_eq(own, account));
        let missing: Vec<String> = {
            let ledger = self.ledger.borrow();
            let own = ledger.orders.iter().filter(|order| is_mine(&order.borrow().holder));
            own.map(|order| order.borrow().id.clone()).filter(|id| !ids.contains(id)).collect()
        };
        self.check(missing.is_empty() || ids.len() == 100, ORDERS, &format!("{missing:?} are missing in"), &listed);
        Ok(())
    }

    async fn own(&self, account: &RefCell<Account>, operation: &'static str, path: &str) -> Outcome<Value> {
        let who = ("authorization", account.borrow().bearer.clone());
        let request = Request { operation, method: Method::GET, path: path.to_owned(), who, key: None, body: None };
        Ok(self.expect(request, &[200]).await?.reply.body)
    }
}
