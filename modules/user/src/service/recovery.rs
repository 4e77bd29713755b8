//! What goes by mail: replacing a forgotten password, and confirming an email address.

use std::sync::Arc;

use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use eshopz_platform::audit::{self, Entry};
use eshopz_platform::context::carry;
use uuid::Uuid;

use super::sign_in::account;
use super::{Device, UserService};
use crate::domain::{email, secret, secret::Secret};
use crate::error::UserError;
use crate::mail;
use crate::store::mailed_tokens::{self, Purpose};
use crate::store::{sessions, users};

impl UserService {
    /// Sends the letter with which a forgotten password is replaced, if there is such an account. The
    /// work is done after the answer, which therefore comes as fast for an email without an account.
    pub async fn request_password_reset(self: &Arc<Self>, address: String, device: &Device) -> Result<(), UserError> {
        self.throttles.reset_account.hit(&email::throttle_key(&address)).await?;
        self.throttles.reset_address.hit(&device.throttle_key).await?;
        let service = Arc::clone(self);
        self.db.tasks().spawn(carry(async move {
            if let Err(error) = service.send_password_reset(&address).await {
                tracing::error!(%error, "password reset could not be prepared");
            }
        }));
        Ok(())
    }

    async fn send_password_reset(&self, address: &str) -> Result<(), UserError> {
        let mut conn = self.db.conn().await?;
        let user = users::by_email(&mut conn, address.trim()).await?;
        let Some(user) = user.filter(|user| user.disabled_at.is_none()) else { return Ok(()) };
        let secret = Secret::generate();
        let ttl = self.settings.reset_token_ttl;
        mailed_tokens::insert(&mut conn, user.id, Purpose::PasswordReset, &secret.hash, ttl).await?;
        self.post(mail::password_reset(user.email, &secret.text, ttl.as_secs() / 60));
        Ok(())
    }

    /// Replaces a forgotten password and ends every session of the account.
    pub async fn reset_password(&self, token: &str, new_password: String, device: &Device) -> Result<(), UserError> {
        self.throttles.wrong_token_address.check(&device.throttle_key).await?;
        let outcome = self.reset_password_by(&secret::hash(token), new_password).await;
        self.count_wrong_token(outcome, device).await
    }

    /// Counts a token that was not good. The answer is that of the token.
    async fn count_wrong_token(&self, outcome: Result<(), UserError>, device: &Device) -> Result<(), UserError> {
        if matches!(outcome, Err(UserError::InvalidMailedToken)) {
            let _ = self.throttles.wrong_token_address.hit(&device.throttle_key).await;
        }
        outcome
    }

    async fn reset_password_by(&self, token: &[u8], new_password: String) -> Result<(), UserError> {
        let mut conn = self.db.conn().await?;
        // Only who has a token gets to use the processor.
        if !mailed_tokens::is_good(&mut conn, Purpose::PasswordReset, token).await? {
            return Err(UserError::InvalidMailedToken);
        }
        drop(conn);
        let hash = self.passwords.hash(self.passwords.turn().await?, new_password).await?;
        let mut conn = self.db.conn().await?;
        let ended = (*conn).transaction(async |conn| replace_password(conn, token, &hash).await).await?;
        drop(conn);
        self.forget_sessions(ended).await;
        Ok(())
    }

    /// Takes the email of an account for the person's own.
    pub async fn verify_email(&self, token: &str, device: &Device) -> Result<(), UserError> {
        self.throttles.wrong_token_address.check(&device.throttle_key).await?;
        let outcome = self.verify_email_by(&secret::hash(token)).await;
        self.count_wrong_token(outcome, device).await
    }

    async fn verify_email_by(&self, token: &[u8]) -> Result<(), UserError> {
        let mut conn = self.db.conn().await?;
        (*conn)
            .transaction(async |conn| {
                let user = mailed_tokens::take(conn, Purpose::VerifyEmail, token).await?;
                users::set_email_verified(conn, user.ok_or(UserError::InvalidMailedToken)?).await?;
                Ok(())
            })
            .await
    }
}

/// Uses the token up. Gives the sessions that were ended.
async fn replace_password(conn: &mut AsyncPgConnection, token: &[u8], hash: &str) -> Result<Vec<Uuid>, UserError> {
    let id = mailed_tokens::take(conn, Purpose::PasswordReset, token).await?.ok_or(UserError::InvalidMailedToken)?;
    let user = users::lock(conn, id).await?.filter(|user| user.disabled_at.is_none());
    let user = user.ok_or(UserError::InvalidMailedToken)?;
    users::set_password(conn, user.id, hash).await?;
    // Who can read the letter has shown that the email is his.
    users::set_email_verified(conn, user.id).await?;
    mailed_tokens::forget(conn, user.id, Purpose::PasswordReset).await?;
    audit::record(conn, &Entry::new("user.password_reset", "user", user.id).by(account(&user))).await?;
    Ok(sessions::revoke_all(conn, user.id, None).await?)
}
