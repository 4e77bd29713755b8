//! The `eshopz` program.

use std::process::ExitCode;

use clap::Parser as _;
use eshopz::cli::Cli;

fn main() -> ExitCode {
    eshopz::cli::run(Cli::parse())
}
