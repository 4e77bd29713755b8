//! What a cart is and who may open it. Nothing here does IO.

use chrono::{DateTime, Utc};
use diesel::deserialize::FromSqlRow;
use diesel::expression::AsExpression;
use eshopz_cart_api::CartOwner;
use eshopz_kernel::{UserId, VariantId};
use eshopz_product_api::VariantSnapshot;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::error::CartError;
use crate::token::TokenHash;

/// Where a cart is in its life. Only an open one changes, and none is opened again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema, AsExpression, FromSqlRow)]
#[serde(rename_all = "snake_case")]
#[diesel(sql_type = diesel::sql_types::Text)]
#[schema(as = CartStatus)]
pub enum Status {
    Open,
    /// An order was made of it.
    Ordered,
    /// Not used for too long, or merged into a customer's cart.
    Abandoned,
}

impl Status {
    /// The name on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Ordered => "ordered",
            Self::Abandoned => "abandoned",
        }
    }

    /// Reads a name as [`Status::as_str`] writes it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Open, Self::Ordered, Self::Abandoned].into_iter().find(|status| status.as_str() == text)
    }
}

/// Who asks for a cart: an account, whoever has a token, or both at once.
#[derive(Clone, Debug, Default)]
pub struct Holder {
    pub customer: Option<UserId>,
    pub token: Option<TokenHash>,
}

impl From<&CartOwner> for Holder {
    fn from(owner: &CartOwner) -> Self {
        match owner {
            CartOwner::Customer(id) => Self { customer: Some(*id), token: None },
            CartOwner::Guest(token) => Self { customer: None, token: Some(TokenHash::of(token)) },
        }
    }
}

/// A cart's own row.
#[derive(Clone, Debug, diesel::Queryable, diesel::QueryableByName, diesel::Selectable)]
#[diesel(table_name = crate::schema::carts, check_for_backend(diesel::pg::Pg))]
pub struct Cart {
    pub id: Uuid,
    pub status: Status,
    pub customer_id: Option<Uuid>,
    pub token_hash: Option<Vec<u8>>,
    pub currency: String,
    pub version: i64,
    pub order_id: Option<Uuid>,
    pub merged_into: Option<Uuid>,
    pub updated_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

impl Cart {
    /// A cart that is absent and one of somebody else look the same to the caller.
    ///
    /// # Errors
    /// [`CartError::NoSuchCart`] unless it is the holder's. The token of a cart that was merged is spent.
    pub fn must_be_of(&self, holder: &Holder) -> Result<(), CartError> {
        let customers = self.customer_id.is_some() && self.customer_id == holder.customer.map(UserId::uuid);
        let guests = holder.token.as_ref().is_some_and(|token| self.has_token(token)) && self.merged_into.is_none();
        if customers || guests { Ok(()) } else { Err(CartError::NoSuchCart) }
    }

    /// # Errors
    /// [`CartError::NotOpen`] unless it may still be changed.
    pub const fn must_be_open(&self) -> Result<(), CartError> {
        match self.status {
            Status::Open => Ok(()),
            Status::Ordered | Status::Abandoned => Err(CartError::NotOpen(self.status)),
        }
    }

    /// Whether the cart was made for a guest with this token, whatever became of it.
    #[must_use]
    pub fn has_token(&self, token: &TokenHash) -> bool {
        self.token_hash.as_deref().is_some_and(|stored| token.matches(stored))
    }

