//! Single products.

use actix_web::{delete, get, patch, post, web};
use bytes::Bytes;
use eshopz_kernel::{Currency, Fault, ProductId};
use eshopz_platform::http::conditional;
use eshopz_platform::http::{Admin, Answer, Body, Caller, IfMatch, PathId, Problem, Reply};

use super::PRODUCTS;
use super::product_requests::{CreateProduct, UpdateProduct};
use super::views::ProductView;
use crate::service::shelf::ProductCopy;
use crate::service::{ProductService, WholeProduct};

/// Read a product
///
/// By its id or its handle, with its variants and images. Drafts and archived products are for admins only.
#[utoipa::path(
    tag = "product",
    params(("id" = String, Path, description = "The product's id or handle.", example = "blue-shirt")),
    responses(
        (status = 200, body = ProductView, description = "The product.",
            headers(("ETag" = String, description = "Its version and content."))),
        (status = 304, description = "`If-None-Match` has it already."),
    ),
    security((), ("bearer" = []))
)]
#[get("/{id}")]
pub async fn get_product(service: web::Data<ProductService>, path: web::Path<String>, caller: Caller) -> Answer {
    if !caller.is_admin() {
        let copy = service.show_product(&path, |whole| written(whole, service.currency())).await?;
        return Ok(Reply::written(copy.body, &copy.etag).public());
    }
    let whole = service.find_product(&path, true).await?;
    let version = whole.product.version;
    Ok(Reply::ok(&ProductView::of(whole, service.currency(), true))?.etag(version))
}

/// A product as everybody sees it.
fn written(whole: WholeProduct, currency: Currency) -> Result<ProductCopy, Fault> {
    let (handle, version) = (whole.product.handle.as_str().into(), whole.product.version);
    let body = serde_json::to_vec(&ProductView::of(whole, currency, false))
        .map_err(|error| Fault::internal("serialise product").caused_by(error))?;
    Ok(ProductCopy { handle, etag: conditional::etag(version, &body).into(), body: Bytes::from(body) })
}

/// Make a product
///
/// Admin. With its variants and their stock. Options are taken from the variants if they are left out.
#[utoipa::path(
    tag = "product",
    request_body = CreateProduct,
    responses(
        (status = 201, body = ProductView, description = "The new product.",
            headers(("Location" = String, description = "Its path."), ("ETag" = String, description = "Its version."))),
        (status = 409, body = Problem, description = "`handle_taken`; `sku_taken`; `option_values_taken`: two variants \
            have the same values."),
    ),
    security(("bearer" = []))
)]
#[post("")]
pub async fn create_product(
    service: web::Data<ProductService>,
    Admin(admin): Admin,
    Body(body): Body<CreateProduct>,
) -> Answer {
    let draft = body.into_draft(service.currency())?;
    let whole = service.create_product(draft, &admin.user_id.to_string()).await?;
    let version = whole.product.version;
    let view = ProductView::of(whole, service.currency(), true);
    Ok(Reply::created(format!("{PRODUCTS}/{}", view.id), &view)?.etag(version))
}

/// Change a product
///
/// Admin. What is left out stays as it is. Variants have their own paths.
#[utoipa::path(
    tag = "product",
    params(
        ("id" = Uuid, Path, description = "The product."),
        ("If-Match" = Option<String>, Header, description = "Only if this is still its ETag."),
    ),
    request_body = UpdateProduct,
    responses(
        (status = 200, body = ProductView, description = "The product as it is now.",
            headers(("ETag" = String, description = "Its version."))),
        (status = 409, body = Problem, description = "`handle_taken`."),
        (status = 412, body = Problem, description = "`etag_mismatch`: it has changed since."),
    ),
    security(("bearer" = []))
)]
#[patch("/{id}")]
pub async fn update_product(
    service: web::Data<ProductService>,
    PathId(id): PathId<ProductId>,
    _: Admin,
    if_match: IfMatch,
    Body(body): Body<UpdateProduct>,
) -> Answer {
    let whole = service.update_product(id, body.into_patch()?, &if_match).await?;
    let version = whole.product.version;
    Ok(Reply::ok(&ProductView::of(whole, service.currency(), true))?.etag(version))
}

/// Archive a product
///
/// Admin. It is no longer shown or sold; orders that have it are not touched. `status` brings it back.
#[utoipa::path(
    tag = "product",
    params(
        ("id" = Uuid, Path, description = "The product."),
        ("If-Match" = Option<String>, Header, description = "Only if this is still its ETag."),
    ),
    responses(
        (status = 204, description = "It is archived."),
        (status = 412, body = Problem, description = "`etag_mismatch`: it has changed since."),
    ),
    security(("bearer" = []))
)]
#[delete("/{id}")]
pub async fn delete_product(
    service: web::Data<ProductService>,
    PathId(id): PathId<ProductId>,
    _: Admin,
    if_match: IfMatch,
) -> Answer {
    service.archive_product(id, &if_match).await?;
    Ok(Reply::no_content())
}
