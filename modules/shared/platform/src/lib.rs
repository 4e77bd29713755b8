//! What every module stands on and none of them owns: the way to PostgreSQL and the cache, events
//! by outbox and inbox, idempotency, leases, and the HTTP rules of the shop (problem documents,
//! extractors, conditional requests), and the audit log. There is no business in here.

pub mod audit;
pub mod auth;
pub mod books;
pub mod broadcast;
pub mod cache;
pub mod context;
pub mod db;
pub mod embedded;
pub mod events;
pub mod home;
pub mod http;
pub mod idempotency;
pub mod jobs;
pub mod meters;
pub mod migrate;
mod notices;
pub mod personal;
pub mod prepared;
pub mod service_secret;
pub mod tasks;
pub mod trace;
pub mod turns;
pub mod wire;
