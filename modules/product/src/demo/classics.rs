//! The products made by hand: always the first, always the same, for examples to name.

use eshopz_kernel::Currency;
use uuid::Uuid;

use super::product::minor;
use crate::domain::Image;
use crate::domain::stock::Level;
use crate::transfer::categories::CategoryTree;
use crate::transfer::state::{ProductState, VariantState};

/// Option values, SKU, whole price, stock.
type Row = (&'static [&'static str], &'static str, i64, i64);

/// A product as it is told here.
struct Classic {
    handle: &'static str,
    title: &'static str,
    told: &'static str,
    vendor: &'static str,
    product_type: &'static str,
    category: &'static [&'static str],
    tags: &'static [&'static str],
    options: &'static [&'static str],
    grams: i32,
    backorder: bool,
    rows: &'static [Row],
}

const CLASSICS: &[Classic] = &[
    Classic {
        handle: "classic-cotton-t-shirt",
        title: "Classic Cotton T-Shirt",
        told: "A plain white T-shirt of heavy organic cotton. Cut straight, with a neck that stays where it is. \
               Washes at forty degrees and does not shrink.",
        vendor: "Plain Goods",
        product_type: "T-Shirt",
        category: &["Apparel", "T-Shirts"],
        tags: &["tops", "basics", "organic"],
        options: &["Size"],
        grams: 180,
        backorder: false,
        rows: &[(&["S"], "CCT-S", 19, 25), (&["M"], "CCT-M", 19, 40), (&["L"], "CCT-L", 19, 30)],
    },
    Classic {
        handle: "limited-harbor-print",
        title: "Limited Harbor Print",
        told: "The old harbor at six in the morning, in four colors. Ten numbered prints, and no more will be made.",
        vendor: "Windmill Press",
        product_type: "Print",
        category: &["Stationery", "Prints"],
        tags: &["limited", "gift"],
        options: &[],
        grams: 120,
        backorder: false,
        rows: &[(&[], "LHP-1", 45, 10)],
    },
    Classic {
        handle: "merino-crew-sweater",
        title: "Merino Crew Sweater",
        told: "Fine merino from one farm, knitted without side seams. Warm when it is cold and cool when it is not.",
        vendor: "The Wool Room",
        product_type: "Sweater",
        category: &["Apparel", "Knitwear"],
        tags: &["tops", "wool", "winter"],
        options: &["Size", "Color"],
        grams: 420,
        backorder: false,
        rows: &[
            (&["S", "Navy"], "MCS-S-NVY", 89, 8),
            (&["S", "Oat"], "MCS-S-OAT", 89, 6),
            (&["M", "Navy"], "MCS-M-NVY", 89, 14),
            (&["M", "Oat"], "MCS-M-OAT", 89, 0),
            (&["L", "Navy"], "MCS-L-NVY", 89, 9),
            (&["L", "Oat"], "MCS-L-OAT", 89, 5),
        ],
    },
    Classic {
        handle: "ceramic-pour-over-set",
        title: "Ceramic Pour-Over Set",
        told: "A dripper and a jug that fit each other. Takes the usual paper filters, of which forty are in the box.",
        vendor: "Red Kettle",
        product_type: "Coffee Maker",
        category: &["Home", "Kitchen", "Coffee Makers"],
        tags: &["kitchen", "coffee", "gift"],
        options: &[],
        grams: 1150,
        backorder: false,
        rows: &[(&[], "CPO-1", 54, 18)],
    },
    Classic {
        handle: "house-blend-coffee",
        title: "House Blend Coffee",
        told: "Chocolate, hazelnut and a little orange. Roasted on Mondays and sent on Tuesdays.",
        vendor: "Red Kettle",
        product_type: "Coffee",
        category: &["Food", "Coffee"],
        tags: &["coffee", "bestseller"],
        options: &["Weight", "Grind"],
        grams: 250,
        backorder: true,
        rows: &[
            (&["250 g", "Whole bean"], "HBC-250-W", 9, 120),
            (&["250 g", "Filter"], "HBC-250-F", 9, 80),
            (&["1 kg", "Whole bean"], "HBC-1K-W", 32, 45),
            (&["1 kg", "Filter"], "HBC-1K-F", 32, 20),
        ],
    },
    Classic {
        handle: "trail-backpack-28l",
        title: "Trail Backpack 28 l",
        told: "A pack for a day or two, with a frame that is not in the way. The rain cover has a pocket of its own.",
        vendor: "Northbound",
        product_type: "Bag",
        category: &["Outdoors", "Backpacks"],
        tags: &["outdoors", "bags"],
        options: &["Color"],
        grams: 980,
        backorder: false,
        rows: &[(&["Moss"], "TBP-28-MOS", 129, 11), (&["Slate"], "TBP-28-SLT", 129, 7)],
    },
    Classic {
        handle: "walnut-desk-lamp",
        title: "Walnut Desk Lamp",
        told: "Turned walnut, brass joints and a warm light that dims. The next batch is on its way.",
        vendor: "Grain & Grove",
        product_type: "Lamp",
        category: &["Home", "Living Room", "Lamps"],
        tags: &["lighting", "handmade"],
        options: &[],
        grams: 2100,
        backorder: false,
        rows: &[(&[], "WDL-1", 149, 0)],
    },
    Classic {
        handle: "dotted-linen-notebook",
        title: "Dotted Linen Notebook",
        told: "Two hundred pages that open flat and take a fountain pen. The linen is left over from our shirts.",
        vendor: "Paper Crane",
        product_type: "Notebook",
        category: &["Stationery", "Notebooks"],
        tags: &["paper", "gift"],
        options: &[],
        grams: 310,
        backorder: false,
        rows: &[(&[], "DLN-1", 14, 200)],
    },
];

/// How many there are.
pub fn count() -> u64 {
    u64::try_from(CLASSICS.len()).unwrap_or(0)
}

/// An id that the documentation can name: a UUIDv7 whose last groups are the product's number and the
/// variant's position.
fn fixed_id(number: u64, position: i32) -> Uuid {
    const FIRST: u128 = 0x019a_0000_0000_7000_8000_0000_0000_0000;
    Uuid::from_u128(FIRST | (u128::from(number) << 16) | u128::try_from(position).unwrap_or(0))
}

/// The one of a number from 0, while there is one.
pub fn make(number: u64, currency: Currency, tree: &mut CategoryTree) -> Option<ProductState> {
    let classic = CLASSICS.get(usize::try_from(number).ok()?)?;
    let owned = |texts: &[&str]| -> Vec<String> { texts.iter().map(|text| (*text).to_owned()).collect() };
    let mut product = ProductState::new(classic.handle);
    product.id = fixed_id(number, 0);
    classic.title.clone_into(&mut product.title);
    product.description = format!("<p>{}</p>", classic.told);
    classic.vendor.clone_into(&mut product.vendor);
    classic.product_type.clone_into(&mut product.product_type);
    product.tags = owned(classic.tags);
    product.category_id = tree.at(&owned(classic.category), &[]);
    let url = format!("https://images.example.com/{}.jpg", classic.handle);
    product.images.push(Image { url, alt: classic.title.to_owned() });
    for (position, (values, sku, price, on_hand)) in (1..).zip(classic.rows) {
        let mut variant = VariantState::new(owned(values), minor(*price, 99, currency), position);
        variant.id = fixed_id(number, position);
        variant.sku = Some((*sku).to_owned());
        variant.grams = classic.grams;
        variant.stock = Level { on_hand: *on_hand, reserved: 0, backorder: classic.backorder };
        product.variants.push(variant);
    }
    product.name_options(&owned(classic.options));
    Some(product)
}
