//! Where a request comes from, for throttles, logs and the list of sessions.
//!
//! That is the peer, unless the peer is a proxy that the operator trusts. A proxy appends the address of its own peer
//! to `X-Forwarded-For`; whatever stands to the left of what trusted proxies appended is the client's invention.

use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{FromRequest, HttpRequest, web};
use ipnet::IpNet;

use super::HttpFault;

static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The networks of the proxies in front of the shop, as addresses and CIDR networks with commas between; none by
/// default. In the application's data, where [`ClientAddress`] finds them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl FromStr for TrustedProxies {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(network).collect::<Result<_, _>>().map(Self)
    }
}

fn network(text: &str) -> Result<IpNet, String> {
    let single = || text.parse().ok().map(|address: IpAddr| IpNet::from(address.to_canonical()));
    text.parse().ok().or_else(single).ok_or_else(|| format!("`{text}` is no address and no network such as 10.0.0.0/8"))
}

impl TrustedProxies {
    fn trusts(&self, address: &IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// The client of a request that came from `peer`. Walks what was forwarded from the right, past trusted proxies; what
    /// cannot be read ends the walk.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.trusts(&peer) {
            return peer;
        }
        let lines: Vec<&[u8]> = headers.get_all(&FORWARDED_FOR).map(HeaderValue::as_bytes).collect();
        let mut client = peer;
        for entry in lines.iter().rev().flat_map(|line| entries(line)) {
            let Some(address) = forwarded_address(entry) else { break };
            client = address;
            if !self.trusts(&client) {
                break;
            }
        }
        client
    }
}

/// What proxies appended to a line, the last first. One entry that is no text does not hide the others: a client may
/// have written it.
fn entries(line: &[u8]) -> impl Iterator<Item = &str> {
    line.rsplit(|byte| *byte == b',').map(|entry| str::from_utf8(entry).unwrap_or_default().trim())
}

/// An address as proxies write it: by itself, or with a port.
fn forwarded_address(entry: &str) -> Option<IpAddr> {
    let bare = entry.strip_prefix('[').and_then(|entry| entry.strip_suffix(']')).unwrap_or(entry);
    let with_port = || entry.parse().ok().map(|socket: SocketAddr| socket.ip());
    bare.parse().ok().or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

/// Whether a proxy that is trusted says that its client came over TLS.
#[must_use]
pub fn came_by_tls(req: &HttpRequest) -> bool {
    let Some(proxies) = req.app_data::<web::Data<TrustedProxies>>().filter(|proxies| !proxies.0.is_empty()) else {
        return false;
    };
    let trusted = peer(req).is_some_and(|peer| proxies.trusts(&peer));
    // The last word is that of the nearest proxy.
    let said = || req.headers().get_all(&FORWARDED_PROTO).last().and_then(|line| entries(line.as_bytes()).next());
    trusted && said().is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
}

fn peer(req: &HttpRequest) -> Option<IpAddr> {
    req.peer_addr().map(|peer| peer.ip().to_canonical())
}

/// The address of the client; none over a Unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub Option<IpAddr>);

impl ClientAddress {
    /// That of a request, by the [`TrustedProxies`] of its application.
    #[must_use]
    pub fn of(req: &HttpRequest) -> Self {
        let proxies = req.app_data::<web::Data<TrustedProxies>>();
        Self(peer(req).map(|peer| proxies.map_or(peer, |proxies| proxies.client(peer, req.headers()))))
    }

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

impl std::fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            None => f.write_str("local"),
            Some(address) => address.fmt(f),
        }
    }
}

