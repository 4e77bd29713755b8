//! Searching, also with typing errors.

use serde_json::json;

use crate::shop::{Shop, usd};

async fn filled() -> Shop {
    let shop = Shop::open().await;
    for (title, vendor, kind, tags, description) in [
        ("Blue Shirt", "Northwind", "Shirts", json!(["cotton"]), "<p>For the office &amp; the beach.</p>"),
        ("Red Shirt", "Northwind", "Shirts", json!(["cotton"]), "Like the blue one, but red."),
        ("Leather Jacket", "Acme", "Jackets", json!(["biker"]), "Heavy."),
        ("Rain Jackets, set of two", "Acme", "Jackets", json!([]), "Waterproof university wear."),
        ("Café Table", "Müller", "Furniture", json!(["oak"]), "Solid <b>wood</b>."),
    ] {
        let body = json!({"title": title, "vendor": vendor, "product_type": kind, "tags": tags, "description": description,
                          "variants": [{"price": usd(1000), "sku": title.to_uppercase().replace(' ', "-")}]});
        shop.product(body).await;
    }
    shop
}

#[tokio::test]
async fn words_are_found_wherever_they_are() {
    let shop = filled().await;
    for (q, first) in [
        ("blue+shirt", "Blue Shirt"),
        ("shirts+blue", "Blue Shirt"),
        ("leather", "Leather Jacket"),
        ("northwind+red", "Red Shirt"),
        ("biker", "Leather Jacket"),
        ("beach", "Blue Shirt"),
        ("oak", "Café Table"),
        ("CAF%C3%89", "Café Table"),
        ("m%C3%BCller", "Café Table"),
        ("LEATHER-JACKET", "Leather Jacket"),
        ("wood", "Café Table"),
        // Not finished yet.
        ("blu", "Blue Shirt"),
        ("leath", "Leather Jacket"),
        ("blue+shi", "Blue Shirt"),
        ("northw", "Red Shirt"),
        // "for" says nothing.
        ("shirt+for+beach", "Blue Shirt"),
    ] {
        assert_eq!(shop.titles(&format!("q={q}")).await.first().map(String::as_str), Some(first), "{q}");
    }
    // The title counts for more than the description.
    assert_eq!(shop.titles("q=blue").await, ["Blue Shirt", "Red Shirt"]);
    assert_eq!(shop.titles("q=shirt&sort=title").await, ["Blue Shirt", "Red Shirt"]);
    assert_eq!(shop.titles("q=jacket&vendor=Acme&sort=title").await, ["Leather Jacket", "Rain Jackets, set of two"]);
}

#[tokio::test]
async fn typing_errors_are_forgiven() {
    let shop = filled().await;
    for (q, found) in [
        ("blu+shrit", vec!["Blue Shirt", "Red Shirt"]),
        ("jaket&sort=title", vec!["Leather Jacket", "Rain Jackets, set of two"]),
        ("lether+jakcet", vec!["Leather Jacket"]),
        ("norhtwind&sort=title", vec!["Blue Shirt", "Red Shirt"]),
        ("cafe+tabel", vec!["Café Table"]),
        // "beach" is a word of a description only.
        ("beach+shrit", vec!["Blue Shirt"]),
    ] {
        assert_eq!(shop.titles(&format!("q={q}")).await, found, "{q}");
    }
    assert_eq!(shop.all_titles("q=shrit", 1).await.len(), 2, "the next page is corrected too");
}

#[tokio::test]
async fn nonsense_finds_nothing_and_does_no_harm() {
    let shop = filled().await;
    for q in [
        "xqzvwk",
        "blue+xqzvwk",
        "%27%3B+DROP+TABLE+products%3B--",
        "%21%21%21",
        "%26+%7C+%3A%2A",
        "%28blue",
        "%3C-%3E",
        "%00x",
        "%25%25%25",
        "%5C",
        "%F0%9F%98%80",
        "the",
        "",
        "a%3A%2A%26%21b",
        "blue%27%27%3A%3A",
    ] {
        let answer = shop.get(&format!("/products?q={q}&facets=true")).await;
        assert!(matches!(answer.status, 200 | 422), "{q}: {}", answer.text);
        if q.starts_with("xqz") || q.ends_with("xqzvwk") || q == "%21%21%21" {
            assert_eq!(answer.json()["items"], json!([]), "{q}");
        }
    }
    assert_eq!(shop.titles("q=%28office+%26+shirt%29%3A%2A%21").await, ["Blue Shirt"], "punctuation is no syntax");
    assert_eq!(shop.titles("q=").await.len(), 5, "a search for nothing is none");
    assert_eq!(shop.get("/products?q=+&sort=relevance").await.status, 422);
    assert_eq!(shop.get(&format!("/products?q={}", "x".repeat(201))).await.status, 422);
}

