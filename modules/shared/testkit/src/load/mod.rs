//! What programs that load a shop have in common: a request and its answer, chance that can be repeated, what
//! there is to buy, and percentiles.

pub mod body;
pub mod dice;
pub mod figures;
pub mod http;
pub mod shelf;

pub use dice::Dice;
pub use http::{Call, Http, Reply};
pub use shelf::Shelf;
