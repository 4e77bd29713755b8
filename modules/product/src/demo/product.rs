//! One made-up product, by its number.

use eshopz_kernel::Currency;

use super::dice::Dice;
use super::kinds::{KINDS, Kind, Scheme};
use super::seed::DEFAULT_SEED;
use super::words::{COLORS, ENDINGS, OPENINGS, SERIES, TAGS, TOUCHES, VENDORS};
use crate::domain::{Image, stock::Level};
use crate::transfer::categories::{CategoryTree, slugify};
use crate::transfer::state::{ProductState, VariantState};

/// Colours of one product at most.
const MOST_COLORS: i64 = 3;
/// Variants of one product at most.
const MOST_VARIANTS: usize = 12;

/// Makes the product of a number. Its category is one that [`KINDS`] has put into the tree.
pub fn make(seed: u64, number: u64, currency: Currency, tree: &mut CategoryTree) -> ProductState {
    let mut dice = Dice::new(seed, number);
    let kind = dice.pick(KINDS);
    let material = dice.pick(kind.materials);
    let title = title(&mut dice, &kind, material);
    let suffix = if seed == DEFAULT_SEED { number.to_string() } else { format!("{seed:x}-{number}") };
    let mut product = ProductState::new(&format!("{}-{suffix}", slugify(&title)));
    product.vendor = dice.pick(VENDORS).to_owned();
    product.product_type = kind.product_type.to_owned();
    product.tags = tags(&mut dice, &kind, material);
    product.description = description(&mut dice, &kind, &title, &product.vendor);
    product.category_id = tree.at(&names(&kind), &[]);
    product.title = title;
    vary(&mut dice, &kind, currency, &mut product);
    code(&kind, &suffix, &mut product);
    picture(&mut dice, &mut product);
    product
}

/// The path of a kind's category.
pub fn names(kind: &Kind) -> Vec<String> {
    kind.category.iter().map(|name| (*name).to_owned()).collect()
}

fn title(dice: &mut Dice, kind: &Kind, material: &str) -> String {
    let (series, noun) = (dice.pick(SERIES), dice.pick(kind.nouns));
    if dice.chance(40) {
        format!("{series} {} {material} {noun}", dice.pick(TOUCHES))
    } else {
        format!("{series} {material} {noun}")
    }
}

