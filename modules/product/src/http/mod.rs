//! The module's endpoints: `/api/v1/products`, `/api/v1/variants`, `/api/v1/categories`.

mod audit_log;
mod categories;
mod fields;
mod list;
mod product_requests;
mod products;
mod schemas;
mod stock;
mod variant_requests;
mod variants;
mod views;

use eshopz_platform::http::methods::nothing_but;
use utoipa_actix_web::scope::scope;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::transfer::http::{export_products, import_products};

const PRODUCTS: &str = "/api/v1/products";
const VARIANTS: &str = "/api/v1/variants";
const CATEGORIES: &str = "/api/v1/categories";

/// Adds the endpoints. Fixed paths come before ids and handles, or they would be taken for one.
pub fn routes(cfg: &mut ServiceConfig<'_>) {
    cfg.service(
        scope(PRODUCTS)
            .service(list::list_products)
            .service(products::create_product)
            .service(import_products)
            .route("/import", nothing_but("POST"))
            .service(export_products)
            .route("/export", nothing_but("GET"))
            .service(audit_log::list_product_audit_log)
            .route("/audit-log", nothing_but("GET"))
            .service(products::get_product)
            .service(products::update_product)
            .service(products::delete_product)
            .service(variants::create_variant),
    );
    cfg.service(
        scope(VARIANTS)
            .service(variants::get_variant)
            .service(variants::update_variant)
            .service(variants::delete_variant)
            .service(stock::set_stock)
            .service(stock::adjust_stock)
            .service(stock::list_stock_movements),
    );
    cfg.service(
        scope(CATEGORIES)
            .service(categories::list_categories)
            .service(categories::create_category)
            .service(categories::get_category)
            .service(categories::update_category)
            .service(categories::delete_category),
    );
}
