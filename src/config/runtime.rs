//! What is around the shop: Redis, events, secrets, the gateway, limits.

use std::time::Duration;

use anyhow::bail;
use clap::{Args, ValueEnum};

use super::{Hidden, SecretSource};

/// How careful to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Environment {
    Development,
    Production,
}

/// Who moves the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PaymentGateway {
    /// Plays Stripe's test methods; no money moves.
    Sandbox,
    /// Stripe.
    Stripe,
}

/// How events travel between modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EventTransport {
    /// Handed over directly, by HTTP to listeners in other processes.
    Local,
    /// By SNS topics and SQS queues.
    Sns,
}

/// A switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

/// Where products are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProductCache {
    On,
    Redis,
    Off,
}

/// Everything around the shop.
#[derive(Args, Clone, Debug)]
pub struct RuntimeArgs {
    /// `production` refuses defaults that are only good for trying.
    #[arg(long = "env", env = "ESHOPZ_ENV", value_enum, default_value_t = Environment::Development, global = true)]
    pub environment: Environment,

    /// Redis, as `redis://host:port`, for copies and counters; without it they live in the process.
    #[arg(long, env = "ESHOPZ_REDIS_URL", hide_env_values = true, global = true)]
    pub redis_url: Option<Hidden>,

    /// How events travel.
    #[arg(long, env = "ESHOPZ_EVENTS", value_enum, default_value_t = EventTransport::Local, global = true)]
    pub events: EventTransport,

    /// The first part of the names of topics and queues, with `--events sns`.
    #[arg(long, env = "ESHOPZ_EVENTS_PREFIX", default_value = "eshopz", global = true, hide_short_help = true)]
    pub events_prefix: String,

    /// Where secrets come from: `env`, or `aws:NAME` for a secret of AWS Secrets Manager, a JSON object with
    /// `database_url` and the like. A flag or variable counts more than the secret.
    #[arg(long, env = "ESHOPZ_SECRETS", default_value_t = SecretSource::Env, global = true)]
    pub secrets: SecretSource,

    /// Seconds between two looks whether the secrets of `--secrets aws:…` have changed; the same in every process.
    #[arg(long, env = "ESHOPZ_SECRETS_REFRESH_SECONDS", default_value_t = 60, global = true, hide_short_help = true,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub secrets_refresh_seconds: u64,

    /// Encrypts the signing keys and the secrets of second factors in the database. Without it they are encrypted with a
    /// key made from the user module's database URL in production, and with a well-known one in development.
    #[arg(long, env = "ESHOPZ_SECRET_KEY", hide_env_values = true, global = true, hide_short_help = true)]
    pub secret_key: Option<Hidden>,

    /// The secret key before this one, while what was made with it is still around.
    #[arg(long, env = "ESHOPZ_SECRET_KEY_PREVIOUS", hide_env_values = true, global = true, hide_short_help = true)]
    pub secret_key_previous: Option<Hidden>,

    /// Ed25519 private keys as PKCS#8 PEM, one after another: the first signs access tokens, all are shown.
    /// Without them the keys are made by the shop and kept in the database, encrypted.
    #[arg(long, env = "ESHOPZ_SIGNING_KEYS", hide_env_values = true, global = true, hide_short_help = true)]
    pub signing_keys: Option<Hidden>,

    /// Who moves the money; `sandbox` outside production.
    #[arg(long, env = "ESHOPZ_PAYMENT_GATEWAY", value_enum, global = true)]
    pub payment_gateway: Option<PaymentGateway>,

    /// `manual` authorises a payment first and collects it by a capture.
    #[arg(long, env = "ESHOPZ_PAYMENT_CAPTURE", value_enum, default_value_t = Capture::Automatic, global = true)]
    pub payment_capture: Capture,

    /// Milliseconds after which a gateway's silence counts as an unknown outcome.
    #[arg(long, env = "ESHOPZ_GATEWAY_TIMEOUT_MS", default_value_t = 5_000, global = true, hide_short_help = true)]
    pub gateway_timeout_ms: u64,

    /// Stripe's secret key, `sk_…` or `rk_…`.
    #[arg(long, env = "ESHOPZ_STRIPE_SECRET_KEY", hide_env_values = true, global = true, hide_short_help = true)]
    pub stripe_secret_key: Option<Hidden>,

