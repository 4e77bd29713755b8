//! The module's HTTP: bodies and views by resource, and handlers that extract, call and map.

mod accounts;
mod addresses;
mod audit_log;
mod device;
mod export;
mod fields;
mod keys;
mod profile;
mod recovery;
mod second_factor;
mod sessions;
mod sign_in;
mod token;
mod views;

use actix_web::web;
use eshopz_platform::http::methods::nothing_but;
use utoipa_actix_web::scope::scope;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::service::UserService;

/// The application's data that the handlers work with.
type Service = web::Data<UserService>;

/// Adds the module's paths. What has a name of its own comes before `/users/{id}`.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(
        scope("/api/v1/auth")
            .service(sign_in::sign_in)
            .service(token::issue_token)
            .service(sign_in::refresh_tokens)
            .service(sign_in::sign_out)
            .service(recovery::request_password_reset)
            .service(recovery::confirm_password_reset)
            .service(recovery::verify_email),
    );
    cfg.service(
        scope("/api/v1/users")
            .service(profile::register_user)
            .service(profile::get_profile)
            .service(profile::update_profile)
            .service(profile::delete_profile)
            .service(profile::change_password)
            .service(export::export_profile)
            .service(second_factor::get_second_factor)
            .service(second_factor::begin_second_factor)
            .service(second_factor::confirm_second_factor)
            .service(second_factor::create_recovery_codes)
            .service(second_factor::delete_second_factor)
            .service(sessions::list_sessions)
            .service(sessions::delete_session)
            .service(addresses::list_addresses)
            .service(addresses::create_address)
            .service(addresses::get_address)
            .service(addresses::update_address)
            .service(addresses::delete_address)
            .service(accounts::list_users)
            .service(audit_log::list_user_audit_log)
            .route("/audit-log", nothing_but("GET"))
            .service(accounts::get_user)
            .service(accounts::update_user)
            .service(second_factor::remove_second_factor),
    );
    cfg.service(keys::list_signing_keys);
}
