//! Where an account is signed in.

use diesel_async::AsyncConnection as _;
use eshopz_kernel::{Cursor, SessionId, UserId};
use eshopz_platform::audit::{self, Entry};
use uuid::Uuid;

use super::UserService;
use crate::error::UserError;
use crate::store::sessions::{self, Session};

impl UserService {
    /// The good sessions of an account, newest first; up to one more than `limit`.
    pub async fn sessions(&self, user: UserId, cursor: Option<&str>, limit: usize) -> Result<Vec<Session>, UserError> {
        let after: Option<Uuid> = cursor.map(Cursor::decode).transpose()?;
        let mut conn = self.db.conn().await?;
        Ok(sessions::list(&mut conn, user.uuid(), after, one_more(limit)).await?)
    }

    /// Signs a device out, which the audit log calls `action`.
    pub async fn end_session(&self, user: UserId, session: SessionId, action: &'static str) -> Result<(), UserError> {
        let mut conn = self.db.conn().await?;
        let ended = (*conn)
            .transaction(async |conn| {
                let ended = sessions::revoke(conn, user.uuid(), session.uuid()).await?;
                if ended {
                    audit::record(conn, &Entry::new(action, "session", session)).await?;
                }
                Ok::<_, UserError>(ended)
            })
            .await?;
        drop(conn);
        self.forget_sessions([session.uuid()]).await;
        if ended { Ok(()) } else { Err(UserError::NoSuchSession) }
    }
}

/// The rows to read for a page: one more tells whether there is a next page.
pub(super) fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(100).saturating_add(1)
}