impl FromRequest for ClientAddress {
    type Error = HttpFault;
    type Future = Ready<Result<Self, HttpFault>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(req)))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    const PROXIES: &str = "10.0.0.0/8, 192.0.2.1,2001:db8:ff::/48";

    /// The client of a request from `peer` with these lines of `X-Forwarded-For`.
    fn client(trusted: &str, peer: &str, lines: &[&str]) -> String {
        let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        client_of(trusted, peer, &lines)
    }

    fn client_of(trusted: &str, peer: &str, lines: &[&[u8]]) -> String {
        let mut request = TestRequest::default()
            .peer_addr(SocketAddr::new(peer.parse().unwrap(), 4_711))
            .app_data(web::Data::new(trusted.parse::<TrustedProxies>().unwrap()));
        for line in lines {
            request = request.append_header((&FORWARDED_FOR, HeaderValue::from_bytes(line).unwrap()));
        }
        ClientAddress::of(&request.to_http_request()).to_string()
    }

    #[test]
    fn who_is_no_trusted_proxy_is_the_client_whatever_it_says() {
        assert_eq!(client("", "203.0.113.5", &["198.51.100.1"]), "203.0.113.5");
        assert_eq!(client(PROXIES, "203.0.113.5", &["198.51.100.1"]), "203.0.113.5");
        assert_eq!(client(PROXIES, "203.0.113.5", &["10.0.0.1"]), "203.0.113.5");
        assert_eq!(client(PROXIES, "::ffff:203.0.113.5", &[]), "203.0.113.5");
    }

    #[test]
    fn behind_proxies_the_first_from_the_right_that_is_none_counts() {
        for (peer, lines, expected) in [
            ("10.1.2.3", &["198.51.100.1"][..], "198.51.100.1"),
            ("192.0.2.1", &["198.51.100.1, 10.9.9.9"], "198.51.100.1"),
            ("::ffff:10.1.2.3", &["198.51.100.1,::ffff:10.9.9.9 ,\t2001:db8:ff::7"], "198.51.100.1"),
            ("10.1.2.3", &["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
            ("10.1.2.3", &["6.6.6.6", "198.51.100.1"], "198.51.100.1"),
            ("10.1.2.3", &["6.6.6.6, 198.51.100.1", "10.0.0.7, 10.0.0.8"], "198.51.100.1"),
            ("2001:db8:ff::1", &["2001:db8:1::5"], "2001:db8:1::5"),
            ("10.1.2.3", &["198.51.100.1:5678"], "198.51.100.1"),
            ("10.1.2.3", &["[2001:db8:1::5]:5678"], "2001:db8:1::5"),
            ("10.1.2.3", &["[2001:db8:1::5]"], "2001:db8:1::5"),
            // A proxy that calls by itself.
            ("10.1.2.3", &[], "10.1.2.3"),
            ("10.1.2.3", &["10.4.4.4, 10.5.5.5"], "10.4.4.4"),
        ] {
            assert_eq!(client(PROXIES, peer, lines), expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_ends_the_walk_at_the_last_good_one() {
        for (lines, expected) in [
            (&["198.51.100.1, unknown"][..], "10.1.2.3"),
            (&["198.51.100.1, unknown, 10.9.9.9"], "10.9.9.9"),
            (&["198.51.100.1, , 10.9.9.9"], "10.9.9.9"),
            (&["198.51.100.1", "", "10.9.9.9"], "10.9.9.9"),
            (&["198.51.100.1, 999.1.1.1"], "10.1.2.3"),
            (&["198.51.100.1, 10.9.9.9\u{e9}"], "10.1.2.3"),
        ] {
            assert_eq!(client(PROXIES, "10.1.2.3", lines), expected, "{lines:?}");
        }
    }

    /// Its proxy appends to what it sent.
    #[test]
    fn no_client_hides_behind_what_it_sent() {
        for sent in [&b"\xff, 198.51.100.1"[..], b"\xc3\x28,\xff , 198.51.100.1", b"\xff, 198.51.100.1, 10.9.9.9"] {
            assert_eq!(client_of(PROXIES, "10.1.2.3", &[sent]), "198.51.100.1", "{sent:?}");
        }
        assert_eq!(client_of(PROXIES, "10.1.2.3", &[b"\xff", b"198.51.100.1"]), "198.51.100.1");
        assert_eq!(client_of(PROXIES, "10.1.2.3", &[b"198.51.100.1, \xff"]), "10.1.2.3");
    }

    #[test]
    fn tls_is_taken_from_a_trusted_proxy_only() {
        let by_tls = |peer: &str, said: &str| {
            let request = TestRequest::default()
                .peer_addr(SocketAddr::new(peer.parse().unwrap(), 4_711))
                .app_data(web::Data::new(PROXIES.parse::<TrustedProxies>().unwrap()))
                .append_header((&FORWARDED_PROTO, HeaderValue::from_bytes(said.as_bytes()).unwrap()));
            came_by_tls(&request.to_http_request())
        };
        assert!(by_tls("10.1.2.3", "https") && by_tls("10.1.2.3", "http, HTTPS"));
        assert!(by_tls("10.1.2.3", "\u{ff}, https"));
        assert!(!by_tls("10.1.2.3", "https, http") && !by_tls("203.0.113.5", "https"));
    }

    #[test]
    fn networks_are_read_or_explained() {
        assert_eq!("".parse(), Ok(TrustedProxies::default()));
        assert_eq!("10.0.0.7".parse::<TrustedProxies>(), "10.0.0.7/32".parse());
        for wrong in ["proxy", "10.0.0.0/33", "10.0.0.0/8,x", "10.0.0.1:80"] {
            assert!(wrong.parse::<TrustedProxies>().unwrap_err().contains("is no address and no network"), "{wrong}");
        }
    }

    #[test]
    fn neighbours_in_an_ipv6_network_count_as_one() {
        let key = |text: &str| ClientAddress(text.parse().ok()).throttle_key();
        assert_eq!(key("2001:db8:1:2:3:4:5:6"), key("2001:db8:1:2:ffff::1"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("192.0.2.7"), "192.0.2.7");
        assert_ne!(key("192.0.2.7"), key("192.0.2.8"));
    }
}
