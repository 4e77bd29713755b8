//! What a file has said so far: which handles, SKUs and variants it has had, so that a second one is
//! refused with the row of the first. Eight bytes and a row number each, not the texts.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

/// What has become of a product of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Created,
    Updated,
    Unchanged,
}

/// The rows above.
#[derive(Debug, Default)]
pub struct Memory {
    hasher: RandomState,
    seen: Seen,
}

/// What a batch adds to it, once it is written.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    handles: HashMap<u64, Outcome>,
    skus: HashMap<u64, u64>,
    variants: HashMap<u64, u64>,
}

/// The memory with what the batch at hand has added.
#[derive(Debug)]
pub struct Recall<'a> {
    memory: &'a Memory,
    pub fresh: Seen,
}

impl Memory {
    /// What has become of the product so far.
    #[must_use]
    pub fn outcome(&self, handle: &str) -> Option<Outcome> {
        self.seen.handles.get(&self.hasher.hash_one(handle)).copied()
    }

    /// To plan a batch with.
    #[must_use]
    pub fn recall(&self) -> Recall<'_> {
        Recall { memory: self, fresh: Seen::default() }
    }

    /// Keeps what a batch has added.
    pub fn keep(&mut self, fresh: Seen) {
        for (handle, outcome) in fresh.handles {
            let known = self.seen.handles.entry(handle).or_insert(outcome);
            // What was made or changed above stays so, whatever the rows below do.
            if *known == Outcome::Unchanged {
                *known = outcome;
            }
        }
        self.seen.skus.extend(fresh.skus);
        self.seen.variants.extend(fresh.variants);
    }
}

impl Recall<'_> {
    /// What became of the product in an earlier batch.
    #[must_use]
    pub fn outcome(&self, handle: &str) -> Option<Outcome> {
        self.memory.outcome(handle)
    }

    pub fn set_outcome(&mut self, handle: &str, outcome: Outcome) {
        self.fresh.handles.insert(self.memory.hasher.hash_one(handle), outcome);
    }

    /// The row that has the SKU.
    #[must_use]
    pub fn sku_row(&self, sku: &str) -> Option<u64> {
        let key = self.memory.hasher.hash_one(sku);
        self.fresh.skus.get(&key).or_else(|| self.memory.seen.skus.get(&key)).copied()
    }

    pub fn take_sku(&mut self, sku: &str, row: u64) {
        self.fresh.skus.insert(self.memory.hasher.hash_one(sku), row);
    }

    /// The row that has the variant of the product.
    #[must_use]
    pub fn variant_row(&self, handle: &str, values: &[String]) -> Option<u64> {
        let key = self.memory.hasher.hash_one((handle, values));
        self.fresh.variants.get(&key).or_else(|| self.memory.seen.variants.get(&key)).copied()
    }

    pub fn take_variant(&mut self, handle: &str, values: &[String], row: u64) {
        self.fresh.variants.insert(self.memory.hasher.hash_one((handle, values)), row);
    }
}
