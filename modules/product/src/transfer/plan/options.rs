//! The names of a product's options, and a row's values for them.

use super::super::state::ProductState;
use crate::csv::{Group, ProductCells, Reason, VariantCells};

/// What this format calls the option of a product that has none, and its value.
const NO_OPTION: (&str, &str) = ("Title", "Default Title");

/// The names as the first row gives them, or as the shop has them where it gives none or where the rows
/// only continue a product.
pub fn names(group: &Group, product: &ProductState, continued: bool) -> Result<Vec<String>, Reason> {
    let known: Vec<String> = product.options.iter().map(|option| option.name.clone()).collect();
    let given = super::product_cells(group).map(|cells| cells.option_names.clone()).unwrap_or_default();
    let in_shop = !product.variants.is_empty();
    if continued || in_shop && given.iter().all(String::is_empty) {
        return Ok(known);
    }
    let names = named(group, given);
    let lower: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
    let repeats = lower.iter().enumerate().any(|(index, name)| lower.iter().skip(index + 1).any(|other| other == name));
    if repeats { Err(Reason::OptionNamesRepeat) } else { Ok(names) }
}

/// The given names without the stand-in for none. Values without a name are those of an option `Title`.
fn named(group: &Group, given: [String; 3]) -> Vec<String> {
    let mut names: Vec<String> = given.into();
    while names.last().is_some_and(String::is_empty) {
        names.pop();
    }
    let mut firsts = group.lines.iter().filter_map(first_value);
    let stands_for_none = |name: &String| name.is_empty() || name.eq_ignore_ascii_case(NO_OPTION.0);
    match names.first_mut() {
        Some(first) if first.is_empty() => NO_OPTION.0.clone_into(first),
        None if firsts.any(|value| !is_none(value)) => return vec![NO_OPTION.0.to_owned()],
        _ => {}
    }
    if names.len() == 1 && names.iter().all(stands_for_none) && firsts.all(is_none) { Vec::new() } else { names }
}

fn first_value(line: &crate::csv::Line) -> Option<&str> {
    let variant = line.content.as_ref().ok()?.variant.as_ref()?;
    variant.option_values.first().map(String::as_str)
}

fn is_none(value: &str) -> bool {
    value.is_empty() || value.eq_ignore_ascii_case(NO_OPTION.1)
}

/// A row's values, one for each name; `None` when it gives none at all and names its variant by SKU.
pub fn values(cells: &VariantCells, names: &[String]) -> Result<Option<Vec<String>>, Reason> {
    let given = &cells.option_values;
    if names.is_empty() && is_none(given.first().map_or("", String::as_str)) {
        return given
            .iter()
            .skip(1)
            .position(|value| !value.is_empty())
            .map_or(Ok(Some(Vec::new())), |place| Err(Reason::OptionUnknown { number: place + 2 }));
    }
    if let Some(place) = given.iter().skip(names.len()).position(|value| !value.is_empty()) {
        return Err(Reason::OptionUnknown { number: names.len() + place + 1 });
    }
    if given.iter().all(String::is_empty) {
        return Ok(None);
    }
    let pairs = names.iter().zip(given);
    pairs
        .map(
            |(name, value)| {
                if value.is_empty() {
                    Err(Reason::OptionValueMissing { name: name.clone() })
                } else {
                    Ok(value.clone())
                }
            },
        )
        .collect::<Result<Vec<_>, _>>()
        .map(Some)
}

/// A row that repeats the names has to repeat them as they are, or its values are in the wrong columns.
pub fn check_names(cells: Option<&ProductCells>, names: &[String]) -> Result<(), Reason> {
    let Some(cells) = cells else { return Ok(()) };
    let pairs = names.iter().zip(&cells.option_names).enumerate();
    for (index, (known, given)) in pairs {
        if !given.is_empty() && given.to_lowercase() != known.to_lowercase() {
            return Err(Reason::OptionMismatch { number: index + 1, given: given.clone(), known: known.clone() });
        }
    }
    Ok(())
}
