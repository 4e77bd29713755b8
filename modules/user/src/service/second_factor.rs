//! The second factor of an account: setting it up, asking for it at a sign-in, taking it away.
//!
//! A code is compared while its row is held, so that each is good once and wrong ones are counted exactly, however many
//! come at once and to whichever process.

mod compare;

use std::sync::atomic::Ordering;

use chrono::{DateTime, Utc};
use diesel_async::AsyncConnection as _;
use eshopz_kernel::UserId;
use eshopz_platform::audit::{self, Entry};
use eshopz_platform::auth::Principal;
use uuid::Uuid;

pub use self::compare::Proof;
use self::compare::{Verdict, compare, incorrect, name_of, too_many};
use super::{Device, UserService};
use crate::domain::totp::Secret;
use crate::domain::{email, recovery_code};
use crate::error::UserError;
use crate::store::users::{self, User};
use crate::store::{second_factors, sessions};

/// How long one that was begun may wait for its first code.
const BEGUN_FOR: f64 = 3_600.0;
/// Rows that are locked anew at once.
const BATCH: i64 = 100;

/// Where an account is with its second factor.
pub struct FactorState {
    pub enabled_at: Option<DateTime<Utc>>,
    pub recovery_codes_left: i64,
}

/// What an authenticator app is given.
pub struct NewFactor {
    pub secret: String,
    pub uri: String,
}

/// Actions in the audit log.
const ENABLED: &str = "user.second_factor_enabled";
const REMOVED: &str = "user.second_factor_removed";

/// What is done once a code was right, in the transaction in which it is used up.
enum Then {
    Nothing,
    Remove,
    ReplaceCodes(Vec<Vec<u8>>),
}

impl UserService {
    /// Whether there is a second factor, and how many recovery codes are left.
    pub async fn second_factor(&self, id: UserId) -> Result<FactorState, UserError> {
        let mut conn = self.db.conn().await?;
        let user = users::by_id(&mut conn, id.uuid()).await?.ok_or(UserError::NoSuchUser)?;
        let recovery_codes_left = second_factors::count_codes(&mut conn, user.id).await?;
        Ok(FactorState { enabled_at: user.second_factor_at, recovery_codes_left })
    }

    /// Makes a secret for an authenticator app. It is asked for from the first code on.
    pub async fn begin_second_factor(
        &self,
        principal: &Principal,
        password: String,
        device: &Device,
    ) -> Result<NewFactor, UserError> {
        let user = self.confirmed_password(principal.user_id, password, device).await?;
        let (secret, sealed, key) = self.new_secret(user.id)?;
        let mut conn = self.db.conn().await?;
        (*conn)
            .transaction(async |conn| {
                let user = users::lock(conn, user.id).await?.ok_or(UserError::NoSuchUser)?;
                if user.second_factor_at.is_some() {
                    return Err(UserError::SecondFactorEnabled);
                }
                Ok(second_factors::begin(conn, user.id, &sealed, &key).await?)
            })
            .await?;
        Ok(NewFactor { uri: secret.uri(&user.email), secret: secret.base32() })
    }

    /// Takes the first code: from now on the account needs one, and this session has shown one. Ends the other sessions.
    /// Gives the recovery codes, which are shown once.
    pub async fn confirm_second_factor(&self, principal: &Principal, code: String) -> Result<Vec<String>, UserError> {
        let (user, session) = (principal.user_id.uuid(), principal.session_id.uuid());
        let (codes, hashes) = recovery_codes(user);
        let (vault, limit) = (self.factors(), self.settings.second_factor_failures);
        let mut conn = self.db.conn().await?;
        let (verdict, ended) = (*conn)
            .transaction(async |conn| {
                let account = users::lock(conn, user).await?.ok_or(UserError::NoSuchUser)?;
                if account.second_factor_at.is_some() {
                    return Err(UserError::SecondFactorEnabled);
                }
                let verdict = compare(conn, &vault, user, &Proof::Code(code), limit, Some(BEGUN_FOR)).await?;
                if !matches!(verdict, Verdict::Right) {
                    return Ok((verdict, Vec::new()));
                }
                second_factors::enable(conn, user, Some(session)).await?;
                second_factors::replace_codes(conn, user, &hashes).await?;
                audit::record(conn, &Entry::new(ENABLED, "user", user)).await?;
                Ok((verdict, sessions::revoke_all(conn, user, Some(session)).await?))
            })
            .await?;
        drop(conn);
        incorrect(&verdict, "/code")?;
        // The present one too: it may do more from now on.
        self.forget_sessions(ended.into_iter().chain([session]).collect::<Vec<_>>()).await;
        Ok(codes)
    }

