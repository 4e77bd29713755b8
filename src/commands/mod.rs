//! One file per subcommand.

pub mod admin;
pub mod audit;
pub mod catalog;
pub mod events;
pub mod keys;
pub mod migrate;
pub mod openapi;
pub mod payments;
pub mod progress;
pub mod seed;
pub mod serve;
pub mod verify;
