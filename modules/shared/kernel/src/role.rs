//! What an account may do.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The role of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Customer,
    Admin,
}

impl Role {
    /// The name on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Admin => "admin",
        }
    }

    /// Reads a name as [`Role::as_str`] writes it; anything else is the least of the roles.
    #[must_use]
    pub fn parse_or_customer(text: &str) -> Self {
        if text == "admin" { Self::Admin } else { Self::Customer }
    }
}
