//! Who works with secrets, and how he takes new ones without a restart.
//!
//! What was made with a secret outlives it: a token, a webhook under way, a process that has not looked
//! yet. So each secret that others must agree on is known beside its successor for a while.

use std::fmt;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use diesel_async::SimpleAsyncConnection as _;
use eshopz_payment::PaymentModule;
use eshopz_platform::cache::Redis;
use eshopz_platform::db::{Db, DbConfig, StoreError};
use eshopz_platform::wire::ServiceKeys;
use eshopz_user::UserModule;

use crate::cli::Settings;
use crate::compose::Shop;
use crate::config::PaymentGateway;
use crate::modules::Module;

/// A part of the process that takes new secrets.
#[async_trait]
pub trait Rotation: fmt::Debug + Send + Sync {
    /// Its name in the log.
    fn part(&self) -> &'static str;

    /// Goes over from the secrets of `before` to those of `after`. May be told to repeat itself.
    ///
    /// # Errors
    /// When the new ones are no good; it then works with the old ones.
    async fn apply(&mut self, before: &Settings, after: &Settings) -> anyhow::Result<()>;

    /// Another interval went by without a change for this part.
    fn settle(&mut self) {}

    /// Ends when what it has is taken no more, so that there may be something newer.
    async fn refused(&self) {
        std::future::pending().await
    }
}

/// Everything in a process that takes new secrets.
#[must_use]
pub fn all(shop: &Shop, keys: &ServiceKeys) -> Vec<Box<dyn Rotation>> {
    let mut all: Vec<Box<dyn Rotation>> =
        vec![Box::new(RedisUrl(shop.redis.clone())), Box::new(ServiceTokens { keys: keys.clone(), next: None })];
    for (module, db) in shop.pools() {
        all.push(Box::new(DatabaseUrl(*module, db.clone())));
    }
    if let Some(user) = &shop.user {
        all.push(Box::new(SigningKeys(user.clone())));
        all.push(Box::new(MailServer(user.clone())));
    }
    if let Some(payment) = &shop.payment {
        all.push(Box::new(Webhooks(payment.clone())));
        all.push(Box::new(GatewayKey(payment.clone())));
    }
    all
}

/// A module's pool: connections to come are made with the new URL.
#[derive(Debug)]
struct DatabaseUrl(Module, Db);

/// How long a database may take to show that a module could work there.
const TRIAL: Duration = Duration::from_secs(5);

#[async_trait]
impl Rotation for DatabaseUrl {
    fn part(&self) -> &'static str {
        "database"
    }

    async fn apply(&mut self, before: &Settings, after: &Settings) -> anyhow::Result<()> {
        let Self(module, db) = self;
        // On a private server there is nothing to change.
        if !after.database.is_external(&[*module]) {
            return Ok(());
        }
        let config = after.database.config(*module, None)?;
        let known = before.database.config(*module, None).is_ok_and(|before| before.url == config.url);
        if !known {
            try_out(db.schema(), &config).await.with_context(|| format!("the {module} module"))?;
        }
        Ok(db.reconfigure(&config)?)
    }

    async fn refused(&self) {
        self.1.refused().await;
    }
}

/// Whether a module's tables are there and may be read: going over closes the connections that work. Nothing
/// depends on a reader, so that is not tried; while it cannot be had the writer answers.
async fn try_out(schema: &'static str, config: &DbConfig) -> Result<(), StoreError> {
    let config = DbConfig { reader_url: None, max_connections: 1, acquire_timeout: TRIAL, ..config.clone() };
    let work = async {
        // Every module has this one.
        Ok(Db::new(schema, &config)?.conn().await?.batch_execute("SELECT FROM outbox LIMIT 0").await?)
    };
    let outcome = tokio::time::timeout(TRIAL, work).await;
    outcome.unwrap_or_else(|_| Err(StoreError::Pool(format!("no answer within {} s", TRIAL.as_secs()))))
}

#[derive(Debug)]
struct RedisUrl(Redis);

#[async_trait]
impl Rotation for RedisUrl {
    fn part(&self) -> &'static str {
        "redis"
    }

    async fn apply(&mut self, before: &Settings, after: &Settings) -> anyhow::Result<()> {
        let url = after.runtime.redis_url.as_deref();
        if url != before.runtime.redis_url.as_deref() {
            self.0.reconfigure(url)?;
        }
        Ok(())
    }
}

