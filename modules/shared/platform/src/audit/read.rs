//! Reading the log: pages of it for admins, newest first.

use chrono::{DateTime, Datelike as _, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use eshopz_kernel::text::breaks_a_line;
use eshopz_kernel::{Cursor, Fault, Page};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use validator::{Validate, ValidationError};

use crate::db::{Db, StoreError};
use crate::http::params::{given, page_limit};

diesel::table! {
    audit_log (id) {
        id -> Uuid,
        at -> Timestamptz,
        actor -> Text,
        actor_role -> Nullable<Text>,
        action -> Text,
        subject_type -> Text,
        subject_id -> Text,
        request_id -> Text,
        address -> Nullable<Text>,
        details -> Jsonb,
    }
}

/// Which entries, and which page of them.
#[derive(Debug, Default, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// What was done, as in `product.archived`.
    #[validate(length(min = 1, max = 100), custom(function = one_line))]
    #[param(pattern = "<line>", min_length = 1, max_length = 100, example = "product.archived")]
    pub action: Option<String>,
    /// Who did it: the id of an account, `cli` or `nobody`.
    #[validate(length(min = 1, max = 100), custom(function = one_line))]
    #[param(pattern = "<line>", min_length = 1, max_length = 100, example = "cli")]
    pub actor: Option<String>,
    /// The id of what it was done to.
    #[validate(length(min = 1, max = 300), custom(function = one_line))]
    #[param(pattern = "<line>", min_length = 1, max_length = 300)]
    pub subject: Option<String>,
    /// Done at this time or later.
    #[validate(custom(function = storable_time))]
    #[serde(default, deserialize_with = "given")]
    pub from: Option<DateTime<Utc>>,
    /// Done before this time.
    #[validate(custom(function = storable_time))]
    #[serde(default, deserialize_with = "given")]
    pub to: Option<DateTime<Utc>>,
    /// Entries per page.
    #[validate(range(min = 1, max = 100))]
    #[param(minimum = 1, maximum = 100, default = 20)]
    #[serde(default, deserialize_with = "given")]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[validate(length(max = 500))]
    #[param(max_length = 500)]
    pub cursor: Option<String>,
}

/// PostgreSQL keeps no NUL, and nothing in the log is of several lines.
fn one_line(text: &str) -> Result<(), ValidationError> {
    if text.chars().any(breaks_a_line) {
        return Err(ValidationError::new("control_character").with_message("must be one line".into()));
    }
    Ok(())
}

/// PostgreSQL's calendar ends before chrono's.
fn storable_time(time: &DateTime<Utc>) -> Result<(), ValidationError> {
    if (1..=9_999).contains(&time.year()) { Ok(()) } else { Err(ValidationError::new("range")) }
}

/// Something that was done, and by whom.
#[derive(Debug, Serialize, ToSchema, Queryable, Selectable)]
#[diesel(table_name = audit_log)]
pub struct AuditEntry {
    pub id: Uuid,
    pub at: DateTime<Utc>,
    /// The id of an account, `cli` for an operator at the command line, or `nobody`.
    #[schema(examples("0198c5a6-7d3c-7b2e-9f10-3a5d0c1e2f34"))]
    pub actor: String,
    /// The role that the account had then.
    #[schema(examples("admin"))]
    pub actor_role: Option<String>,
    #[schema(examples("product.archived"))]
    pub action: String,
    #[schema(examples("product"))]
    pub subject_type: String,
    #[schema(examples("0198c5a6-7d3c-7b2e-9f10-3a5d0c1e2f35"))]
    pub subject_id: String,
    /// Of the request in which it was done.
    #[schema(examples("0198c5a6-7d3c-7b2e-9f10-3a5d0c1e2f36"))]
    pub request_id: String,
    /// The network address from which it was done.
    #[schema(examples("192.0.2.7"))]
    pub address: Option<String>,
    /// What else is worth knowing; depends on the action.
    #[schema(value_type = Object)]
    pub details: Value,
}

/// A page of a module's log, newest first.
///
/// # Errors
/// 422 `invalid_cursor`; those of the database.
pub async fn page(db: &Db, query: &AuditQuery) -> Result<Page<AuditEntry>, Fault> {
    let limit = page_limit(query.limit);
    let before: Option<Uuid> = query.cursor.as_deref().map(Cursor::decode).transpose()?;
    let mut conn = db.conn().await?;
    let rows = chosen(query, before)
        .order(audit_log::id.desc())
        .limit(i64::try_from(limit).unwrap_or(100).saturating_add(1))
        .load::<AuditEntry>(&mut conn)
        .await
        .map_err(StoreError::from)?;
    Ok(Page::from_rows(rows, limit, |row| row.id, |row| row))
}

fn chosen(query: &AuditQuery, before: Option<Uuid>) -> audit_log::BoxedQuery<'_, diesel::pg::Pg, Columns> {
    let mut rows = audit_log::table.select(AuditEntry::as_select()).into_boxed();
    if let Some(before) = before {
        rows = rows.filter(audit_log::id.lt(before));
    }
    if let Some(action) = &query.action {
        rows = rows.filter(audit_log::action.eq(action));
    }
    if let Some(actor) = &query.actor {
        rows = rows.filter(audit_log::actor.eq(actor));
    }
    if let Some(subject) = &query.subject {
        rows = rows.filter(audit_log::subject_id.eq(subject));
    }
    if let Some(from) = query.from {
        rows = rows.filter(audit_log::at.ge(from));
    }
    if let Some(to) = query.to {
        rows = rows.filter(audit_log::at.lt(to));
    }
    rows
}

/// What a row is read as.
type Columns = diesel::dsl::SqlTypeOf<diesel::dsl::AsSelect<AuditEntry, diesel::pg::Pg>>;
