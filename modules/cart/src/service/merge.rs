//! A guest signs in: the guest's cart goes into the customer's.

use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use eshopz_kernel::{CartId, UserId};

use super::CartService;
use crate::domain::{Cart, FilledCart, Holder};
use crate::error::CartError;
use crate::pricing::PricedCart;
use crate::store;
use crate::token::TokenHash;

impl CartService {
    /// Takes a guest's cart over into the customer's: the larger quantity of a line wins, and the guest's
    /// cart is closed. More than is in stock stays in the cart, which shows what is available; the buyer
    /// decides. Once done, the same again changes nothing.
    ///
    /// # Errors
    /// [`CartError::NoSuchCart`] when one of them is absent, the first not the customer's, or the token
    /// not the other's; [`CartError::NotOpen`], [`CartError::TooManyLines`].
    pub async fn merge(
        &self,
        into: CartId,
        customer: UserId,
        from: CartId,
        token: &TokenHash,
    ) -> Result<PricedCart, CartError> {
        let holder = Holder { customer: Some(customer), token: None };
        let mut conn = self.db.conn().await?;
        let filled = (*conn)
            .transaction(async |conn| {
                let locked = store::carts::lock(conn, &[into.uuid(), from.uuid()]).await?;
                let (mine, theirs) = pair(&locked, into, from)?;
                mine.must_be_of(&holder)?;
                let cart = if must_take_over(mine, theirs, token)? {
                    self.take_over(conn, mine, theirs).await?
                } else {
                    mine.clone()
                };
                let items = store::items::of_cart(conn, cart.id).await?;
                Ok::<_, CartError>(FilledCart { cart, items })
            })
            .await?;
        drop(conn);
        let today = self.snapshots(&filled, None).await?;
        Ok(self.price(filled, &today, None))
    }

    async fn take_over(&self, conn: &mut AsyncPgConnection, mine: &Cart, theirs: &Cart) -> Result<Cart, CartError> {
        store::items::take_over(conn, theirs.id, mine.id).await?;
        store::carts::close_merged(conn, theirs.id, mine.id).await?;
        let max = self.settings.max_lines;
        if store::items::count(conn, mine.id).await? > i64::try_from(max).unwrap_or(i64::MAX) {
            return Err(CartError::TooManyLines { max });
        }
        store::carts::touch(conn, mine.id, self.lifetime_of(mine)).await?.ok_or(CartError::NoSuchCart)
    }
}

fn pair(carts: &[Cart], into: CartId, from: CartId) -> Result<(&Cart, &Cart), CartError> {
    let find = |id: CartId| carts.iter().find(|cart| cart.id == id.uuid()).ok_or(CartError::NoSuchCart);
    Ok((find(into)?, find(from)?))
}

/// Whether there is something to do; not when it was done before.
fn must_take_over(mine: &Cart, theirs: &Cart, token: &TokenHash) -> Result<bool, CartError> {
    if !theirs.has_token(token) {
        return Err(CartError::NoSuchCart);
    }
    match theirs.merged_into {
        Some(target) if target == mine.id => Ok(false),
        Some(_) => Err(CartError::NoSuchCart),
        None => {
            mine.must_be_open()?;
            theirs.must_be_open()?;
            Ok(true)
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::Status;
    use crate::domain::tests::cart;
    use crate::token;

    #[test]
    fn a_cart_is_taken_over_once_and_with_its_token() {
        let mine = Cart { customer_id: Some(Uuid::now_v7()), ..cart() };
        let (_, hash) = token::issue();
        let theirs = Cart { token_hash: Some(hash.to_vec()), ..cart() };
        assert!(must_take_over(&mine, &theirs, &hash).unwrap());
        assert!(matches!(must_take_over(&mine, &theirs, &TokenHash::of("guess")), Err(CartError::NoSuchCart)));
        let done = Cart { merged_into: Some(mine.id), status: Status::Abandoned, ..theirs.clone() };
        assert!(!must_take_over(&mine, &done, &hash).unwrap());
        let elsewhere = Cart { merged_into: Some(Uuid::now_v7()), ..done };
        assert!(matches!(must_take_over(&mine, &elsewhere, &hash), Err(CartError::NoSuchCart)));
        let ordered = Cart { status: Status::Ordered, ..theirs.clone() };
        assert!(matches!(must_take_over(&mine, &ordered, &hash), Err(CartError::NotOpen(Status::Ordered))));
        let closed = Cart { status: Status::Ordered, ..mine };
        assert!(matches!(must_take_over(&closed, &theirs, &hash), Err(CartError::NotOpen(_))));
    }
}
