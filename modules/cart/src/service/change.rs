//! Changing the lines of a cart.
//!
//! The cart's row is locked first, by counting its version up, so changes of one cart go one after the
//! other; quantities are added in SQL to what is there then, so none of them gets lost. An addition to a cart that
//! nobody else changes, as nearly all are, is one statement: the cart's version says that it is what was read.

use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use eshopz_kernel::{CartId, CartItemId, VariantId};
use eshopz_platform::http::IfMatch;

use super::CartService;
use crate::domain::{CartItem, FilledCart, Holder};
use crate::error::CartError;
use crate::pricing::{PricedCart, Snapshots};
use crate::store;

/// What came of adding a variant to a cart.
#[derive(Debug)]
pub struct Added {
    pub cart: PricedCart,
    pub item: CartItemId,
    /// A new line, rather than more of one that was there.
    pub created: bool,
}

/// A change of a cart's lines.
#[derive(Debug)]
enum Change {
    Add(CartItem),
    SetQuantity { item: CartItemId, quantity: i64, unit_price_minor: i64 },
    Remove(CartItemId),
    Empty,
}

impl CartService {
    /// Adds so many of a variant.
    ///
    /// # Errors
    /// [`CartError::NoSuchCart`], [`CartError::NotOpen`], [`CartError::UnknownVariant`],
    /// [`CartError::InsufficientStock`] for what would be in the line, and those of the limits.
    pub async fn add_item(
        &self,
        id: CartId,
        holder: &Holder,
        if_match: &IfMatch,
        variant: VariantId,
        quantity: i64,
    ) -> Result<Added, CartError> {
        let found = self.find_open(id, holder, if_match).await?;
        self.must_fit(quantity)?;
        let today = self.snapshots(&found, Some(variant)).await?;
        let snapshot = today.sellable(variant).ok_or(CartError::UnknownVariant)?;
        let new = CartItem::of(found.cart.id, snapshot, quantity);
        let new_id = new.id;
        let filled = self.commit(&found, holder, if_match, &today, &Change::Add(new)).await?;
        let line = filled.items.iter().find(|item| item.variant_id == variant.uuid());
        let item = line.map_or(new_id, |line| line.id);
        let cart = self.show(filled, today).await;
        Ok(Added { cart, item: item.into(), created: item == new_id })
    }

    /// Sets the quantity of a line; 0 removes it.
    ///
    /// # Errors
    /// [`CartError::NoSuchCart`], [`CartError::NoSuchItem`], [`CartError::NotOpen`],
    /// [`CartError::InsufficientStock`], [`CartError::QuantityTooLarge`].
    pub async fn set_quantity(
        &self,
        id: CartId,
        holder: &Holder,
        if_match: &IfMatch,
        item: CartItemId,
        quantity: i64,
    ) -> Result<PricedCart, CartError> {
        if quantity == 0 {
            return self.remove_item(id, holder, if_match, item).await;
        }
        let found = self.find_open(id, holder, if_match).await?;
        self.must_fit(quantity)?;
        let line = found.items.iter().find(|line| line.id == item.uuid()).ok_or(CartError::NoSuchItem)?;
        let today = self.snapshots(&found, None).await?;
        let variant = VariantId::from(line.variant_id);
        today.must_supply(variant, quantity)?;
        let unit_price_minor = today.sellable(variant).map_or(line.unit_price_minor, |now| now.price.amount);
        self.change(found, holder, if_match, today, Change::SetQuantity { item, quantity, unit_price_minor }).await
    }

    /// Removes a line.
    ///
    /// # Errors
    /// [`CartError::NoSuchCart`], [`CartError::NoSuchItem`], [`CartError::NotOpen`].
    pub async fn remove_item(
        &self,
        id: CartId,
        holder: &Holder,
        if_match: &IfMatch,
        item: CartItemId,
    ) -> Result<PricedCart, CartError> {
        let found = self.find_open(id, holder, if_match).await?;
        let today = self.snapshots(&found, None).await?;
        self.change(found, holder, if_match, today, Change::Remove(item)).await
    }

    /// Removes all lines.
    ///
    /// # Errors
    /// [`CartError::NoSuchCart`], [`CartError::NotOpen`].
    pub async fn empty(&self, id: CartId, holder: &Holder, if_match: &IfMatch) -> Result<PricedCart, CartError> {
        let found = self.find_open(id, holder, if_match).await?;
        self.change(found, holder, if_match, Snapshots::default(), Change::Empty).await
    }

