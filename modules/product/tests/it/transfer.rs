//! The catalogue in and out as a CSV file, against a real database.

mod transfer_http;
mod transfer_round;

use std::fmt::Write as _;

use eshopz_kernel::{Currency, Fault};
use eshopz_platform::books::Finding;
use eshopz_platform::cache::Redis;
use eshopz_platform::db::Db;
use eshopz_product::transfer::{self, ImportReport, Progress};
use eshopz_product::{ProductDeps, ProductModule, ProductSettings};
use eshopz_testkit::db::TestDb;

/// A shop of its own for one test.
struct Shop {
    base: TestDb,
    db: Db,
}

impl Shop {
    async fn open() -> Self {
        let base = TestDb::new(&["product"]).await;
        let db = base.db("products");
        Self { base, db }
    }

    async fn import(&self, file: &str) -> ImportReport {
        transfer::import(&self.db, Currency::USD, file.as_bytes(), |_| {}).await.unwrap()
    }

    async fn export(&self) -> String {
        let mut file = Vec::new();
        transfer::export(&self.db, Currency::USD, &mut file, |_| {}).await.unwrap();
        String::from_utf8(file).unwrap()
    }

    /// The rows of a query with one text column.
    async fn texts(&self, query: &str) -> Vec<String> {
        let owner = self.base.owner().await;
        owner.batch_execute("SET search_path = products").await.unwrap();
        owner.query(query, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
    }

    async fn text(&self, query: &str) -> String {
        self.texts(query).await.join("; ")
    }

    async fn run(&self, statement: &str) {
        let owner = self.base.owner().await;
        owner.batch_execute(&format!("SET search_path = products; {statement}")).await.unwrap();
    }

    /// All that a customer or an admin can tell of the catalogue, without ids and times.
    async fn catalogue(&self) -> Vec<String> {
        self.texts(
            "WITH RECURSIVE paths AS (
                 SELECT id, slug || '=' || name AS path FROM categories WHERE parent_id IS NULL
                 UNION ALL
                 SELECT c.id, p.path || ' > ' || c.slug || '=' || c.name FROM categories c JOIN paths p ON c.parent_id = p.id)
             SELECT concat_ws(' | ', p.handle, p.title, p.description, p.vendor, p.product_type, p.tags, p.status,
                    paths.path, p.options, p.images, p.price_min_minor, p.price_max_minor, p.skus,
                    (SELECT string_agg(concat_ws(', ', v.sku, v.title, v.option_values, v.price_minor,
                            v.compare_at_minor, v.barcode, v.weight_grams, v.requires_shipping, v.taxable,
                            v.image_url, s.on_hand, s.backorder), ' / ' ORDER BY v.position)
                     FROM variants v JOIN stock_levels s ON s.variant_id = v.id WHERE v.product_id = p.id))
             FROM products p LEFT JOIN paths ON paths.id = p.category_id ORDER BY p.handle",
        )
        .await
    }

    /// Everything that an import that changes nothing must leave as it is.
    async fn marks(&self) -> Vec<String> {
        self.texts(
            "SELECT concat_ws(' ', id, version, updated_at, xmin) FROM products UNION ALL
             SELECT concat_ws(' ', id, version, updated_at, xmin) FROM variants UNION ALL
             SELECT concat_ws(' ', variant_id, on_hand, xmin) FROM stock_levels UNION ALL
             SELECT concat_ws(' ', id, version) FROM categories UNION ALL
             SELECT id::text FROM stock_movements UNION ALL SELECT id::text FROM outbox ORDER BY 1",
        )
        .await
    }

    /// The module's own books balance: stock and ledger, prices and variants.
    async fn check_books(&self) {
        let found = self.module().verify().await.unwrap().findings;
        assert_eq!(found, Vec::<Finding>::new());
    }

    fn module(&self) -> ProductModule {
        let settings = ProductSettings::default();
        ProductModule::new(ProductDeps { db: self.db.clone(), redis: Redis::none(), settings })
    }
}

