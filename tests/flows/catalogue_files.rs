//! A merchant's catalogue as a whole: in by CSV, a demo of hundreds, out again, by HTTP and the command line.

use serde_json::{Value, json};

use crate::support::{self, Server, text};

const CSV: &str = "\u{feff}Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,\
Option2 Name,Option2 Value,Variant SKU,Variant Grams,Variant Inventory Qty,Variant Inventory Policy,Variant Price,\
Variant Compare At Price,Image Src,Image Position,Image Alt Text\r\n\
linen-shirt,Linen Shirt,\"<p>Cool, and\r\nlight.</p>\",Loom & Co,Shirts,\"summer, linen\",true,Size,S,,,LS-S,200,3,deny,49,59.5,https://images.example.com/a.jpg,1,Front\r\n\
linen-shirt,,,,,,,,M,,,LS-M,200,,deny,49,,https://images.example.com/b.jpg,2,\r\n\
linen-shirt,,,,,,,,,,,,,,,,,https://images.example.com/c.jpg,3,\r\n\
straw-hat,Straw Hat,,Loom & Co,Hats,summer,true,Title,Default Title,,,,0,7,continue,25.00,,,,\r\n\
,No Handle,,,,,true,Title,Default Title,,,,0,1,deny,1,,,,\r\n\
bad-price,Bad Price,,,,,true,Title,Default Title,,,,0,1,deny,cheap,,,,\r\n\
twin,Twin,,,,,true,Size,S,,,LS-S,0,1,deny,5,,,,\r\n\
linen-shirt,,,,,,,,S,,,LS-X,200,1,deny,49,,,,\r\n";

async fn import(shop: &Server, admin: &str, csv: &str) -> Value {
    let headers = [("authorization", admin), ("content-type", "text/csv")];
    shop.raw("POST", "/api/v1/products/import", &headers, csv.as_bytes().to_vec()).await.expect(200)
}

#[tokio::test]
async fn a_merchants_file_goes_in_and_comes_out() {
    let shop = Server::start(&[]).await;
    let admin = shop.admin().await;
    let report = import(&shop, &admin, CSV).await;
    assert_eq!(report["products"]["created"], 2, "{report}");
    assert_eq!(report["variants"]["created"], 3, "{report}");
    let refused: Vec<i64> = report["refused"].as_array().unwrap().iter().map(|r| r["row"].as_i64().unwrap()).collect();
    assert_eq!(refused.len(), 4, "{report}");
    let again = import(&shop, &admin, CSV).await;
    assert_eq!((&again["products"]["created"], &again["products"]["updated"]), (&json!(0), &json!(0)), "{again}");

    let shirt = shop.send("GET", "/api/v1/products/linen-shirt", &[], None).await.expect(200);
    assert_eq!(shirt["variants"].as_array().unwrap().len(), 2);
    assert_eq!(shirt["images"].as_array().unwrap().len(), 3);
    assert_eq!(shirt["variants"][0]["price"], json!({"amount": 4_900, "currency": "USD"}));
    assert_eq!(shirt["variants"][0]["compare_at_price"]["amount"], 5_950);
    assert_eq!((&shirt["variants"][0]["available"], &shirt["variants"][1]["available"]), (&json!(3), &json!(0)));

    let exported = shop.send("GET", "/api/v1/products/export", &[("authorization", &admin)], None).await;
    assert_eq!(exported.status, 200);
    let other = Server::start(&[]).await;
    let other_admin = other.admin().await;
    let report = import(&other, &other_admin, &exported.text).await;
    assert_eq!((&report["products"]["created"], &report["refused"]), (&json!(2), &json!([])), "{report}");
    let back = other.send("GET", "/api/v1/products/export", &[("authorization", &other_admin)], None).await;
    assert_eq!(back.text, exported.text);
    assert_eq!(other.verify(), Vec::<Value>::new());
}

#[tokio::test]
async fn shoppers_find_things() {
    let shop = Server::start(&[]).await;
    let seeded = support::run(&shop.db.url, &["seed", "demo", "--products", "300"], "");
    assert!(seeded.status.success(), "{}", text(&seeded));
    let again = support::run(&shop.db.url, &["seed", "demo", "--products", "300"], "");
    assert!(again.status.success(), "{}", text(&again));
    let list = |query: &str| {
        let path = format!("/api/v1/products?{query}");
        let shop = &shop;
        async move { shop.send("GET", &path, &[], None).await.expect(200) }
    };
    for query in ["q=shirt", "q=shrit", "q=classic%20coton"] {
        let found = list(query).await;
        assert!(!found["items"].as_array().unwrap().is_empty(), "{query}");
    }
    assert_eq!(list("q=xyzzyplugh").await["items"], json!([]));
    let faceted = list("facets=true&limit=1").await;
    let vendor = &faceted["facets"]["vendor"][0];
    assert!(vendor["count"].as_i64().unwrap() > 0, "{faceted}");
    assert!(faceted["facets"]["price"]["min"].is_object() || faceted["facets"]["price"]["min"].is_number());

    for sort in ["-created_at", "price", "-price", "title"] {
        let mut seen = std::collections::BTreeSet::new();
        let mut cursor = String::new();
        loop {
            let page = list(&format!("limit=100&sort={sort}{cursor}")).await;
            for item in page["items"].as_array().unwrap() {
                assert!(seen.insert(item["id"].as_str().unwrap().to_owned()), "{sort} repeats");
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen.len(), 300, "{sort}");
    }
    let cheap = list("max_price=2000&sort=-price&limit=5").await;
    let prices = cheap["items"].as_array().unwrap().iter().map(|p| p["price_range"]["min"]["amount"].as_i64().unwrap());
    assert!(prices.max().unwrap_or(0) <= 2_000);
}

#[tokio::test]
async fn the_command_line_moves_the_catalogue_too() {
    let shop = Server::start(&[]).await;
    let folder = std::env::temp_dir().join(format!("eshopz-csv-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("products.csv");
    std::fs::write(&file, CSV).unwrap();
    let imported = support::run(&shop.db.url, &["catalog", "import", file.to_str().unwrap()], "");
    assert!(text(&imported).contains("2 created"), "{}", text(&imported));
    assert!(text(&imported).contains("bad-price"), "{}", text(&imported));
    let out = folder.join("out.csv");
    let exported = support::run(&shop.db.url, &["catalog", "export", "--out", out.to_str().unwrap()], "");
    assert!(exported.status.success(), "{}", text(&exported));
    assert!(std::fs::read_to_string(&out).unwrap().contains("linen-shirt"));
    std::fs::write(&file, "name,price\nx,1\n").unwrap();
    let refused = support::run(&shop.db.url, &["catalog", "import", file.to_str().unwrap()], "");
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(text(&refused).contains("Handle"), "{}", text(&refused));
    std::fs::remove_dir_all(&folder).unwrap();
}
