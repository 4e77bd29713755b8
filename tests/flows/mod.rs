//! The shop as its users meet it, against the real program.

mod bad_input;
mod catalogue;
mod journey;
mod process;
mod races;
mod verify;
