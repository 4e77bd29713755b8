//! The statements, one per function. What reads only takes any connection; what changes something
//! expects to be in a transaction of its caller.

pub mod categories;
pub mod facets;
pub mod levels;
pub mod listing;
pub mod movements;
pub mod products;
pub mod reservations;
pub mod returns;
pub mod rows;
pub mod selection;
pub mod variants;
pub mod words;
