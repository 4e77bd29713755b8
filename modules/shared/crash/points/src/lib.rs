//! Which crash points there are, and what they are called. The attribute that puts them into the code and
//! the test that lists them from the sources both ask here, so that neither can forget one.
//!
//! A point is the moment after an await, which may be an await in a macro such as `join!`. Its name is the
//! function's path, the number of the await in it in the order in which they end, and what was awaited:
//! `eshopz_order::service::cancel::OrderService::cancel#2:transaction`.

mod attribute;
mod awaits;
mod scan;
mod select;

pub use attribute::expand;
pub use scan::{Function, module_of, scan};

use syn::{Attribute, Type};

/// The attribute's name.
const ATTRIBUTE: &str = "crash_points";

/// Whether an attribute's last name is this one.
fn is_called(attribute: &Attribute, name: &str) -> bool {
    attribute.path().segments.last().is_some_and(|last| last.ident == name)
}

/// What the functions of an `impl` block are listed under.
fn type_name(of: &Type) -> String {
    match of {
        Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()).unwrap_or_default(),
        Type::Reference(reference) => type_name(&reference.elem),
        _ => "?".to_owned(),
    }
}
