//! Do the books balance? Each module checks its own; what holds between modules is checked here, by the
//! only code that may know more than one of them.

pub mod repair;
mod rules;

use anyhow::Context as _;
use eshopz_platform::books::{Finding, Report, about_to_check, some_of};
use eshopz_platform::db::encryption;
use tokio_postgres::Client;

use crate::compose::Shop;
use crate::database::Database;
use crate::modules::Module;

/// Checks everything.
///
/// # Errors
/// When the database cannot be reached.
pub async fn verify(database: &Database, shop: &Shop) -> anyhow::Result<Report> {
    let mut report = shop.verify().await?;
    if let Some(client) = shared_server(database).await? {
        for rule in &rules::RULES {
            report.merge(check(&client, rule).await?);
        }
    }
    Ok(report)
}

/// A connection that sees every schema, when all modules live on one server.
async fn shared_server(database: &Database) -> anyhow::Result<Option<Client>> {
    let url = database.url(Module::Order)?;
    for module in Module::ALL {
        if database.url(module)? != url {
            tracing::warn!("the modules have databases of their own: what holds between them is not checked");
            return Ok(None);
        }
    }
    let (client, connection) =
        encryption::connect(&encryption::parse(&url)?).await.context("cannot reach the database")?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::warn!(%error, "the connection broke");
        }
    });
    Ok(Some(client))
}

async fn check(client: &Client, rule: &rules::Rule) -> anyhow::Result<Report> {
    about_to_check();
    let rows: i64 = client.query_one(rule.count, &[]).await?.try_get(0)?;
    let mut findings = Vec::new();
    for row in client.query(&some_of(rule.violations), &[]).await.with_context(|| format!("check {}", rule.check))? {
        findings.push(Finding { module: "shop", check: rule.check, subject: row.try_get(0)?, detail: row.try_get(1)? });
    }
    Ok(Report { checked: vec![("shop", rule.check, rows)], findings })
}
