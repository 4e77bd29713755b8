//! A made-up catalogue, for trying the shop out: a few products made by hand, which the documentation
//! names, and as many more as are wanted, made of words and dice.
//!
//! A product depends on the seed and its number alone. So the same call again changes nothing, and one
//! for more products adds the rest.

mod classics;
mod dice;
mod kinds;
mod product;
mod seed;
mod words;

pub use seed::{DEFAULT_SEED, DemoReport, seed};
