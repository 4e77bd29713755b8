//! What an operation costs the database, while nothing is in a cache: the statements that it may send at most, `BEGIN` and
//! `COMMIT` included; the commits that its request waits for; and, with all that follows from it, the transactions that
//! write and the rows that they write. Whoever changes an operation says here what that costs.

use eshopz_testkit::db::TestDb;
use eshopz_testkit::postgres::Postgres;
use serde_json::{Value, json};

use crate::support::{Folder, MODULES, Server, Shop, address, id};

/// What an answered request may cost at most.
struct Operation {
    method: &'static str,
    route: &'static str,
    status: u16,
    /// Until it is answered.
    statements: u32,
    commits: u32,
}

const fn operation(
    method: &'static str,
    route: &'static str,
    status: u16,
    [statements, commits]: [u32; 2],
) -> Operation {
    Operation { method, route, status, statements, commits }
}

const OPERATIONS: [Operation; 11] = [
    operation("GET", "/api/v1/products/{id}", 200, [1, 0]),
    operation("GET", "/api/v1/products", 200, [2, 0]),
    operation("POST", "/api/v1/carts", 201, [1, 1]),
    operation("POST", "/api/v1/carts/{id}/items", 201, [3, 1]),
    operation("POST", "/api/v1/carts/{id}/items", 200, [3, 1]),
    operation("GET", "/api/v1/carts/{id}", 200, [2, 0]),
    // Paid in the same call; one of its statements asks for the database's time, every few seconds.
    operation("POST", "/api/v1/orders", 201, [14, 9]),
    operation("GET", "/api/v1/orders/{id}", 200, [2, 0]),
    // One's own, with the session of whoever asks.
    operation("GET", "/api/v1/orders", 200, [4, 0]),
    operation("GET", "/api/v1/users/me", 200, [2, 0]),
    operation("GET", "/api/v1/orders/{id}/timeline", 200, [2, 0]),
];

/// What it may cost until nothing is left to do: transactions that write, and rows written.
struct InAll {
    what: &'static str,
    commits: u32,
    rows: u32,
}

const A_CART: InAll = InAll { what: "a cart", commits: 1, rows: 1 };
const A_NEW_LINE: InAll = InAll { what: "a new line in a cart", commits: 1, rows: 2 };
const A_LINE_AGAIN: InAll = InAll { what: "more of a line in a cart", commits: 1, rows: 2 };
const AN_ORDER: InAll = InAll { what: "an order of two lines, paid", commits: 17, rows: 40 };
const READS: InAll = InAll { what: "what a shop shows", commits: 0, rows: 0 };

#[tokio::test]
async fn each_operation_asks_the_database_for_as_much_as_it_says() {
    let shop = Server::start(&["--product-cache", "off"]).await;
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 100).await;
    let hat = shop.product(&admin, "Straw Hat", 2_500, 100).await;
    let ada = shop.register(&shop.email("ada")).await;
    for _ in 0..3 {
        let cart = Cart::new(&shop).await;
        for (variant, status) in [(&shirt, 201), (&hat, 201), (&shirt, 200)] {
            cart.add(&shop, variant, status).await;
        }
        cart.read(&shop).await;
        let placed = cart.order(&shop).await;
        look_around(&shop, &ada, &placed).await;
    }
    for Operation { method, route, status, statements, commits } in OPERATIONS {
        let of = async |name: &str| {
            let labels = [
                format!("eshopz_http_db_{name}{{"),
                format!("method=\"{method}\""),
                format!("route=\"{route}\""),
                format!("status=\"{status}\""),
            ];
            shop.metric(&labels.each_ref().map(String::as_str)).await
        };
        let asked = of("statements_count").await;
        assert!(asked >= 3.0, "{method} {route} was answered with {status} only {asked} times");
        for (what, most) in [("statements", statements), ("commits", commits)] {
            let each = of(&format!("{what}_sum")).await / asked;
            eprintln!("{method} {route} {status}: {each:.2} {what} of {most}");
            assert!(each <= f64::from(most), "{method} {route}: {each:.2} {what}, at most {most}");
        }
    }
    for metric in ["eshopz_db_statements_total{", "eshopz_db_commits_total{"] {
        assert!(shop.metric(&[metric, "module=\"order\""]).await > 0.0, "{metric}");
    }
}

