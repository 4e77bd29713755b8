//! The migrations, inside the binary.

use eshopz_platform::migrate::{self, MigrateError, ModuleMigrations};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "migrations/"]
struct Files;

/// Every module's migrations as they were when the binary was built.
///
/// # Errors
/// When a folder lacks one of its two files.
pub fn embedded() -> Result<Vec<ModuleMigrations>, MigrateError> {
    migrate::from_files(Files::iter().filter_map(|path| {
        let text = Files::get(&path)?;
        Some((path.to_string(), String::from_utf8_lossy(&text.data).into_owned()))
    }))
}
