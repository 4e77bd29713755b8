//! Whether the module's books balance, for `eshopz verify`.

use eshopz_platform::books::{Finding, Report};
use eshopz_platform::db::Db;
use eshopz_platform::events::health;

use crate::error::UserError;
use crate::store::audit::{Broken, RULES};

const MODULE: &str = "user";

/// Checks every rule.
pub async fn verify(db: &Db) -> Result<Report, UserError> {
    let mut conn = db.conn().await?;
    let mut report = Report::default();
    for rule in RULES {
        report.checked.push((MODULE, rule.name, rule.count(&mut conn).await?));
        let broken = rule.broken(&mut conn).await?;
        report.findings.extend(broken.into_iter().map(|Broken { subject, detail }| Finding {
            module: MODULE,
            check: rule.name,
            subject,
            detail,
        }));
    }
    report.merge(health::audit(&mut conn, MODULE).await?);
    Ok(report)
}
