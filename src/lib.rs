//! The binary's rooms: the only code that knows more than one module.

pub mod cli;
pub mod commands;
pub mod compose;
pub mod config;
pub mod database;
pub mod migrations;
pub mod modules;
pub mod openapi;
pub mod server;
pub mod telemetry;
pub mod verify;
