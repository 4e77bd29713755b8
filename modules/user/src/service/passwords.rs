//! Hashes that are made anew, when the settings have risen since they were made.

use std::sync::Arc;

use eshopz_platform::context::carry;

use super::UserService;
use crate::store::users::{self, User};

impl UserService {
    /// Hashes the password of somebody who has just shown it with the present settings, after his answer. When nobody has
    /// time for it, the next sign-in does it.
    pub(super) fn rehash_later(&self, user: User, password: String) {
        let (db, passwords) = (self.db.clone(), Arc::clone(&self.passwords));
        self.db.tasks().spawn(carry(async move {
            let Ok(turn) = passwords.turn().await else { return };
            let kept = async {
                let hash = passwords.hash(turn, password).await?;
                users::rehash(&mut *db.conn().await?, &user, &hash).await?;
                Ok::<_, crate::error::UserError>(())
            };
            if let Err(error) = kept.await {
                tracing::warn!(user = %user.id, %error, "a password keeps its hash of weaker settings");
            }
        }));
    }
}
