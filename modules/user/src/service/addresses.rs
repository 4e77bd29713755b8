//! Address books. Of the addresses of an account exactly one is the default, as long as there are any;
//! the account's row is locked while that may change.

use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use eshopz_kernel::{AddressId, Cursor, UserId};
use eshopz_platform::http::IfMatch;
use uuid::Uuid;

use super::UserService;
use super::sessions::one_more;
use crate::domain::MAX_ADDRESSES;
use crate::error::UserError;
use crate::store::addresses::{self, Address, AddressChange, NewAddress};
use crate::store::users;

impl UserService {
    /// An account's addresses, oldest first; up to one more than `limit`.
    pub async fn addresses(&self, user: UserId, cursor: Option<&str>, limit: usize) -> Result<Vec<Address>, UserError> {
        let after: Option<Uuid> = cursor.map(Cursor::decode).transpose()?;
        let mut conn = self.db.conn().await?;
        Ok(addresses::list(&mut conn, user.uuid(), after, one_more(limit)).await?)
    }

    pub async fn address(&self, user: UserId, id: AddressId) -> Result<Address, UserError> {
        let mut conn = self.db.conn().await?;
        addresses::of(&mut conn, user.uuid(), id.uuid()).await?.ok_or(UserError::NoSuchAddress)
    }

    /// Adds an address; the first one is the default, whatever was asked.
    pub async fn add_address(&self, mut new: NewAddress) -> Result<Address, UserError> {
        let mut conn = self.db.conn().await?;
        (*conn)
            .transaction(async |conn| {
                let user = users::lock(conn, new.user_id).await?.ok_or(UserError::NoSuchUser)?;
                let count = addresses::count(conn, user.id).await?;
                if count >= MAX_ADDRESSES {
                    return Err(UserError::AddressBookFull);
                }
                new.is_default |= count == 0;
                if new.is_default {
                    addresses::clear_default(conn, user.id).await?;
                }
                Ok(addresses::insert(conn, &new).await?)
            })
            .await
    }

    pub async fn change_address(
        &self,
        user: UserId,
        id: AddressId,
        change: AddressChange,
        if_match: &IfMatch,
    ) -> Result<Address, UserError> {
        let mut conn = self.db.conn().await?;
        (*conn)
            .transaction(async |conn| {
                let address = lock(conn, user, id, if_match).await?;
                match change.is_default {
                    Some(false) if address.is_default => return Err(UserError::DefaultAddressNeeded),
                    Some(true) if !address.is_default => {
                        addresses::clear_default(conn, user.uuid()).await?;
                    }
                    Some(_) | None => {}
                }
                Ok(addresses::change(conn, address.id, &change).await?)
            })
            .await
    }

    /// Removes an address; if it was the default, the newest of the others takes its place.
    pub async fn remove_address(&self, user: UserId, id: AddressId, if_match: &IfMatch) -> Result<(), UserError> {
        let mut conn = self.db.conn().await?;
        (*conn)
            .transaction(async |conn| {
                let address = lock(conn, user, id, if_match).await?;
                addresses::delete(conn, address.id).await?;
                if address.is_default {
                    addresses::make_newest_default(conn, user.uuid()).await?;
                }
                Ok(())
            })
            .await
    }
}

/// Locks the account, and with it every address of its book.
async fn lock(
    conn: &mut AsyncPgConnection,
    user: UserId,
    id: AddressId,
    if_match: &IfMatch,
) -> Result<Address, UserError> {
    let user = users::lock(conn, user.uuid()).await?.ok_or(UserError::NoSuchUser)?;
    let address = addresses::of(conn, user.id, id.uuid()).await?.ok_or(UserError::NoSuchAddress)?;
    if_match.check(address.version)?;
    Ok(address)
}
