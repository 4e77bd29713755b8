//! Files that nobody has thought of. `PROPTEST_CASES` makes it more.

use eshopz_kernel::Currency;
use proptest::prelude::*;

use super::cell;
use super::line::Parsed;
use super::write::{HEADER, ProductSheet, SheetWriter, VariantSheet};
use super::*;

/// What a cell may hold: formulas, quotes, delimiters, line ends, markup, other scripts, what is not seen.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[-=+@'\"\t\r\n ,;<>&a0\u{ff1d}\u{200b}\u{feff}\u{202e}\u{2028}]{0,12}",
        2 => "\\PC{0,20}",
        2 => "[A-Za-z0-9 ]{0,20}",
        1 => any::<String>(),
    ]
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof!["-?[0-9]{0,22}(\\.[0-9]{0,5})?", "[-+0-9.,eE ]{0,8}", text()]
}

fn rows(file: &[u8]) -> Result<Vec<(u64, Parsed)>, Unreadable> {
    let mut lines = Lines::open(file, Currency::USD)?;
    let mut rows = Vec::new();
    while let Some(row) = lines.next_row()? {
        rows.push(row);
    }
    Ok(rows)
}

/// The one row of a file with these cells; nothing when it is refused.
fn read(cells: &[String]) -> Option<Line> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(HEADER).unwrap();
    writer.write_record(cells).unwrap();
    read_file(&writer.into_inner().unwrap())
}

fn read_file(file: &[u8]) -> Option<Line> {
    match rows(file).unwrap().into_iter().next()?.1 {
        Parsed::Line(line) => Some(*line),
        Parsed::Refused { .. } | Parsed::Blank => None,
    }
}

/// A product as the export writes it, of what the import has read.
fn written(line: &Line) -> Option<Vec<u8>> {
    let cells = line.product.as_ref().ok()?;
    let content = line.content.as_ref().ok()?;
    let variant = content.variant.as_ref()?;
    let product = ProductSheet {
        handle: line.handle.clone(),
        title: cells.title.clone(),
        body: cells.body.clone()?,
        vendor: cells.vendor.clone()?,
        product_type: cells.product_type.clone()?,
        tags: cells.tags.clone()?,
        status: "active".to_owned(),
        category: cells.category.iter().map(|name| (name.clone(), "slug".to_owned())).collect(),
        option_names: cells.option_names.to_vec(),
        variants: vec![VariantSheet {
            option_values: variant.option_values.to_vec(),
            sku: variant.sku.clone(),
            price: variant.price?,
            compare_at: variant.compare_at?,
            barcode: variant.barcode.clone(),
            grams: i32::try_from(variant.grams.unwrap_or(0)).unwrap(),
            requires_shipping: variant.requires_shipping.unwrap_or(true),
            taxable: variant.taxable.unwrap_or(true),
            backorder: variant.backorder.unwrap_or(false),
            on_hand: variant.quantity.unwrap_or(0),
            image_url: variant.image.clone(),
        }],
        images: content.image.iter().map(|image| (image.url.clone(), image.alt.clone().unwrap_or_default())).collect(),
    };
    let mut writer = SheetWriter::new(Currency::USD).unwrap();
    writer.add(&product).unwrap();
    Some(writer.take().unwrap())
}

/// A row of cells in the order of [`HEADER`]: texts of anything, numbers that might be some.
fn cells() -> impl Strategy<Value = Vec<String>> {
    let texts = prop::collection::vec(text(), HEADER.len());
    let numbers = prop::collection::vec(number(), HEADER.len());
    let url = prop_oneof!["(https?:)?//[a-z.]{1,8}/[ -~]{0,8}", text()];
    (texts, numbers, url, any::<[bool; 34]>()).prop_map(|(texts, numbers, url, filled)| {
        let cell = |index: usize| match HEADER[index] {
            "Handle" => format!("h{}", texts[index]),
            "Variant Price" if filled[index] => "19.99".to_owned(),
            "Image Src" | "Variant Image" => url.clone(),
            "Status" | "Published" | "Variant Inventory Policy" | "Variant Requires Shipping" | "Variant Taxable" => {
                String::new()
            }
            name if name.contains("Qty")
                || name.contains("Grams")
                || name.contains("Price")
                || name.contains("Position") =>
            {
                if filled[index] {
                    String::new()
                } else {
                    numbers[index].clone()
                }
            }
            _ => texts[index].clone(),
        };
        (0..HEADER.len()).map(cell).collect()
    })
}

