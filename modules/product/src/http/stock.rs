//! The stock of a variant, and its ledger.

use actix_web::{get, post, put, web};
use chrono::{DateTime, Datelike as _, Utc};
use eshopz_kernel::{Cursor, Fault, Page, VariantId};
use eshopz_platform::http::params::{given, page_limit};
use eshopz_platform::http::{Admin, Answer, Body, IfMatch, PathId, Problem, Query, Reply};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use validator::{Validate, ValidationError};

use super::fields;
use super::variant_requests::MAX_ON_HAND;
use super::variants::shown;
use super::views::{MovementView, VariantView};
use crate::service::{ProductService, StockChange};

/// What was counted.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"on_hand": 25}))]
pub struct SetStock {
    #[validate(range(min = 0, max = MAX_ON_HAND))]
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub on_hand: i64,
}

/// What came or went.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"delta": -2, "reason": "Damaged in the warehouse"}))]
pub struct AdjustStock {
    /// How many more; below 0, how many fewer. Not 0.
    #[validate(range(min = -MAX_ON_HAND, max = MAX_ON_HAND), custom(function = not_zero))]
    #[schema(minimum = -1_000_000_000, maximum = 1_000_000_000)]
    pub delta: i64,
    #[validate(custom(function = fields::name))]
    #[schema(pattern = "<words>", min_length = 1, max_length = 255)]
    pub reason: String,
}

fn not_zero(delta: i64) -> Result<(), ValidationError> {
    if delta == 0 { Err(ValidationError::new("range").with_message("must not be 0".into())) } else { Ok(()) }
}

/// Which part of a list.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MovementQuery {
    /// Entries on a page.
    #[validate(range(min = 1, max = 100))]
    #[param(minimum = 1, maximum = 100, default = 20)]
    #[serde(default, deserialize_with = "given")]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[validate(length(max = 1000))]
    #[param(max_length = 1000)]
    pub cursor: Option<String>,
}

/// Set the stock
///
/// Admin. To what was counted; the difference goes into the ledger.
#[utoipa::path(
    tag = "product",
    params(
        ("id" = Uuid, Path, description = "The variant."),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the variant's ETag."),
    ),
    request_body = SetStock,
    responses(
        (status = 200, body = VariantView, description = "The variant as it is now.",
            headers(("ETag" = String, description = "Its version."))),
        (status = 409, body = Problem, description = "`stock_reserved`: orders hold more; `reserved` says how many."),
        (status = 412, body = Problem, description = "`etag_mismatch`: it has changed since."),
    ),
    security(("bearer" = []))
)]
#[put("/{id}/stock")]
pub async fn set_stock(
    service: web::Data<ProductService>,
    PathId(id): PathId<VariantId>,
    Admin(admin): Admin,
    if_match: IfMatch,
    Body(body): Body<SetStock>,
) -> Answer {
    let change = StockChange::Set(body.on_hand);
    shown(&service, service.change_stock(id, &change, &admin.user_id.to_string(), &if_match).await?)
}

/// Adjust the stock
///
/// Admin. By so many more or fewer, for a reason that the ledger keeps.
#[utoipa::path(
    tag = "product",
    params(
        ("id" = Uuid, Path, description = "The variant."),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the variant's ETag."),
    ),
    request_body = AdjustStock,
    responses(
        (status = 200, body = VariantView, description = "The variant as it is now.",
            headers(("ETag" = String, description = "Its version."))),
        (status = 409, body = Problem, description = "`stock_reserved`: orders hold more than would be left."),
        (status = 412, body = Problem, description = "`etag_mismatch`: it has changed since."),
    ),
    security(("bearer" = []))
)]
#[post("/{id}/stock-adjustments")]
pub async fn adjust_stock(
    service: web::Data<ProductService>,
    PathId(id): PathId<VariantId>,
    Admin(admin): Admin,
    if_match: IfMatch,
    Body(body): Body<AdjustStock>,
) -> Answer {
    let change = StockChange::Adjust { delta: body.delta, reason: body.reason };
    shown(&service, service.change_stock(id, &change, &admin.user_id.to_string(), &if_match).await?)
}

/// Read the stock ledger
///
/// Admin. Every change of a variant's stock, newest first.
#[utoipa::path(
    tag = "product",
    params(("id" = Uuid, Path, description = "The variant."), MovementQuery),
    responses((status = 200, body = Page<MovementView>, description = "A page of the ledger.")),
    security(("bearer" = []))
)]
#[get("/{id}/stock-movements")]
pub async fn list_stock_movements(
    service: web::Data<ProductService>,
    PathId(id): PathId<VariantId>,
    _: Admin,
    Query(query): Query<MovementQuery>,
) -> Answer {
    let limit = page_limit(query.limit);
    let before = query.cursor.as_deref().map(place).transpose()?;
    let rows = service.stock_movements(id, before, limit + 1).await?;
    let page = Page::from_rows(rows, limit, |row| (row.created_at, row.id), MovementView::from);
    Ok(Reply::ok(&page)?)
}

/// A place in the ledger; of times that PostgreSQL does not know, none.
fn place(cursor: &str) -> Result<(DateTime<Utc>, Uuid), Fault> {
    let place: (DateTime<Utc>, Uuid) = Cursor::decode(cursor)?;
    if (1..10_000).contains(&place.0.year()) { Ok(place) } else { Cursor::decode("") }
}