fn tags(dice: &mut Dice, kind: &Kind, material: &str) -> Vec<String> {
    let mut tags: Vec<String> = kind.tags.iter().map(|tag| (*tag).to_owned()).collect();
    let mut more = vec![material.to_lowercase()];
    for _ in 0..dice.between(0, 2) {
        more.push(dice.pick(TAGS).to_owned());
    }
    for tag in more {
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    tags
}

fn description(dice: &mut Dice, kind: &Kind, title: &str, vendor: &str) -> String {
    let (opening, ending) = (dice.pick(OPENINGS), dice.pick(ENDINGS));
    let vendor = vendor.replace('&', "&amp;");
    format!("<p>{opening} {}</p><p>The {title} comes from {vendor}. {ending}</p>", kind.told)
}

/// Gives it its options and variants, priced and stocked.
fn vary(dice: &mut Dice, kind: &Kind, currency: Currency, product: &mut ProductState) {
    let (names, combinations) = combinations(dice, kind);
    let price = dice.between(kind.prices.0, kind.prices.1);
    let ending = dice.pick(&[99, 99, 99, 0, 0, 50, 95]);
    let grams = dice.between(kind.grams.0, kind.grams.1);
    let reduced = dice.chance(15);
    let dearer = names.first().is_some_and(|name| name == "Weight" || name == "Size" && kind.prices.1 > 110);
    for (position, values) in (1..).zip(combinations.into_iter().take(MOST_VARIANTS)) {
        let step = if dearer { i64::from(position) - 1 } else { 0 };
        let whole = price + step * (price / 8).max(1);
        let mut variant = VariantState::new(values, minor(whole, ending, currency), position);
        variant.compare_at = reduced.then(|| minor(whole + (whole / 4).max(1), ending, currency));
        variant.grams = i32::try_from(grams + step * grams / 10).unwrap_or(0);
        let sold_out = dice.chance(8);
        let on_hand = if sold_out { 0 } else { dice.between(1, 120) };
        variant.stock = Level { on_hand, reserved: 0, backorder: dice.chance(3) };
        product.variants.push(variant);
    }
    product.name_options(&names);
}

type Combinations = (Vec<String>, Vec<Vec<String>>);

fn combinations(dice: &mut Dice, kind: &Kind) -> Combinations {
    let owned = |texts: &[&str]| -> Vec<String> { texts.iter().map(|text| (*text).to_owned()).collect() };
    let mut some = |list: &[&str], low: i64, high: i64| {
        let count = usize::try_from(dice.between(low, high)).unwrap_or(1);
        owned(dice.run(list, count))
    };
    let single = |values: Vec<String>| values.into_iter().map(|value| vec![value]).collect();
    let crossed = |first: Vec<String>, second: Vec<String>| {
        first.iter().flat_map(|a| second.iter().map(|b| vec![a.clone(), b.clone()]).collect::<Vec<_>>()).collect()
    };
    match kind.scheme {
        Scheme::Single => (Vec::new(), vec![Vec::new()]),
        Scheme::One(name, values) => (owned(&[name]), single(some(values, 2, 5))),
        Scheme::Colors => (owned(&["Color"]), single(some(COLORS, 1, MOST_COLORS))),
        Scheme::SizesAndColors(sizes) => {
            (owned(&["Size", "Color"]), crossed(some(sizes, 3, 5), some(COLORS, 1, MOST_COLORS)))
        }
        Scheme::MaterialsAndColors => {
            (owned(&["Material", "Color"]), crossed(some(kind.materials, 1, 2), some(COLORS, 1, MOST_COLORS)))
        }
    }
}

/// A price such as 24.99 in minor units. Where there are none, a unit is worth about a hundredth.
pub fn minor(whole: i64, ending: i64, currency: Currency) -> i64 {
    match currency.decimals() {
        0 => whole * 100 + ending / 10 * 10,
        3 => (whole * 100 + ending) * 10,
        _ => whole * 100 + ending,
    }
}

/// SKUs such as `SWE-1042-2`.
fn code(kind: &Kind, suffix: &str, product: &mut ProductState) {
    let letters: String = kind.product_type.chars().filter(char::is_ascii_alphabetic).take(3).collect();
    let base = format!("{}-{}", letters.to_uppercase(), suffix.to_uppercase());
    for variant in &mut product.variants {
        variant.sku = Some(format!("{base}-{}", variant.position));
    }
}

/// One picture, a second one now and then, and one for each colour.
fn picture(dice: &mut Dice, product: &mut ProductState) {
    let count = dice.between(1, 2);
    let url = |name: &str| format!("https://images.example.com/{}-{name}.jpg", product.handle);
    let mut images: Vec<Image> =
        (1..=count).map(|number| Image { url: url(&number.to_string()), alt: product.title.clone() }).collect();
    let colors = product.options.iter().position(|option| option.name == "Color");
    if let Some((place, option)) = colors.and_then(|place| Some((place, product.options.get(place)?))) {
        let of_color =
            |color: &String| Image { url: url(&slugify(color)), alt: format!("{} in {color}", product.title) };
        images.extend(option.values.iter().map(of_color));
        let urls: Vec<Option<String>> = product
            .variants
            .iter()
            .map(|variant| variant.option_values.get(place).map(|color| url(&slugify(color))))
            .collect();
        for (variant, url) in product.variants.iter_mut().zip(urls) {
            variant.image_url = url;
        }
    }
    product.images = images;
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn some(seed: u64) -> Vec<ProductState> {
        let mut tree = CategoryTree::default();
        (10..3_000).map(|number| make(seed, number, Currency::USD, &mut tree)).collect()
    }

    fn told(product: &ProductState) -> String {
        format!("{} {} {} {:?}", product.handle, product.title, product.description, product.price_range())
    }

    #[test]
    fn a_product_is_made_of_its_seed_and_number() {
        let (first, second, other) = (some(1), some(1), some(2));
        assert_eq!(first.iter().map(told).collect::<Vec<_>>(), second.iter().map(told).collect::<Vec<_>>());
        assert_ne!(told(&first[0]), told(&other[0]));
        let skus = |products: &[ProductState]| -> HashSet<String> {
            products.iter().flat_map(|product| &product.variants).filter_map(|variant| variant.sku.clone()).collect()
        };
        assert!(skus(&first).is_disjoint(&skus(&other)));
    }

    #[test]
    fn the_catalogue_is_one_that_a_shop_may_have() {
        let products = some(DEFAULT_SEED);
        let handles: HashSet<&str> = products.iter().map(|product| product.handle.as_str()).collect();
        assert_eq!(handles.len(), products.len());
        let variants: Vec<&VariantState> = products.iter().flat_map(|product| &product.variants).collect();
        let skus: HashSet<&Option<String>> = variants.iter().map(|variant| &variant.sku).collect();
        assert_eq!(skus.len(), variants.len());
        for product in &products {
            assert!(crate::domain::handle::is_valid(&product.handle), "{}", product.handle);
            assert!((1..=MOST_VARIANTS).contains(&product.variants.len()));
            let combinations: HashSet<&Vec<String>> = product.variants.iter().map(|v| &v.option_values).collect();
            assert_eq!(combinations.len(), product.variants.len());
            assert!(product.variants.iter().all(|v| v.option_values.len() == product.options.len()));
            assert!(product.category_id.is_some() && !product.images.is_empty());
        }
        assert!(
            variants
                .iter()
                .all(|variant| variant.price > 0 && variant.compare_at.is_none_or(|old| old > variant.price))
        );
        assert!(variants.iter().any(|variant| variant.stock.on_hand == 0));
    }

    #[test]
    fn prices_suit_the_currency() {
        let price = |code: &str| minor(19, 99, code.parse().unwrap());
        assert_eq!((price("USD"), price("JPY"), price("KWD")), (1999, 1990, 19990));
    }
}
