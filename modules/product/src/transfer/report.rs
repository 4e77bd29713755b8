//! What an import did, and how far it is.

use serde::Serialize;
use utoipa::ToSchema;

use crate::csv::Refusal;

/// Refused rows that a report names; more are only counted.
pub const NAMED: usize = 1_000;

/// What became of the products or the variants of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ImportTally)]
pub struct Tally {
    #[schema(example = 12)]
    pub created: u64,
    #[schema(example = 3)]
    pub updated: u64,
    #[schema(example = 85)]
    pub unchanged: u64,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ImportReport {
    pub products: Tally,
    pub variants: Tally,
    /// Images that were added.
    #[schema(example = 14)]
    pub images: u64,
    /// Rows of the file, without the header and blank ones.
    #[schema(example = 240)]
    pub rows: u64,
    /// Rows that did not go in.
    #[schema(example = 1)]
    pub refused_total: u64,
    /// Each of them with its reason, in the order of the file; the first 1,000.
    pub refused: Vec<Refusal>,
}

impl ImportReport {
    /// Adds refused rows, naming them while there is room.
    pub(crate) fn refuse(&mut self, refused: Vec<Refusal>) {
        self.refused_total += u64::try_from(refused.len()).unwrap_or(0);
        let room = NAMED.saturating_sub(self.refused.len());
        self.refused.extend(refused.into_iter().take(room));
    }
}

/// How far an import or an export is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Rows of the file.
    pub rows: u64,
    /// Bytes of the file.
    pub bytes: u64,
}
