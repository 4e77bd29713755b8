//! The shop in which everybody tries everything, and who they are.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::recipes::Thing;
use super::table::Column;
use super::things::{Fixture, Who};
use super::tokens;
use crate::support::{PASSWORD, Server, id};

/// Somebody who is signed in.
#[derive(Clone, Debug)]
pub struct Account {
    pub id: String,
    pub email: String,
    /// The `Authorization` header.
    pub bearer: String,
    pub refresh_token: String,
}

impl Account {
    fn of(email: &str, tokens: &Value) -> Self {
        Self {
            id: id(&tokens["user"]).to_owned(),
            email: email.to_owned(),
            bearer: format!("Bearer {}", tokens["access_token"].as_str().unwrap()),
            refresh_token: tokens["refresh_token"].as_str().unwrap().to_owned(),
        }
    }
}

/// Headers of a request.
pub type Headers = Vec<(&'static str, String)>;

/// The shop, and who stays the same all the while.
pub struct Stage {
    pub shop: Server,
    /// Two variants that never run out.
    pub variants: [String; 2],
    pub admin: Account,
    other: Account,
    disabled: Account,
    /// What is asked for in vain, and so need not be made each time.
    standing: BTreeMap<(Thing, Who), Fixture>,
    /// A guest with a cart and an order that nobody asks for.
    guest: Headers,
}

impl Stage {
    /// Starts a shop that signs with [`tokens::OURS`] and holds payments until they are captured.
    pub async fn build() -> Self {
        let keys = format!("--signing-keys={}", tokens::OURS.pem());
        let shop = Server::start(&[&keys, "--payment-capture", "manual"]).await;
        let admin = Account::of("admin@example.com", &admins_tokens(&shop).await);
        let mut variants = Vec::new();
        for title in ["Straw Hat", "Wool Scarf"] {
            variants.push(shop.product(&admin.bearer, title, 4_900, 100_000).await);
        }
        let variants = variants.try_into().unwrap();
        let (other, disabled) = (customer(&shop).await, customer(&shop).await);
        let path = format!("/api/v1/users/{}", disabled.id);
        let change = Some(json!({"disabled": true}));
        shop.send("PATCH", &path, &[("authorization", &admin.bearer)], change).await.expect(200);
        let me = [("authorization", disabled.bearer.as_str())];
        shop.within_a_second("/api/v1/users/me", &me, |answer| answer.status == 401).await;
        let mut stage =
            Self { shop, variants, admin, other, disabled, standing: BTreeMap::new(), guest: Headers::new() };
        stage.guest = stage.make(Thing::Order, Who::Guest).await.tokens();
        stage
    }

    /// Makes what will be asked for in vain.
    pub async fn set_up(&mut self, things: impl IntoIterator<Item = (Thing, Who)>) {
        for (thing, who) in things {
            let made = self.make(thing, who).await;
            self.standing.insert((thing, who), made);
        }
    }

    pub fn standing(&self, thing: Thing, who: Who) -> &Fixture {
        &self.standing[&(thing, who)]
    }

    /// A new customer.
    pub async fn customer(&self) -> Account {
        customer(&self.shop).await
    }

    async fn new_admin(&self) -> Account {
        let made = self.customer().await;
        let (path, change) = (format!("/api/v1/users/{}", made.id), Some(json!({"role": "admin"})));
        self.shop.send("PATCH", &path, &[("authorization", &self.admin.bearer)], change).await.expect(200);
        Account::of(&made.email, &self.shop.tokens(&made.email, PASSWORD).await)
    }

    /// What the one in a column sends along, in one of its [`forms`]. `fresh` asks for an account that the request
    /// may change.
    pub async fn headers(&self, column: Column, form: usize, asked: &Fixture, fresh: bool) -> Headers {
        let bearer = |bearer: &str| vec![("authorization", bearer.to_owned())];
        let forged = |token: &str| bearer(&format!("Bearer {token}"));
        let own = asked.tokens();
        let guest = if own.is_empty() { &self.guest } else { &own };
        match column {
            Column::Nobody => Headers::new(),
            Column::Other if fresh => bearer(&self.customer().await.bearer),
            Column::Other => bearer(&self.other.bearer),
            Column::Owner => bearer(asked.bearer()),
            Column::Guest => guest.clone(),
            Column::Wrong if form == 0 => guest.iter().map(|(name, _)| (*name, "made-up".to_owned())).collect(),
            Column::Wrong => self.guest.clone(),
            Column::Disabled => bearer(&self.disabled.bearer),
            Column::Admin if fresh => bearer(&self.new_admin().await.bearer),
            Column::Admin => bearer(&self.admin.bearer),
            Column::Expired => forged(&tokens::expired(asked.bearer())),
            Column::Foreign => forged(&tokens::foreign(asked.bearer())[form]),
            Column::None => forged(&tokens::none(asked.bearer())[form]),
        }
    }

    /// The things that were asked for in vain and are another than before.
    pub async fn touched(&self) -> Vec<String> {
        let mut touched = Vec::new();
        for ((thing, who), made) in &self.standing {
            let now = self.look(made).await;
            if now != made.seen {
                touched.push(format!("{thing:?} of {who:?} was {} and is {now}", made.seen));
            }
        }
        touched
    }
}

/// In how many forms the one in a column asks.
pub const fn forms(column: Column) -> usize {
    match column {
        Column::Wrong | Column::Foreign => 2,
        Column::None => 4,
        _ => 1,
    }
}

async fn admins_tokens(shop: &Server) -> Value {
    shop.admin().await;
    shop.tokens("admin@example.com", PASSWORD).await
}

async fn customer(shop: &Server) -> Account {
    let email = shop.email("ada");
    let account = json!({"email": email, "password": PASSWORD, "full_name": "Ada Lovelace"});
    shop.send("POST", "/api/v1/users", &[], Some(account)).await.expect(201);
    Account::of(&email, &shop.tokens(&email, PASSWORD).await)
}
