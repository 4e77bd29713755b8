//! Points that no scenario passes, and why. A run over all points fails for one that is missing here.

use super::plan::short;

/// The beginning of the points' names, and the reason.
pub const UNREACHED: &[(&str, &str)] = &[];

/// Why a point is not passed.
pub fn reason(point: &str) -> Option<&'static str> {
    UNREACHED.iter().find(|(begin, _)| short(point).starts_with(begin)).map(|(_, reason)| *reason)
}
