//! Files as merchants have them, read and written.

use eshopz_kernel::Currency;

use super::line::Parsed;
use super::write::{ProductSheet, SheetWriter, VariantSheet};
use super::*;

const HEAD: &str = "Handle,Title,Body (HTML),Option1 Name,Option1 Value,Variant SKU,Variant Inventory Qty,\
                    Variant Inventory Policy,Variant Price,Image Src,Image Position,Status,Published\n";

fn lines(file: &[u8]) -> Vec<(u64, Parsed)> {
    let mut lines = Lines::open(file, Currency::USD).unwrap();
    let mut found = Vec::new();
    while let Some(row) = lines.next_row().unwrap() {
        found.push(row);
    }
    found
}

/// The one row below [`HEAD`].
fn row(text: &str) -> Line {
    match lines(format!("{HEAD}{text}\n").as_bytes()).remove(0) {
        (2, Parsed::Line(line)) => *line,
        other => panic!("{other:?}"),
    }
}

fn refused(text: &str) -> &'static str {
    row(text).content.unwrap_err().code()
}

#[test]
fn each_kind_of_row_is_known() {
    let product = row("tee,Tee,<p>a</p>,Size,S,T-S,5,deny,19.99,https://x.test/a.jpg,1,draft,true");
    let cells = product.product.unwrap();
    assert_eq!((cells.title.as_str(), cells.body.as_deref()), ("Tee", Some("<p>a</p>")));
    assert_eq!((cells.status, cells.option_names[0].as_str()), (Some(Visibility::Draft), "Size"));
    let content = product.content.unwrap();
    let variant = content.variant.unwrap();
    assert_eq!((variant.price, variant.quantity, variant.backorder), (Some(1999), Some(5), Some(false)));
    assert_eq!((variant.grams, variant.barcode), (None, None));
    assert_eq!(content.image.unwrap().position, Some(1));

    let variant = row("tee,,,,M,,,,5,,,,").content.unwrap();
    assert_eq!(variant.variant.unwrap().sku.as_deref(), Some(""));
    assert_eq!(variant.image, None);

    let image = row("tee,,,,,,,deny,,//x.test/b.jpg,,,").content.unwrap();
    assert_eq!(image.variant, None);
    assert_eq!(image.image.unwrap(), ImageCells { url: "https://x.test/b.jpg".into(), position: None, alt: None });

    assert_eq!(row("tee,,,,,,,,,,,,").content.unwrap(), LineContent::default());
}

#[test]
fn each_mistake_has_its_reason() {
    assert_eq!(refused("tee,,,,S,,,,abc,,,,"), "price_invalid");
    assert_eq!(refused("tee,,,,S,,,,-1,,,,"), "price_invalid");
    assert_eq!(refused("tee,,,,S,,,,9.999,,,,"), "price_invalid");
    assert_eq!(refused("tee,,,,S,,,,99999999999999999,,,,"), "price_invalid");
    assert_eq!(refused("tee,,,,S,,,,,,,,"), "price_missing");
    assert_eq!(refused("tee,,,,S,,many,,5,,,,"), "number_invalid");
    assert_eq!(refused("tee,,,,S,,-2,deny,5,,,,"), "quantity_negative");
    assert_eq!(refused("tee,,,,S,,-2,,5,,,,"), "quantity_negative");
    assert_eq!(refused("tee,,,,S,,2,maybe,5,,,,"), "policy_invalid");
    assert_eq!(refused("tee,,,,S,,,,5,javascript:alert(1),,,"), "image_invalid");
    assert_eq!(refused(&format!("tee,,,,{},,,,5,,,,", "x".repeat(300))), "too_long");
    assert_eq!(refused("tee,,,,S\0,,,,5,,,,"), "nul_character");
    assert_eq!(row("tee,T,,,S,,,,5,,,sold,").product.unwrap_err().code(), "status_invalid");
    assert_eq!(row("tee,T,,,S,,,,5,,,,perhaps").product.unwrap_err().code(), "boolean_invalid");
    assert_eq!(row("tee,,,,S,,-2,continue,5,,,,").content.unwrap().variant.unwrap().quantity, Some(-2));
    let reasons: Vec<&str> =
        lines(format!("{HEAD},T,,,,,,,5,,,,\n \t,,,x\n01890a5d-ac96-774b-bcce-b302099a8057,T\n").as_bytes())
            .iter()
            .map(|(_, parsed)| match parsed {
                Parsed::Refused { reason, .. } => reason.code(),
                other => panic!("{other:?}"),
            })
            .collect();
    assert_eq!(row("Women’s Tee™ -- (L),T").handle, "women-s-tee-l");
    assert_eq!(row("a--b_c,T").handle, "a--b_c");
    assert_eq!(reasons, ["handle_missing", "handle_missing", "handle_invalid"]);
}

