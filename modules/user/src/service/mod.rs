//! The use cases, by resource. Each opens its own transactions; none calls another module.

pub mod accounts;
pub mod addresses;
pub mod export;
pub mod profile;
pub mod recovery;
pub mod registration;
pub mod sessions;
pub mod sign_in;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use async_trait::async_trait;
use eshopz_kernel::{Fault, Role, SessionId, UserId};
use eshopz_platform::auth::{SessionCopies, forget_sessions};
use eshopz_platform::cache::{Counters, Throttle};
use eshopz_platform::context::carry;
use eshopz_platform::db::Db;
use eshopz_user_api::{ExportPart, UserApi, UserSummary, VerifyingKey};
use uuid::Uuid;

use crate::UserDeps;
use crate::error::UserError;
use crate::hashing::Passwords;
use crate::keys::Keyring;
use crate::mail::{Mail, Mailer};
use crate::settings::{Limit, UserSettings};
use crate::store;

/// What the use cases share.
pub struct UserService {
    pub(crate) db: Db,
    pub(crate) keyring: Keyring,
    passwords: Passwords,
    throttles: Throttles,
    /// Passwords that were wrong, in this process.
    failures: AtomicU64,
    mailer: Arc<dyn Mailer>,
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
            passwords: Passwords::new(&settings),
            throttles: Throttles::new(&counters, &settings),
            failures: AtomicU64::new(0),
            sessions,
            db,
            mailer,
            settings,
        }
    }

    /// Sends a letter after the answer. That it could not be sent fails nothing: the person asks again.
    fn post(&self, mail: Mail) {
        let mailer = Arc::clone(&self.mailer);
        self.db.tasks().spawn(carry(async move {
            if let Err(error) = mailer.send(mail).await {
                tracing::error!(%error, "mail could not be sent");
            }
        }));
    }

    /// Has whoever comes next asked about again, here and wherever Redis is shared; elsewhere copies end by
    /// themselves within the second.
    async fn forget_sessions(&self, ended: impl IntoIterator<Item = Uuid, IntoIter: Send> + Send) {
        forget_sessions(&self.sessions, ended.into_iter().map(SessionId::from)).await;
    }

    async fn read_role(&self, session: SessionId) -> Result<Option<Role>, UserError> {
        let mut conn = self.db.conn().await?;
        let role = store::sessions::role_of(&mut conn, session.uuid()).await?;
        Ok(role.map(|role| Role::parse_or_customer(&role)))
    }
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
