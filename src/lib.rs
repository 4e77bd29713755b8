//! The binary's rooms: the only code that knows more than one module.

/// Prints a line to standard output, like `println!`, but does not panic when nobody reads it any more, as
/// in `eshopz verify | head`: the work goes on to its end, and the exit code tells how it went.
#[macro_export]
macro_rules! say {
    ($($argument:tt)*) => {{
        use std::io::Write as _;
        // There is nobody to tell that nobody listens.
        drop(writeln!(std::io::stdout(), $($argument)*));
    }};
}

pub mod background;
pub mod cli;
pub mod commands;
pub mod compose;
pub mod config;
pub mod database;
pub mod docs;
pub mod edge;
pub mod events;
pub mod meters;
pub mod migrations;
pub mod modules;
pub mod neighbours;
pub mod openapi;
pub mod secrets;
pub mod server;
pub mod spans;
pub mod telemetry;
pub mod verify;
pub mod wire;
