//! Signing in, staying signed in, signing out.

use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::Utc;
use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use eshopz_kernel::{SessionId, UserId};
use eshopz_platform::audit::{self, Actor, Entry};
use eshopz_platform::auth::{AUDIENCE, Claims, ISSUER, Principal};
use uuid::Uuid;

use super::second_factor::Proof;
use super::{Device, UserService, account_of};
use crate::domain::{email, secret, secret::Secret};
use crate::error::UserError;
use crate::hashing::Compared;
use crate::store::sessions::{self, NewSession};
use crate::store::users::User;

/// What somebody is given who has signed in.
pub struct Tokens {
    pub access_token: String,
    pub refresh_token: String,
    /// Of the access token.
    pub expires_in: Duration,
    pub user: User,
}

/// How a refresh ended. Each of these is committed: a reuse ends the session.
enum Refreshed {
    Fresh { user: Box<User>, session_id: Uuid },
    Reused { session_id: Uuid },
    Refused,
}

/// How many attempts of this process had failed when the throttles were asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checked {
    failures: u64,
}

impl UserService {
    /// Begins a session.
    ///
    /// An unknown email, a wrong password and a disabled account cannot be told apart, not by the time
    /// either. Only failures are counted, so that who signs in often is not kept out.
    pub async fn sign_in(
        &self,
        address: &str,
        password: String,
        proof: Option<&Proof>,
        device: &Device,
    ) -> Result<Tokens, UserError> {
        let user = self.checked_password(address, password, device).await?;
        let second_factor = self.checked_second_factor(&user, proof, device).await?;
        let secret = Secret::generate();
        let session = SessionId::new();
        let mut conn = self.db.conn().await?;
        let new = NewSession {
            id: session.uuid(),
            user_id: user.id,
            password_set_at: user.password_set_at,
            second_factor,
            user_agent: device.user_agent.as_deref(),
            address: device.address.as_deref(),
            token_hash: &secret.hash,
            ttl_seconds: self.settings.refresh_token_ttl.as_secs_f64(),
            entry: Entry::new("auth.signed_in", "session", session).by(account(&user)).row(),
        };
        if !sessions::open(&mut conn, &new).await? {
            return Err(UserError::InvalidCredentials);
        }
        drop(conn);
        self.tokens(user, session, secret).await
    }

    async fn checked_password(&self, address: &str, password: String, device: &Device) -> Result<User, UserError> {
        let account = email::throttle_key(address);
        let checked = self.check_sign_in_throttles(&account, device).await?;
        let mut conn = self.db.conn().await?;
        let found = account_of(&mut conn, address).await?;
        // Nobody holds a connection while he waits for his turn to hash.
        drop(conn);
        let found = found.filter(|user| user.disabled_at.is_none());
        let hash = found.as_ref().and_then(|user| user.password_hash.clone());
        let weak = hash.as_deref().is_some_and(|hash| self.passwords.is_weak(hash)).then(|| password.clone());
        let right = self.verify_throttled(password, hash, &account, device, checked).await?;
        if !right {
            self.note_failed_sign_in(&account, found.as_ref()).await?;
        }
        if let (true, Some(user), Some(password)) = (right, &found, weak) {
            self.rehash_later(user.clone(), password);
        }
        let outcome = if right { "done" } else { "refused" };
        metrics::counter!("eshopz_user_sign_ins_total", "module" => "user", "outcome" => outcome).increment(1);
        found.filter(|_| right).ok_or(UserError::InvalidCredentials)
    }

    /// Notes a wrong password by the hash of its email: nobody has shown that it is theirs. A known email takes as
    /// long as an unknown one.
    async fn note_failed_sign_in(&self, account: &str, user: Option<&User>) -> Result<(), UserError> {
        let mut entry = Entry::new("auth.sign_in_failed", "email_hash", account);
        if let Some(user) = user {
            entry = entry.with("user_id", user.id);
        }
        let mut conn = self.db.conn().await?;
        Ok(audit::record(&mut conn, &entry).await?)
    }

