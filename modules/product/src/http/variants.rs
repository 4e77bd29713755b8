//! Single variants.

use actix_web::{delete, get, patch, post, web};
use eshopz_kernel::{ProductId, VariantId};
use eshopz_platform::http::{Admin, Answer, Body, Caller, IfMatch, PathId, Problem, Reply};

use super::VARIANTS;
use super::variant_requests::{CreateVariant, UpdateVariant};
use super::views::VariantView;
use crate::service::ProductService;
use crate::store::rows::VariantOfProduct;

/// A variant as an admin sees it, with the ETag of its version.
pub(super) fn shown(service: &ProductService, found: VariantOfProduct) -> Answer {
    let version = found.variant.version;
    Ok(Reply::ok(&VariantView::of(found.variant, &found.options, service.currency(), true))?.etag(version))
}

/// Read a variant
///
/// Those of drafts and archived products are for admins only.
#[utoipa::path(
    tag = "product",
    params(("id" = Uuid, Path, description = "The variant.")),
    responses(
        (status = 200, body = VariantView, description = "The variant.",
            headers(("ETag" = String, description = "Its version and content."))),
        (status = 304, description = "`If-None-Match` has it already."),
    ),
    security((), ("bearer" = []))
)]
#[get("/{id}")]
pub async fn get_variant(service: web::Data<ProductService>, PathId(id): PathId<VariantId>, caller: Caller) -> Answer {
    let found = service.find_variant(id, caller.is_admin()).await?;
    if caller.is_admin() {
        return shown(&service, found);
    }
    let version = found.variant.version;
    let view = VariantView::of(found.variant, &found.options, service.currency(), false);
    Ok(Reply::ok(&view)?.etag(version).public())
}

/// Add a variant
///
/// Admin. With one value for each option of the product; new values become part of its options.
#[utoipa::path(
    tag = "product",
    params(("id" = Uuid, Path, description = "The product.")),
    request_body = CreateVariant,
    responses(
        (status = 201, body = VariantView, description = "The new variant.",
            headers(("Location" = String, description = "Its path."), ("ETag" = String, description = "Its version."))),
        (status = 409, body = Problem, description = "`sku_taken`; `option_values_taken`; `too_many_variants`."),
    ),
    security(("bearer" = []))
)]
#[post("/{id}/variants")]
pub async fn create_variant(
    service: web::Data<ProductService>,
    PathId(id): PathId<ProductId>,
    Admin(admin): Admin,
    Body(body): Body<CreateVariant>,
) -> Answer {
    let draft = body.into_draft(service.currency(), "")?;
    let found = service.create_variant(id, draft, &admin.user_id.to_string()).await?;
    let version = found.variant.version;
    let view = VariantView::of(found.variant, &found.options, service.currency(), true);
    Ok(Reply::created(format!("{VARIANTS}/{}", view.id), &view)?.etag(version))
}

/// Change a variant
///
/// Admin. What is left out stays as it is. Carts show a new price at their next reading.
#[utoipa::path(
    tag = "product",
    params(
        ("id" = Uuid, Path, description = "The variant."),
        ("If-Match" = Option<String>, Header, description = "Only if this is still its ETag."),
    ),
    request_body = UpdateVariant,
    responses(
        (status = 200, body = VariantView, description = "The variant as it is now.",
            headers(("ETag" = String, description = "Its version."))),
        (status = 409, body = Problem, description = "`sku_taken`; `option_values_taken`; `stock_reserved`: more is \
            sold than there is, so the policy cannot become `deny`."),
        (status = 412, body = Problem, description = "`etag_mismatch`: it has changed since."),
    ),
    security(("bearer" = []))
)]
#[patch("/{id}")]
pub async fn update_variant(
    service: web::Data<ProductService>,
    PathId(id): PathId<VariantId>,
    _: Admin,
    if_match: IfMatch,
    Body(body): Body<UpdateVariant>,
) -> Answer {
    let patch = body.into_patch(service.currency())?;
    shown(&service, service.update_variant(id, patch, &if_match).await?)
}

/// Remove a variant
///
/// Admin. Its ledger stays.
#[utoipa::path(
    tag = "product",
    params(
        ("id" = Uuid, Path, description = "The variant."),
        ("If-Match" = Option<String>, Header, description = "Only if this is still its ETag."),
    ),
    responses(
        (status = 204, description = "It is gone."),
        (status = 409, body = Problem, description = "`last_variant`: archive the product instead; `stock_reserved`: \
            orders hold some of it."),
        (status = 412, body = Problem, description = "`etag_mismatch`: it has changed since."),
    ),
    security(("bearer" = []))
)]
#[delete("/{id}")]
pub async fn delete_variant(
    service: web::Data<ProductService>,
    PathId(id): PathId<VariantId>,
    _: Admin,
    if_match: IfMatch,
) -> Answer {
    service.delete_variant(id, &if_match).await?;
    Ok(Reply::no_content())
}