    /// Where Stripe's API is.
    #[arg(
        long,
        env = "ESHOPZ_STRIPE_URL",
        default_value = "https://api.stripe.com",
        global = true,
        hide_short_help = true
    )]
    pub stripe_url: String,

    /// Signs the gateway's webhooks; the sandbox's have a well-known one.
    #[arg(long, env = "ESHOPZ_WEBHOOK_SECRET", hide_env_values = true, global = true, hide_short_help = true)]
    pub webhook_secret: Option<Hidden>,

    /// Where products are remembered: `on` is in the process and in Redis, `redis` in Redis only.
    #[arg(long, env = "ESHOPZ_PRODUCT_CACHE", value_enum, default_value_t = ProductCache::On, global = true,
          hide_short_help = true)]
    pub product_cache: ProductCache,

    /// Whether anything is measured; without it `/metrics` is empty.
    #[arg(long, env = "ESHOPZ_MEASURING", value_enum, default_value_t = Switch::On, global = true, hide_short_help = true)]
    pub measuring: Switch,

    /// Where spans go, as the address of an OpenTelemetry collector that takes OTLP over HTTP, such as
    /// `http://collector:4318`; without it there are none.
    #[arg(long, env = "ESHOPZ_OTLP_URL", global = true)]
    pub otlp_url: Option<String>,

    /// The part of the traces that are kept, from 0 to 1, beside those that fail, which all are.
    #[arg(long, env = "ESHOPZ_TRACE_SAMPLE", default_value_t = 0.05, global = true, hide_short_help = true,
          value_parser = share)]
    pub trace_sample: f64,

    /// The general limit per client address; on in production, off in development.
    #[arg(long, env = "ESHOPZ_RATE_LIMIT", value_enum, global = true)]
    pub rate_limit: Option<Switch>,

    /// Requests per minute and client address, when the limit is on.
    #[arg(long, env = "ESHOPZ_RATE_LIMIT_PER_MINUTE", default_value_t = 1_200, global = true, hide_short_help = true)]
    pub rate_limit_per_minute: u64,
}

/// When a confirmed payment is collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Capture {
    Automatic,
    Manual,
}

/// A part of a whole.
fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "a number from 0 to 1 is expected, such as 0.05".to_owned())
}

impl RuntimeArgs {
    #[must_use]
    pub fn is_production(&self) -> bool {
        self.environment == Environment::Production
    }

    /// Whether the general limit is on.
    #[must_use]
    pub fn limits_clients(&self) -> bool {
        self.rate_limit.map_or(self.is_production(), |switch| switch == Switch::On)
    }

    /// The gateway in use.
    ///
    /// # Errors
    /// In production, when none is named: the sandbox must not sell real goods by accident.
    pub fn gateway(&self) -> anyhow::Result<PaymentGateway> {
        match self.payment_gateway {
            Some(gateway) => Ok(gateway),
            None if self.is_production() => {
                bail!("in production the payment gateway must be named: set ESHOPZ_PAYMENT_GATEWAY")
            }
            None => Ok(PaymentGateway::Sandbox),
        }
    }

    /// The secret that signs webhooks. Empty in production when none is set: no webhook is good then.
    #[must_use]
    pub fn webhook_secret(&self) -> &str {
        let known_to_all = if self.is_production() { "" } else { "whsec_sandbox" };
        self.webhook_secret.as_deref().unwrap_or(known_to_all)
    }

    /// The secret keys that are set: the current one, then the one before it.
    #[must_use]
    pub fn secret_keys(&self) -> Vec<String> {
        let given = self.secret_key.iter().chain(&self.secret_key_previous);
        given.filter(|secret| !secret.is_empty()).map(|secret| secret.to_string()).collect()
    }

    /// The pause between two looks at the secrets, give or take a tenth.
    #[must_use]
    pub const fn secrets_refresh(&self) -> Duration {
        Duration::from_secs(self.secrets_refresh_seconds)
    }

    /// How long after one process another learns of other secrets, at most: it may have looked just before, and
    /// its next look may fail.
    #[must_use]
    pub fn secrets_known_within(&self) -> Duration {
        self.secrets_refresh() * 11 / 10 * 2
    }

    /// The secret that encrypts signing keys at rest, never empty.
    ///
    /// # Errors
    /// When nothing lasting is there: a database URL that comes from a secret changes with its password, and
    /// keys encrypted with the one before would be lost.
    pub fn key_secret(&self, user_database_url: &str) -> anyhow::Result<String> {
        let comes_from_secret = matches!(self.secrets, SecretSource::Aws(_));
        match self.secret_keys().into_iter().next() {
            Some(secret) => Ok(secret),
            None if !self.is_production() => Ok("a well-known development secret".to_owned()),
            None if comes_from_secret && self.signing_keys.is_none() => {
                bail!("in production the secret of --secrets needs a `secret_key`, which encrypts the signing keys")
            }
            None => {
                tracing::warn!(
                    "ESHOPZ_SECRET_KEY is not set; signing keys and second factors are encrypted with the database URL, and \
                     cannot be read any more when that changes"
                );
                Ok(format!("database:{user_database_url}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn everybody_has_had_two_late_looks_before_all_are_taken_to_know() {
        let settings = Cli::parse_from(["eshopz", "serve", "--secrets-refresh-seconds", "60"]).settings;
        assert_eq!(settings.runtime.secrets_known_within(), Duration::from_secs(66) * 2);
    }
}