#[test]
fn each_step_of_a_path_may_be_as_long_as_a_name() {
    let said = |path: &str| {
        let file = format!("Handle,Title,Product Category\nmug,Mug,{path}\n");
        match lines(file.as_bytes()).remove(0).1 {
            Parsed::Line(line) => line.product.map(|cells| cells.category.len()).map_err(|reason| reason.code()),
            other => panic!("{other:?}"),
        }
    };
    let name = "x".repeat(255);
    assert_eq!(said(&format!("{name} > {name} > {name}")), Ok(3));
    assert_eq!(said(&format!("x > {name}x")), Err("too_long"));
    assert_eq!(said(&"x>".repeat(1_001)), Err("too_long"));
}

#[test]
fn the_file_may_look_like_anything_a_spreadsheet_writes() {
    let rows = |text: &[u8]| -> Vec<(u64, String)> {
        lines(text)
            .into_iter()
            .filter_map(|(row, parsed)| match parsed {
                Parsed::Line(line) => Some((row, line.product.unwrap().title)),
                _ => None,
            })
            .collect()
    };
    let two = |a: u64, b: u64| vec![(a, "Ä".to_owned()), (b, "B".to_owned())];
    assert_eq!(rows("\u{feff}Handle,Title\r\na,Ä\r\nb,B\r\n".as_bytes()), two(2, 3));
    assert_eq!(rows("\u{feff}\"Handle\",\"Title\"\na,Ä\nb,B".as_bytes()), two(2, 3));
    assert_eq!(rows("TITLE;junk;HANDLE\nÄ;;A\nB;;B".as_bytes()), two(2, 3));
    assert_eq!(rows("Handle\tTitle\na\tÄ\nb\tB\n".as_bytes()), two(2, 3));
    assert_eq!(rows(b"Handle,Title\na,\xc4\nb,B\n"), two(2, 3));
    // Ragged, blank and many-lined rows are counted as a spreadsheet counts them.
    assert_eq!(rows("Handle,Title\na,Ä,more,and more\n\n,,\nb,B\n".as_bytes()), two(2, 5));
    assert_eq!(rows("Handle,Body,Title\na,\"x\ny\n\nz\",Ä\n\nb,,B\n".as_bytes()), two(2, 4));
    assert_eq!(rows("Handle,Title\r\r\na,Ä\r\rb,B".as_bytes()).len(), 2);
}

#[test]
fn what_is_no_product_csv_is_said_to_be_none() {
    let told = |text: &[u8]| Lines::open(text, Currency::USD).err().unwrap().to_string();
    assert!(told(b"").contains("empty"));
    assert!(told(b"\n\r\n").contains("empty"));
    assert!(told(b"Name,Price\na,1\n").contains("no column `Handle`. It begins with: Name, Price"));
    assert!(told(b"PK\x03\x04zip").contains("UTF-8"));
    assert!(told(b"\xff\xfeH\0a\0").contains("UTF-8"));
}

#[test]
fn a_lost_quote_does_not_fill_the_memory() {
    let endless = std::io::Read::chain(&b"Handle,Title\na,A\nb,\"B\n"[..], std::io::repeat(b'x'));
    let mut lines = Lines::open(endless, Currency::USD).unwrap();
    assert!(lines.next_row().unwrap().is_some());
    assert!(matches!(lines.next_row(), Err(Unreadable::RowTooLong { row: 3 })));
}