#[tokio::test]
async fn what_is_changed_is_found_anew() {
    let shop = filled().await;
    let id = shop.get("/products/blue-shirt").await.json()["id"].as_str().unwrap().to_owned();
    shop.admin("PATCH", &format!("/products/{id}"), Some(json!({"title": "Turquoise Blouse"}))).await;
    assert_eq!(shop.titles("q=turquoise").await, ["Turquoise Blouse"]);
    assert_eq!(shop.titles("q=turqoise").await, ["Turquoise Blouse"], "new words are known at once");
    shop.admin("DELETE", &format!("/products/{id}"), None).await;
    assert_eq!(shop.titles("q=turquoise").await, Vec::<String>::new());
}

/// The vocabulary is read by the transactions that brought the words, which do not end in the order in which they begin.
#[tokio::test]
async fn words_are_known_whenever_their_transaction_ends() {
    let shop = filled().await;
    let insert = |word: &str| {
        format!(
            "INSERT INTO products.products (id, handle, title, status) VALUES (uuid_v7(), '{word}', '{word}', 'active')"
        )
    };
    let mut slow = shop.base.owner().await;
    slow.batch_execute("SET search_path = products, public").await.unwrap();
    let at_work = slow.transaction().await.unwrap();
    at_work.batch_execute(&insert("Turquoise")).await.unwrap();
    shop.run(&insert("Magenta")).await;
    assert_eq!(shop.titles("q=magneta").await, ["Magenta"]);
    assert_eq!(shop.titles("q=turqoise").await, Vec::<String>::new());
    at_work.commit().await.unwrap();
    assert_eq!(shop.titles("q=turqoise").await, ["Turquoise"]);
    // Restored from a server that counted further.
    shop.run("UPDATE search_words SET added = '999999999999'").await;
    shop.run(&insert("Aquamarine")).await;
    assert_eq!(shop.titles("q=aquamraine").await, ["Aquamarine"]);
    // A word that is unknown as far as the process has read, and one that is in a description only.
    shop.run(&insert("Vermilion")).await;
    shop.run("UPDATE products SET description = 'chartreuse' WHERE handle = 'Magenta'").await;
    assert_eq!(shop.titles("q=vermilion").await, ["Vermilion"]);
    assert_eq!(shop.titles("q=chartreuse").await, ["Magenta"]);
}

#[tokio::test]
async fn a_common_word_is_found_to_the_last() {
    let shop = Shop::open().await;
    shop.run(
        "INSERT INTO products (id, handle, title, created_at) \
         SELECT uuid_v7(), 'p' || i, CASE WHEN i % 7 = 0 THEN 'Mug ' || i ELSE 'Cup, or mug ' || i END, \
                now() - i * interval '1 second' FROM generate_series(1, 2345) i",
    )
    .await;
    let found = shop.all_titles("q=mug", 90).await;
    assert_eq!(found.len(), 2_345);
    assert_eq!(found.iter().collect::<std::collections::HashSet<_>>().len(), 2_345);
    assert_eq!(shop.all_titles("q=mugg", 100).await.len(), 2_345, "corrected, too");
    // A word of one product in seven hundred, of the newest only, of the oldest only, with a filter.
    assert_eq!(shop.all_titles("q=mug+700", 90).await, ["Mug 700"]);
    assert_eq!(shop.all_titles("q=mug+2345", 90).await, ["Mug 2345"]);
    assert_eq!(shop.all_titles("q=mug+1", 90).await.len(), 1_000 + 100 + 10 + 1, "those that begin with it");
    assert_eq!(shop.all_titles("q=mug&max_price=0", 90).await.len(), 2_345);
    assert_eq!(shop.all_titles("q=mug&min_price=1", 90).await.len(), 0);
}

