//! Tests of the whole: the house's walls, the documents, the migrations, the command line, and the
//! shop as its users meet it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what it expects by failing"
)]

mod architecture;
mod authz;
mod cli;
mod conformance;
#[cfg(debug_assertions)]
mod crash;
mod database_tls;
mod documents;
mod faults;
mod flows;
mod hostile;
mod mail;
mod meters;
mod privacy;
mod reconciling;
mod schema;
mod secrets;
mod startup;
mod stripe;
mod supply_chain;
mod support;
mod topologies;
