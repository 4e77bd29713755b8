//! `POST /products/import` and `GET /products/export`.

use std::io;

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use bytes::Bytes;
use eshopz_kernel::Fault;
use eshopz_platform::http::body::{check_media_type, paced, too_large};
use eshopz_platform::http::{Admin, Answer, Problem, Reply};
use futures::{Stream, StreamExt as _, TryStreamExt as _};

use super::report::ImportReport;
use super::{export_chunks, import_chunks};
use crate::service::ProductService;

/// The largest file that is taken, in bytes.
pub const FILE_LIMIT: usize = 256 * 1024 * 1024;

/// What browsers and spreadsheets call a CSV file.
const MEDIA_TYPES: &[&str] = &["text/csv", "application/vnd.ms-excel"];

/// Import a product CSV
///
/// Admin. Takes a product CSV as Shopify exports it, of up to 256 MiB. Products are found by `Handle`,
/// variants by their option values or else by `Variant SKU`; what is new is made, what differs is
/// changed, and nothing is removed. The stock is set where the file asks for another quantity than it
/// did last time. Rows that cannot go in are named in the answer with the reason; the others go in. The
/// same file again changes nothing.
#[utoipa::path(
    tag = "product",
    request_body(
        content = String,
        content_type = "text/csv",
        description = "A header row with at least `Handle`, then a row for each variant or image.",
        example = "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Inventory Qty,Variant Price\n\
                   picnic-blanket,Picnic Blanket,Color,Red,PIC-RED,12,39.00\n\
                   picnic-blanket,,,Blue,PIC-BLU,7,39.00\n"
    ),
    responses(
        (status = 200, body = ImportReport, description = "What went in, and which rows did not and why."),
        (status = 422, body = Problem, description = "`not_a_product_csv`: no header, no column `Handle`, or a quote that never closes. Whole batches before that are in."),
        (status = 429, body = Problem, description = "`rate_limited`: too many imports; see `Retry-After`"),
    ),
    security(("bearer" = [])),
)]
#[post("/import")]
pub async fn import_products(
    Admin(admin): Admin,
    service: web::Data<ProductService>,
    req: HttpRequest,
    payload: web::Payload,
) -> Answer {
    check_media_type(&req, MEDIA_TYPES)?;
    check_length(&req, FILE_LIMIT)?;
    service.imports.hit(&admin.user_id.to_string()).await?;
    let chunks = Box::pin(limited(payload, FILE_LIMIT));
    let report = import_chunks(&service.db, Some(&service.shelf), service.currency(), chunks, |_| {}).await?;
    Ok(Reply::ok(&report)?)
}

/// Export the catalogue as a product CSV
///
/// Admin. All products of any status with their variants, images, categories and stock, in Shopify's
/// format. Imported into an empty shop it makes the same catalogue. Cells that a spreadsheet would run
/// as formulas begin with a `'`, which the import takes off.
#[utoipa::path(
    tag = "product",
    responses((
        status = 200,
        body = String,
        content_type = "text/csv",
        description = "A header row, then a row for each variant or image; the first of a product carries the product.",
    )),
    security(("bearer" = [])),
)]
#[get("/export")]
pub async fn export_products(_: Admin, service: web::Data<ProductService>) -> Answer<HttpResponse> {
    let mut chunks = Box::pin(export_chunks(service.db.clone(), service.currency()));
    // What fails at once still gets a problem document.
    let first = chunks.try_next().await?.unwrap_or_default();
    let chunks = futures::stream::iter([Ok(first)]).chain(chunks).inspect_err(|error| {
        tracing::error!(%error, "an export broke off");
    });
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8")));
    answer.insert_header((
        header::CONTENT_DISPOSITION,
        HeaderValue::from_static("attachment; filename=\"products.csv\""),
    ));
    answer.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
    Ok(answer.streaming(chunks))
}

/// Refuses a body that is announced as too large before it is read.
fn check_length(req: &HttpRequest, limit: usize) -> Result<(), Fault> {
    let announced = req.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let announced: usize = announced.and_then(|text| text.parse().ok()).unwrap_or(0);
    if announced > limit { Err(too_large(limit)) } else { Ok(()) }
}

/// The body chunk by chunk, up to the limit, and no slower than a body may be: whoever sends a byte now and then must
/// not keep an import and its thread.
fn limited(payload: web::Payload, limit: usize) -> impl Stream<Item = io::Result<Bytes>> {
    paced(payload).scan(0_usize, move |read, chunk| {
        let chunk = chunk.and_then(|chunk| {
            *read = read.saturating_add(chunk.len());
            if *read > limit { Err(too_large(limit)) } else { Ok(chunk) }
        });
        std::future::ready(Some(chunk.map_err(io::Error::other)))
    })
}
