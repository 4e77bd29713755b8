//! Events by SNS and SQS: PostgreSQL, outbox and relay on one side, queue and listeners on the other,
//! moto's server between them.
//!
//! Where moto is laxer than AWS, and so shows nothing: it enforces neither policies of queues nor
//! rights, holds new filters at once, takes a `RawMessageDelivery` of any value for true, counts
//! messages exactly, and takes receipts of earlier receives.

mod change_of_way;
mod dead_letters;
mod delivery;
mod outage;
mod setup;
pub mod shop;
