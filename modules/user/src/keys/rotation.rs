//! One key after the other, on an operator's word.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use eshopz_platform::audit::{self, Actor, Entry};

use super::{Keyring, Source, Stored, Timing};
use crate::error::UserError;
use crate::store::keys::{self, SigningKeyRow};

/// What a rotation did, or one before it that is not over yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The key that signs until then; `None` when there was none.
    pub old: Option<String>,
    pub new: String,
    /// When the new key signs for the first time. It is published from now on.
    pub signs_from: DateTime<Utc>,
    /// When the old key is published no more, because its last token has expired.
    pub old_shown_until: DateTime<Utc>,
    /// False when it was begun by an earlier call, and this one changed nothing.
    pub begun: bool,
}

/// What the revocation of a key did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    pub kid: String,
    /// The key that signs from now on, if the revoked one did.
    pub successor: Option<String>,
}

/// Where a key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Published, and does not sign yet.
    Announced,
    Signing,
    /// Published, for tokens that it has signed.
    Retired,
}

/// A key as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    pub kid: String,
    pub state: KeyState,
    pub created_at: DateTime<Utc>,
    pub signs_from: DateTime<Utc>,
    /// When it signs no more, if that is known.
    pub retired_at: Option<DateTime<Utc>>,
    /// When it is published no more, if that is known.
    pub shown_until: Option<DateTime<Utc>>,
}

/// Longer than any key is kept.
const EVER: Duration = Duration::from_secs(3_650 * 86_400);

impl Timing {
    fn rotation(self, old: Option<String>, new: String, signs_from: DateTime<Utc>, begun: bool) -> Rotation {
        Rotation { old, new, signs_from, old_shown_until: self.shown_until(signs_from), begun }
    }

    fn shown_until(self, retired_at: DateTime<Utc>) -> DateTime<Utc> {
        retired_at + TimeDelta::from_std(self.kept).unwrap_or_default()
    }
}

impl Keyring {
    /// Makes a new key, which is published at once and signs once everybody has had time to see it. While
    /// one is on its way no other is made.
    ///
    /// # Errors
    /// When the operator gives the keys, or the secret is not the one of the present key.
    pub async fn rotate(&self) -> Result<Rotation, UserError> {
        let stored = self.stored()?;
        let mut conn = stored.db.conn().await?;
        let rotation = (*conn).transaction(async |conn| stored.succeed(conn, self.timing).await).await?;
        stored.ring.invalidate(&()).await;
        Ok(rotation)
    }

    /// Withdraws a key at once, for one that somebody may have stolen. Its tokens are refused as soon as
    /// the processes ask for the keys again. If it is the one that signs, another takes over without
    /// being announced.
    ///
    /// # Errors
    /// When there is no such key, and as [`Self::rotate`].
    pub async fn revoke(&self, kid: &str) -> Result<Revocation, UserError> {
        let stored = self.stored()?;
        let mut conn = stored.db.conn().await?;
        let revocation = (*conn).transaction(async |conn| stored.withdraw(conn, kid).await).await?;
        stored.ring.invalidate(&()).await;
        Ok(revocation)
    }

    /// The keys that are published, a successor after its predecessor.
    ///
    /// # Errors
    /// When the operator gives the keys.
    pub async fn list(&self) -> Result<Vec<KeyInfo>, UserError> {
        let mut conn = self.stored()?.db.conn().await?;
        let rows = keys::shown(&mut conn, self.timing.kept).await?;
        Ok(rows.into_iter().map(|row| self.info(row)).collect())
    }

    fn info(&self, row: SigningKeyRow) -> KeyInfo {
        let state = match (row.signs_in > 0.0, row.may_sign()) {
            (true, _) => KeyState::Announced,
            (false, true) => KeyState::Signing,
            (false, false) => KeyState::Retired,
        };
        KeyInfo {
            kid: row.kid,
            state,
            created_at: row.created_at,
            signs_from: row.signs_from,
            retired_at: row.retired_at,
            shown_until: row.retired_at.map(|at| self.timing.shown_until(at)),
        }
    }

    fn stored(&self) -> Result<&Stored, UserError> {
        match &self.source {
            Source::Database(stored) => Ok(stored),
            Source::Given(_) => Err(UserError::KeysAreGiven),
        }
    }
}

impl Stored {
    async fn succeed(&self, conn: &mut AsyncPgConnection, timing: Timing) -> Result<Rotation, UserError> {
        keys::lock(conn).await?;
        let rows = keys::shown(conn, timing.kept).await?;
        let newest = rows.iter().find(|row| row.retired_at.is_none());
        if let Some(new) = newest.filter(|row| row.signs_in > 0.0) {
            let old = rows.iter().rfind(|row| row.retired_at == Some(new.signs_from)).map(|row| row.kid.clone());
            return Ok(timing.rotation(old, new.kid.clone(), new.signs_from, false));
        }
        let signs_from = match newest {
            Some(row) => {
                // Shows that this process has the secret of the others; else none could open what it makes.
                self.open(row)?;
                Some(keys::retire(conn, &row.kid, timing.announced).await?)
            }
            None => None,
        };
        let fresh = self.generate()?;
        // A process that starts may have made the very first key since.
        let signs_from = keys::insert(conn, &fresh, signs_from).await?.ok_or_else(|| {
            UserError::SigningKey("another process has made one at the same moment; try again".to_owned())
        })?;
        let old = newest.map(|row| row.kid.clone());
        let entry = Entry::new("signing_key.rotated", "signing_key", &fresh.kid).by(Actor::Cli);
        audit::record(conn, &entry.with("old", &old)).await?;
        Ok(timing.rotation(old, fresh.kid, signs_from, true))
    }

    async fn withdraw(&self, conn: &mut AsyncPgConnection, kid: &str) -> Result<Revocation, UserError> {
        keys::lock(conn).await?;
        let all = keys::shown(conn, EVER).await?;
        let (gone, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(|row| row.kid == kid);
        let gone = gone.first().ok_or(UserError::NoSuchKey)?;
        self.open(gone)?;
        keys::delete(conn, kid).await?;
        let signing = rest.iter().rfind(|row| row.may_sign() && row.signs_in <= 0.0);
        let announced = rest.iter().find(|row| row.signs_in > 0.0);
        let successor = match (signing, announced) {
            (Some(_), Some(_)) => None,
            // What was to take over from it may be the one that is gone.
            (Some(signing), None) => {
                keys::go_on(conn, &signing.kid).await?;
                None
            }
            (None, Some(announced)) => {
                keys::go_on(conn, &announced.kid).await?;
                Some(announced.kid.clone())
            }
            (None, None) => {
                let fresh = self.generate()?;
                keys::insert(conn, &fresh, None).await?;
                Some(fresh.kid)
            }
        };
        let entry = Entry::new("signing_key.revoked", "signing_key", kid).by(Actor::Cli);
        audit::record(conn, &entry.with("successor", &successor)).await?;
        Ok(Revocation { kid: kid.to_owned(), successor })
    }
}