    /// Compares a password, and counts it when it is wrong. `checked` is when the throttles were.
    pub(super) async fn verify_throttled(
        &self,
        password: String,
        hash: Option<String>,
        account: &str,
        device: &Device,
        checked: Checked,
    ) -> Result<bool, UserError> {
        let turn = self.passwords.turn().await?;
        // Again, after the wait, when one has failed here meanwhile: of many attempts sent at once only those that run
        // together get past. Where none has, no core waits for Redis.
        if self.failures.load(Ordering::SeqCst) != checked.failures {
            self.check_sign_in_throttles(account, device).await?;
        }
        let Compared::Wrong(_turn) = self.passwords.verify(turn, password, hash).await? else { return Ok(true) };
        self.count_failure(account, device).await;
        Ok(false)
    }

    pub(super) async fn check_sign_in_throttles(&self, account: &str, device: &Device) -> Result<Checked, UserError> {
        let checked = Checked { failures: self.failures.load(Ordering::SeqCst) };
        self.throttles.sign_in_account.check(account).await?;
        self.throttles.sign_in_address.check(&device.throttle_key).await?;
        Ok(checked)
    }

    /// Exchanges a refresh token for new tokens. It is good once: whoever comes with it again, be it
    /// a thief or the person after a thief, ends the session. That holds for two at the same moment,
    /// too: nobody can tell which of them is the person.
    pub async fn refresh(&self, token: &str) -> Result<Tokens, UserError> {
        let presented = secret::hash(token);
        let fresh = Secret::generate();
        let ttl = self.settings.refresh_token_ttl.as_secs_f64();
        // What signs the access token is had first: with the old refresh token spent it is too late to say "come again".
        self.keyring.public().await?;
        let mut conn = self.db.conn().await?;
        let refreshed = (*conn).transaction(async |conn| exchange(conn, &presented, &fresh.hash, ttl).await).await?;
        drop(conn);
        match refreshed {
            Refreshed::Fresh { user, session_id } => self.tokens(*user, SessionId::from(session_id), fresh).await,
            Refreshed::Reused { session_id } => {
                tracing::warn!(session = %session_id, "a refresh token came twice; its session is ended");
                self.forget_sessions([session_id]).await;
                Err(UserError::RefreshTokenReused)
            }
            Refreshed::Refused => Err(UserError::InvalidRefreshToken),
        }
    }

    /// Ends the session that the request came with.
    pub async fn sign_out(&self, principal: &Principal) -> Result<(), UserError> {
        // That another request ended it just now is as good.
        match self.end_session(principal.user_id, principal.session_id, "auth.signed_out").await {
            Ok(()) | Err(UserError::NoSuchSession) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn tokens(&self, user: User, session: SessionId, refresh: Secret) -> Result<Tokens, UserError> {
        let expires_in = self.settings.access_token_ttl;
        let now = Utc::now();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: UserId::from(user.id),
            sid: session,
            role: user.role(),
            iat: now.timestamp(),
            exp: (now + expires_in).timestamp(),
            jti: Uuid::now_v7(),
        };
        let access_token = self.keyring.sign(&claims).await?;
        Ok(Tokens { access_token, refresh_token: refresh.text, expires_in, user })
    }
}

/// Whoever has just shown that an account is theirs.
pub(super) fn account(user: &User) -> Actor {
    Actor::Account(UserId::from(user.id), user.role())
}

async fn exchange(
    conn: &mut AsyncPgConnection,
    presented: &[u8],
    fresh: &[u8],
    ttl_seconds: f64,
) -> Result<Refreshed, UserError> {
    let Some(token) = sessions::lock_token(conn, presented).await? else { return Ok(Refreshed::Refused) };
    if token.spent {
        // A repetition finds the session ended, and is no news.
        if sessions::revoke(conn, token.user.id, token.session_id).await? {
            let entry = Entry::new("auth.refresh_token_reused", "session", token.session_id);
            audit::record(conn, &entry.with("user_id", token.user.id)).await?;
        }
        return Ok(Refreshed::Reused { session_id: token.session_id });
    }
    if !token.good {
        return Ok(Refreshed::Refused);
    }
    sessions::rotate(conn, presented, fresh, ttl_seconds).await?;
    Ok(Refreshed::Fresh { user: Box::new(token.user), session_id: token.session_id })
}
