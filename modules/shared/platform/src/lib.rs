//! What every module stands on and none of them owns: the way to PostgreSQL and the cache, events
//! by outbox and inbox, idempotency, leases, and the HTTP rules of the shop (problem documents,
//! extractors, conditional requests). There is no business in here.

pub mod db;
pub mod auth;
pub mod books;
pub mod cache;
pub mod context;
pub mod http;
pub mod idempotency;
pub mod events;
pub mod jobs;
pub mod prepared;
pub mod embedded;
pub mod migrate;
