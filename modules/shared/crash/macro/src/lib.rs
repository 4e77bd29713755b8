//! The attribute [`macro@crash_points`]. What it does is in `eshopz-crash-points`, where the tests can reach it.

use proc_macro::TokenStream;

/// Puts a named crash point after every await of a function, or of all functions of an `impl` block. A
/// release build has the code exactly as it is written.
#[proc_macro_attribute]
pub fn crash_points(_arguments: TokenStream, item: TokenStream) -> TokenStream {
    eshopz_crash_points::expand(item.into()).into()
}
