//! The states that rows are in, as they are written in the database and on the wire.

use diesel::deserialize::FromSqlRow;
use diesel::expression::AsExpression;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who can see and buy a product.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, AsExpression, FromSqlRow)]
#[diesel(sql_type = diesel::sql_types::Text)]
#[serde(rename_all = "lowercase")]
#[schema(as = ProductStatus)]
pub enum Status {
    /// Everybody.
    #[default]
    Active,
    /// Not yet: admins only.
    Draft,
    /// No longer: admins only.
    Archived,
}

/// Where an order's reservation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = diesel::sql_types::Text)]
pub enum ReservationState {
    /// Counted in `reserved`.
    Held,
    /// Taken off `on_hand`.
    Sold,
    /// Neither, any more.
    Released,
}

/// Why `on_hand` changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema, AsExpression, FromSqlRow)]
#[diesel(sql_type = diesel::sql_types::Text)]
#[serde(rename_all = "lowercase")]
pub enum MovementKind {
    /// Counted, and set to what was found.
    Set,
    /// So many more or fewer, for a reason.
    Adjustment,
    /// By a catalogue file.
    Import,
    /// By an order.
    Sale,
    /// By an order that was undone after it was sold.
    Return,
}

macro_rules! text_column {
    ($name:ident { $($variant:ident => $text:literal),+ $(,)? }) => {
        impl $name {
            /// The name in the database.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),+
                }
            }
        }

        impl diesel::serialize::ToSql<diesel::sql_types::Text, diesel::pg::Pg> for $name {
            fn to_sql<'b>(
                &'b self,
                out: &mut diesel::serialize::Output<'b, '_, diesel::pg::Pg>,
            ) -> diesel::serialize::Result {
                <str as diesel::serialize::ToSql<diesel::sql_types::Text, diesel::pg::Pg>>::to_sql(self.as_str(), out)
            }
        }

        impl diesel::deserialize::FromSql<diesel::sql_types::Text, diesel::pg::Pg> for $name {
            fn from_sql(value: diesel::pg::PgValue<'_>) -> diesel::deserialize::Result<Self> {
                match <String as diesel::deserialize::FromSql<diesel::sql_types::Text, diesel::pg::Pg>>::from_sql(value)?
                    .as_str()
                {
                    $($text => Ok(Self::$variant),)+
                    other => Err(format!("`{other}` is no {}", stringify!($name)).into()),
                }
            }
        }
    };
}

text_column!(Status { Active => "active", Draft => "draft", Archived => "archived" });
text_column!(ReservationState { Held => "held", Sold => "sold", Released => "released" });
text_column!(MovementKind {
    Set => "set",
    Adjustment => "adjustment",
    Import => "import",
    Sale => "sale",
    Return => "return",
});
