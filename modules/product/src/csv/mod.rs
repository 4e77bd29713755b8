//! The product CSV of Shopify, read and written. Pure: nothing here knows the database.
//!
//! A file is a header and rows. The first row of a handle carries the product; the rows below it with
//! the same handle are further variants, further images, or both. Columns are found by their names, in
//! any order, in the spelling of old and new exports; those that are unknown are left alone.
//!
//! * [`columns`]: which column is which.
//! * [`cell`]: text of a cell: encodings, truth values, the guard against formulas.
//! * [`line`]: what one row says about a product, a variant and an image; [`parse`] reads it.
//! * [`read`]: rows out of a byte stream, numbered as a spreadsheet numbers them.
//! * [`group`]: rows gathered by handle into batches.
//! * [`write`]: products as rows.

pub mod cell;
pub mod columns;
pub mod group;
pub mod line;
pub mod parse;
pub mod read;
pub mod refusal;
pub mod write;

pub use columns::{Column, Columns};
pub use group::{Batch, Batches, Group};
pub use line::{ImageCells, Line, LineContent, ProductCells, VariantCells, Visibility};
pub use read::{Lines, Unreadable};
pub use refusal::{Reason, Refusal};

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
