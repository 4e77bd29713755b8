//! Files that were made to do harm, or that somebody's program has mangled.

use serde_json::{Value, json};

use super::shop::Shop;

async fn send(shop: &Shop, file: impl Into<Vec<u8>>) -> (u16, Value) {
    let headers = [("authorization", shop.admin.as_str()), ("content-type", "text/csv")];
    let answer = shop.app.send_raw("POST", "/api/v1/products/import", &headers, file.into()).await.unwrap();
    (answer.status, answer.json())
}

/// `code` of each refused row.
async fn refusals(shop: &Shop, file: impl Into<Vec<u8>>) -> Vec<String> {
    let (status, report) = send(shop, file).await;
    assert_eq!(status, 200, "{report}");
    let refused = report["refused"].as_array().unwrap().iter();
    refused.map(|row| row["reason_code"].as_str().unwrap().to_owned()).collect()
}

async fn is_no_csv(shop: &Shop, file: impl Into<Vec<u8>>, told: &str) {
    let (status, problem) = send(shop, file).await;
    assert_eq!((status, &problem["code"]), (422, &json!("not_a_product_csv")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains(told), "{problem}");
}

#[tokio::test]
async fn what_is_no_csv_is_told_so() {
    let shop = Shop::open().await;
    let utf_16 = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    is_no_csv(&shop, utf_16("\u{feff}Handle,Title\na,A\n"), "UTF-8").await;
    is_no_csv(&shop, utf_16("Handle,Title\na,A\n"), "UTF-8").await;
    is_no_csv(&shop, b"\xfe\xff\0H\0a".to_vec(), "UTF-8").await;
    is_no_csv(&shop, b"\x1f\x8b\x08\0\0\0\0\0".to_vec(), "not packed").await;
    is_no_csv(&shop, b"PK\x03\x04\x14\0".to_vec(), "not packed").await;
    is_no_csv(&shop, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec(), "UTF-8").await;
    is_no_csv(&shop, vec![0_u8; 100_000], "UTF-8").await;
    is_no_csv(&shop, b"\xff".repeat(100_000), "no column `Handle`").await;
    is_no_csv(&shop, "\u{1b}[31mName\u{202e},Price\n", "It begins with:  [31mName, Price").await;
    is_no_csv(&shop, "", "empty").await;
    is_no_csv(&shop, "\n".repeat(1_000_000), "empty").await;
    assert_eq!(shop.titles("").await, Vec::<String>::new());
}

/// A row of more than 4 MiB ends the import, however large the rest is.
#[tokio::test]
async fn no_cell_fills_the_memory() {
    let shop = Shop::open().await;
    let row = |rest: &str| format!("Handle,Title,Variant Price\na,A,1\nb,{rest}");
    is_no_csv(&shop, row(&format!("\"{}", "never closed\n".repeat(500_000))), "row 3").await;
    is_no_csv(&shop, row(&"x".repeat(100 * 1024 * 1024)), "row 3").await;
    is_no_csv(&shop, row(&",".repeat(5_000_000)), "row 3").await;
    is_no_csv(&shop, format!("Handle,{}", "x".repeat(100 * 1024 * 1024)), "row 1").await;
    is_no_csv(&shop, format!("\"Handle{}", ",\n".repeat(3_000_000)), "row 1").await;
}

/// A million columns of which three mean something, and rows to go with them.
#[tokio::test]
async fn a_million_columns_are_read() {
    let shop = Shop::open().await;
    let started = std::time::Instant::now();
    let many = ",".repeat(1_000_000);
    let file = format!("Handle,Title,Variant Price{many}\na,A,1{many}\nb,B,2\nc,C,3{many}\n");
    let (status, report) = send(&shop, file).await;
    assert_eq!((status, &report["products"]["created"]), (200, &json!(3)), "{report}");
    let names = "Title,Tags,Option1 Value,".repeat(40_000);
    let (status, report) = send(&shop, format!("Handle,{names}Variant Price\nd,D,,,\n")).await;
    assert_eq!((status, report["refused"].as_array().map(Vec::len)), (200, Some(1)), "{report}");
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}

/// To compare each of a million tags with each other would take days.
#[tokio::test]
async fn too_many_tags_are_not_compared() {
    let shop = Shop::open().await;
    let started = std::time::Instant::now();
    let tags: String = (0..400_000).map(|number| format!("t{number},")).collect();
    let few: String = (0..60_000).map(|number| format!("t{},", number % 250)).collect();
    let file = format!("Handle,Title,Tags,Variant Price\na,A,\"{tags}\",1\nb,B,\"{few}\",1\nc,C,\"{few}x\",1\n");
    assert_eq!(refusals(&shop, file).await, ["too_many_tags", "too_many_tags"]);
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}

#[tokio::test]
async fn odd_cells_are_refused_with_their_rows() {
    let shop = Shop::open().await;
    let head = "Handle,Title,Variant SKU,Variant Inventory Qty,Variant Price,Variant Grams,Image Src\n";
    let numbers = [
        ("9223372036854775808", "1", ""),
        ("-9223372036854775809", "1", ""),
        ("1e9", "1", ""),
        ("1", "18446744073709551616", ""),
        ("1", "1e999", ""),
        ("1", "-0.01", ""),
        ("1", "NaN", ""),
        ("1", "0x10", ""),
        ("1", "1", "99999999999999999999"),
        ("1", "1", "-1"),
        ("=1+1", "1", ""),
        ("1", "=1", ""),
        ("1", "١", ""),
    ];
    let rows: String =
        numbers.iter().map(|(quantity, price, grams)| format!("x,X,,{quantity},{price},{grams},\n")).collect();
    let refused = refusals(&shop, format!("{head}{rows}")).await;
    assert_eq!(refused.len(), numbers.len(), "{refused:?}");
    let nul = "a,A\0,,1,1,,\nb,B,S\0,1,1,,\n\0,C,,1,1,,\n";
    assert_eq!(refusals(&shop, format!("{head}{nul}")).await, ["nul_character", "nul_character", "handle_missing"]);
    let images = "a,A,,1,1,,../../etc/passwd\nb,B,,1,1,,C:\\a.jpg\nc,C,,1,1,,a.jpg\n";
    assert_eq!(refusals(&shop, format!("{head}{images}")).await, ["image_invalid"; 3]);
    assert_eq!(shop.titles("").await, Vec::<String>::new());
}

/// What a spreadsheet would run, and what nobody sees, comes back as text.
#[tokio::test]
async fn cells_that_deceive_are_plain_text() {
    let shop = Shop::open().await;
    let file = "\u{feff}Handle,Title,Vendor,Tags,Variant SKU,Variant Price,Image Src,Image Alt Text\r\n\
                a,\"=HYPERLINK(\"\"http://x.test\"\",\"\"a\"\")\",@SUM(A1),\"+1, -2\",=cmd|' /C calc'!A0,1,https://x.test/a.jpg,-alt\r\n\
                b,'=already,''=twice,,'=code,2,,\r\n\
                c,\u{202e}dlrow\u{202c} olleh,a\u{200b}b,,S\u{200b}KU\u{feff}-1,3,,\r\n";
    assert_eq!(refusals(&shop, file).await, Vec::<String>::new());
    let product = shop.get("/products/a").await.json();
    assert_eq!(product["title"], "=HYPERLINK(\"http://x.test\",\"a\")");
    assert_eq!(product["variants"][0]["sku"], "=cmd|' /C calc'!A0");
    assert_eq!(shop.get("/products/b").await.json()["title"], "=already");
    assert_eq!(shop.get("/products/b").await.json()["vendor"], "'=twice");
    let product = shop.get("/products/c").await.json();
    assert_eq!((&product["title"], &product["variants"][0]["sku"]), (&json!("dlrow olleh"), &json!("SKU-1")));

    let export = shop.admin("GET", "/products/export", None).await.text;
    let mut reader = csv::Reader::from_reader(export.as_bytes());
    let numbers = ["Variant Inventory Qty", "Variant Grams", "Variant Price", "Variant Compare At Price"];
    let head = reader.headers().unwrap().clone();
    let mut guarded = 0;
    for record in reader.records() {
        let record = record.unwrap();
        for (name, cell) in head.iter().zip(&record).filter(|(name, _)| !numbers.contains(name)) {
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{name}: {cell}");
            guarded += usize::from(cell.starts_with('\''));
        }
    }
    assert!(guarded >= 8, "{export}");
    let again = send(&shop, export.clone()).await.1;
    assert_eq!(again["products"], json!({"created": 0, "updated": 0, "unchanged": 3}));
    let other = Shop::open().await;
    send(&other, export.clone()).await;
    assert_eq!(other.admin("GET", "/products/export", None).await.text, export);
}
