//! `eshopz verify`: exit 0 when the books balance, 1 when they do not.

use std::process::ExitCode;

use crate::cli::Settings;
use crate::database::Database;
use crate::modules::Module;
use crate::verify::verify;

/// Runs the command.
///
/// # Errors
/// When the database cannot be reached.
pub async fn run(json: bool, settings: &Settings) -> anyhow::Result<ExitCode> {
    let database = Database::open_migrated(settings, &Module::ALL).await?;
    let outcome = verify(&database, settings).await;
    database.close().await?;
    let report = outcome?;
    if json {
        say!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        for (module, check, rows) in &report.checked {
            let wrong = report.findings.iter().filter(|f| f.module == *module && f.check == *check).count();
            let verdict = if wrong == 0 { "ok".to_owned() } else { format!("{wrong} WRONG") };
            say!("{module:<8} {check:<28} {rows:>9} rows  {verdict}");
        }
        for finding in &report.findings {
            say!("{} {}: {}: {}", finding.module, finding.check, finding.subject, finding.detail);
        }
        let count = report.findings.len();
        say!("{}", if count == 0 { "the books balance".to_owned() } else { format!("{count} findings") });
    }
    Ok(if report.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
