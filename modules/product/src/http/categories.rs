//! The category tree.

use std::sync::Arc;

use actix_web::{delete, get, patch, post, web};
use eshopz_kernel::{Cursor, Page};
use eshopz_platform::http::params::{given, page_limit};
use eshopz_platform::http::{Admin, Answer, Body, IfMatch, Problem, Query, Reply};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use super::views::CategoryView;
use super::{CATEGORIES, fields};
use crate::error::ProductError;
use crate::service::{CategoryDraft, CategoryPatch, ProductService};
use crate::store::rows::Category;

/// A category to be made.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Shirts"}))]
pub struct CreateCategory {
    #[validate(custom(function = fields::name))]
    #[schema(pattern = "<words>", min_length = 1, max_length = 255)]
    pub name: String,
    /// Made of the name if it is left out.
    #[validate(custom(function = fields::slug))]
    #[schema(pattern = "<slug>", min_length = 1, max_length = 255)]
    pub slug: Option<String>,
    /// The slug of the one above.
    #[validate(custom(function = fields::line))]
    #[schema(pattern = "<line>", max_length = 255)]
    pub parent: Option<String>,
    /// Its place among the others, lowest first.
    #[serde(default)]
    #[validate(range(min = 0, max = 1_000_000))]
    #[schema(minimum = 0, maximum = 1_000_000)]
    pub position: i32,
}

/// A change of a category: what is left out stays as it is.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Shirts and blouses"}))]
pub struct UpdateCategory {
    #[serde(default, deserialize_with = "fields::given")]
    #[validate(custom(function = fields::name))]
    #[schema(pattern = "<words>", min_length = 1, max_length = 255, nullable = false)]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "fields::given")]
    #[validate(custom(function = fields::slug))]
    #[schema(pattern = "<slug>", min_length = 1, max_length = 255, nullable = false)]
    pub slug: Option<String>,
    /// The slug of the one above; `null` makes it a root. All below comes along.
    #[serde(default, deserialize_with = "fields::clearable")]
    #[validate(custom(function = fields::line))]
    #[schema(pattern = "<line>", max_length = 255, value_type = Option<String>)]
    pub parent: Option<Option<String>>,
    #[serde(default, deserialize_with = "fields::given")]
    #[validate(range(min = 0, max = 1_000_000))]
    #[schema(minimum = 0, maximum = 1_000_000, nullable = false)]
    pub position: Option<i32>,
}

/// Which categories.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CategoryQuery {
    /// Directly below the one of this slug.
    #[validate(custom(function = fields::line))]
    #[param(pattern = "<line>", max_length = 255)]
    pub parent: Option<String>,
    /// Categories on a page.
    #[validate(range(min = 1, max = 100))]
    #[param(minimum = 1, maximum = 100, default = 20)]
    #[serde(default, deserialize_with = "given")]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[validate(length(max = 2000))]
    #[param(max_length = 2000)]
    pub cursor: Option<String>,
}

fn shown(category: Category) -> Answer {
    let version = category.version;
    Ok(Reply::ok(&CategoryView::from(category))?.etag(version))
}

/// List categories
///
/// By position, then slug. `parent` makes the tree.
#[utoipa::path(
    tag = "product",
    params(CategoryQuery),
    responses((status = 200, body = Page<CategoryView>, description = "A page of categories.")),
    security(())
)]
#[get("")]
pub async fn list_categories(service: web::Data<ProductService>, Query(query): Query<CategoryQuery>) -> Answer {
    let limit = page_limit(query.limit);
    let after: Option<(i32, String)> = query.cursor.as_deref().map(Cursor::decode).transpose()?;
    if let Some((_, slug)) = &after {
        fields::text(slug)
            .map_err(|_| ProductError::field("/cursor", "invalid_cursor", "is not a cursor of this list"))?;
    }
    let rows = service.list_categories(query.parent.as_deref(), after.as_ref(), limit + 1).await?;
    let rows = Arc::unwrap_or_clone(rows);
    let page = Page::from_rows(rows, limit, |row| (row.position, row.slug.clone()), CategoryView::from);
    Ok(Reply::ok(&page)?.public())
}

/// Read a category
#[utoipa::path(
    tag = "product",
    params(("slug" = String, Path, description = "The category's slug.", example = "shirts")),
    responses(
        (status = 200, body = CategoryView, description = "The category.",
            headers(("ETag" = String, description = "Its version and content."))),
        (status = 304, description = "`If-None-Match` has it already."),
    ),
    security(())
)]
#[get("/{slug}")]
pub async fn get_category(service: web::Data<ProductService>, slug: web::Path<String>) -> Answer {
    Ok(shown(service.find_category(&slug).await?)?.public())
}

/// Make a category
///
/// Admin. A root, or below another one.
#[utoipa::path(
    tag = "product",
    request_body = CreateCategory,
    responses(
        (status = 201, body = CategoryView, description = "The new category.",
            headers(("Location" = String, description = "Its path."), ("ETag" = String, description = "Its version."))),
        (status = 409, body = Problem, description = "`slug_taken`."),
    ),
    security(("bearer" = []))
)]
#[post("")]
pub async fn create_category(service: web::Data<ProductService>, _: Admin, Body(body): Body<CreateCategory>) -> Answer {
    let CreateCategory { name, slug, parent, position } = body;
    let category =
        service.create_category(CategoryDraft { slug, name: name.trim().to_owned(), parent, position }).await?;
    let version = category.version;
    let view = CategoryView::from(category);
    Ok(Reply::created(format!("{CATEGORIES}/{}", view.slug), &view)?.etag(version))
}

/// Change a category
///
/// Admin. What is left out stays as it is. With another parent, all below it moves along.
#[utoipa::path(
    tag = "product",
    params(
        ("slug" = String, Path, description = "The category's slug."),
        ("If-Match" = Option<String>, Header, description = "Only if this is still its ETag."),
    ),
    request_body = UpdateCategory,
    responses(
        (status = 200, body = CategoryView, description = "The category as it is now.",
            headers(("ETag" = String, description = "Its version."))),
        (status = 409, body = Problem, description = "`slug_taken`; `category_cycle`: it would be below itself."),
        (status = 412, body = Problem, description = "`etag_mismatch`: it has changed since."),
    ),
    security(("bearer" = []))
)]
#[patch("/{slug}")]
pub async fn update_category(
    service: web::Data<ProductService>,
    slug: web::Path<String>,
    _: Admin,
    if_match: IfMatch,
    Body(body): Body<UpdateCategory>,
) -> Answer {
    let UpdateCategory { name, slug: new_slug, parent, position } = body;
    let name = name.map(|name| name.trim().to_owned());
    let patch = CategoryPatch { slug: new_slug, name, parent, position };
    shown(service.update_category(&slug, patch, &if_match).await?)
}

/// Remove a category
///
/// Admin. One without products and children.
#[utoipa::path(
    tag = "product",
    params(
        ("slug" = String, Path, description = "The category's slug."),
        ("If-Match" = Option<String>, Header, description = "Only if this is still its ETag."),
    ),
    responses(
        (status = 204, description = "It is gone."),
        (status = 409, body = Problem, description = "`category_in_use`: it has products or children."),
        (status = 412, body = Problem, description = "`etag_mismatch`: it has changed since."),
    ),
    security(("bearer" = []))
)]
#[delete("/{slug}")]
pub async fn delete_category(
    service: web::Data<ProductService>,
    slug: web::Path<String>,
    _: Admin,
    if_match: IfMatch,
) -> Answer {
    service.delete_category(&slug, &if_match).await?;
    Ok(Reply::no_content())
}
