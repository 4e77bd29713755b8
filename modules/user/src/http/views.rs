//! What the module shows.

use chrono::{DateTime, Utc};
use eshopz_kernel::{AddressId, Role, SessionId, UserId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::service::sign_in::Tokens;
use crate::store::addresses::Address;
use crate::store::sessions::Session;
use crate::store::users::User;

/// An account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserView {
    pub id: UserId,
    #[schema(examples("ann@example.com"))]
    pub email: String,
    /// Whether the person has shown that the email is theirs.
    pub email_verified: bool,
    #[schema(examples("Ann Example"))]
    pub full_name: String,
    #[schema(examples("+1 555 0100"))]
    pub phone: Option<String>,
    pub role: Role,
    /// A disabled account cannot sign in.
    pub disabled: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl From<&User> for UserView {
    fn from(user: &User) -> Self {
        Self {
            id: UserId::from(user.id),
            email: user.email.clone(),
            email_verified: user.email_verified_at.is_some(),
            full_name: user.full_name.clone(),
            phone: user.phone.clone(),
            role: user.role(),
            disabled: user.disabled_at.is_some(),
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

/// What a person holds who has signed in.
#[derive(Serialize, ToSchema)]
#[schema(as = Tokens)]
pub struct TokensView {
    /// A JWT, for `Authorization: Bearer …`.
    pub access_token: String,
    /// For `POST /api/v1/auth/refresh`, once.
    pub refresh_token: String,
    #[schema(examples("Bearer"))]
    pub token_type: &'static str,
    /// Seconds until the access token expires.
    #[schema(examples(900))]
    pub expires_in: u64,
    pub user: UserView,
}

impl From<&Tokens> for TokensView {
    fn from(tokens: &Tokens) -> Self {
        Self {
            access_token: tokens.access_token.clone(),
            refresh_token: tokens.refresh_token.clone(),
            token_type: "Bearer",
            expires_in: tokens.expires_in.as_secs(),
            user: UserView::from(&tokens.user),
        }
    }
}

/// A device on which an account is signed in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub struct SessionView {
    pub id: SessionId,
    #[schema(examples("Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0"))]
    pub user_agent: Option<String>,
    /// The network address from which it signed in.
    #[schema(examples("192.0.2.7"))]
    pub address: Option<String>,
    pub created_at: DateTime<Utc>,
    /// When it last signed in or refreshed its tokens.
    pub last_used_at: DateTime<Utc>,
    /// Whether it is the one that asks.
    pub current: bool,
}

impl SessionView {
    pub fn new(session: Session, current: SessionId) -> Self {
        Self {
            id: SessionId::from(session.id),
            user_agent: session.user_agent,
            address: session.address,
            created_at: session.created_at,
            last_used_at: session.last_used_at,
            current: session.id == current.uuid(),
        }
    }
}

/// An entry of an address book.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Address)]
pub struct AddressView {
    pub id: AddressId,
    #[schema(examples("Ann Example"))]
    pub name: String,
    #[schema(examples("1 Harbour Street"))]
    pub line1: String,
    pub line2: Option<String>,
    #[schema(examples("Portland"))]
    pub city: String,
    #[schema(examples("OR"))]
    pub region: Option<String>,
    #[schema(examples("97201"))]
    pub postal_code: String,
    /// ISO 3166-1 alpha-2.
    #[schema(examples("US"))]
    pub country: String,
    pub phone: Option<String>,
    pub is_default: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl From<Address> for AddressView {
    fn from(address: Address) -> Self {
        Self {
            id: AddressId::from(address.id),
            name: address.name,
            line1: address.line1,
            line2: address.line2,
            city: address.city,
            region: address.region,
            postal_code: address.postal_code,
            country: address.country,
            phone: address.phone,
            is_default: address.is_default,
            created_at: address.created_at,
            updated_at: address.updated_at,
        }
    }
}
