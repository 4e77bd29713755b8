//! The use cases of carts. Each reads the cart, asks the catalogue once for every variant that it
//! needs, and only then opens a transaction: none is open while another module is called.

mod change;
mod checkout;
mod merge;
mod upkeep;

use std::sync::Arc;

use chrono::TimeDelta;
use eshopz_kernel::{CartId, Currency, UserId, VariantId};
use eshopz_platform::db::Db;
use eshopz_product_api::ProductApi;
use uuid::Uuid;

use crate::CartSettings;
use crate::domain::{Cart, FilledCart, Holder};
use crate::error::CartError;
use crate::pricing::{PricedCart, Snapshots};
use crate::store;
use crate::store::carts::NewCart;
use crate::token::{self, TokenHash};

/// What the module does.
pub struct CartService {
    pub(crate) db: Db,
    products: Arc<dyn ProductApi>,
    settings: CartSettings,
}

impl std::fmt::Debug for CartService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CartService").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl CartService {
    #[must_use]
    pub const fn new(db: Db, products: Arc<dyn ProductApi>, settings: CartSettings) -> Self {
        Self { db, products, settings }
    }

    /// Makes a guest's cart; with its token, which is shown this once.
    ///
    /// # Errors
    /// [`CartError::OtherCurrency`] when it is not the shop's.
    pub async fn create_for_guest(&self, currency: Option<Currency>) -> Result<(PricedCart, String), CartError> {
        self.must_sell_in(currency)?;
        let (token, hash) = token::issue();
        let mut conn = self.db.conn().await?;
        let cart = store::carts::insert(&mut conn, &self.new_cart(None, Some(&hash))).await?;
        count_created("guest");
        Ok((self.price(FilledCart { cart, items: Vec::new() }, &Snapshots::default(), None), token))
    }

    /// The customer's open cart, made if there is none; and whether it was made now.
    ///
    /// # Errors
    /// [`CartError::OtherCurrency`] when it is not the shop's.
    pub async fn open_for_customer(
        &self,
        customer: UserId,
        currency: Option<Currency>,
        country: Option<&str>,
    ) -> Result<(PricedCart, bool), CartError> {
        self.must_sell_in(currency)?;
        let (filled, created) = self.find_or_open(customer).await?;
        let today = self.snapshots(&filled, None).await?;
        Ok((self.price(filled, &today, country), created))
    }

    /// A cart of the holder's at today's prices; tax is shown for a country only.
    ///
    /// # Errors
    /// [`CartError::NoSuchCart`].
    pub async fn read(&self, id: CartId, holder: &Holder, country: Option<&str>) -> Result<PricedCart, CartError> {
        let filled = self.find(id, holder).await?;
        let today = self.snapshots(&filled, None).await?;
        Ok(self.price(filled, &today, country))
    }

    async fn find_or_open(&self, customer: UserId) -> Result<(FilledCart, bool), CartError> {
        let mut conn = self.db.conn().await?;
        if let Some(filled) = store::carts::open_of(&mut conn, customer.uuid()).await? {
            return Ok((filled, false));
        }
        let new = self.new_cart(Some(customer.uuid()), None);
        let cart = store::carts::insert_or_get_open(&mut conn, &new).await?;
        if cart.id == new.id {
            count_created("customer");
            return Ok((FilledCart { cart, items: Vec::new() }, true));
        }
        // Another request was faster.
        let items = store::items::of_cart(&mut conn, cart.id).await?;
        Ok((FilledCart { cart, items }, false))
    }

    async fn find(&self, id: CartId, holder: &Holder) -> Result<FilledCart, CartError> {
        let mut conn = self.db.conn().await?;
        let filled = store::carts::filled(&mut conn, id.uuid()).await?.ok_or(CartError::NoSuchCart)?;
        filled.cart.must_be_of(holder)?;
        Ok(filled)
    }

    /// What the catalogue says now about the cart's variants and one more: one call for all.
    async fn snapshots(&self, filled: &FilledCart, more: Option<VariantId>) -> Result<Snapshots, CartError> {
        let mut today = Snapshots::default();
        self.complete(&mut today, filled.variant_ids().chain(more)).await?;
        Ok(today)
    }

    /// Asks for those that are not known yet; no call when there are none.
    async fn complete(
        &self,
        today: &mut Snapshots,
        variants: impl Iterator<Item = VariantId> + Send,
    ) -> Result<(), CartError> {
        let missing = today.missing(variants);
        if !missing.is_empty() {
            let found = self.products.variants(&missing).await?;
            today.add(&missing, found);
        }
        Ok(())
    }

    fn price(&self, filled: FilledCart, today: &Snapshots, country: Option<&str>) -> PricedCart {
        PricedCart::of(filled, today, &self.settings.pricing, country)
    }

    fn must_sell_in(&self, currency: Option<Currency>) -> Result<(), CartError> {
        let shop = self.settings.pricing.currency;
        if currency.is_none_or(|currency| currency == shop) {
            return Ok(());
        }
        Err(CartError::OtherCurrency { shop: shop.to_string() })
    }

    fn new_cart(&self, customer_id: Option<Uuid>, token_hash: Option<&TokenHash>) -> NewCart {
        NewCart {
            id: CartId::new().uuid(),
            customer_id,
            token_hash: token_hash.map(TokenHash::to_vec),
            currency: self.settings.pricing.currency.to_string(),
            lifetime: self.lifetime(customer_id.is_none()),
        }
    }

    const fn lifetime(&self, guest: bool) -> TimeDelta {
        if guest { self.settings.guest_ttl } else { self.settings.customer_ttl }
    }

    const fn lifetime_of(&self, cart: &Cart) -> TimeDelta {
        self.lifetime(cart.is_guests())
    }
}

fn count_created(holder: &'static str) {
    metrics::counter!("eshopz_carts_created_total", "module" => "cart", "holder" => holder).increment(1);
}
