//! What there is to ask for: the catalogue, accounts, an order of one's own, and the reference's tables.
#![allow(clippy::indexing_slicing, reason = "JSON that is read has Null for what is not there")]

use std::rc::Rc;
use std::time::Duration;

use eshopz_testkit::load::{Call, Http, Shelf};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::search::Searches;
use crate::work::PASSWORD;

/// As many as an address may register within the hour.
const ACCOUNTS: usize = 8;

const REFERENCE: &str = "
    CREATE SCHEMA reference;
    CREATE TABLE reference.rows (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, cart_id uuid NOT NULL,
        variant_id uuid NOT NULL, quantity integer NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE reference.orders (id uuid PRIMARY KEY, number bigint GENERATED ALWAYS AS IDENTITY,
        email text NOT NULL, status text NOT NULL, total bigint NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE reference.order_lines (order_id uuid REFERENCES reference.orders, position integer,
        variant_id uuid NOT NULL, title text NOT NULL, quantity integer NOT NULL, price bigint NOT NULL,
        PRIMARY KEY (order_id, position));
    CREATE TABLE reference.stock (variant_id uuid PRIMARY KEY, on_hand bigint NOT NULL CHECK (on_hand >= 0));
    CREATE TABLE reference.payments (id uuid PRIMARY KEY, order_id uuid NOT NULL REFERENCES reference.orders,
        status text NOT NULL, amount bigint NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE reference.outbox (id uuid PRIMARY KEY, name text NOT NULL, payload jsonb NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now());
    INSERT INTO reference.stock
        SELECT lpad(to_hex(number), 32, '0')::uuid, 1000000000 FROM generate_series(0, 999) number;";

/// What there is.
pub struct Stock {
    pub shelf: Rc<Shelf>,
    pub emails: Rc<Vec<String>>,
    /// Of the first account, as a header.
    pub authorization: String,
    /// Its order.
    pub order: String,
    /// A product that is looked at again and again.
    pub product: Product,
    /// Its category, and what a page of that is.
    pub category: Category,
    pub searches: Searches,
}

#[derive(Debug)]
pub struct Product {
    pub id: String,
    pub handle: String,
    pub size: usize,
}

#[derive(Debug)]
pub struct Category {
    pub id: String,
    pub slug: String,
    pub size: usize,
}

pub async fn reference_tables(client: &Client) -> Result<(), String> {
    client.batch_execute(REFERENCE).await.map_err(|error| error.to_string())
}

/// More in stock than is bought in a run. It is not written into the ledger, so `eshopz verify` would object.
pub async fn fill_up(client: &Client) -> Result<(), String> {
    let statement = "UPDATE products.stock_levels SET on_hand = on_hand + 1000000000";
    client.batch_execute(statement).await.map_err(|error| error.to_string())
}

/// What PostgreSQL would do by itself in the next minutes. Tables that are all but empty are left out: to know that
/// they are is to read them from end to end, also when they have grown.
pub async fn settle(client: &Client) -> Result<(), String> {
    let tables = ["products", "product_words", "variants", "stock_levels", "search_words"];
    let tables = tables.map(|table| format!("products.{table}")).join(", ");
    let statement = format!("VACUUM ANALYZE {tables}, reference.stock; CHECKPOINT");
    for part in statement.split("; ") {
        client.batch_execute(part).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Through the shop at this port.
pub async fn stock(port: u16, client: &Client) -> Result<Stock, String> {
    let http = Http::new(&format!("http://127.0.0.1:{port}"), Duration::from_secs(30))?;
    let shelf = Shelf::read(&http).await?;
    let mut emails = Vec::new();
    for number in 0..ACCOUNTS {
        let email = email(number);
        let body = json!({"email": email, "password": PASSWORD, "full_name": "Ada Lovelace"});
        ask(&http, "/api/v1/users", &[], body, 201).await?;
        emails.push(email);
    }
    let token = token(&http, &email(0)).await?;
    let order = own_order(&http, &token, &shelf).await?;
    let first = shelf.products.first().ok_or("an empty catalogue")?;
    let shown = http.once(&Call::get("product", format!("/api/v1/products/{}", first.handle))).await?;
    let slug = largest_category(client).await?;
    let page = http.once(&Call::get("list", list_path(&slug.1))).await?;
    Ok(Stock {
        product: Product { id: first.id.clone(), handle: first.handle.clone(), size: shown.body.to_string().len() },
        category: Category { id: slug.0, slug: slug.1, size: page.body.to_string().len() },
        searches: Searches::read(client).await?,
        shelf: Rc::new(shelf),
        emails: Rc::new(emails),
        authorization: format!("Authorization: {token}"),
        order,
    })
}

/// Of one of the accounts.
pub fn email(number: usize) -> String {
    format!("person-{number}@example.com")
}

/// The header of somebody who signs in now, at the shop at this port.
pub async fn sign_in(port: u16, email: &str) -> Result<String, String> {
    let http = Http::new(&format!("http://127.0.0.1:{port}"), Duration::from_secs(30))?;
    Ok(format!("Authorization: {}", token(&http, email).await?))
}

async fn token(http: &Http, email: &str) -> Result<String, String> {
    let body = json!({"email": email, "password": PASSWORD});
    let signed_in = ask(http, "/api/v1/auth/login", &[], body, 200).await?;
    Ok(format!("Bearer {}", text(&signed_in["access_token"])))
}

pub fn list_path(slug: &str) -> String {
    format!("/api/v1/products?category={slug}&limit=20")
}

/// One that has no others below it, so that its products are found by one id.
async fn largest_category(client: &Client) -> Result<(String, String), String> {
    let row = client
        .query_one(
            "SELECT c.id::text, c.slug FROM products.categories c JOIN products.products p ON p.category_id = c.id \
             WHERE NOT EXISTS (SELECT FROM products.categories below WHERE below.parent_id = c.id) \
             GROUP BY c.id ORDER BY count(*) DESC LIMIT 1",
            &[],
        )
        .await
        .map_err(|error| error.to_string())?;
    Ok((row.get(0), row.get(1)))
}

async fn own_order(http: &Http, token: &str, shelf: &Shelf) -> Result<String, String> {
    let mine = [("authorization", token)];
    let mut dice = eshopz_testkit::load::Dice::new(7);
    let cart = ask(http, "/api/v1/carts", &mine, json!({}), 201).await?;
    let (cart, cart_token) = (text(&cart["id"]), text(&cart["token"]));
    let with_token = [("authorization", token), ("x-cart-token", cart_token.as_str())];
    let headers = if cart_token.is_empty() { &with_token[..1] } else { &with_token[..] };
    let mut but = None;
    for _ in 0..2 {
        let variant = shelf.take(&mut dice, but.as_deref()).ok_or("nothing to buy")?.variant.clone();
        let line = json!({"variant_id": variant, "quantity": 1});
        ask(http, &format!("/api/v1/carts/{cart}/items"), headers, line, 201).await?;
        but = Some(variant);
    }
    let mut headers = headers.to_vec();
    headers.push(("idempotency-key", "the-first-order"));
    let body = json!({
        "cart_id": cart, "payment_method": "pm_card_visa", "email": "person-0@example.com",
        "shipping_address": {"name": "Ada Lovelace", "line1": "12 St James Square", "city": "London",
            "postal_code": "SW1Y 4JH", "country": "GB"},
    });
    let order = ask(http, "/api/v1/orders", &headers, body, 201).await?;
    Ok(text(&order["id"]))
}

async fn ask(
    http: &Http,
    path: &str,
    headers: &[(&'static str, &str)],
    body: Value,
    expected: u16,
) -> Result<Value, String> {
    let call = Call { operation: "set up", method: Method::POST, path: path.to_owned(), headers, body: Some(body) };
    let reply = http.once(&call).await?;
    if reply.status == expected { Ok(reply.body) } else { Err(format!("{path}: {} {}", reply.status, reply.body)) }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
