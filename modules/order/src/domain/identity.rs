//! Ids and tokens that are derived instead of drawn, so that two attempts at one checkout, in two
//! processes or before and after a crash, arrive at the same ones without asking each other.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use eshopz_kernel::{CartId, OrderId, PaymentId};
use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid};

/// The id of the order that a version of a cart makes: a UUIDv7 of the moment of that version.
///
/// Twins of a checkout reserve stock under one id, which is idempotent; attempts at different versions
/// of a cart never share a reservation.
#[must_use]
pub fn order_id(cart: CartId, version: i64, updated_at: DateTime<Utc>) -> OrderId {
    let millis = u64::try_from(updated_at.timestamp_millis()).unwrap_or(0);
    derived(millis, &[cart.uuid().as_bytes(), &version.to_be_bytes()]).into()
}

/// The id of an order's payment.
#[must_use]
pub fn payment_id(order: OrderId) -> PaymentId {
    let millis = u64::try_from(order.uuid().as_u128() >> 80).unwrap_or(0);
    derived(millis, &[order.uuid().as_bytes(), b"payment"]).into()
}

/// The token by which a guest holds an order: 32 bytes in base64url.
///
/// Made of the cart's token, which is as long and as secret, so that an attempt that was interrupted
/// between its commit and its answer can still hand it out; only its hash is ever stored.
#[must_use]
pub fn guest_token(order: OrderId, cart_token: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(b"eshopz order token");
    hash.update(order.uuid().as_bytes());
    hash.update(cart_token.as_bytes());
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

/// A token as it is stored and compared: SHA-256 in hex.
#[must_use]
pub fn token_hash(token: &str) -> String {
    Sha256::digest(token.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        use std::fmt::Write as _;
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn derived(millis: u64, parts: &[&[u8]]) -> Uuid {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    let mut random = [0; 10];
    random.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
    Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_the_version_of_the_cart() {
        let (cart, at) = (CartId::new(), Utc::now());
        let first = order_id(cart, 3, at);
        assert_eq!(first, order_id(cart, 3, at));
        assert_ne!(first, order_id(cart, 4, at));
        assert_ne!(first, order_id(CartId::new(), 3, at));
        assert_eq!(first.uuid().get_version_num(), 7);
        assert_eq!(first.uuid().get_variant(), uuid::Variant::RFC4122);
        let (seconds, nanos) = first.uuid().get_timestamp().unwrap().to_unix();
        assert_eq!(seconds, u64::try_from(at.timestamp()).unwrap());
        assert_eq!(nanos / 1_000_000, at.timestamp_subsec_millis());
    }

    #[test]
    fn a_payment_has_an_id_of_its_own_at_the_same_time() {
        let order = order_id(CartId::new(), 1, Utc::now());
        let payment = payment_id(order);
        assert_eq!(payment, payment_id(order));
        assert_ne!(payment.uuid(), order.uuid());
        assert_eq!(payment.uuid().get_timestamp(), order.uuid().get_timestamp());
    }

    #[test]
    fn a_guest_token_depends_on_both_secrets() {
        let order = OrderId::new();
        let token = guest_token(order, "cart");
        assert_eq!(token, guest_token(order, "cart"));
        assert_eq!(token.len(), 43);
        assert_ne!(token, guest_token(order, "other"));
        assert_ne!(token, guest_token(OrderId::new(), "cart"));
        assert_eq!(token_hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
