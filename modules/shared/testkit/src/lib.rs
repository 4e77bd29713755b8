//! For tests only: a fresh database per test, a module behind a real HTTP server, and an identity
//! that signs access tokens for anybody.

pub mod app;

pub use app::{TestAnswer, TestApp, TestIdentity};
pub mod db;
pub mod history;
pub mod load;
pub mod localstripe;
pub mod moto;
mod partner;
pub mod postgres;
pub mod redis;
pub mod smtp;
pub mod widgets;
