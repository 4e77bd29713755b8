//! Events by SNS and SQS: a topic per publishing module, a queue per consuming one.
//!
//! ```text
//! outbox ─ relay ─ SnsTransport ─→ topic of the publisher ─┬─→ queue of a consumer ─ SqsConsumer ─ listeners
//!                                                          └─→ …         └─→ its dead letters
//! ```
//!
//! - The outbox stays the truth: a relay hands each event once to [`SnsTransport`] and tries again until
//!   SNS has it. SNS drops what nobody subscribes to, so an event is not published before the topic has
//!   every subscription that the program knows of: it fails, and comes again.
//! - A subscription's filter lets only those events into a queue that its module's listeners take.
//! - [`SqsConsumer`] deletes a message after every listener of the module has taken it in. What fails
//!   comes again after growing pauses, and goes to the dead letters of the queue at last ([`dead`]). A
//!   listener may get an event more than once; its inbox stands that.
//! - [`setup`](setup::setup) makes all of it in a test account; elsewhere the infrastructure does, by the
//!   same [`Names`] and [`Topology`].

mod batch;
pub mod consumer;
pub mod dead;
mod error;
mod handle;
mod message;
mod publisher;
mod queues;
pub mod setup;
mod topics;
mod topology;

pub use consumer::{ConsumerConfig, SqsConsumer};
pub use error::EventsError;
pub use publisher::{SnsTransport, relay_config};
pub use topology::{Names, Topology};
