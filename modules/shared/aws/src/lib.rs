//! What AWS does for the shop: events by SNS and SQS ([`events`]), secrets by Secrets Manager
//! ([`secrets`]). No business is in here, and nobody but the binary knows of it.

pub mod client;
pub mod events;
mod meters;
pub mod secrets;

pub use meters::METRICS;