    /// Removes a cart.
    ///
    /// # Errors
    /// [`CartError::NoSuchCart`], [`CartError::NotOpen`].
    pub async fn delete(&self, id: CartId, holder: &Holder, if_match: &IfMatch) -> Result<(), CartError> {
        let mut conn = self.db.conn().await?;
        (*conn)
            .transaction(async |conn| {
                let locked = store::carts::lock(conn, &[id.uuid()]).await?;
                let cart = locked.first().ok_or(CartError::NoSuchCart)?;
                cart.must_be_of(holder)?;
                cart.must_be_open()?;
                if_match.check(cart.version)?;
                store::carts::delete(conn, cart.id).await?;
                Ok(())
            })
            .await
    }

    /// A first look, so that most refusals need neither the catalogue nor a lock.
    async fn find_open(&self, id: CartId, holder: &Holder, if_match: &IfMatch) -> Result<FilledCart, CartError> {
        let found = self.find(id, holder).await?;
        found.cart.must_be_open()?;
        if_match.check(found.cart.version)?;
        Ok(found)
    }

    const fn must_fit(&self, quantity: i64) -> Result<(), CartError> {
        let max = self.settings.max_quantity;
        if quantity <= max { Ok(()) } else { Err(CartError::QuantityTooLarge { max }) }
    }

    async fn change(
        &self,
        found: FilledCart,
        holder: &Holder,
        if_match: &IfMatch,
        today: Snapshots,
        change: Change,
    ) -> Result<PricedCart, CartError> {
        let filled = self.commit(&found, holder, if_match, &today, &change).await?;
        Ok(self.show(filled, today).await)
    }

    /// The changed cart. Lines that somebody else added meanwhile are looked up now; if that fails they are
    /// shown as they were added. An error would have the client repeat a change that is done.
    async fn show(&self, filled: FilledCart, mut today: Snapshots) -> PricedCart {
        if let Err(error) = self.complete(&mut today, filled.variant_ids()).await {
            tracing::warn!(cart = %filled.cart.id, %error, "some lines are shown without today's price and stock");
        }
        self.price(filled, &today, None)
    }

    /// One transaction: lock and count up, change the lines, check what has come of it.
    async fn commit(
        &self,
        found: &FilledCart,
        holder: &Holder,
        if_match: &IfMatch,
        today: &Snapshots,
        change: &Change,
    ) -> Result<FilledCart, CartError> {
        let (id, lifetime) = (found.cart.id, self.lifetime_of(&found.cart));
        let mut conn = self.db.conn().await?;
        if let Change::Add(new) = change {
            let filled = found.with(new);
            self.must_allow(&filled.items, today, change)?;
            if let Some(cart) = store::items::add_at_once(&mut conn, found, new, lifetime).await? {
                return Ok(FilledCart { cart, ..filled });
            }
        }
        (*conn)
            .transaction(async |conn| {
                let cart = store::carts::touch(conn, id, lifetime).await?.ok_or(CartError::NoSuchCart)?;
                cart.must_be_of(holder)?;
                cart.must_be_open()?;
                if_match.check(cart.version - 1)?;
                let items = apply(conn, id.into(), change).await?;
                self.must_allow(&items, today, change)?;
                Ok(FilledCart { cart, items })
            })
            .await
    }

    /// What only shows once the line is as it would be: its sum with what was there, and how many there are.
    fn must_allow(&self, items: &[CartItem], today: &Snapshots, change: &Change) -> Result<(), CartError> {
        let Change::Add(new) = change else { return Ok(()) };
        let total = items.iter().find(|item| item.variant_id == new.variant_id).map_or(0, |line| line.quantity);
        self.must_fit(total)?;
        let max = self.settings.max_lines;
        if items.len() > max {
            return Err(CartError::TooManyLines { max });
        }
        today.must_supply(new.variant_id.into(), total)
    }
}

/// Changes the lines; all of them after that.
async fn apply(conn: &mut AsyncPgConnection, cart: CartId, change: &Change) -> Result<Vec<CartItem>, CartError> {
    let cart = cart.uuid();
    match change {
        Change::Add(new) => Ok(store::items::add(conn, new).await?),
        Change::SetQuantity { item, quantity, unit_price_minor } => {
            let items = store::items::set_quantity(conn, cart, item.uuid(), *quantity, *unit_price_minor).await?;
            let there = items.iter().any(|line| line.id == item.uuid());
            if there { Ok(items) } else { Err(CartError::NoSuchItem) }
        }
        Change::Remove(item) => match store::items::remove(conn, cart, item.uuid()).await? {
            0 => Err(CartError::NoSuchItem),
            _ => Ok(store::items::of_cart(conn, cart).await?),
        },
        Change::Empty => {
            store::items::remove_all(conn, cart).await?;
            Ok(Vec::new())
        }
    }
}
