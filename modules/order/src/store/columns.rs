//! The module's own types as columns.

use diesel::deserialize::{self, FromSql};
use diesel::pg::{Pg, PgValue};
use diesel::sql_types::{Jsonb, Text};
use serde_json::Value;

use crate::domain::{OrderStatus, PostalAddress};

impl FromSql<Text, Pg> for OrderStatus {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        Ok(Self::try_from(<String as FromSql<Text, Pg>>::from_sql(value)?)?)
    }
}

impl FromSql<Jsonb, Pg> for PostalAddress {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        Ok(Self::try_from(<Value as FromSql<Jsonb, Pg>>::from_sql(value)?)?)
    }
}