    /// Takes the second factor away, for who shows password and code.
    pub async fn end_second_factor(
        &self,
        principal: &Principal,
        password: String,
        proof: &Proof,
        device: &Device,
    ) -> Result<(), UserError> {
        self.confirmed_password(principal.user_id, password, device).await?;
        self.with_proof(principal.user_id.uuid(), proof, Then::Remove).await?;
        self.forget_sessions([principal.session_id.uuid()]).await;
        Ok(())
    }

    /// Makes other recovery codes; those before are worth nothing.
    pub async fn renew_recovery_codes(
        &self,
        principal: &Principal,
        password: String,
        proof: &Proof,
        device: &Device,
    ) -> Result<Vec<String>, UserError> {
        self.confirmed_password(principal.user_id, password, device).await?;
        let (codes, hashes) = recovery_codes(principal.user_id.uuid());
        self.with_proof(principal.user_id.uuid(), proof, Then::ReplaceCodes(hashes)).await?;
        Ok(codes)
    }

    /// Takes somebody's second factor away, who has lost it and the recovery codes, and ends his sessions.
    pub async fn remove_second_factor(&self, admin: &Principal, id: UserId) -> Result<(), UserError> {
        if admin.user_id == id {
            return Err(UserError::OwnSecondFactor);
        }
        let mut conn = self.db.conn().await?;
        let ended = (*conn)
            .transaction(async |conn| {
                let user = users::lock(conn, id.uuid()).await?.ok_or(UserError::NoSuchUser)?;
                user.second_factor_at.ok_or(UserError::NoSecondFactor)?;
                second_factors::remove(conn, user.id).await?;
                audit::record(conn, &Entry::new(REMOVED, "user", user.id)).await?;
                Ok::<_, UserError>(sessions::revoke_all(conn, user.id, None).await?)
            })
            .await?;
        drop(conn);
        self.forget_sessions(ended).await;
        Ok(())
    }

    /// Gives an account a second factor that counts at once, with its recovery codes; for the command line.
    pub async fn give_second_factor(&self, id: UserId) -> Result<(NewFactor, Vec<String>), UserError> {
        let (secret, sealed, key) = self.new_secret(id.uuid())?;
        let (codes, hashes) = recovery_codes(id.uuid());
        let mut conn = self.db.conn().await?;
        let user = (*conn)
            .transaction(async |conn| {
                let user = users::lock(conn, id.uuid()).await?.ok_or(UserError::NoSuchUser)?;
                if user.second_factor_at.is_some() {
                    return Err(UserError::SecondFactorEnabled);
                }
                second_factors::begin(conn, user.id, &sealed, &key).await?;
                second_factors::enable(conn, user.id, None).await?;
                second_factors::replace_codes(conn, user.id, &hashes).await?;
                audit::record(conn, &Entry::new(ENABLED, "user", user.id)).await?;
                Ok::<_, UserError>(user)
            })
            .await?;
        Ok((NewFactor { uri: secret.uri(&user.email), secret: secret.base32() }, codes))
    }

    /// At a sign-in, once the password was right: whether a second factor was shown. Without one that is needed nobody
    /// gets in, and a wrong one counts as a failed sign-in.
    pub(super) async fn checked_second_factor(
        &self,
        user: &User,
        proof: Option<&Proof>,
        device: &Device,
    ) -> Result<bool, UserError> {
        if user.second_factor_at.is_none() {
            return Ok(false);
        }
        let proof = proof.ok_or(UserError::SecondFactorRequired)?;
        match self.verdict(user.id, proof, Then::Nothing).await? {
            Verdict::Right => Ok(true),
            Verdict::Wrong => {
                self.count_failure(&email::throttle_key(&user.email), device).await;
                Err(UserError::InvalidSecondFactor)
            }
            Verdict::TooMany(seconds) => Err(too_many(seconds)),
        }
    }

