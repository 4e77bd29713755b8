//! The use cases, by resource. Each opens its own transactions; none calls another module.

pub mod accounts;
pub mod addresses;
pub mod export;
mod passwords;
mod post;
pub mod profile;
pub mod recovery;
pub mod registration;
pub mod second_factor;
pub mod sessions;
pub mod sign_in;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use diesel::QueryResult;
use diesel_async::AsyncPgConnection;
use eshopz_kernel::{Fault, Role, SessionId, UserId};
use eshopz_platform::auth::{SessionCopies, forget_sessions};
use eshopz_platform::cache::{Counters, Throttle};
use eshopz_platform::db::Db;
use eshopz_user_api::{ExportPart, UserApi, UserSummary, VerifyingKey};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::UserDeps;
use crate::domain::{email, password};
use crate::error::UserError;
use crate::hashing::Passwords;
use crate::keys::Keyring;
use crate::mail::Mailer;
use crate::settings::{Limit, UserSettings};
use crate::store;
use crate::store::users::User;
use crate::vault::{Contents, Vault};

/// What the use cases share.
pub struct UserService {
    pub(crate) db: Db,
    pub(crate) keyring: Keyring,
    /// What the secrets of second factors are locked with.
    factors: RwLock<Arc<Vault>>,
    pub(crate) passwords: Arc<Passwords>,
    throttles: Throttles,
    /// Passwords that were wrong, in this process.
    failures: AtomicU64,
    mailer: RwLock<Arc<dyn Mailer>>,
    /// Told when a letter was asked for here.
    letters_wait: Notify,
    sessions: SessionCopies,
    settings: UserSettings,
}

/// From which device somebody comes.
#[derive(Clone, Debug, Default)]
pub struct Device {
    pub user_agent: Option<String>,
    /// The client's address.
    pub address: Option<String>,
    /// What throttles count the address by.
    pub throttle_key: String,
}

struct Throttles {
    sign_in_account: Throttle,
    sign_in_address: Throttle,
    registration_address: Throttle,
    reset_account: Throttle,
    reset_address: Throttle,
    wrong_token_address: Throttle,
    exports_account: Throttle,
}

impl Throttles {
    fn new(counters: &Counters, settings: &UserSettings) -> Self {
        let throttle =
            |name, limit: Limit| Throttle::new(counters.clone(), name, limit.count, limit.window.as_secs().max(1));
        Self {
            sign_in_account: throttle("sign_in_account", settings.sign_in_failures_per_account),
            sign_in_address: throttle("sign_in_address", settings.sign_in_failures_per_address),
            registration_address: throttle("registration_address", settings.registrations_per_address),
            reset_account: throttle("reset_account", settings.resets_per_account),
            reset_address: throttle("reset_address", settings.resets_per_address),
            wrong_token_address: throttle("wrong_token_address", settings.wrong_tokens_per_address),
            exports_account: throttle("exports_account", settings.exports_per_account),
        }
    }
}

impl UserService {
    pub(crate) fn new(deps: UserDeps) -> Self {
        let UserDeps { db, counters, sessions, mailer, settings } = deps;
        Self {
            keyring: Keyring::new(db.clone(), &settings),
            factors: RwLock::new(Arc::new(Vault::new(Contents::SecondFactors, &settings.key_secrets()))),
            passwords: Arc::new(Passwords::new(&settings)),
            throttles: Throttles::new(&counters, &settings),
            failures: AtomicU64::new(0),
            sessions,
            db,
            mailer: RwLock::new(mailer),
            letters_wait: Notify::new(),
            settings,
        }
    }

    fn factors(&self) -> Arc<Vault> {
        Arc::clone(&self.factors.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Locks signing keys and second factors with the first of these secrets from now on.
    pub(crate) fn replace_secrets(&self, secrets: &[String]) -> Result<(), UserError> {
        let factors = Vault::new(Contents::SecondFactors, secrets);
        factors.check()?;
        self.keyring.replace_secrets(secrets)?;
        *self.factors.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(factors);
        Ok(())
    }

    /// Has whoever comes next asked about again, here and wherever Redis is shared; elsewhere copies end by
    /// themselves within the second.
    async fn forget_sessions(&self, ended: impl IntoIterator<Item = Uuid, IntoIter: Send> + Send) {
        forget_sessions(&self.sessions, ended.into_iter().map(SessionId::from)).await;
    }

    async fn read_role(&self, session: SessionId) -> Result<Option<Role>, UserError> {
        let mut conn = self.db.conn().await?;
        let found = store::sessions::role_of(&mut conn, session.uuid()).await?;
        Ok(found.map(|(role, second_factor)| match Role::parse_or_customer(&role) {
            // Until the session has shown one, it may do what a customer may.
            Role::Admin if self.settings.admins_need_second_factor && !second_factor => Role::Customer,
            role => role,
        }))
    }
}

/// The account of an email, however it is written: as it was kept before domains were kept in ASCII, or as it is now.
async fn account_of(conn: &mut AsyncPgConnection, address: &str) -> QueryResult<Option<User>> {
    let (given, kept) = (address.trim(), email::normalise(address));
    let found = store::users::by_email(conn, given).await?;
    if found.is_some() || kept.eq_ignore_ascii_case(given) {
        Ok(found)
    } else {
        store::users::by_email(conn, &kept).await
    }
}

/// Refuses a password that says no more than whose it is.
fn not_personal(field: &'static str, password: &str, email: &str, full_name: &str) -> Result<(), Fault> {
    if password::is_personal(password, email, full_name) {
        return Err(Fault::field(field, "too_personal", "is your email, your name or the shop's; choose another"));
    }
    Ok(())
}

#[async_trait]
impl UserApi for UserService {
    async fn verifying_keys(&self) -> Result<Vec<VerifyingKey>, Fault> {
        Ok(self.keyring.public().await?)
    }

    async fn session_role(&self, session: SessionId) -> Result<Option<Role>, Fault> {
        Ok(self.read_role(session).await?)
    }

    async fn user(&self, id: UserId) -> Result<UserSummary, Fault> {
        let user = self.account(id).await?;
        Ok(UserSummary { id, role: user.role(), email: user.email, full_name: user.full_name })
    }

    async fn deliver_export(&self, part: ExportPart) -> Result<(), Fault> {
        Ok(self.take_export_part(&part).await?)
    }
}
