//! The user module: who somebody is, whether he is signed in, and where he lives.
//!
//! It owns accounts, sessions, refresh tokens, second factors, address books, letters and the keys that sign access
//! tokens, and keeps true that
//! - an email, whatever its case, belongs to one account, and no other account's looks the same;
//! - passwords, refresh tokens, mailed tokens and recovery codes are kept as hashes only, signing keys and the secrets
//!   of second factors encrypted;
//! - who has a second factor gets in with it only, and each of its codes is good once;
//! - a letter that was promised goes out once the mail server is there;
//! - a token that was signed can be checked until it expires, however often the keys are rotated;
//! - a session has one refresh token that is good, and a second use of a spent one ends it;
//! - what ends a session (signing out, a new password, an admin) shows everywhere within a second;
//! - there is always an admin who can sign in, once there was one;
//! - of the addresses of an account exactly one is the default, if there are any.
//!
//! It calls no other module and listens to none.

mod domain;
pub mod error;
mod hashing;
mod http;
mod jobs;
mod keys;
pub mod mail;
mod meters;
mod personal;
mod schema;
mod service;
pub mod settings;
mod store;
mod vault;
mod verify;

use std::sync::Arc;

use actix_web::web;
use eshopz_kernel::{Fault, UserId};
use eshopz_platform::auth::SessionCopies;
use eshopz_platform::books::Report;
use eshopz_platform::cache::Counters;
use eshopz_platform::db::Db;
use eshopz_platform::events::Listener;
use eshopz_platform::jobs::Periodic;
use eshopz_user_api::UserApi;
use tokio::sync::watch;
use utoipa_actix_web::service_config::ServiceConfig;

pub use error::{PROBLEMS, UserError};
pub use http::routes;
pub use keys::{GivenKey, KeyInfo, KeyState, Revocation, Rotation, parse_signing_keys};
pub use mail::{FolderMailer, Mail, Mailer, SendError, SmtpError, SmtpMailer, SmtpSettings};
pub use meters::METRICS;
pub use personal::PERSONAL;
use service::UserService;
pub use service::second_factor::NewFactor;
pub use settings::{Limit, UserSettings};

/// What the module needs from outside.
pub struct UserDeps {
    pub db: Db,
    /// For throttles.
    pub counters: Counters,
    /// The process' copies of sessions, in which those that end are forgotten.
    pub sessions: SessionCopies,
    pub mailer: Arc<dyn Mailer>,
    pub settings: UserSettings,
}

/// The module, ready to be put into a process.
#[derive(Clone)]
pub struct UserModule {
    service: Arc<UserService>,
}

impl UserModule {
    #[must_use]
    pub fn new(deps: UserDeps) -> Self {
        Self { service: Arc::new(UserService::new(deps)) }
    }

    /// Loads the key that signs access tokens, or makes the first one. To be called at start: a wrong
    /// secret shows here, not at the first sign-in.
    ///
    /// # Errors
    /// When the database cannot be reached, or the secret does not fit.
    pub async fn prepare(&self) -> Result<(), Fault> {
        self.service.verifying_keys().await.map(drop)
    }

    /// The contract, for the other modules.
    #[must_use]
    pub fn api(&self) -> Arc<dyn UserApi> {
        self.service.clone()
    }

    /// Sets the gauges of what waits here.
    pub fn observe(&self) {
        self.service.passwords.observe();
    }

    /// Adds the module's paths and what they work with.
    pub fn configure(&self, cfg: &mut ServiceConfig) {
        cfg.app_data(web::Data::from(Arc::clone(&self.service)));
        routes(cfg);
    }

    /// The module listens to nobody.
    #[must_use]
    pub fn listeners(&self) -> Vec<Arc<dyn Listener>> {
        Vec::new()
    }

    #[must_use]
    pub fn jobs(&self) -> Vec<Periodic> {
        jobs::all(&self.service)
    }

    /// Checks the module's books.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn verify(&self) -> Result<Report, Fault> {
        Ok(verify::verify(&self.service.db).await?)
    }

    /// Makes an admin's account, from the command line.
    ///
    /// # Errors
    /// 409 `email_taken`, 422 for an email or a password that will not do.
    pub async fn create_admin(&self, email: &str, password: &str) -> Result<UserId, Fault> {
        self.service.create_admin(email, password.to_owned()).await
    }

    /// Gives an account a second factor that counts at once, with its recovery codes; from the command line.
    ///
    /// # Errors
    /// 409 when it has one, 404 when there is no such account.
    pub async fn give_second_factor(&self, id: UserId) -> Result<(NewFactor, Vec<String>), Fault> {
        Ok(self.service.give_second_factor(id).await?)
    }

    /// Sends letters until `shutdown` is true, or its sender is gone. Any number of processes may.
    pub async fn deliver_mail(self, shutdown: watch::Receiver<bool>) {
        self.service.deliver_mail(shutdown).await;
    }

    /// Letters go by another way from now on.
    pub fn replace_mailer(&self, mailer: Arc<dyn Mailer>) {
        self.service.replace_mailer(mailer);
    }

    /// Makes a new key for access tokens, which takes over by itself in half a minute; nobody is signed
    /// out. While one is on its way no other is made.
    ///
    /// # Errors
    /// When the operator gives the keys, the secret is not that of the present key, or the database
    /// cannot be reached.
    pub async fn rotate_keys(&self) -> Result<Rotation, UserError> {
        self.service.keyring.rotate().await
    }

    /// Withdraws a key that somebody may have stolen. Its tokens are refused everywhere within half a minute;
    /// who holds one needs his refresh token, and stays signed in by it.
    ///
    /// # Errors
    /// When there is no such key; else as [`Self::rotate_keys`].
    pub async fn revoke_key(&self, kid: &str) -> Result<Revocation, UserError> {
        self.service.keyring.revoke(kid).await
    }

    /// The keys that are published, a successor after its predecessor.
    ///
    /// # Errors
    /// As [`Self::rotate_keys`].
    pub async fn keys(&self) -> Result<Vec<KeyInfo>, UserError> {
        self.service.keyring.list().await
    }

    /// Encrypts the signing keys and second factors with the first of these secrets from now on; those encrypted with
    /// another of them stay readable, and the second factors are encrypted anew some minutes later.
    ///
    /// # Errors
    /// When the first is shorter than 16 bytes; nothing changes then.
    pub fn replace_key_secrets(&self, secrets: &[String]) -> Result<(), UserError> {
        self.service.replace_secrets(secrets)
    }

    /// Takes other keys that the operator gives, [`parse_signing_keys`], as a secret store hands them out
    /// after a rotation there. One that was not among those before is published until every other process must
    /// have it before it signs, and those that are gone until their tokens have expired.
    ///
    /// # Errors
    /// When they cannot be read, and then nothing changes; or the keys are in the database.
    pub fn replace_signing_keys(&self, pem: &str) -> Result<(), UserError> {
        self.service.keyring.replace(pem)
    }
}
