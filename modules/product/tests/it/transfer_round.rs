//! Out and in again: what is exported imports to the same catalogue. And the made-up catalogue, which
//! has something of everything to be exported.

use eshopz_kernel::Currency;
use eshopz_product::demo;

use super::{SAMPLE, Shop, refusals};

#[tokio::test]
async fn what_is_exported_imports_to_the_same_catalogue() {
    let (shop, empty) = (Shop::open().await, Shop::open().await);
    demo::seed(&shop.db, Currency::USD, 620, demo::DEFAULT_SEED, |_| {}).await.unwrap();
    shop.import(SAMPLE).await;
    shop.run(
        "UPDATE products SET status = 'archived', title = '=1+1', description = '-<p>x</p>' || E'\\r\\n, \"y\"' WHERE handle = 'sun-hat';
         UPDATE products SET vendor = '@home', tags = '{-a,b c}' WHERE handle = 'linen-shirt';
         UPDATE variants SET sku = '''00123' WHERE sku = '00123';
         UPDATE categories SET slug = 'head-gear', name = 'Head > Gear' WHERE slug = 'hats';
         UPDATE products SET skus = (SELECT coalesce(string_agg(sku, ' ' ORDER BY position), '') FROM variants WHERE product_id = products.id)",
    )
    .await;
    let file = shop.export().await;
    let report = empty.import(&file).await;
    assert_eq!(refusals(&report), Vec::<String>::new());
    assert_eq!(report.products.created, 623);
    let expected: Vec<String> =
        shop.catalogue().await.into_iter().map(|row| row.replace("Head > Gear", "Head › Gear")).collect();
    let found = empty.catalogue().await;
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), expected.len());
    empty.check_books().await;

    // Where it came from it changes nothing, and the second time not even what was asked for.
    let again = shop.import(&file).await;
    assert_eq!((again.products.unchanged, again.refused_total), (623, 0));
    let before = shop.marks().await;
    shop.import(&file).await;
    assert_eq!(shop.marks().await, before);
    let rows = |text: &str| text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(rows(&shop.export().await), rows(&file));
}

#[tokio::test]
async fn a_demo_catalogue_grows_and_repeats_itself() {
    let shop = Shop::open().await;
    let seed =
        async |products| demo::seed(&shop.db, Currency::USD, products, demo::DEFAULT_SEED, |_| {}).await.unwrap();
    let first = seed(30).await;
    assert_eq!((first.products, first.known), (30, 0));
    let before = shop.marks().await;
    let second = seed(30).await;
    assert_eq!((second.products, second.variants, second.known), (0, 0, 30));
    assert_eq!(shop.marks().await, before);
    let third = seed(40).await;
    assert_eq!((third.products, third.known), (10, 30));
    let tee = shop.text("SELECT concat_ws(' ', v.title, v.sku, v.price_minor, s.on_hand) FROM products p JOIN variants v ON v.product_id = p.id JOIN stock_levels s ON s.variant_id = v.id WHERE handle = 'classic-cotton-t-shirt' ORDER BY v.position").await;
    assert_eq!(tee, "S CCT-S 1999 25; M CCT-M 1999 40; L CCT-L 1999 30");
    let bare = "SELECT count(*)::text FROM products p LEFT JOIN product_words w ON w.product_id = p.id \
                WHERE category_id IS NULL OR coalesce(search, '') = ''";
    assert_eq!(shop.text(bare).await, "0");
    assert_eq!(shop.text("SELECT DISTINCT word FROM search_words WHERE word = 'cotton'").await, "cotton");
    shop.check_books().await;
    let other = demo::seed(&shop.db, Currency::USD, 40, 7, |_| {}).await.unwrap();
    assert_eq!((other.products, other.known), (32, 8));
}