proptest! {
    #[test]
    fn any_file_is_read_or_refused(head in prop_oneof![Just("Handle,Title,Body (HTML),Tags,Variant Price,Image Src\n".to_owned()), text()], body in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        "[a-z,;\"\t\r\n0-9.<>=']{0,300}".prop_map(String::into_bytes)
    ]) {
        let file = [head.as_bytes(), &body].concat();
        if let Ok(rows) = rows(&file) {
            prop_assert!(rows.windows(2).all(|pair| pair[0].0 < pair[1].0));
            prop_assert!(rows.iter().all(|(row, _)| *row >= 2));
        }
    }

    #[test]
    fn what_was_read_is_written_and_read_as_it_is(cells in cells()) {
        let Some(line) = read(&cells) else { return Ok(()) };
        let Some(file) = written(&line) else { return Ok(()) };
        let again = read_file(&file).expect("a row of our own");
        let (mut expected, mut found) = (line.product.unwrap(), again.product.unwrap());
        expected.status = None;
        found.status = None;
        expected.category_slugs.clear();
        found.category_slugs.clear();
        prop_assert_eq!(&found, &expected);
        let (expected, found) = (line.content.unwrap(), again.content.unwrap());
        let (was, is) = (expected.variant.unwrap(), found.variant.unwrap());
        prop_assert_eq!((is.option_values, is.sku, is.price), (was.option_values, was.sku, was.price));
        prop_assert_eq!((is.barcode, is.compare_at, is.image), (was.barcode, was.compare_at, was.image));
        let address = |image: Option<ImageCells>| image.map(|image| (image.url, image.alt.unwrap_or_default()));
        prop_assert_eq!(address(found.image), address(expected.image));
        prop_assert_eq!(again.handle, line.handle);
        let twice = read_file(&file).and_then(|line| written(&line));
        prop_assert_eq!(twice, Some(file));
    }

    #[test]
    fn no_cell_of_an_export_is_a_formula(cells in cells()) {
        let Some(file) = read(&cells).and_then(|line| written(&line)) else { return Ok(()) };
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&*file);
        for record in reader.records() {
            let record = record.unwrap();
            for (cell, name) in record.iter().zip(HEADER) {
                let number = ["Variant Inventory Qty", "Variant Grams", "Variant Price"].contains(&name);
                prop_assert!(number || !cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{}: {:?}", name, cell);
            }
        }
    }

    #[test]
    fn what_is_guarded_comes_back(text in prop_oneof!["['=+@\t\r-]{0,6}[ a]{0,2}", any::<String>()]) {
        let (guarded, code) = (cell::guard(&text).into_owned(), cell::code(&text).into_owned());
        prop_assert_eq!(cell::unguard(&guarded), text.as_str());
        prop_assert_eq!(cell::uncode(&code), text.as_str());
        for written in [guarded, code] {
            prop_assert!(!written.starts_with(['=', '+', '-', '@', '\t', '\r']));
        }
    }

    #[test]
    fn tags_come_back(tags in prop::collection::btree_set("[a\", ']{1,8}", 0..6)) {
        let tags: Vec<String> = tags.iter().map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty()).collect();
        prop_assert_eq!(cell::split_tags(&cell::join_tags(&tags)), tags);
    }

    #[test]
    fn numbers_are_read_or_refused(text in number()) {
        if let Some(grams) = cell::grams(&text) {
            prop_assert!(grams >= 0);
        }
        if let Some(number) = cell::integer(&text) {
            prop_assert_eq!(cell::integer(&number.to_string()), Some(number));
        }
    }
}
