//! `eshopz payments reconcile`: exit 0 when nothing stays open and the gateway's list and ours agree, else 1.

use std::process::ExitCode;
use std::str::FromStr;

use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};
use clap::Subcommand;
use eshopz_platform::books::Report;

use super::progress;
use crate::cli::Settings;
use crate::compose::payment_module;
use crate::database::Database;
use crate::modules::Module;

#[derive(Debug, Subcommand)]
pub enum PaymentsCommand {
    /// Ask the gateway about every payment whose outcome is not known, then compare its charges with ours.
    Reconcile {
        /// How far back to compare, such as `90m`, `24h` or `7d`.
        #[arg(long, env = "ESHOPZ_SINCE", default_value = "24h")]
        since: Age,
        /// Print the report as JSON.
        #[arg(long, env = "ESHOPZ_JSON")]
        json: bool,
    },
}

/// A time so long ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age(TimeDelta);

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is no time such as 90m, 24h or 7d");
        let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
        let number: i64 = number.parse().ok().filter(|number| *number > 0).ok_or_else(wrong)?;
        let age = match unit {
            "s" => TimeDelta::try_seconds(number),
            "m" => TimeDelta::try_minutes(number),
            "h" => TimeDelta::try_hours(number),
            "d" => TimeDelta::try_days(number),
            _ => None,
        };
        age.filter(|age| *age <= TimeDelta::days(3_650)).map(Self).ok_or_else(wrong)
    }
}

/// Runs the command.
///
/// # Errors
/// When the database cannot be reached, or the gateway does not show its list.
pub async fn run(action: PaymentsCommand, settings: &Settings) -> anyhow::Result<ExitCode> {
    let PaymentsCommand::Reconcile { since, json } = action;
    let database = Database::open_migrated(settings, &[Module::Payment]).await?;
    let outcome = reconcile(&database, settings, Utc::now() - since.0).await;
    database.close().await?;
    let report = outcome?;
    if json {
        say!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&report);
    }
    Ok(if report.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn reconcile(database: &Database, settings: &Settings, since: DateTime<Utc>) -> anyhow::Result<Report> {
    let payments = payment_module(database.db(Module::Payment)?, settings)?;
    let mut report = payments.reconcile_all().await.context("what is open could not be settled")?;
    let bar = progress::bar(0, "charges");
    let compared = payments.compare_with_gateway(since, |compared| bar.set_position(compared)).await;
    bar.finish_and_clear();
    report.merge(compared.context("the gateway's list could not be compared")?);
    Ok(report)
}

fn print(report: &Report) {
    for (_, check, rows) in &report.checked {
        let wrong = report.findings.iter().filter(|finding| finding.check == *check).count();
        match *check {
            "open" => say!("{rows} open at the gateway, {wrong} stay open"),
            "own_charges" => say!("{rows} charges of ours compared, {wrong} differ"),
            _ => say!("{rows} charges of the gateway's compared, {wrong} differ"),
        }
    }
    for finding in &report.findings {
        say!("{}: {}", finding.subject, finding.detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_a_unit() {
        assert_eq!("90m".parse(), Ok(Age(TimeDelta::minutes(90))));
        assert_eq!("24h".parse(), Ok(Age(TimeDelta::hours(24))));
        assert_eq!("7d".parse(), Ok(Age(TimeDelta::days(7))));
        for bad in ["", "h", "24", "-1h", "0h", "1w", "1.5h", "24ħ", "99999999999999999d", "9999d"] {
            assert!(bad.parse::<Age>().is_err(), "{bad}");
        }
    }
}
