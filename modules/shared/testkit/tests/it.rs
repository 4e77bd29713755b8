//! The database plumbing against a real PostgreSQL: databases for tests, the runner of migrations,
//! and the private server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "it/broadcast.rs"]
mod broadcast;
#[path = "it/cache.rs"]
mod cache;
#[path = "it/cache_outages.rs"]
mod cache_outages;
#[path = "it/embedded.rs"]
mod embedded;
#[path = "it/events/mod.rs"]
mod events;
#[path = "it/idempotency.rs"]
mod idempotency;
#[path = "it/migrate.rs"]
mod migrate;
#[path = "it/pool.rs"]
mod pool;
#[path = "it/reader.rs"]
mod reader;
#[path = "it/rotation.rs"]
mod rotation;
#[path = "it/test_db.rs"]
mod test_db;
#[path = "it/wire.rs"]
mod wire;