/// Words are had from the newest on as long as that is likely to find enough, and by an index after that.
#[tokio::test]
async fn the_newest_matches_are_found_whatever_part_of_the_catalogue_they_are() {
    let shop = Shop::open().await;
    // One that is the best match of many, and the oldest.
    shop.run(
        "INSERT INTO products (id, handle, title, description, status) \
         SELECT uuid_v7(), 'c' || i, CASE WHEN i = 1 THEN 'Common' ELSE 'Thing' END, 'common', 'active' \
         FROM generate_series(1, 300) i",
    )
    .await;
    assert_eq!(shop.titles("q=common&limit=1").await, ["Common"]);
    assert_eq!(shop.titles("q=common&limit=1&max_price=0").await, ["Common"]);
    shop.run("DELETE FROM products").await;
    // Every product is of some use, every tenth, every hundredth, and so on; the last ten thousand times in a row.
    shop.run(
        "INSERT INTO products (id, handle, title, status) \
         SELECT uuid_v7(), 'p' || i, concat_ws(' ', 'all', CASE WHEN i % 10 = 0 THEN 'ten' END, \
                CASE WHEN i % 100 = 0 THEN 'hundred' END, CASE WHEN i % 400 = 0 THEN 'fourhundred' END, \
                CASE WHEN i < 8000 THEN 'old' END, CASE WHEN i BETWEEN 8990 AND 9002 THEN 'edge' END, \
                CASE WHEN i < 9000 AND i % 60 = 0 THEN 'bygone' END, CASE WHEN i IN (7, 2000, 4001) THEN 'scarce' END), \
                CASE WHEN i % 3 = 0 THEN 'draft' ELSE 'active' END FROM generate_series(1, 10000) i",
    )
    .await;
    let wrong = "SELECT concat_ws(' ', word, below, most, unknown) \
         FROM unnest(ARRAY['all', 'ten', 'hundred', 'fourhundred', 'old', 'edge', 'bygone', 'scarce', 'none', 'ten & old', 'ten & edge']) word, \
              unnest(ARRAY[NULL, 9800, 8300, 302, -5]::bigint[]) below, unnest(ARRAY[1, 7, 100, 20000]) most, \
              unnest(ARRAY[true, false]) unknown, to_tsquery('simple', word) q \
         WHERE ARRAY(SELECT place FROM newest_matches(q, below, most, unknown) ORDER BY place DESC) \
               <> ARRAY(SELECT place FROM product_words WHERE search @@ q AND status = 'active' \
                        AND (place < below OR below IS NULL) ORDER BY place DESC LIMIT most)";
    assert_eq!(shop.texts(wrong).await, Vec::<String>::new());
    shop.run("ANALYZE product_words").await;
    assert_eq!(shop.texts(wrong).await, Vec::<String>::new());
}

#[tokio::test]
async fn words_are_kept_as_the_product_is() {
    let shop = filled().await;
    let words = "SELECT count(*)::text FROM product_words w JOIN products p ON p.id = w.product_id \
                 WHERE w.status = p.status AND w.search = product_search(p.title, p.vendor, p.product_type, p.tags, \
                                                                        p.skus, p.handle, p.description)";
    assert_eq!(shop.texts(words).await, ["5"]);
    shop.run("UPDATE products SET status = 'draft', description = 'Of <i>velvet</i>.' WHERE handle = 'blue-shirt'")
        .await;
    assert_eq!(shop.texts(words).await, ["5"]);
    assert_eq!(shop.titles("q=velvet").await, Vec::<String>::new());
    shop.run("UPDATE products SET status = 'active', price_max_minor = price_max_minor + 1").await;
    assert_eq!(shop.titles("q=velvet").await, ["Blue Shirt"]);
    shop.run("WITH s AS (DELETE FROM stock_levels), v AS (DELETE FROM variants) SELECT").await;
    shop.run("DELETE FROM products WHERE handle = 'blue-shirt'").await;
    assert_eq!(shop.texts("SELECT count(*)::text FROM product_words").await, ["4"]);
}