fn counts(report: &ImportReport) -> [u64; 8] {
    let (p, v) = (report.products, report.variants);
    [p.created, p.updated, p.unchanged, v.created, v.updated, v.unchanged, report.images, report.refused_total]
}

/// `row code` of each refused row.
fn refusals(report: &ImportReport) -> Vec<String> {
    report.refused.iter().map(|refusal| format!("{} {}", refusal.row, refusal.reason_code)).collect()
}

const SAMPLE: &str = "\u{feff}Handle,Title,Body (HTML),Vendor,Product Category,Type,Tags,Published,Option1 Name,Option1 Value,Option2 Name,Option2 Value,Variant SKU,Variant Grams,Variant Inventory Tracker,Variant Inventory Qty,Variant Inventory Policy,Variant Price,Variant Compare At Price,Variant Requires Shipping,Variant Taxable,Variant Barcode,Image Src,Image Position,Image Alt Text,Gift Card,SEO Title,Variant Image,Status,Price / International\r
sun-hat,Sun Hat,\"<p>Wide brim.</p>\r\n<p>Says \"\"hello\"\".</p>\",Bay Nine,Apparel > Hats,Hat,\"summer, straw , summer\",TRUE,Title,Default Title,,,'00123,85.4,shopify,7,deny,19.5,25.00,true,false,'4006381333931,https://images.example.com/hat.jpg,1,A hat,false,,,active,21\r
linen-shirt,Linen Shirt,<p>Light.</p>,Alder,Apparel > Shirts,Shirt,,true,Size,S,Color,Blue,LS-S-B,200,,3,deny,45,,true,true,,https://images.example.com/b.jpg,2,,false,,https://images.example.com/b.jpg,,\r
linen-shirt,,,,,,,,,M,,Blue,LS-M-B,200,,,continue,45,,,,,https://images.example.com/a.jpg,1,,,,,,\r
linen-shirt,,,,,,,,,M,,Red,,200,,0,deny,47.00,,,,,,,,,,,,\r
linen-shirt,,,,,,,,,,,,,,,,,,,,,,//images.example.com/c.jpg,3,From behind,,,,,\r
old-mug,Old Mug,,,,,,false,,,,,,,,-2,continue,8,,,,,,,,,,,,\r
";

