//! Descriptions by API and by file: cleaned on the way in, and as they are from then on.

use serde_json::{Value, json};

use super::shop::{Shop, usd};

const DIRTY: &str = "<h2 onclick=\"steal()\" style=\"position:fixed\">Care</h2><ul><li>Wash at 30 °C<li>Do not bleach</ul>\
    <table class=\"t\"><tr><td>S</table><img src=\"http://cdn.example.com/a.jpg\" onerror=\"steal()\">\
    <a href=\"javascript:steal()\" target=\"_blank\">more</a><script>steal()</script><iframe src=\"https://x.test\"></iframe>";

const CLEAN: &str = "<h2>Care</h2><ul><li>Wash at 30 °C</li><li>Do not bleach</li></ul>\
    <table><tbody><tr><td>S</td></tr></tbody></table><img src=\"https://cdn.example.com/a.jpg\">\
    <a rel=\"noopener nofollow\">more</a>";

async fn import(shop: &Shop, file: &str) -> Value {
    let headers = [("authorization", shop.admin.as_str()), ("content-type", "text/csv")];
    let sent = shop.app.send_raw("POST", "/api/v1/products/import", &headers, file.as_bytes().to_vec());
    let answer = sent.await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

async fn export(shop: &Shop) -> String {
    shop.admin("GET", "/products/export", None).await.text
}

/// A cell as a file has it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

#[tokio::test]
async fn what_acts_does_not_get_into_the_shop() {
    let shop = Shop::open().await;
    let body = json!({"title": "Shirt", "description": DIRTY, "variants": [{"price": usd(1000)}]});
    let made = shop.product(body).await;
    assert_eq!(made["description"], CLEAN);
    let path = format!("/products/{}", made["id"].as_str().unwrap());
    let changed = shop.admin("PATCH", &path, Some(json!({"description": format!("{DIRTY}!")}))).await;
    assert_eq!((changed.status, &changed.json()["description"]), (200, &json!(format!("{CLEAN}!"))));
    // What there is of names is data: it is kept to the letter, and whoever shows it escapes it.
    let named = json!({"title": "<b>Fish & Chips</b>", "vendor": "<script>alert(1)</script>", "tags": ["5 < 6"]});
    let named = shop.product(named).await;
    assert_eq!((&named["title"], &named["tags"][0]), (&json!("<b>Fish & Chips</b>"), &json!("5 < 6")));
    assert_eq!(named["vendor"], "<script>alert(1)</script>");
    let plain = shop.product(json!({"title": "Plain", "description": "Fish & Chips, 6 > 5\r\n"})).await;
    assert_eq!(plain["description"], "Fish & Chips, 6 > 5\r\n");
}

#[tokio::test]
async fn a_file_is_cleaned_once_and_then_stays_as_it_is() {
    let (shop, other) = (Shop::open().await, Shop::open().await);
    let file = format!(
        "Handle,Title,Body (HTML),Variant Price\nshirt,Shirt,{},10\nhat,Hat,<p>Wide brim,20\nsock,Sock,Plain & warm,5\n",
        quoted(DIRTY)
    );
    assert_eq!(import(&shop, &file).await["products"]["created"], 3);
    assert_eq!(shop.get("/products/shirt").await.json()["description"], CLEAN);
    assert_eq!(shop.get("/products/hat").await.json()["description"], "<p>Wide brim</p>");
    assert_eq!(shop.get("/products/sock").await.json()["description"], "Plain & warm");
    assert_eq!(import(&shop, &file).await["products"], json!({"created": 0, "updated": 0, "unchanged": 3}));
    let exported = export(&shop).await;
    assert_eq!(import(&shop, &exported).await["products"], json!({"created": 0, "updated": 0, "unchanged": 3}));
    assert_eq!(import(&other, &exported).await["products"]["created"], 3);
    assert_eq!(export(&other).await, exported);
}

#[tokio::test]
async fn what_cannot_be_cleaned_is_refused_with_its_place() {
    let shop = Shop::open().await;
    let deep = "<div>".repeat(5_000);
    let long = format!("<b>{}", "&".repeat(30_000));
    for (description, code) in [(&deep, "html"), (&long, "html")] {
        let answer = shop.admin("POST", "/products", Some(json!({"title": "x", "description": description}))).await;
        assert_eq!(answer.status, 422, "{}", answer.text);
        let error = &answer.json()["errors"][0];
        assert_eq!((&error["field"], &error["code"]), (&json!("/description"), &json!(code)));
    }
    let file = format!("Handle,Title,Body (HTML),Variant Price\na,A,{deep},1\nb,B,{long},1\nc,C,<p>c,1\n");
    let report = import(&shop, &file).await;
    let refused: Vec<&str> =
        report["refused"].as_array().unwrap().iter().map(|row| row["reason_code"].as_str().unwrap()).collect();
    assert_eq!(refused, ["html_tangled", "too_long"]);
    assert_eq!(report["products"]["created"], 1);
}

#[tokio::test]
async fn pictures_are_addresses_of_the_web() {
    let shop = Shop::open().await;
    for url in [
        "javascript:alert(1)",
        "data:image/svg+xml,<svg/onload=alert(1)>",
        "//cdn.example.com/a.jpg",
        "../../etc/passwd",
        "file:///etc/passwd",
        "https://a@b.example/a.jpg",
        "https://x.test/\"onerror=\"alert(1)",
    ] {
        let product = json!({"title": "x", "images": [{"url": url}]});
        let answer = shop.admin("POST", "/products", Some(product)).await;
        assert_eq!((answer.status, &answer.json()["errors"][0]["field"]), (422, &json!("/images/0/url")), "{url}");
        let product = json!({"title": "x", "variants": [{"price": usd(1), "image_url": url}]});
        let answer = shop.admin("POST", "/products", Some(product)).await;
        assert_eq!(
            (answer.status, &answer.json()["errors"][0]["field"]),
            (422, &json!("/variants/0/image_url")),
            "{url}"
        );
        if url.starts_with("//") {
            // Shopify's own files have these, and mean HTTPS.
            continue;
        }
        for column in ["Image Src", "Variant Image"] {
            let file = format!("Handle,Title,Variant Price,{column}\nx,X,1,{}\n", quoted(url));
            let report = import(&shop, &file).await;
            assert_eq!(report["refused"][0]["reason_code"], "image_invalid", "{url}: {report}");
        }
    }
}