/// The keys of the internal listener. Tokens are signed with the old secret until every other process must
/// have looked as well, and those signed with either are taken until the next change.
#[derive(Debug)]
struct ServiceTokens {
    keys: ServiceKeys,
    /// The final order of the secrets, and how many looks to wait for it.
    next: Option<(Vec<String>, u8)>,
}

/// Two whole intervals, so that their spread does not matter.
const LOOKS_UNTIL_ALL_KNOW: u8 = 2;

#[async_trait]
impl Rotation for ServiceTokens {
    fn part(&self) -> &'static str {
        "service tokens"
    }

    async fn apply(&mut self, before: &Settings, after: &Settings) -> anyhow::Result<()> {
        let (old, new) = (before.runtime.secret_keys(), after.runtime.secret_keys());
        if old.is_empty() && !new.is_empty() {
            tracing::warn!("there is a secret key now where there was none: restart all processes to use it");
        }
        if old == new || old.is_empty() {
            return Ok(());
        }
        self.keys.replace(joined(&old, &new))?;
        self.next = Some((joined(&new, &old), LOOKS_UNTIL_ALL_KNOW));
        Ok(())
    }

    fn settle(&mut self) {
        match self.next.take() {
            Some((secrets, 0)) => {
                if let Err(error) = self.keys.replace(secrets) {
                    tracing::warn!(%error, "service tokens stay signed with the secret before");
                }
            }
            Some((secrets, looks)) => self.next = Some((secrets, looks - 1)),
            None => {}
        }
    }
}

fn joined(first: &[String], then: &[String]) -> Vec<String> {
    let mut all = first.to_vec();
    all.extend(then.iter().filter(|secret| !first.contains(secret)).cloned());
    all
}

/// The keys that sign access tokens: those given by the secret, or what those in the database are encrypted
/// with.
struct SigningKeys(UserModule);

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKeys")
    }
}

#[async_trait]
impl Rotation for SigningKeys {
    fn part(&self) -> &'static str {
        "signing keys"
    }

    async fn apply(&mut self, before: &Settings, after: &Settings) -> anyhow::Result<()> {
        let (old, new) = (before.runtime.secret_keys(), after.runtime.secret_keys());
        if old != new && !old.is_empty() {
            self.0.replace_key_secrets(&joined(&new, &old))?;
        }
        match after.runtime.signing_keys.as_deref() {
            Some(pem) if Some(pem) != before.runtime.signing_keys.as_deref() => Ok(self.0.replace_signing_keys(pem)?),
            _ => Ok(()),
        }
    }
}

/// Letters that are begun after the look go to the new server, or with the new password.
struct MailServer(UserModule);

impl fmt::Debug for MailServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MailServer")
    }
}

#[async_trait]
impl Rotation for MailServer {
    fn part(&self) -> &'static str {
        "mail server"
    }

    async fn apply(&mut self, before: &Settings, after: &Settings) -> anyhow::Result<()> {
        if after.mail.smtp_url != before.mail.smtp_url {
            self.0.replace_mailer(after.post()?.mailer());
        }
        Ok(())
    }
}

struct Webhooks(PaymentModule);

impl fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Webhooks")
    }
}

#[async_trait]
impl Rotation for Webhooks {
    fn part(&self) -> &'static str {
        "webhooks"
    }

    async fn apply(&mut self, _before: &Settings, after: &Settings) -> anyhow::Result<()> {
        self.0.replace_webhook_secret(after.runtime.webhook_secret().to_owned());
        Ok(())
    }
}

/// What the gateway is called with. Whoever makes a new one at Stripe lets the old one live for a while.
struct GatewayKey(PaymentModule);

impl fmt::Debug for GatewayKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GatewayKey")
    }
}

#[async_trait]
impl Rotation for GatewayKey {
    fn part(&self) -> &'static str {
        "gateway key"
    }

    async fn apply(&mut self, _before: &Settings, after: &Settings) -> anyhow::Result<()> {
        if after.runtime.payment_gateway == Some(PaymentGateway::Stripe) {
            self.0.replace_gateway_key(after.runtime.stripe_key()?);
        }
        Ok(())
    }
}
