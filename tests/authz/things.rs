//! What is asked for: made through the API, by whoever it belongs to.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::recipes::Thing;
use super::stage::{Account, Headers, Stage};
use super::tokens;
use crate::support::{PASSWORD, address, id};

const ANOTHER_PASSWORD: &str = "another horse, another staple";

/// Whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    Owner,
    Guest,
}

/// A thing, whose it is, and by which names a recipe refers to it.
#[derive(Debug)]
pub struct Fixture {
    names: BTreeMap<&'static str, String>,
    account: Option<Account>,
    cart_token: Option<String>,
    order_token: Option<String>,
    /// Where it can be looked at, and by whom; nowhere, if there is nothing to see.
    view: Option<(String, Headers)>,
    /// As it was when it was made.
    pub seen: Value,
}

impl Fixture {
    fn name(&mut self, name: &'static str, value: &str) {
        self.names.insert(name, value.to_owned());
    }

    /// A text in which each name in braces stands for what it means here.
    pub fn filled(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }

    /// The owner's `Authorization` header.
    pub fn bearer(&self) -> &str {
        &self.account.as_ref().expect("a guest has no account").bearer
    }

    /// By which a guest holds it; none, if it is no guest's.
    pub fn tokens(&self) -> Headers {
        let tokens = [("x-cart-token", &self.cart_token), ("x-order-token", &self.order_token)];
        tokens.into_iter().filter_map(|(name, token)| Some((name, token.clone()?))).collect()
    }

    /// Says where it can be looked at by whoever it belongs to.
    fn seen_at(&mut self, path: String) {
        self.view = Some((path, self.headers()));
    }

    /// What whoever it belongs to sends along.
    fn headers(&self) -> Headers {
        match &self.account {
            Some(account) => vec![("authorization", account.bearer.clone())],
            None => self.tokens(),
        }
    }
}

impl Stage {
    /// Makes a thing.
    pub async fn make(&self, thing: Thing, who: Who) -> Fixture {
        let mut made = self.begin(who).await;
        match thing {
            Thing::Nothing => {}
            Thing::SignIn => self.sign_in(&mut made),
            Thing::Mailed(word) => self.mail(&mut made, word).await,
            Thing::Bystander => self.bystander(&mut made).await,
            Thing::Address => self.address(&mut made).await,
            Thing::Session => self.session(&mut made).await,
            Thing::Category => self.category(&mut made).await,
            Thing::Product | Thing::Variant => self.product(&mut made, thing).await,
            Thing::Cart => self.cart(&mut made).await,
            Thing::Order => drop(self.order(&mut made, true).await),
            Thing::Delivered => drop(self.delivered(&mut made).await),
            Thing::Returned => self.returned(&mut made).await,
            Thing::Unpaid => self.payment(&mut made, false, false).await,
            Thing::Authorized => self.payment(&mut made, true, false).await,
            Thing::Captured => self.payment(&mut made, true, true).await,
        }
        made.seen = self.look(&made).await;
        made
    }

    /// The thing as it is now.
    pub async fn look(&self, made: &Fixture) -> Value {
        let Some((path, headers)) = &made.view else { return Value::Null };
        let mut seen = self.send(headers, "GET", path, None).await;
        // What others buy meanwhile shows in a cart, too.
        for line in seen["items"].as_array_mut().into_iter().flatten() {
            line.as_object_mut().unwrap().remove("available");
        }
        seen
    }

    async fn begin(&self, who: Who) -> Fixture {
        let account = if who == Who::Owner { Some(self.customer().await) } else { None };
        let names = BTreeMap::new();
        let mut made = Fixture { names, account, cart_token: None, order_token: None, view: None, seen: Value::Null };
        if who == Who::Owner {
            made.seen_at("/api/v1/users/me".to_owned());
        }
        made.name("unique", &self.shop.unique("thing"));
        made.name("password", PASSWORD);
        made.name("another_password", ANOTHER_PASSWORD);
        made.name("gateway", "sandbox");
        made
    }

    async fn send(&self, headers: &[(&str, String)], method: &str, path: &str, body: Option<Value>) -> Value {
        let key = self.shop.unique("key");
        let mut headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        headers.push(("idempotency-key", &key));
        let answer = self.shop.send(method, path, &headers, body).await;
        assert!(answer.status < 300, "{method} {path}: {} {}", answer.status, answer.text);
        answer.body
    }

    async fn ask(&self, made: &Fixture, method: &str, path: &str, body: Option<Value>) -> Value {
        self.send(&made.headers(), method, path, body).await
    }

    async fn as_admin(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        self.send(&self.admins(), method, path, body).await
    }

    fn admins(&self) -> Headers {
        vec![("authorization", self.admin.bearer.clone())]
    }

    fn sign_in(&self, made: &mut Fixture) {
        let account = made.account.clone().unwrap();
        made.name("email", &account.email);
        made.name("refresh_token", &account.refresh_token);
    }

    async fn mail(&self, made: &mut Fixture, word: &str) {
        let email = made.account.as_ref().unwrap().email.clone();
        if word == "password" {
            self.send(&[], "POST", "/api/v1/auth/password-reset", Some(json!({"email": email}))).await;
        }
        let token = self.shop.mailed_token(&email, word).await;
        made.name("token", &token);
    }