#[test]
fn rows_of_a_handle_stay_together() {
    let mut file = "Handle,Title\n".to_owned();
    for product in 0..600 {
        file.push_str(&format!("p{product},P\np{product},\n"));
    }
    file.push_str(",x\np0,\np7,\n");
    let mut batches = Batches::new(Lines::open(file.as_bytes(), Currency::USD).unwrap());
    let first = batches.next_batch().unwrap().unwrap();
    assert_eq!((first.groups.len(), first.rows), (500, 1000));
    assert!(first.groups.iter().all(|group| group.lines.len() == 2));
    let second = batches.next_batch().unwrap().unwrap();
    assert_eq!((second.groups.len(), second.rows, second.refused.len()), (102, 203, 1));
    assert_eq!(second.refused[0].row, 1202);
    assert_eq!(second.groups[100].lines[0].row, 1203);
    assert_eq!(batches.next_batch().unwrap(), None);
}

#[test]
fn what_is_written_reads_as_it_was() {
    let variant = VariantSheet {
        option_values: vec!["-S".into(), "Red, \"deep\"".into()],
        sku: Some("'007".into()),
        price: 1999,
        compare_at: Some(2500),
        barcode: Some("=1".into()),
        grams: 120,
        requires_shipping: true,
        taxable: false,
        backorder: true,
        on_hand: -2,
        image_url: Some("https://x.test/b.jpg".into()),
    };
    let product = ProductSheet {
        handle: "tee".into(),
        title: "=HYPERLINK(\"x\")".into(),
        body: "<p>a</p>\r\n  b\n".into(),
        vendor: "'@home".into(),
        product_type: "Shirts".into(),
        tags: vec!["a".into(), "b c".into()],
        status: "archived".into(),
        category: vec![("Apparel > more".into(), "apparel".into()), ("Shirts".into(), "shirts-2".into())],
        option_names: vec!["Size".into(), "Color".into()],
        variants: vec![variant],
        images: vec![("https://x.test/a.jpg".into(), "+a".into()), ("https://x.test/b.jpg".into(), String::new())],
    };
    let mut writer = SheetWriter::new(Currency::USD).unwrap();
    let mut file = writer.take().unwrap();
    writer.add(&product).unwrap();
    file.extend(writer.take().unwrap());

    let text = String::from_utf8(file.clone()).unwrap();
    assert!(!text.contains(",=") && !text.contains("\"="), "{text}");
    let found: Vec<Line> = lines(&file)
        .into_iter()
        .map(|(_, parsed)| match parsed {
            Parsed::Line(line) => *line,
            other => panic!("{other:?}"),
        })
        .collect();
    let cells = found[0].product.clone().unwrap();
    assert_eq!(cells.title, product.title);
    assert_eq!(cells.body.as_deref(), Some(product.body.as_str()));
    assert_eq!(cells.vendor.as_deref(), Some("'@home"));
    assert_eq!(cells.tags, Some(product.tags.clone()));
    assert_eq!(cells.status, Some(Visibility::Archived));
    assert_eq!(cells.category, ["Apparel › more", "Shirts"]);
    assert_eq!(cells.category_slugs, ["apparel", "shirts-2"]);
    assert_eq!(cells.option_names, ["Size", "Color", ""]);
    let read = found[0].content.clone().unwrap().variant.unwrap();
    let [written] = &product.variants[..] else { panic!() };
    assert_eq!(read.option_values, ["-S", "Red, \"deep\"", ""]);
    assert_eq!((read.sku, read.barcode), (written.sku.clone(), written.barcode.clone()));
    assert_eq!((read.price, read.compare_at), (Some(1999), Some(Some(2500))));
    assert_eq!((read.quantity, read.backorder, read.taxable), (Some(-2), Some(true), Some(false)));
    assert_eq!(read.image, written.image_url);
    let images: Vec<ImageCells> = found.iter().filter_map(|line| line.content.clone().unwrap().image).collect();
    assert_eq!(images[0].alt.as_deref(), Some("+a"));
    assert_eq!((images[1].position, found.len()), (Some(2), 2));
    assert_eq!(found[1].content.clone().unwrap().variant, None);
}
