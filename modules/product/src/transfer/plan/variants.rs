//! The variants of a product: each row finds its own by option values, or else by SKU, or makes one.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::super::memory::Recall;
use super::super::state::{ProductState, Shop, VariantState};
use super::{options, stock};
use crate::csv::{Group, Line, Reason, Refusal, VariantCells};
use crate::service::MAX_VARIANTS;

/// The most images of a product.
const IMAGES: usize = 250;

/// What became of the rows of a product.
#[derive(Debug, Default)]
pub struct Sorted {
    pub refused: Vec<Refusal>,
    /// The variants that rows have named.
    pub named: HashSet<Uuid>,
    /// SKUs and option values with the rows that have them now.
    pub skus: HashMap<String, u64>,
    pub values: HashMap<Vec<String>, u64>,
}

impl Sorted {
    /// Whether the row is refused.
    #[must_use]
    pub fn is_refused(&self, line: &Line) -> bool {
        self.refused.iter().any(|refusal| refusal.row == line.row)
    }
}

/// A row with a variant in it.
struct Candidate<'a> {
    line: &'a Line,
    cells: &'a VariantCells,
    values: Option<Vec<String>>,
    /// Its place among the variants in the shop.
    place: Option<usize>,
}

/// Applies the rows of a group to a product. Fails when the product as a whole cannot take them.
pub fn apply(
    group: &Group,
    before: Option<&ProductState>,
    product: &mut ProductState,
    names: &[String],
    shop: &Shop,
    recall: &Recall<'_>,
) -> Result<Sorted, Reason> {
    let mut sorted = Sorted::default();
    let mut candidates = Vec::new();
    let mut images: HashSet<&str> =
        before.into_iter().flat_map(|before| &before.images).map(|image| image.url.as_str()).collect();
    for (index, line) in group.lines.iter().enumerate() {
        let found = count_image(&mut images, line).and_then(|()| candidate(line, names, index == 0));
        match found {
            Ok(found) => candidates.extend(found),
            Err(reason) => sorted.refused.push(super::refusal(line, &reason)),
        }
    }
    find_places(&mut candidates, &product.variants);
    let mut applying = Applying { handle: &group.handle, shop, recall, product, sorted };
    for candidate in candidates {
        if let Err(reason) = applying.variant(&candidate) {
            applying.sorted.refused.push(super::refusal(candidate.line, &reason));
        }
    }
    let sorted = applying.sorted;
    let left = |variant: &VariantState| variant.option_values.len() != names.len();
    if before.is_some() && product.variants.iter().any(left) { Err(Reason::OptionsDiffer) } else { Ok(sorted) }
}

fn count_image<'a>(images: &mut HashSet<&'a str>, line: &'a Line) -> Result<(), Reason> {
    let Some(image) = line.content.as_ref().ok().and_then(|content| content.image.as_ref()) else { return Ok(()) };
    if images.len() >= IMAGES && !images.contains(image.url.as_str()) {
        return Err(Reason::TooManyImages { limit: IMAGES });
    }
    images.insert(&image.url);
    Ok(())
}

/// The variant of a row; none when it has an image only, or on a first row nothing but the product.
fn candidate<'a>(line: &'a Line, names: &[String], first: bool) -> Result<Option<Candidate<'a>>, Reason> {
    let content = line.content.as_ref().map_err(Clone::clone)?;
    let Some(cells) = &content.variant else {
        let empty = !first && content.image.is_none();
        return if empty { Err(Reason::NothingToImport) } else { Ok(None) };
    };
    options::check_names(line.product.as_ref().ok(), names)?;
    let values = options::values(cells, names)?;
    Ok(Some(Candidate { line, cells, values, place: None }))
}

