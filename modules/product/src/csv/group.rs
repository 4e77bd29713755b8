//! Rows gathered by handle, in batches that are written in one transaction each.
//!
//! A batch is closed before a handle that it does not hold, so the rows of a product that stand
//! together stay together, unless they are more than a batch may hold. What is left of such a product,
//! or comes back further down the file, continues the product that is then in the shop.

use std::collections::HashMap;
use std::io::Read;

use super::line::{Line, Parsed};
use super::read::{Lines, Unreadable};
use super::refusal::Refusal;

/// Products in a batch.
const PRODUCTS: usize = 500;
/// Rows in a batch, whatever their handles.
const ROWS: u64 = 5_000;
/// Bytes of the file in a batch, about.
const BYTES: u64 = 8 * 1024 * 1024;

/// The rows of one handle, in the order of the file; never none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub handle: String,
    pub lines: Vec<Line>,
}

/// What is written at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Each handle once.
    pub groups: Vec<Group>,
    /// Rows that were refused for themselves.
    pub refused: Vec<Refusal>,
    /// Rows of this batch, blank ones left out.
    pub rows: u64,
    /// Bytes of the file up to here.
    pub bytes: u64,
}

/// The batches of a file.
pub struct Batches<R> {
    lines: Lines<R>,
    /// Read already, for the next batch.
    waiting: Option<Line>,
    ended: bool,
}

impl<R: Read> Batches<R> {
    #[must_use]
    pub const fn new(lines: Lines<R>) -> Self {
        Self { lines, waiting: None, ended: false }
    }

    /// The next batch; `None` at the end.
    ///
    /// # Errors
    /// [`Unreadable`] when the rest of the file cannot be read.
    pub fn next_batch(&mut self) -> Result<Option<Batch>, Unreadable> {
        let mut filling = Filling::default();
        let start = self.lines.bytes();
        if let Some(line) = self.waiting.take() {
            filling.add(line);
        }
        while !self.ended {
            match self.lines.next_row()? {
                None => self.ended = true,
                Some((_, Parsed::Blank)) => {}
                Some((row, Parsed::Refused { handle, reason })) => {
                    filling.batch.rows += 1;
                    filling.batch.refused.push(Refusal::new(row, &handle, None, &reason));
                }
                Some((_, Parsed::Line(line))) if filling.is_closed_to(&line.handle) => {
                    self.waiting = Some(*line);
                    break;
                }
                Some((_, Parsed::Line(line))) => filling.add(*line),
            }
            let rows = filling.batch.rows;
            if rows >= ROWS || rows > 0 && self.lines.bytes() - start > BYTES {
                break;
            }
        }
        filling.batch.bytes = self.lines.bytes();
        Ok((filling.batch.rows > 0).then_some(filling.batch))
    }
}

#[derive(Default)]
struct Filling {
    batch: Batch,
    places: HashMap<String, usize>,
}

impl Filling {
    fn is_closed_to(&self, handle: &str) -> bool {
        self.batch.groups.len() >= PRODUCTS && !self.places.contains_key(handle)
    }

    fn add(&mut self, line: Line) {
        self.batch.rows += 1;
        let place = self.places.get(&line.handle).copied().unwrap_or(self.batch.groups.len());
        if let Some(group) = self.batch.groups.get_mut(place) {
            group.lines.push(line);
        } else {
            self.places.insert(line.handle.clone(), place);
            self.batch.groups.push(Group { handle: line.handle.clone(), lines: vec![line] });
        }
    }
}