    /// Whether it belongs to whoever has its token.
    #[must_use]
    pub const fn is_guests(&self) -> bool {
        self.customer_id.is_none()
    }
}

/// A line's row: a variant, how many, and a copy of what the variant was when it was put in, with its price
/// as of the line's last change.
#[derive(Clone, Debug, PartialEq, Eq, diesel::Queryable, diesel::Selectable, diesel::QueryableByName)]
#[diesel(table_name = crate::schema::cart_items, check_for_backend(diesel::pg::Pg))]
pub struct CartItem {
    pub id: Uuid,
    pub cart_id: Uuid,
    pub variant_id: Uuid,
    pub product_id: Uuid,
    pub sku: Option<String>,
    pub title: String,
    pub variant_title: String,
    pub image_url: Option<String>,
    pub quantity: i64,
    pub unit_price_minor: i64,
    pub requires_shipping: bool,
    pub taxable: bool,
}

impl CartItem {
    /// A new line of a variant as it is now.
    #[must_use]
    pub fn of(cart_id: Uuid, variant: &VariantSnapshot, quantity: i64) -> Self {
        Self {
            id: Uuid::now_v7(),
            cart_id,
            variant_id: variant.id.uuid(),
            product_id: variant.product_id.uuid(),
            sku: variant.sku.clone(),
            title: variant.title.clone(),
            variant_title: variant.variant_title.clone(),
            image_url: variant.image_url.clone(),
            quantity,
            unit_price_minor: variant.price.amount,
            requires_shipping: variant.requires_shipping,
            taxable: variant.taxable,
        }
    }
}

/// A cart with its lines, in the order in which they were added.
#[derive(Clone, Debug)]
pub struct FilledCart {
    pub cart: Cart,
    pub items: Vec<CartItem>,
}

impl FilledCart {
    pub fn variant_ids(&self) -> impl Iterator<Item = VariantId> {
        self.items.iter().map(|item| VariantId::from(item.variant_id))
    }

    /// The line of a variant.
    #[must_use]
    pub fn line_of(&self, variant: Uuid) -> Option<&CartItem> {
        self.items.iter().find(|item| item.variant_id == variant)
    }

    /// The same with a line more, or with its quantity in the line of that variant, which then is the new copy of it.
    #[must_use]
    pub fn with(&self, new: &CartItem) -> Self {
        let mut filled = self.clone();
        match filled.items.iter_mut().find(|item| item.variant_id == new.variant_id) {
            Some(line) => {
                let quantity = line.quantity.saturating_add(new.quantity);
                *line = CartItem { id: line.id, quantity, ..new.clone() };
            }
            None => filled.items.push(new.clone()),
        }
        filled
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::token;

    pub(crate) fn cart() -> Cart {
        Cart {
            id: Uuid::now_v7(),
            status: Status::Open,
            customer_id: None,
            token_hash: None,
            currency: "USD".to_owned(),
            version: 1,
            order_id: None,
            merged_into: None,
            updated_at: Utc::now(),
            expires_at: Utc::now(),
        }
    }

    #[test]
    fn a_cart_opens_to_its_holder_only() {
        let (ours, theirs) = (UserId::new(), UserId::new());
        let customers = Cart { customer_id: Some(ours.uuid()), ..cart() };
        let by = |customer| Holder { customer, token: None };
        assert!(customers.must_be_of(&by(Some(ours))).is_ok());
        assert!(customers.must_be_of(&by(Some(theirs))).is_err());
        assert!(customers.must_be_of(&by(None)).is_err());

        let (token, hash) = token::issue();
        let guests = Cart { token_hash: Some(hash.to_vec()), ..cart() };
        let with = |token: &str| Holder { customer: Some(theirs), token: Some(TokenHash::of(token)) };
        assert!(guests.must_be_of(&with(&token)).is_ok());
        assert!(guests.must_be_of(&with("guess")).is_err());
        assert!(guests.must_be_of(&Holder::default()).is_err());
        let merged = Cart { merged_into: Some(Uuid::now_v7()), ..guests };
        assert!(merged.must_be_of(&with(&token)).is_err());
    }

    #[test]
    fn states_have_names() {
        for status in [Status::Open, Status::Ordered, Status::Abandoned] {
            assert_eq!(Status::parse(status.as_str()), Some(status));
        }
        assert_eq!(Status::parse("lost"), None);
    }
}