    /// Locks what is locked with a secret of before with the present one, so that the one before can go. Not at once
    /// after a change: until every process has the new one, what is locked with it opens in some only.
    pub(crate) async fn reseal_second_factors(&self) -> Result<(), UserError> {
        let vault = self.factors();
        if vault.age() < self.settings.reseal_after {
            return Ok(());
        }
        let key = vault.locks_with()?;
        let mut conn = self.db.conn().await?;
        let mut after = None;
        loop {
            let rows = second_factors::outdated(&mut conn, key, after, BATCH).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = Some(last.user_id);
            for row in &rows {
                let name = name_of(row.user_id);
                // Whoever has the secret of this one does it.
                let Ok(plain) = vault.open(&name, &row.secret_encrypted) else { continue };
                let sealed = vault.seal(&name, &plain)?;
                second_factors::reseal(&mut conn, row, &sealed, key).await?;
            }
        }
    }

    /// Does something for an account that shows a code.
    async fn with_proof(&self, user: Uuid, proof: &Proof, then: Then) -> Result<(), UserError> {
        let field = match proof {
            Proof::Code(_) => "/code",
            Proof::Recovery(_) => "/recovery_code",
        };
        incorrect(&self.verdict(user, proof, then).await?, field)
    }

    async fn verdict(&self, user: Uuid, proof: &Proof, then: Then) -> Result<Verdict, UserError> {
        let (vault, limit) = (self.factors(), self.settings.second_factor_failures);
        let mut conn = self.db.conn().await?;
        (*conn)
            .transaction(async |conn| {
                let account = users::lock(conn, user).await?.ok_or(UserError::NoSuchUser)?;
                account.second_factor_at.ok_or(UserError::NoSecondFactor)?;
                let verdict = compare(conn, &vault, user, proof, limit, None).await?;
                match (&verdict, &then) {
                    (Verdict::Right, Then::Remove) => second_factors::remove(conn, user).await?,
                    (Verdict::Right, Then::ReplaceCodes(hashes)) => {
                        second_factors::replace_codes(conn, user, hashes).await?;
                    }
                    (Verdict::Right, Then::Nothing) | (Verdict::Wrong | Verdict::TooMany(_), _) => {}
                }
                if let Some(action) = noted(&verdict, proof, &then) {
                    audit::record(conn, &Entry::new(action, "user", user)).await?;
                }
                Ok(verdict)
            })
            .await
    }

    /// The account, if this is its password; a wrong one counts as a failed sign-in.
    async fn confirmed_password(&self, id: UserId, password: String, device: &Device) -> Result<User, UserError> {
        let user = self.account(id).await?;
        let account = email::throttle_key(&user.email);
        let checked = self.check_sign_in_throttles(&account, device).await?;
        let hash = user.password_hash.clone();
        let right = self.verify_throttled(password, hash, &account, device, checked).await?;
        if right { Ok(user) } else { Err(UserError::WrongCurrentPassword) }
    }

    /// A secret, as it is kept, and the name of the key that it is locked with.
    fn new_secret(&self, user: Uuid) -> Result<(Secret, Vec<u8>, String), UserError> {
        let (secret, vault) = (Secret::generate(), self.factors());
        let sealed = vault.seal(&name_of(user), secret.bytes())?;
        Ok((secret, sealed, vault.locks_with()?.to_owned()))
    }

    /// Of an attempt that has had its answer, for the next one.
    pub(super) async fn count_failure(&self, account: &str, device: &Device) {
        self.failures.fetch_add(1, Ordering::SeqCst);
        let _ = self.throttles.sign_in_account.hit(account).await;
        let _ = self.throttles.sign_in_address.hit(&device.throttle_key).await;
    }
}

fn recovery_codes(user: Uuid) -> (Vec<String>, Vec<Vec<u8>>) {
    let codes = recovery_code::generate();
    let hashes = codes.iter().map(|code| recovery_code::hash(user, code)).collect();
    (codes, hashes)
}

/// What the audit log is told of a comparison. That nobody may try any more is told by the attempts before.
const fn noted(verdict: &Verdict, proof: &Proof, then: &Then) -> Option<&'static str> {
    match (verdict, then, proof) {
        (Verdict::Right, Then::Remove, _) => Some(REMOVED),
        (Verdict::Right, Then::ReplaceCodes(_), _) => Some("user.recovery_codes_replaced"),
        (Verdict::Right, Then::Nothing, Proof::Recovery(_)) => Some("user.recovery_code_used"),
        (Verdict::Wrong, ..) => Some("user.second_factor_failed"),
        (Verdict::Right, Then::Nothing, Proof::Code(_)) | (Verdict::TooMany(_), ..) => None,
    }
}
