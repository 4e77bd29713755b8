//! Typed identifiers. Each is a UUIDv7 (RFC 9562), so that ids sort by the time they were made;
//! the type keeps a cart's id from being passed where an order's is meant.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! typed_id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id, later than every id made before it by this process.
            #[must_use]
            #[allow(clippy::new_without_default)]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// The bare UUID, for a database row.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::Uuid)))
                    .into()
            }
        }

        // An id is always inlined: a named schema per id would only make the document longer.
        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                std::borrow::Cow::Borrowed("Uuid")
            }
        }
    )+};
}

typed_id! {
    /// An account.
    UserId,
    /// One sign-in of an account on one device.
    SessionId,
    /// A postal address in an account's address book.
    AddressId,
    /// A product: what a shop page shows.
    ProductId,
    /// A variant: what is sold, priced and kept in stock.
    VariantId,
    /// A node of the category tree.
    CategoryId,
    /// A cart.
    CartId,
    /// A line of a cart.
    CartItemId,
    /// An order.
    OrderId,
    /// A payment: one intent to collect an order's total.
    PaymentId,
    /// A refund of a payment, in part or whole.
    RefundId,
    /// An event in an outbox.
    EventId,
}
