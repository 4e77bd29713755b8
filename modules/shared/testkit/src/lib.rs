//! For tests only: a fresh database per test, a module behind a real HTTP server, and an identity
//! that signs access tokens for anybody.

pub mod app;

pub use app::{TestAnswer, TestApp, TestIdentity};
pub mod db;
pub mod moto;
pub mod redis;
