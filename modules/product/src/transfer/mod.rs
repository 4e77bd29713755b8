//! The catalogue in and out as a CSV file.
//!
//! A file is read in batches, each written in one transaction, so a crash halfway leaves whole batches
//! and the same file again goes on from there. A batch is one reading of the shop, a plan made of it
//! ([`plan`], pure), and a handful of statements that write all of its rows at once. What is as the file
//! says already is not written: versions, times and the ledger stay as they are.

pub mod categories;
pub mod changes;
pub mod export;
pub mod http;
pub mod import;
pub(crate) mod load;
pub mod memory;
pub mod plan;
pub mod report;
pub mod state;
pub(crate) mod write;

pub use export::{export, export_chunks};
pub use import::import;
pub(crate) use import::{import_and_tell, import_chunks};
pub use report::{ImportReport, Progress, Tally};