#[tokio::test]
async fn a_file_goes_in_as_it_says() {
    let shop = Shop::open().await;
    let mut seen = Progress::default();
    let report =
        transfer::import(&shop.db, Currency::USD, SAMPLE.as_bytes(), |progress| seen = progress).await.unwrap();
    assert_eq!(refusals(&report), Vec::<String>::new());
    assert_eq!(counts(&report), [3, 0, 0, 5, 0, 0, 4, 0]);
    assert_eq!((report.rows, seen.rows), (6, 6));
    assert_eq!(seen.bytes, u64::try_from(SAMPLE.len()).unwrap() - 3, "all but the byte order mark");

    let hat = shop.text("SELECT concat_ws('|', title, vendor, product_type, tags, status, options, images, description) FROM products WHERE handle = 'sun-hat'").await;
    assert_eq!(
        hat,
        "Sun Hat|Bay Nine|Hat|{summer,straw}|active|[]|[{\"alt\": \"A hat\", \"url\": \"https://images.example.com/hat.jpg\"}]|<p>Wide brim.</p>\r\n<p>Says \"hello\".</p>"
    );
    let variant = shop.text("SELECT concat_ws('|', v.title, v.sku, v.barcode, v.weight_grams, v.price_minor, v.compare_at_minor, v.requires_shipping, v.taxable, s.on_hand) FROM variants v JOIN stock_levels s ON s.variant_id = v.id WHERE v.sku = '00123'").await;
    assert_eq!(variant, "Default Title|00123|4006381333931|85|1950|2500|t|f|7");

    let shirt = shop.text("SELECT concat_ws('|', options -> 0 ->> 'values', options -> 1 ->> 'values', price_min_minor, price_max_minor, skus) FROM products WHERE handle = 'linen-shirt'").await;
    assert_eq!(shirt, r#"["S", "M"]|["Blue", "Red"]|4500|4700|LS-S-B LS-M-B"#);
    let urls = shop
        .text("SELECT i ->> 'url' FROM products, jsonb_array_elements(images) i WHERE handle = 'linen-shirt'")
        .await;
    assert_eq!(
        urls,
        "https://images.example.com/a.jpg; https://images.example.com/b.jpg; https://images.example.com/c.jpg"
    );
    let variants = shop.text("SELECT concat_ws('|', v.title, v.position, v.image_url, s.on_hand, s.backorder) FROM variants v JOIN stock_levels s ON s.variant_id = v.id JOIN products p ON p.id = v.product_id WHERE p.handle = 'linen-shirt' ORDER BY v.position").await;
    assert_eq!(variants, "S / Blue|1|https://images.example.com/b.jpg|3|f; M / Blue|2|0|t; M / Red|3|0|f");
    let mug = shop.text("SELECT concat_ws('|', p.status, s.on_hand) FROM products p JOIN variants v ON v.product_id = p.id JOIN stock_levels s ON s.variant_id = v.id WHERE p.handle = 'old-mug'").await;
    assert_eq!(mug, "draft|-2");
    let tree = shop.text("SELECT concat_ws('<', c.slug, p.slug) FROM categories c LEFT JOIN categories p ON p.id = c.parent_id ORDER BY c.slug").await;
    assert_eq!(tree, "apparel; hats<apparel; shirts<apparel");
    shop.check_books().await;
}

#[tokio::test]
async fn the_same_file_again_changes_nothing() {
    let shop = Shop::open().await;
    shop.import(SAMPLE).await;
    let before = shop.marks().await;
    let report = shop.import(SAMPLE).await;
    assert_eq!(counts(&report), [0, 0, 3, 0, 0, 5, 0, 0]);
    // Rows were locked, which writes into `xmax`, and nothing else.
    assert_eq!(shop.marks().await, before);
}

#[tokio::test]
async fn a_changed_row_changes_its_product_only() {
    let shop = Shop::open().await;
    shop.import(SAMPLE).await;
    let changed = SAMPLE
        .replace("deny,45,,true", "deny,46,50,true")
        .replace("LS-M-B,200,,,continue", "LS-M-B2,200,,4,deny")
        .replace("https://images.example.com/hat.jpg,1,A hat", "https://images.example.com/hat.jpg,1,The hat");
    let report = shop.import(&changed).await;
    assert_eq!(counts(&report), [0, 2, 1, 0, 2, 3, 0, 0]);
    let versions = shop.text("SELECT concat_ws(' ', handle, version) FROM products ORDER BY handle").await;
    assert_eq!(versions, "linen-shirt 2; old-mug 1; sun-hat 2");
    let variants = shop.text("SELECT concat_ws(' ', sku, price_minor, v.version) FROM variants v JOIN products p ON p.id = v.product_id WHERE handle = 'linen-shirt' ORDER BY position").await;
    assert_eq!(variants, "LS-S-B 4600 2; LS-M-B2 4500 2; 4700 1");
    let events = shop.text("SELECT count(*)::text FROM outbox WHERE name = 'product.changed.v1'").await;
    assert_eq!(events, "5");
    shop.check_books().await;
}

const HEAD: &str = "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Inventory Qty,Variant Inventory Policy,Variant Price,Image Src\n";

#[tokio::test]
async fn bad_rows_are_named_and_good_ones_go_in() {
    let shop = Shop::open().await;
    shop.import(&format!("{HEAD}taken,Taken,,,T-1,1,deny,5,\nsized,Sized,Size,S,,1,deny,5,\n")).await;
    let report = shop
        .import(&format!(
            "{HEAD}\
             tee,Tee,Size,S,TEE-S,1,deny,9.99,\n\
             tee,,,M,TEE-M,1,deny,abc,\n\
             tee,,,L,TEE-S,1,deny,9.99,\n\
             tee,,,S,TEE-X,1,deny,9.99,\n\
             tee,,,XL,T-1,1,deny,9.99,\n\
             tee,,,XXL,TEE-XXL,1,deny,,\n\
             tee,,,,TEE-NO,1,deny,9.99,\n\
             tee,,,Tall,TEE-T,-1,deny,9.99,\n\
             tee,,Fit,Wide,TEE-W,1,deny,9.99,\n\
             tee,,,M,TEE-M,2,deny,10.50,\n\
             tee,,,,,,,,\n\
             ,Nameless,,,,1,deny,1,\n\
             untitled,,,,U-1,1,deny,1,\n\
             untitled,,,,,,,,https://images.example.com/u.jpg\n\
             hopeless,Hopeless,,,H-1,1,deny,x,\n\
             hopeless,,,,,,,,https://images.example.com/h.jpg\n\
             twins,Twins,Size,S,,1,deny,1,\n\
             twins,,Size,S,,1,deny,2,\n\
             sized,Sized,Size,M,,1,deny,5,\n\
             sized,Sized,Color,Red,,1,deny,5,\n\
             bare,Bare,,,,,,,\n\
             !!!,Bad,,,,1,deny,1,\n"
        ))
        .await;
    assert_eq!(
        refusals(&report),
        [
            "3 price_invalid",
            "4 duplicate_sku",
            "5 variant_taken",
            "6 duplicate_sku",
            "7 price_missing",
            "8 option_value_missing",
            "9 quantity_negative",
            "10 option_mismatch",
            "12 nothing_to_import",
            "13 handle_missing",
            "14 title_missing",
            "15 title_missing",
            "16 price_invalid",
            "17 product_refused",
            "19 variant_taken",
            "21 option_mismatch",
            "22 price_missing",
            "23 handle_invalid",
        ]
    );
    assert_eq!(counts(&report), [2, 1, 0, 4, 0, 0, 0, 18]);
    let told = report.refused.iter().find(|refusal| refusal.row == 4).unwrap();
    assert_eq!((told.handle.as_str(), told.sku.as_deref()), ("tee", Some("TEE-S")));
    assert_eq!(told.to_string(), "row 4, tee (TEE-S): the SKU is used by row 2");
    let tee = shop.text("SELECT v.title FROM variants v JOIN products p ON p.id = v.product_id WHERE handle = 'tee' ORDER BY position").await;
    assert_eq!(tee, "S; M");
    assert_eq!(shop.text("SELECT handle FROM products ORDER BY handle").await, "sized; taken; tee; twins");
}

#[tokio::test]
async fn stock_is_set_only_when_the_file_asks_for_something_new() {
    let shop = Shop::open().await;
    let file = |quantity: &str| format!("{HEAD}mug,Mug,,,MUG,{quantity},deny,9,\n");
    let on_hand = "SELECT concat_ws(' ', on_hand, reserved) FROM stock_levels";
    shop.import(&file("10")).await;
    // Seven are sold and two reserved since.
    shop.run("UPDATE stock_levels SET on_hand = 3, reserved = 2; INSERT INTO stock_movements (variant_id, delta, on_hand_after, kind, actor) SELECT variant_id, -7, 3, 'sale', 'order' FROM stock_levels; INSERT INTO reservations (order_id, state, expires_at) VALUES (gen_random_uuid(), 'held', now() + interval '1 hour'); INSERT INTO reservation_lines SELECT order_id, variant_id, 2 FROM reservations, stock_levels").await;
    assert_eq!(counts(&shop.import(&file("10")).await), [0, 0, 1, 0, 0, 1, 0, 0]);
    assert_eq!(shop.text(on_hand).await, "3 2");
    assert_eq!(counts(&shop.import(&file("")).await), [0, 0, 1, 0, 0, 1, 0, 0]);
    assert_eq!(shop.text(on_hand).await, "3 2");

    let refused = shop.import(&file("1")).await;
    assert_eq!(refusals(&refused), ["2 below_reserved"]);
    assert_eq!(shop.text(on_hand).await, "3 2");

    assert_eq!(counts(&shop.import(&file("12")).await), [0, 1, 0, 0, 1, 0, 0, 0]);
    assert_eq!(shop.text(on_hand).await, "12 2");
    let ledger = shop
        .text("SELECT concat_ws(' ', kind, delta, on_hand_after, actor) FROM stock_movements ORDER BY created_at")
        .await;
    assert_eq!(ledger, "import 10 10 import; sale -7 3 order; import 9 12 import");
    shop.check_books().await;
}

#[tokio::test]
async fn rows_may_come_back_to_a_product_and_name_variants_by_sku() {
    let shop = Shop::open().await;
    let mut file = HEAD.to_owned();
    for number in 0..700 {
        writeln!(
            file,
            "p{number},Product {number},Size,S,P{number}-S,1,deny,5,https://images.example.com/{number}.jpg"
        )
        .unwrap();
    }
    for number in (0..700).step_by(7) {
        writeln!(file, "p{number},,,M,P{number}-M,2,deny,6,https://images.example.com/{number}m.jpg").unwrap();
    }
    file.push_str("p3,,,S,P3-S2,1,deny,5,\np5,,,L,P4-S,1,deny,5,\n");
    let report = shop.import(&file).await;
    assert_eq!(refusals(&report), ["802 variant_taken", "803 duplicate_sku"]);
    assert_eq!(counts(&report), [700, 0, 0, 800, 0, 0, 800, 2]);
    let before = shop.marks().await;
    assert_eq!(counts(&shop.import(&file).await), [0, 0, 700, 0, 0, 800, 0, 2]);
    assert_eq!(shop.marks().await, before);

    // A list of new prices: nothing but handles, SKUs and prices.
    let prices = "Variant Price,Variant SKU,Handle\n7.50,P0-M,p0\n5,P1-S,p1\n8,NOBODY,p1\n";
    let report = shop.import(prices).await;
    assert_eq!(refusals(&report), ["4 option_value_missing"]);
    assert_eq!(counts(&report), [0, 1, 1, 0, 1, 1, 0, 1]);
    let changed = shop
        .text("SELECT concat_ws(' ', title, price_minor) FROM variants WHERE sku LIKE 'P0-%' ORDER BY position")
        .await;
    assert_eq!(changed, "S 500; M 750");
    // An option value that is spelt anew is found by its SKU.
    let report = shop.import(&format!("{HEAD}p7,Product 7,Größe,Small,P7-S,1,deny,5,\n")).await;
    assert_eq!(counts(&report), [0, 1, 0, 0, 1, 0, 0, 0]);
    let renamed = shop.text("SELECT concat_ws(' ', options -> 0 ->> 'name', v.title) FROM products p JOIN variants v ON v.product_id = p.id WHERE handle = 'p7' ORDER BY position").await;
    assert_eq!(renamed, "Größe Small; Größe M");
}

#[tokio::test]
async fn a_file_that_is_none_ends_the_import() {
    let shop = Shop::open().await;
    for (file, told) in [("", "empty"), ("a,b\n1,2\n", "no column `Handle`"), ("PK\u{3}\u{4}", "UTF-8")] {
        let error = transfer::import(&shop.db, Currency::USD, file.as_bytes(), |_| {}).await.unwrap_err();
        let fault = Fault::from(error);
        assert_eq!(fault.code, "not_a_product_csv");
        assert!(fault.message.contains(told), "{}", fault.message);
    }
    let report = shop.import("Handle,Title\n\n,,\n").await;
    assert_eq!((report.rows, report.refused_total), (0, 0));
    let export = shop.export().await;
    assert_eq!(export.lines().count(), 1);
    assert_eq!(counts(&shop.import(&export).await), [0; 8]);
}

#[tokio::test]
async fn two_imports_at_once_do_no_harm() {
    let shop = Shop::open().await;
    let mut file = HEAD.to_owned();
    for number in 0..600 {
        writeln!(file, "p{number},Product {number},Size,S,P{number}-S,1,deny,5,").unwrap();
        writeln!(file, "p{number},,,M,P{number}-M,2,deny,6,").unwrap();
    }
    let (first, second) = tokio::join!(shop.import(&file), shop.import(&file));
    assert_eq!(first.products.created + second.products.created, 600);
    assert_eq!(first.products.unchanged + second.products.unchanged, 600);
    assert_eq!((first.refused_total, second.refused_total), (0, 0));
    shop.check_books().await;
}
