//! Who buys, who looks, and who did it.

use eshopz_kernel::{OrderId, UserId};

use super::{guest_token, token_hash};

/// Whoever checks a cart out: signed in, with a guest's cart token, or both.
#[derive(Clone, Debug)]
pub struct Buyer {
    pub customer: Option<UserId>,
    pub cart_token: Option<String>,
}

impl Buyer {
    /// Keeps one buyer's idempotency keys apart from another's; `None` for nobody.
    #[must_use]
    pub fn scope(&self) -> Option<String> {
        match (self.customer, &self.cart_token) {
            (Some(user), _) => Some(customer_scope(user)),
            (None, Some(token)) => Some(format!("cart:{}", token_hash(token))),
            (None, None) => None,
        }
    }

    /// The token by which this buyer will hold an order; an account needs none.
    #[must_use]
    pub fn guest_token(&self, order: OrderId) -> Option<String> {
        match (self.customer, &self.cart_token) {
            (None, Some(cart_token)) => Some(guest_token(order, cart_token)),
            _ => None,
        }
    }

    /// The buyer in a timeline.
    #[must_use]
    pub fn actor(&self) -> Actor {
        self.customer.map_or(Actor::Guest, Actor::Customer)
    }
}

/// The scope of an account's idempotency keys.
#[must_use]
pub fn customer_scope(user: UserId) -> String {
    format!("user:{user}")
}

/// Whoever wants to see or change an order.
#[derive(Clone, Debug, Default)]
pub struct Viewer {
    pub user: Option<UserId>,
    pub admin: bool,
    /// SHA-256 in hex of the order token that was presented.
    pub token_hash: Option<String>,
}

impl Viewer {
    /// Keeps one viewer's idempotency keys apart from another's; `None` for nobody.
    #[must_use]
    pub fn scope(&self) -> Option<String> {
        match (self.user, &self.token_hash) {
            (Some(user), _) => Some(customer_scope(user)),
            (None, Some(token)) => Some(format!("order:{token}")),
            (None, None) => None,
        }
    }

    /// As whom they may see an order of this holder; `None` when it is none of their business.
    #[must_use]
    pub fn acting_on(&self, customer: Option<UserId>, guest: Option<&str>) -> Option<Actor> {
        match (self.user, self.token_hash.as_deref()) {
            (Some(user), _) if customer == Some(user) => Some(Actor::Customer(user)),
            (Some(user), _) if self.admin => Some(Actor::Admin(user)),
            (_, Some(token)) if guest == Some(token) => Some(Actor::Guest),
            _ => None,
        }
    }
}

/// Who caused a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    Customer(UserId),
    Guest,
    Admin(UserId),
    /// A job, or an event of another module.
    System,
}

impl Actor {
    /// The name on the wire and in the database.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Customer(_) => "customer",
            Self::Guest => "guest",
            Self::Admin(_) => "admin",
            Self::System => "system",
        }
    }

    /// The account, where there is one.
    #[must_use]
    pub const fn user(self) -> Option<UserId> {
        match self {
            Self::Customer(user) | Self::Admin(user) => Some(user),
            Self::Guest | Self::System => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_seen_by_its_holder_and_by_admins() {
        let (owner, other) = (UserId::new(), UserId::new());
        let viewer = |user, admin, token: Option<&str>| Viewer { user, admin, token_hash: token.map(str::to_owned) };
        assert_eq!(viewer(Some(owner), false, None).acting_on(Some(owner), None), Some(Actor::Customer(owner)));
        assert_eq!(viewer(Some(owner), true, None).acting_on(Some(owner), None), Some(Actor::Customer(owner)));
        assert_eq!(viewer(Some(other), true, None).acting_on(Some(owner), None), Some(Actor::Admin(other)));
        assert_eq!(viewer(Some(other), false, None).acting_on(Some(owner), None), None);
        assert_eq!(viewer(None, false, Some("h")).acting_on(None, Some("h")), Some(Actor::Guest));
        assert_eq!(viewer(Some(other), false, Some("h")).acting_on(None, Some("h")), Some(Actor::Guest));
        assert_eq!(viewer(None, false, Some("x")).acting_on(None, Some("h")), None);
        assert_eq!(viewer(None, false, None).acting_on(None, Some("h")), None);
        assert_eq!(viewer(None, false, None).acting_on(None, None), None);
    }

    #[test]
    fn nobody_has_no_scope() {
        assert_eq!(Buyer { customer: None, cart_token: None }.scope(), None);
        let user = UserId::new();
        let both = Buyer { customer: Some(user), cart_token: Some("t".into()) };
        assert_eq!(both.scope(), Some(format!("user:{user}")));
        assert!(Buyer { customer: None, cart_token: Some("t".into()) }.scope().is_some_and(|s| !s.contains(":t")));
    }
}
