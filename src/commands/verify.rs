//! `eshopz verify`: exit 0 when the books balance, 1 when they do not. `--repair` first mends what it may, and then
//! looks again.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use eshopz_platform::books::{Finding, Report, watched};
use indicatif::ProgressBar;
use serde::Serialize;

use super::progress;
use crate::cli::Settings;
use crate::compose::{Shop, compose};
use crate::database::Database;
use crate::events;
use crate::modules::Module;
use crate::neighbours::Neighbours;
use crate::verify::repair::{Remedy, mend};
use crate::verify::verify;

#[derive(Args, Clone, Copy, Debug)]
pub struct VerifyArgs {
    /// Print the report as JSON.
    #[arg(long, env = "ESHOPZ_JSON")]
    json: bool,
    /// Print the number of findings of each rule as a metric, `eshopz_verify_problems`, for Prometheus' Pushgateway.
    #[arg(long, env = "ESHOPZ_METRICS", conflicts_with = "json")]
    metrics: bool,
    /// Mend what can safely be mended, then look again. Without it, what would be done is only told.
    #[arg(long, env = "ESHOPZ_REPAIR")]
    repair: bool,
}

/// Something that was mended, or could not be.
#[derive(Debug, Serialize)]
struct Repair {
    #[serde(flatten)]
    finding: Finding,
    repair: &'static str,
    /// Why it could not be done.
    failed: Option<String>,
}

/// What has been tried: module, rule and subject.
type Tried = HashSet<(&'static str, &'static str, String)>;

/// How the books are at the end, and what was done before.
struct Outcome {
    report: Report,
    repairs: Vec<Repair>,
    tried: Tried,
}

impl Outcome {
    /// What `--repair` would do about a finding. What it has tried in vain is for people.
    fn remedy(&self, finding: &Finding) -> Option<&'static str> {
        let remedy = Remedy::of(finding).filter(|_| !self.tried.contains(&key(finding)));
        remedy.map(Remedy::describe)
    }
}

fn key(finding: &Finding) -> (&'static str, &'static str, String) {
    (finding.module, finding.check, finding.subject.clone())
}

/// A finding, and what `--repair` would do about it; nothing when it is for people.
#[derive(Debug, Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    finding: &'a Finding,
    repair: Option<&'static str>,
}

/// Runs the command.
///
/// # Errors
/// When the database cannot be reached.
pub async fn run(args: VerifyArgs, settings: &Settings) -> anyhow::Result<ExitCode> {
    let database = Database::open_migrated(settings, &Module::ALL).await?;
    let outcome = work(args, &database, settings).await;
    database.close().await?;
    let outcome = outcome?;
    if args.json {
        print_json(&outcome)?;
    } else if args.metrics {
        say!("{}", metrics(&outcome.report));
    } else {
        print_text(&outcome);
    }
    Ok(if outcome.report.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn work(args: VerifyArgs, database: &Database, settings: &Settings) -> anyhow::Result<Outcome> {
    let shop = compose(database, settings, &Module::ALL, &Neighbours::none())?;
    let subscriptions = events::subscriptions(settings)?;
    let (mut tried, mut repairs) = (Tried::new(), Vec::new());
    loop {
        let report = shown(database, &shop).await?;
        let new = |finding: &Finding| args.repair && tried.insert(key(finding));
        let todo = mendable(&report, new);
        if todo.is_empty() {
            return Ok(Outcome { report, repairs, tried });
        }
        for (finding, remedy) in todo {
            let failed = match mend(&shop, &subscriptions, &finding, remedy).await {
                Ok(true) => None,
                // Mended together with another, or beyond help: the next look tells.
                Ok(false) => continue,
                Err(fault) => Some(fault.to_string()),
            };
            repairs.push(Repair { finding, repair: remedy.describe(), failed });
        }
    }
}

/// What can be mended and was not tried yet. What is between modules comes first: what a paid order holds is to be
/// sold before the product module frees it.
fn mendable(report: &Report, mut is_new: impl FnMut(&Finding) -> bool) -> Vec<(Finding, Remedy)> {
    let with_remedy = |finding: &Finding| Some((finding.clone(), Remedy::of(finding)?));
    let mut todo: Vec<_> =
        report.findings.iter().filter_map(with_remedy).filter(|(finding, _)| is_new(finding)).collect();
    todo.sort_by_key(|(finding, _)| finding.module != "shop");
    todo
}

/// Verifies, with the number of rules so far on a terminal.
async fn shown(database: &Database, shop: &Shop) -> anyhow::Result<Report> {
    let bar = progress::bar(0, "rules checked");
    bar.enable_steady_tick(Duration::from_millis(200));
    let count = ProgressBar::clone(&bar);
    let report = watched(move || count.inc(1), verify(database, shop)).await;
    bar.finish_and_clear();
    report
}

fn print_json(outcome: &Outcome) -> anyhow::Result<()> {
    let Outcome { report, repairs, .. } = outcome;
    let told = |finding| Told { finding, repair: outcome.remedy(finding) };
    let findings: Vec<Told> = report.findings.iter().map(told).collect();
    let whole = serde_json::json!({ "checked": report.checked, "findings": findings, "repairs": repairs });
    say!("{}", serde_json::to_string_pretty(&whole)?);
    Ok(())
}

/// In Prometheus' text format; 0 of a rule that holds, so that a finding which is gone is seen to be gone.
fn metrics(report: &Report) -> String {
    let mut text = "# HELP eshopz_verify_problems What `eshopz verify` found that breaks a rule.\n\
                    # TYPE eshopz_verify_problems gauge"
        .to_owned();
    for (module, rule, _) in &report.checked {
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "\neshopz_verify_problems{{module=\"{module}\",rule=\"{rule}\"}} {}",
            report.wrong(module, rule)
        );
    }
    text
}

fn print_text(outcome: &Outcome) {
    let Outcome { report, repairs, .. } = outcome;
    for Repair { finding: Finding { module, check, subject, .. }, repair, failed } in repairs {
        match failed {
            None => say!("repaired: {module} {check}: {subject}: {repair}"),
            Some(why) => say!("not repaired: {module} {check}: {subject}: {why}"),
        }
    }
    for (module, check, rows) in &report.checked {
        let wrong = report.wrong(module, check);
        let verdict = if wrong == 0 { "ok".to_owned() } else { format!("{wrong} WRONG") };
        say!("{module:<8} {check:<28} {rows:>9} rows  {verdict}");
    }
    for finding in &report.findings {
        let remedy = outcome.remedy(finding).map_or("needs a human".to_owned(), |what| format!("--repair: {what}"));
        let Finding { module, check, subject, detail } = finding;
        say!("{module} {check}: {subject}: {detail} [{remedy}]");
    }
    let count = report.findings.len();
    say!("{}", if count == 0 { "the books balance".to_owned() } else { format!("{count} findings") });
}
