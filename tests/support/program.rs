//! The program as a command.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

pub const PASSWORD: &str = "correct horse battery staple";

/// The program with a clean environment.
pub fn eshopz(database_url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_eshopz"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ESHOPZ_") || name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    command.args(arguments).env("RUST_LOG", "warn");
    if !database_url.is_empty() {
        command.env("ESHOPZ_DATABASE_URL", database_url);
    }
    command
}

/// Runs a command to its end.
pub fn run(database_url: &str, arguments: &[&str], stdin: &str) -> Output {
    let mut child = eshopz(database_url, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
