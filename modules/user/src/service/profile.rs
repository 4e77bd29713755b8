//! What a person does with his own account.

use chrono::Utc;
use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use eshopz_kernel::UserId;
use eshopz_platform::audit::{self, Entry};
use eshopz_platform::auth::Principal;
use eshopz_platform::events::outbox;
use eshopz_platform::http::IfMatch;
use eshopz_user_api::UserDeleted;
use uuid::Uuid;

use super::{Device, UserService, not_personal};
use crate::domain::email;
use crate::error::UserError;
use crate::store::users::{self, ProfileChange, User};
use crate::store::{addresses, exports, letters, mailed_tokens, second_factors, sessions};

/// Deleted accounts that are told of in one transaction.
const ERASURES_AT_ONCE: i64 = 100;

impl UserService {
    /// An account.
    pub async fn account(&self, id: UserId) -> Result<User, UserError> {
        let mut conn = self.db.conn().await?;
        users::by_id(&mut conn, id.uuid()).await?.ok_or(UserError::NoSuchUser)
    }

    /// Changes name or phone.
    pub async fn change_profile(
        &self,
        id: UserId,
        change: ProfileChange,
        if_match: &IfMatch,
    ) -> Result<User, UserError> {
        let mut conn = self.db.conn().await?;
        (*conn)
            .transaction(async |conn| {
                let user = users::lock(conn, id.uuid()).await?.ok_or(UserError::NoSuchUser)?;
                if_match.check(user.version)?;
                if change.full_name.is_none() && change.phone.is_none() {
                    return Ok(user);
                }
                Ok(users::change_profile(conn, user.id, &change).await?)
            })
            .await
    }

    /// Changes the password and ends the other sessions. Wrong attempts count as failed sign-ins.
    pub async fn change_password(
        &self,
        principal: &Principal,
        current: String,
        new: String,
        device: &Device,
    ) -> Result<(), UserError> {
        let user = self.account(principal.user_id).await?;
        let (known, of) = (user.password_hash.clone(), user.password_set_at);
        let account = email::throttle_key(&user.email);
        let checked = self.check_sign_in_throttles(&account, device).await?;
        if !self.verify_throttled(current, known, &account, device, checked).await? {
            let mut conn = self.db.conn().await?;
            audit::record(&mut conn, &Entry::new("user.password_change_failed", "user", user.id)).await?;
            return Err(UserError::WrongCurrentPassword);
        }
        not_personal("/new_password", &new, &user.email, &user.full_name)?;
        let hash = self.passwords.hash(self.passwords.turn().await?, new).await?;
        let mut conn = self.db.conn().await?;
        let ended = (*conn)
            .transaction(async |conn| {
                let user = users::lock(conn, user.id).await?.ok_or(UserError::NoSuchUser)?;
                // It was changed since it was compared: the person is no longer who knows it.
                if user.password_set_at != of {
                    return Err(UserError::WrongCurrentPassword);
                }
                users::set_password(conn, user.id, &hash).await?;
                // Whoever has read a letter with a token must not have the last word.
                mailed_tokens::forget(conn, user.id, mailed_tokens::Purpose::PasswordReset).await?;
                audit::record(conn, &Entry::new("user.password_changed", "user", user.id)).await?;
                letters::forget(conn, user.id, mailed_tokens::Purpose::PasswordReset).await?;
                Ok(sessions::revoke_all(conn, user.id, Some(principal.session_id.uuid())).await?)
            })
            .await?;
        drop(conn);
        self.forget_sessions(ended).await;
        Ok(())
    }

    /// Deletes an account: what is personal goes, the id stays, the other modules are told.
    pub async fn delete_account(&self, id: UserId, if_match: &IfMatch) -> Result<(), UserError> {
        let mut conn = self.db.conn().await?;
        let ended = (*conn).transaction(async |conn| delete(conn, id, if_match).await).await?;
        drop(conn);
        self.forget_sessions(ended).await;
        Ok(())
    }

    /// Tells the other modules once more of accounts that were deleted some minutes ago. What was under way at that moment,
    /// such as an order, may have been written after its module had forgotten the person.
    pub(crate) async fn repeat_erasures(&self) -> Result<(), UserError> {
        let mut conn = self.db.conn().await?;
        while repeat_some(&mut conn).await? {}
        Ok(())
    }
}

/// Whether there were any.
async fn repeat_some(conn: &mut AsyncPgConnection) -> Result<bool, UserError> {
    conn.transaction(async |conn| {
        let deleted = users::take_erasures_to_repeat(conn, ERASURES_AT_ONCE).await?;
        for id in &deleted {
            // By now nothing is written under the email any more, and its hash went with it.
            outbox::publish(conn, &UserDeleted { user_id: UserId::from(*id), email_hash: None, at: Utc::now() })
                .await?;
        }
        Ok(!deleted.is_empty())
    })
    .await
}

/// Gives the sessions that were ended.
async fn delete(conn: &mut AsyncPgConnection, id: UserId, if_match: &IfMatch) -> Result<Vec<Uuid>, UserError> {
    users::lock_admins(conn).await?;
    let user = users::lock(conn, id.uuid()).await?.ok_or(UserError::NoSuchUser)?;
    if_match.check(user.version)?;
    if user.is_acting_admin() && !users::has_other_admin(conn, user.id).await? {
        return Err(UserError::LastAdmin);
    }
    users::anonymise(conn, user.id).await?;
    let ended = sessions::revoke_all(conn, user.id, None).await?;
    sessions::anonymise(conn, user.id).await?;
    addresses::delete_all(conn, user.id).await?;
    mailed_tokens::forget_all(conn, user.id).await?;
    exports::delete_of(conn, user.id).await?;
    letters::forget_all(conn, user.id).await?;
    second_factors::remove(conn, user.id).await?;
    audit::record(conn, &Entry::new("user.deleted", "user", id)).await?;
    outbox::publish(conn, &UserDeleted { user_id: id, email_hash: user.own_email_hash(), at: Utc::now() }).await?;
    Ok(ended)
}