/// By option values first; a SKU finds what no row has found by its values.
fn find_places(candidates: &mut [Candidate<'_>], known: &[VariantState]) {
    let by_values: HashMap<&[String], usize> =
        known.iter().enumerate().map(|(place, variant)| (variant.option_values.as_slice(), place)).collect();
    let by_sku: HashMap<&str, usize> =
        known.iter().enumerate().filter_map(|(place, variant)| Some((variant.sku.as_deref()?, place))).collect();
    let mut found = HashSet::new();
    for candidate in &mut *candidates {
        candidate.place = candidate.values.as_ref().and_then(|values| by_values.get(values.as_slice())).copied();
        found.extend(candidate.place);
    }
    for candidate in candidates.iter_mut().filter(|candidate| candidate.place.is_none()) {
        let sku = candidate.cells.sku.as_deref();
        candidate.place = sku.and_then(|sku| by_sku.get(sku)).copied().filter(|place| !found.contains(place));
    }
}

struct Applying<'a, 'r> {
    handle: &'a str,
    shop: &'a Shop,
    recall: &'a Recall<'r>,
    product: &'a mut ProductState,
    sorted: Sorted,
}

impl Applying<'_, '_> {
    fn variant(&mut self, candidate: &Candidate<'_>) -> Result<(), Reason> {
        let (cells, row) = (candidate.cells, candidate.line.row);
        let known = candidate.place.and_then(|place| self.product.variants.get(place));
        let values = match (&candidate.values, known) {
            (Some(values), _) => values.clone(),
            (None, Some(known)) => known.option_values.clone(),
            (None, None) => return Err(self.no_values()),
        };
        let mut variant = match (known, cells.price) {
            (Some(known), _) => known.clone(),
            (None, Some(price)) => VariantState::new(values.clone(), price, self.next_position()),
            (None, None) => return Err(Reason::PriceMissing),
        };
        self.check_values(&values, variant.id)?;
        self.check_sku(cells.sku.as_deref(), variant.id)?;
        variant.option_values.clone_from(&values);
        describe(&mut variant, cells);
        stock::apply(&mut variant, cells.quantity, cells.backorder)?;

        self.sorted.named.insert(variant.id);
        self.sorted.values.insert(values, row);
        if let Some(sku) = cells.sku.as_ref().filter(|sku| !sku.is_empty()) {
            self.sorted.skus.insert(sku.clone(), row);
        }
        match candidate.place.and_then(|place| self.product.variants.get_mut(place)) {
            Some(known) => *known = variant,
            None => self.product.variants.push(variant),
        }
        Ok(())
    }

    fn no_values(&self) -> Reason {
        let name = self.product.options.first().map(|option| option.name.clone());
        Reason::OptionValueMissing { name: name.unwrap_or_else(|| "Title".to_owned()) }
    }

    fn next_position(&self) -> i32 {
        self.product.variants.iter().map(|variant| variant.position).max().unwrap_or(0).saturating_add(1)
    }

    fn check_values(&self, values: &[String], id: Uuid) -> Result<(), Reason> {
        let told = || if values.is_empty() { "Default Title".to_owned() } else { values.join(" / ") };
        let row = self.sorted.values.get(values).copied().or_else(|| self.recall.variant_row(self.handle, values));
        if let Some(row) = row {
            return Err(Reason::VariantRepeats { values: told(), row });
        }
        if self.sorted.named.contains(&id) {
            // Another row has found this variant by its SKU.
            return Err(Reason::VariantTaken { values: told() });
        }
        let mut others = self.product.variants.iter().filter(|variant| variant.id != id);
        if others.any(|variant| variant.option_values == values) {
            return Err(Reason::VariantTaken { values: told() });
        }
        let full =
            self.product.variants.len() >= MAX_VARIANTS && self.product.variants.iter().all(|known| known.id != id);
        if full { Err(Reason::TooManyVariants { limit: MAX_VARIANTS }) } else { Ok(()) }
    }

    fn check_sku(&self, sku: Option<&str>, id: Uuid) -> Result<(), Reason> {
        let Some(sku) = sku.filter(|sku| !sku.is_empty()) else { return Ok(()) };
        if let Some(row) = self.sorted.skus.get(sku).copied().or_else(|| self.recall.sku_row(sku)) {
            return Err(Reason::SkuRepeats { row });
        }
        match self.shop.skus.get(sku) {
            Some(owner) if *owner != id => Err(Reason::SkuTaken),
            _ => Ok(()),
        }
    }
}

/// A column that the file does not have leaves its field as it is.
fn describe(variant: &mut VariantState, cells: &VariantCells) {
    let set = |field: &mut Option<String>, cell: &Option<String>| {
        if let Some(text) = cell {
            *field = Some(text.clone()).filter(|text| !text.is_empty());
        }
    };
    set(&mut variant.sku, &cells.sku);
    set(&mut variant.barcode, &cells.barcode);
    if let Some(url) = &cells.image {
        variant.image_url = Some(url.clone());
    }
    variant.price = cells.price.unwrap_or(variant.price);
    variant.compare_at = cells.compare_at.unwrap_or(variant.compare_at);
    variant.grams = cells.grams.and_then(|grams| i32::try_from(grams).ok()).unwrap_or(variant.grams);
    variant.requires_shipping = cells.requires_shipping.unwrap_or(variant.requires_shipping);
    variant.taxable = cells.taxable.unwrap_or(variant.taxable);
}
