//! The module's endpoints, all under `/api/v1/payments`.

mod audit_log;
mod confirm;
mod movements;
mod payments;
mod views;
mod webhooks;

use utoipa_actix_web::scope::scope;
use utoipa_actix_web::service_config::ServiceConfig;

/// The handlers, with or without a running module behind them.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(
        scope("/api/v1/payments")
            // Before `/{id}…`, which would take these for an id.
            .service(webhooks::receive_gateway_webhook)
            .service(audit_log::list_payment_audit_log)
            .service(payments::list_payments)
            .service(payments::get_payment)
            .service(movements::list_payment_refunds)
            .service(movements::list_payment_transactions)
            .service(confirm::confirm_payment)
            .service(movements::capture_payment)
            .service(movements::create_payment_refund),
    );
}