#[tokio::test]
async fn each_operation_writes_in_all_what_it_says() {
    const TIMES: u32 = 20;
    let folder = Folder::new();
    // Its own: transactions are numbered for the whole server.
    let postgres = Postgres::start(&folder.0).await.unwrap();
    let db = TestDb::on(postgres.url().to_owned(), &MODULES).await;
    let shop = Server::start_on(db, &["--product-cache", "off"]).await;
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 1_000).await;
    let hat = shop.product(&admin, "Straw Hat", 2_500, 1_000).await;
    let ada = shop.register(&shop.email("ada")).await;

    let mut meter = Meter::new(&shop).await;
    let mut carts = Vec::new();
    for _ in 0..TIMES {
        carts.push(Cart::new(&shop).await);
    }
    meter.read(&shop, TIMES, &A_CART).await;
    for cart in &carts {
        cart.add(&shop, &shirt, 201).await;
        cart.add(&shop, &hat, 201).await;
    }
    meter.read(&shop, 2 * TIMES, &A_NEW_LINE).await;
    for cart in &carts {
        cart.add(&shop, &shirt, 200).await;
    }
    meter.read(&shop, TIMES, &A_LINE_AGAIN).await;
    for cart in &carts {
        cart.read(&shop).await;
    }
    meter.read(&shop, TIMES, &READS).await;
    let mut orders = Vec::new();
    for cart in &carts {
        orders.push(cart.order(&shop).await);
    }
    meter.read(&shop, TIMES, &AN_ORDER).await;
    for placed in &orders {
        look_around(&shop, &ada, placed).await;
    }
    meter.read(&shop, TIMES, &READS).await;
    // Before the server that it is on.
    drop(shop);
    postgres.stop().await.unwrap();
}

/// What the shop has written so far.
struct Meter {
    commits: i64,
    rows: i64,
}

impl Meter {
    /// When all that has begun is at its end. Jobs' leases are left out, each of which is a row and a commit.
    async fn new(shop: &Shop) -> Self {
        shop.is_told_all().await;
        let owner = shop.db.owner().await;
        // What a connection has done is known to all when it has ended.
        let end = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
                   WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        owner.query(end, &[]).await.unwrap();
        // Only a transaction that writes has a number.
        let read = "SELECT (pg_snapshot_xmax(pg_current_snapshot())::text::bigint \
                        - sum(written) FILTER (WHERE relname = 'leases'))::bigint, \
                        sum(written) FILTER (WHERE relname <> 'leases')::bigint \
                    FROM (SELECT relname, n_tup_ins + n_tup_upd + n_tup_del AS written FROM pg_stat_user_tables) tables";
        let row = owner.query_one(read, &[]).await.unwrap();
        Self { commits: row.get(0), rows: row.get(1) }
    }

    /// Holds what was written since the last time against what it may be.
    async fn read(&mut self, shop: &Shop, times: u32, InAll { what, commits, rows }: &InAll) {
        let next = Self::new(shop).await;
        for (kind, before, now, most) in
            [("commits", self.commits, next.commits, *commits), ("rows", self.rows, next.rows, *rows)]
        {
            let each = f64::from(i32::try_from(now - before).unwrap()) / f64::from(times);
            eprintln!("{what}: {each:.2} {kind} of {most}");
            // What a process does now and then is no part of it.
            assert!(each < f64::from(most) + 0.5, "{what}: {each:.2} {kind}, at most {most}");
        }
        *self = next;
    }
}

/// A guest's cart.
struct Cart {
    id: String,
    token: String,
}

impl Cart {
    async fn new(shop: &Shop) -> Self {
        let made = shop.send("POST", "/api/v1/carts", &[], None).await.expect(201);
        Self { id: id(&made).to_owned(), token: made["token"].as_str().unwrap().to_owned() }
    }

    async fn add(&self, shop: &Shop, variant: &str, status: u16) {
        let line = json!({"variant_id": variant, "quantity": 1});
        let path = format!("/api/v1/carts/{}/items", self.id);
        shop.send("POST", &path, &[("x-cart-token", &self.token)], Some(line)).await.expect(status);
    }

    async fn read(&self, shop: &Shop) {
        shop.get(&format!("/api/v1/carts/{}", self.id), &[("x-cart-token", &self.token)]).await;
    }

    async fn order(&self, shop: &Shop) -> Value {
        let order = json!({
            "cart_id": self.id, "email": "guest@example.com", "shipping_address": address(),
            "payment_method": "pm_card_visa",
        });
        let headers = [("x-cart-token", self.token.as_str()), ("idempotency-key", self.id.as_str())];
        let placed = shop.send("POST", "/api/v1/orders", &headers, Some(order)).await.expect(201);
        assert_eq!(placed["status"], "paid");
        placed
    }
}

/// Reads the catalogue, what a customer has, and a guest's order.
async fn look_around(shop: &Shop, customer: &str, placed: &Value) {
    let me = [("authorization", customer)];
    for path in ["/api/v1/products", "/api/v1/orders", "/api/v1/users/me"] {
        shop.get(path, &me).await;
    }
    let listed = shop.get("/api/v1/products", &[]).await;
    shop.get(&format!("/api/v1/products/{}", id(&listed["items"][0])), &[]).await;
    let token = placed["token"].as_str().unwrap();
    for path in ["", "/timeline"] {
        shop.get(&format!("/api/v1/orders/{}{path}", id(placed)), &[("x-order-token", token)]).await;
    }
}