    async fn bystander(&self, made: &mut Fixture) {
        let account = self.customer().await;
        made.name("id", &account.id);
        made.view = Some((format!("/api/v1/users/{}", account.id), self.admins()));
    }

    async fn address(&self, made: &mut Fixture) {
        let address = self.ask(made, "POST", "/api/v1/users/me/addresses", Some(address())).await;
        made.name("id", id(&address));
        made.seen_at(format!("/api/v1/users/me/addresses/{}", id(&address)));
    }

    async fn session(&self, made: &mut Fixture) {
        let email = made.account.as_ref().unwrap().email.clone();
        let device = self.shop.tokens(&email, PASSWORD).await;
        let (_, claims) = tokens::read(device["access_token"].as_str().unwrap());
        made.name("id", claims["sid"].as_str().unwrap());
        made.seen_at("/api/v1/users/me/sessions".to_owned());
    }

    async fn category(&self, made: &mut Fixture) {
        let name = made.filled("Shirts {unique}");
        let category = self.as_admin("POST", "/api/v1/categories", Some(json!({"name": name}))).await;
        let slug = category["slug"].as_str().unwrap();
        made.name("slug", slug);
        made.view = Some((format!("/api/v1/categories/{slug}"), self.admins()));
    }

    async fn product(&self, made: &mut Fixture, thing: Thing) {
        let price = json!({"amount": 4_900, "currency": "USD"});
        let variant = |size| json!({"option_values": {"Size": size}, "price": price, "on_hand": 5});
        let product = json!({"title": made.filled("Shirt {unique}"), "variants": [variant("S"), variant("M")]});
        let product = self.as_admin("POST", "/api/v1/products", Some(product)).await;
        let of_variant = thing == Thing::Variant;
        let named = if of_variant { id(&product["variants"][1]) } else { id(&product) };
        made.name("id", named);
        let path = format!("/api/v1/{}/{named}", if of_variant { "variants" } else { "products" });
        made.view = Some((path, self.admins()));
    }

    /// An open cart with a line; in the names also a guest's cart that could be merged into it.
    async fn cart(&self, made: &mut Fixture) {
        let cart = self.ask(made, "POST", "/api/v1/carts", Some(json!({}))).await;
        made.cart_token = cart["token"].as_str().map(str::to_owned);
        let path = format!("/api/v1/carts/{}", id(&cart));
        let line = json!({"variant_id": self.variants[0], "quantity": 1});
        let cart = self.ask(made, "POST", &format!("{path}/items"), Some(line)).await;
        made.name("id", id(&cart));
        made.name("item_id", id(&cart["items"][0]));
        made.name("variant", &self.variants[0]);
        made.name("another_variant", &self.variants[1]);
        let (guest_cart, guest_token) = self.shop.guest_cart(&[(&self.variants[1], 1)]).await;
        made.name("guest_cart", &guest_cart);
        made.name("guest_token", &guest_token);
        made.seen_at(path);
    }

    async fn order(&self, made: &mut Fixture, paid: bool) -> Value {
        self.cart(made).await;
        let cart = made.filled("{id}");
        let mut order = json!({"cart_id": cart, "email": "guest@example.com", "shipping_address": address()});
        if paid {
            order["payment_method"] = json!("pm_card_visa");
        }
        let order = self.ask(made, "POST", "/api/v1/orders", Some(order)).await;
        made.order_token = order["token"].as_str().map(str::to_owned);
        made.name("id", id(&order));
        made.seen_at(format!("/api/v1/orders/{}", id(&order)));
        order
    }

    async fn delivered(&self, made: &mut Fixture) -> Value {
        let order = self.order(made, true).await;
        self.capture(id(&order["payment"])).await;
        for to in ["shipped", "delivered"] {
            let path = made.filled("/api/v1/orders/{id}/transitions");
            self.as_admin("POST", &path, Some(json!({"to": to}))).await;
        }
        order
    }

    async fn returned(&self, made: &mut Fixture) {
        self.delivered(made).await;
        let items = json!({"items": [{"variant_id": self.variants[0], "quantity": 1}]});
        let path = made.filled("/api/v1/orders/{id}/returns");
        let asked = self.ask(made, "POST", &path, Some(items)).await;
        made.name("return_id", id(&asked));
        made.seen_at(format!("{path}/{}", id(&asked)));
    }

    /// A payment rather than its order; a captured one with a refund.
    async fn payment(&self, made: &mut Fixture, paid: bool, captured: bool) {
        let order = self.order(made, paid).await;
        let payment = id(&order["payment"]);
        made.name("id", payment);
        if captured {
            self.capture(payment).await;
            let refund = json!({"amount": {"amount": 100, "currency": "USD"}});
            self.as_admin("POST", &format!("/api/v1/payments/{payment}/refunds"), Some(refund)).await;
        }
        made.seen_at(format!("/api/v1/payments/{payment}"));
    }

    async fn capture(&self, payment: &str) {
        self.as_admin("POST", &format!("/api/v1/payments/{payment}/capture"), Some(json!({}))).await;
    }
}
