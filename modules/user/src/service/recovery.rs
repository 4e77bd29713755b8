//! What goes by mail: replacing a forgotten password, and confirming an email address.

use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use eshopz_platform::audit::{self, Entry};
use uuid::Uuid;

use super::sign_in::account;
use super::{Device, UserService, not_personal};
use crate::domain::{email, secret};
use crate::error::UserError;
use crate::store::mailed_tokens::{self, Purpose};
use crate::store::users::User;
use crate::store::{letters, sessions, users};

impl UserService {
    /// Asks for the letter with which a forgotten password is replaced. Whether there is such an account is looked up when
    /// it is sent, so the answer takes as long for an email without one.
    pub async fn request_password_reset(&self, address: &str, device: &Device) -> Result<(), UserError> {
        // An address that has had its share takes nothing from an account's.
        self.throttles.reset_address.hit(&device.throttle_key).await?;
        self.throttles.reset_account.hit(&email::throttle_key(address)).await?;
        let mut conn = self.db.conn().await?;
        letters::ask_by_address(&mut conn, address.trim(), Purpose::PasswordReset).await?;
        self.letters_wait.notify_one();
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
        let holder = mailed_tokens::holder(&mut conn, Purpose::PasswordReset, token).await?;
        let holder = holder.ok_or(UserError::InvalidMailedToken)?;
        drop(conn);
        not_personal("/new_password", &new_password, &holder.email, &holder.full_name)?;
        let hash = self.passwords.hash(self.passwords.turn().await?, new_password).await?;
        let mut conn = self.db.conn().await?;
        let ended = (*conn).transaction(async |conn| replace_password(conn, holder.id, token, &hash).await).await?;
        drop(conn);
        // Whoever tried passwords from elsewhere no longer keeps the person out.
        self.throttles.sign_in_account.forget(&email::throttle_key(&holder.email)).await;
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
                let holder = mailed_tokens::holder(conn, Purpose::VerifyEmail, token).await?;
                let id = holder.ok_or(UserError::InvalidMailedToken)?.id;
                use_up(conn, id, Purpose::VerifyEmail, token).await?;
                users::set_email_verified(conn, id).await?;
                Ok(())
            })
            .await
    }
}

/// Uses an account's token up, if it is still good. The account is locked before its tokens, as everywhere else: so two
/// letters that are used at the same moment do not wait for each other.
async fn use_up(conn: &mut AsyncPgConnection, id: Uuid, purpose: Purpose, token: &[u8]) -> Result<User, UserError> {
    let user = users::lock(conn, id).await?.ok_or(UserError::InvalidMailedToken)?;
    if mailed_tokens::take(conn, purpose, token).await? {
        return Ok(user);
    }
    Err(UserError::InvalidMailedToken)
}

/// Uses an account's token up. Gives the sessions that were ended.
async fn replace_password(
    conn: &mut AsyncPgConnection,
    id: Uuid,
    token: &[u8],
    hash: &str,
) -> Result<Vec<Uuid>, UserError> {
    let user = use_up(conn, id, Purpose::PasswordReset, token).await?;
    if user.disabled_at.is_some() {
        return Err(UserError::InvalidMailedToken);
    }
    users::set_password(conn, user.id, hash).await?;
    // Who can read the letter has shown that the email is his.
    users::set_email_verified(conn, user.id).await?;
    mailed_tokens::forget(conn, user.id, Purpose::PasswordReset).await?;
    audit::record(conn, &Entry::new("user.password_reset", "user", user.id).by(account(&user))).await?;
    letters::forget(conn, user.id, Purpose::PasswordReset).await?;
    Ok(sessions::revoke_all(conn, user.id, None).await?)
}
