//! Where a request comes from, for throttles and the list of sessions.

use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv6Addr};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use super::HttpFault;

/// The address of the peer; none over a Unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub Option<IpAddr>);

impl ClientAddress {
    /// What a throttle counts by. An IPv6 client has a whole /64 to itself, so that is one client.
    #[must_use]
    pub fn throttle_key(&self) -> String {
        match self.0 {
            None => "local".to_owned(),
            Some(IpAddr::V4(address)) => address.to_string(),
            Some(IpAddr::V6(address)) => Ipv6Addr::from_bits(address.to_bits() & (!0_u128 << 64)).to_string(),
        }
    }
}

impl FromRequest for ClientAddress {
    type Error = HttpFault;
    type Future = Ready<Result<Self, HttpFault>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(req.peer_addr().map(|peer| peer.ip().to_canonical()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_in_an_ipv6_network_count_as_one() {
        let key = |text: &str| ClientAddress(text.parse().ok()).throttle_key();
        assert_eq!(key("2001:db8:1:2:3:4:5:6"), key("2001:db8:1:2:ffff::1"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("192.0.2.7"), "192.0.2.7");
        assert_ne!(key("192.0.2.7"), key("192.0.2.8"));
    }
}
