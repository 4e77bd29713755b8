//! What a batch of a file changes in the shop. Pure: the shop as it was read goes in, the products as
//! they are to be come out, with the rows that are refused.

mod images;
mod options;
mod stock;
#[cfg(test)]
mod tests;
mod variants;

use std::collections::HashSet;

use uuid::Uuid;

use super::categories::CategoryTree;
use super::memory::{Outcome, Recall};
use super::report::Tally;
use super::state::{ProductState, Shop};
use crate::csv::{Batch, Group, Line, ProductCells, Reason, Refusal, Visibility};
use crate::domain::Status;

/// A product that a file names: as it is, and as it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    pub before: Option<ProductState>,
    pub after: ProductState,
    pub outcome: Outcome,
}

/// What a batch does.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub planned: Vec<Planned>,
    pub refused: Vec<Refusal>,
    pub variants: Tally,
    pub images: u64,
}

/// Plans a batch. New categories are left in the tree, what the file has used in `recall`.
pub fn plan(batch: &Batch, shop: &Shop, recall: &mut Recall<'_>, tree: &mut CategoryTree) -> Plan {
    let mut planner = Planner { shop, recall, tree, plan: Plan::default() };
    planner.plan.refused.extend(batch.refused.iter().cloned());
    for group in &batch.groups {
        planner.group(group);
    }
    let mut plan = planner.plan;
    plan.refused.sort_by_key(|refusal| refusal.row);
    plan
}

struct Planner<'a, 'm> {
    shop: &'a Shop,
    recall: &'a mut Recall<'m>,
    tree: &'a mut CategoryTree,
    plan: Plan,
}

impl Planner<'_, '_> {
    fn group(&mut self, group: &Group) {
        let before = self.shop.products.get(&group.handle);
        let again = self.recall.outcome(&group.handle).is_some();
        let started = begin(group, before, again).and_then(|product| {
            let names = options::names(group, &product, before.is_some() && again)?;
            Ok((product, names))
        });
        match started {
            Ok((product, names)) => self.fill(group, before, product, &names),
            Err(reason) => self.refuse(group.lines.iter(), &reason),
        }
    }

    /// Gives the product its variants and images. A product that would have no variant is not made.
    fn fill(&mut self, group: &Group, before: Option<&ProductState>, mut product: ProductState, names: &[String]) {
        let sorted = variants::apply(group, before, &mut product, names, self.shop, self.recall);
        let filled = match sorted {
            Ok(sorted) if !product.variants.is_empty() => sorted,
            Ok(sorted) => return self.refuse_whole(group, sorted.refused),
            Err(reason) => return self.refuse(group.lines.iter(), &reason),
        };
        product.name_options(names);
        let first_time = self.recall.outcome(&group.handle).is_none();
        let taken: Vec<_> = group.lines.iter().filter(|line| !filled.is_refused(line)).collect();
        images::apply(&taken, first_time, &mut product);
        if let Some(cells) = product_cells(group).filter(|cells| first_time && !cells.category.is_empty()) {
            product.category_id = self.tree.at(&cells.category, &cells.category_slugs);
        }
        filled.skus.iter().for_each(|(sku, row)| self.recall.take_sku(sku, *row));
        filled.values.iter().for_each(|(values, row)| self.recall.take_variant(&group.handle, values, *row));
        self.note(group, before, product, &filled.named);
        self.plan.refused.extend(filled.refused);
    }

    /// Counts what is new, changed and as it was.
    fn note(&mut self, group: &Group, before: Option<&ProductState>, after: ProductState, named: &HashSet<Uuid>) {
        for variant in after.variants.iter().filter(|variant| named.contains(&variant.id)) {
            let known = before.and_then(|before| before.variants.iter().find(|other| other.id == variant.id));
            match known {
                None => self.plan.variants.created += 1,
                Some(known) if known.differs(variant) || known.stock != variant.stock => {
                    self.plan.variants.updated += 1
                }
                Some(_) => self.plan.variants.unchanged += 1,
            }
        }
        let had = before.map_or(0, |before| before.images.len());
        self.plan.images += u64::try_from(after.images.len().saturating_sub(had)).unwrap_or(0);
        let outcome = match before {
            None => Outcome::Created,
            Some(before) if changed(before, &after) => Outcome::Updated,
            Some(_) => Outcome::Unchanged,
        };
        self.recall.set_outcome(&group.handle, outcome);
        self.plan.planned.push(Planned { before: before.cloned(), after, outcome });
    }

    fn refuse<'l>(&mut self, lines: impl Iterator<Item = &'l Line>, reason: &Reason) {
        self.plan.refused.extend(lines.map(|line| refusal(line, reason)));
    }

    /// The rows that are not refused already go with the product that is not made.
    fn refuse_whole(&mut self, group: &Group, refused: Vec<Refusal>) {
        let rest = group.lines.iter().filter(|line| refused.iter().all(|refusal| refusal.row != line.row));
        let reason = if refused.is_empty() { Reason::PriceMissing } else { Reason::ProductRefused };
        self.refuse(rest, &reason);
        self.plan.refused.extend(refused);
    }
}

/// Whether anything of a product differs but what the last import asked for.
fn changed(before: &ProductState, after: &ProductState) -> bool {
    let comparable = |product: &ProductState| {
        let mut product = product.clone();
        product.variants.iter_mut().for_each(|variant| variant.imported_on_hand = None);
        product
    };
    before != after && comparable(before) != comparable(after)
}

fn refusal(line: &Line, reason: &Reason) -> Refusal {
    Refusal::new(line.row, &line.handle, line.sku.as_deref(), reason)
}

fn product_cells(group: &Group) -> Option<&ProductCells> {
    group.lines.first().and_then(|line| line.product.as_ref().ok())
}

/// The product before its variants: as the first row describes it, or as it is in the shop when the
/// rows continue one that the file has had already.
fn begin(group: &Group, before: Option<&ProductState>, again: bool) -> Result<ProductState, Reason> {
    let cells = group.lines.first().map(|line| line.product.clone()).transpose()?.unwrap_or_default();
    let mut product = match before {
        Some(before) if again => return Ok(before.clone()),
        Some(before) => before.clone(),
        None if cells.title.is_empty() => return Err(Reason::TitleMissing),
        None => ProductState::new(&group.handle),
    };
    describe(&mut product, cells);
    Ok(product)
}

/// A row with a title is a whole product row: its empty cells mean empty. Without one they mean nothing.
fn describe(product: &mut ProductState, cells: ProductCells) {
    let whole = !cells.title.is_empty();
    let set = |field: &mut String, cell: Option<String>| {
        if let Some(text) = cell.filter(|text| whole || !text.is_empty()) {
            *field = text;
        }
    };
    set(&mut product.description, cells.body);
    set(&mut product.vendor, cells.vendor);
    set(&mut product.product_type, cells.product_type);
    if let Some(tags) = cells.tags.filter(|tags| whole || !tags.is_empty()) {
        product.tags = tags;
    }
    if let Some(status) = cells.status {
        product.status = status_of(status, product.status);
    }
    if whole {
        product.title = cells.title;
    }
}

/// `Published` alone does not bring an archived product back.
const fn status_of(asked: Visibility, before: Status) -> Status {
    match (asked, before) {
        (Visibility::Archived, _) | (Visibility::Published | Visibility::Unpublished, Status::Archived) => {
            Status::Archived
        }
        (Visibility::Active | Visibility::Published, _) => Status::Active,
        (Visibility::Draft | Visibility::Unpublished, _) => Status::Draft,
    }
}
