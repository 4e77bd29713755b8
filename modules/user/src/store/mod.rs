//! The module's statements, one per function, by table.

pub mod addresses;
pub mod audit;
pub mod exports;
pub mod keys;
pub mod letters;
pub mod mailed_tokens;
pub mod second_factors;
pub mod sessions;
pub mod users;
