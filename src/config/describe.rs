//! The effective configuration in print, with every secret hidden.

use std::collections::BTreeMap;

use eshopz_platform::db::DbConfig;
use serde_json::{Value, json};

use crate::cli::Settings;
use crate::modules::Module;

/// The effective configuration with secrets hidden.
#[must_use]
pub fn describe(settings: &Settings) -> Value {
    let Settings { database, runtime, limits, accounts, mail, shop, .. } = settings;
    let of_modules = |shown: fn(&DbConfig) -> Option<String>| -> BTreeMap<&str, Value> {
        let shown = |module: &Module| json!(database.config(*module, None).ok().as_ref().and_then(shown));
        Module::ALL.iter().map(|module| (module.name(), shown(module))).collect()
    };
    json!({
        "environment": format!("{:?}", runtime.environment).to_lowercase(),
        "database": {
            "urls": of_modules(|config| Some(hide(&config.url))),
            "reader_urls": of_modules(|config| config.reader_url.as_deref().map(hide)),
            "private_server": !database.is_external(&Module::ALL),
            "data_dir": database.data_dir,
            "pool_per_module": database.database_pool,
            "wait_ms": database.database_wait_ms,
            "ca_file": database.database_ca_file,
        },
        "redis_url": runtime.redis_url.as_deref().map(hide),
        "events": format!("{:?}", runtime.events).to_lowercase(),
        "secrets": runtime.secrets.to_string(),
        "secret_key": runtime.secret_key.as_ref().map(|_| "***"),
        "secret_key_previous": runtime.secret_key_previous.as_ref().map(|_| "***"),
        "signing_keys": runtime.signing_keys.as_ref().map(|_| "***"),
        "payment": {
            "gateway": runtime.gateway().ok().map(|gateway| format!("{gateway:?}").to_lowercase()),
            "capture": format!("{:?}", runtime.payment_capture).to_lowercase(),
            "gateway_timeout_ms": runtime.gateway_timeout_ms,
            "webhook_secret": "***",
            "stripe_secret_key": runtime.stripe_secret_key.as_ref().map(|_| "***"),
            "stripe_url": runtime.stripe_url,
        },
        "rate_limit": { "on": runtime.limits_clients(), "per_minute": runtime.rate_limit_per_minute },
        "limits": {
            "sign_in_failures_per_account": limits.sign_in_failures_per_account,
            "sign_in_failures_per_address": limits.sign_in_failures_per_address,
            "registrations_per_address": limits.registrations_per_address,
            "resets_per_account": limits.resets_per_account,
            "resets_per_address": limits.resets_per_address,
            "wrong_tokens_per_address": limits.wrong_tokens_per_address,
            "imports_per_admin": limits.imports_per_admin,
        },
        "accounts": {
            "admin_second_factor": accounts.admins_need_second_factor(runtime.is_production()),
            "argon2": {
                "memory_kib": accounts.argon2_memory_kib,
                "iterations": accounts.argon2_iterations,
                "parallelism": accounts.argon2_parallelism,
            },
        },
        "mail": {
            "smtp_url": mail.smtp_url.as_deref().map(hide),
            "from": mail.mail_from,
            "ca_file": mail.smtp_ca_file,
        },
        "shop": {
            "currency": shop.currency.code(),
            "shipping_flat": shop.shipping_flat,
            "shipping_free_from": shop.shipping_free_from,
            "tax_rates_basis_points": shop.tax_rates.0,
            "order_expiry_minutes": shop.order_expiry_minutes,
            "cart_max_lines": shop.cart_max_lines,
            "cart_max_quantity": shop.cart_max_quantity,
        },
    })
}

/// The schemes of databases, of Redis and of mail servers.
const SCHEMES: [&str; 7] = ["postgres", "postgresql", "redis", "rediss", "redis+unix", "smtp", "smtps"];

/// A URL without its password and without parameters, which may hold one too. Whatever is not written as
/// it should be is hidden whole: a password with a stray `?` or `@` must not show in parts.
fn hide(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://").filter(|(scheme, _)| SCHEMES.contains(scheme)) else {
        return "***".to_owned();
    };
    let (credentials, place) =
        rest.rsplit_once('@').map_or((None, rest), |(credentials, place)| (Some(credentials), place));
    let place = place.split('?').next().unwrap_or_default();
    let place = if has_ports(place) { shown(place, "/:%[],") } else { "***" };
    let Some(credentials) = credentials else { return format!("{scheme}://{place}") };
    let (user, mask) = credentials.split_once(':').map_or((credentials, ""), |(user, _)| (user, ":***"));
    format!("{scheme}://{}{mask}@{place}", shown(user, "%"))
}

/// Whether what stands where ports do is of digits; else it may be what came after a password's colon.
fn has_ports(place: &str) -> bool {
    let hosts = place.split('/').next().unwrap_or_default();
    let port = |host: &str| host.rsplit_once(':').is_none_or(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    hosts.split(',').all(|host| host.ends_with(']') || port(host))
}

/// The text, if it is of letters, digits, `.`, `-`, `_` and these signs only.
fn shown<'a>(text: &'a str, signs: &str) -> &'a str {
    let plain = |sign: char| sign.is_ascii_alphanumeric() || ".-_".contains(sign) || signs.contains(sign);
    if text.chars().all(plain) { text } else { "***" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_hidden() {
        assert_eq!(hide("postgres://shop:p@ss:w@db:5432/shop"), "postgres://shop:***@db:5432/shop");
        assert_eq!(hide("postgres://db/shop?password=x"), "postgres://db/shop");
        assert_eq!(hide("postgres://shop:pa?ss@db/shop?sslmode=x"), "postgres://shop:***@db/shop");
        assert_eq!(hide("postgres://db/shop?password=a@b/c"), "postgres://***@b/c");
        assert_eq!(hide("postgres://me@%2Ftmp%2Fpg/shop"), "postgres://me@%2Ftmp%2Fpg/shop");
        assert_eq!(hide("postgres://shop:x@[::1]:5432,db:5433/shop"), "postgres://shop:***@[::1]:5432,db:5433/shop");
        assert_eq!(hide("postgres://shop:x@db:secret/shop"), "postgres://shop:***@***");
        assert_eq!(hide("redis://:secret@cache:6379"), "redis://:***@cache:6379");
        assert_eq!(hide("smtps://shop:secret@mail.example.com"), "smtps://shop:***@mail.example.com");
        assert_eq!(hide("host=db password=x"), "***");
        assert_eq!(hide("secret://db"), "***");
    }
}
