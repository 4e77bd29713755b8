//! Where the modules are that run in other processes.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use actix_web::http::Uri;
use anyhow::{Context as _, bail, ensure};
use clap::Args;

use crate::modules::{INTERNAL_OFFSET, Module};

/// The internal listeners of the other processes.
#[derive(Args, Clone, Debug, Default)]
pub struct NeighbourArgs {
    /// The internal listener of the user module, when it runs elsewhere: `http://host:4001`. In development
    /// it is looked for on this machine.
    #[arg(long, env = "ESHOPZ_USER_URL")]
    pub user_url: Option<String>,

    /// The internal listener of the product module, when it runs elsewhere: `http://host:4002`.
    #[arg(long, env = "ESHOPZ_PRODUCT_URL")]
    pub product_url: Option<String>,

    /// The internal listener of the cart module, when it runs elsewhere: `http://host:4003`.
    #[arg(long, env = "ESHOPZ_CART_URL")]
    pub cart_url: Option<String>,

    /// The internal listener of the payment module, when it runs elsewhere: `http://host:4004`.
    #[arg(long, env = "ESHOPZ_PAYMENT_URL")]
    pub payment_url: Option<String>,

    /// The internal listener of the order module, when it runs elsewhere: `http://host:4005`.
    #[arg(long, env = "ESHOPZ_ORDER_URL")]
    pub order_url: Option<String>,
}

/// What decides which neighbours a process needs and where they may be.
#[derive(Clone, Copy, Debug)]
pub struct Neighbourhood<'a> {
    pub selected: &'a [Module],
    /// Our own internal listener.
    pub internal: SocketAddr,
    /// Events go to the listeners' processes directly, so that these must be known as well.
    pub delivers_events: bool,
    pub is_production: bool,
}

impl NeighbourArgs {
    fn given(&self, module: Module) -> Option<&str> {
        match module {
            Module::User => self.user_url.as_deref(),
            Module::Product => self.product_url.as_deref(),
            Module::Cart => self.cart_url.as_deref(),
            Module::Payment => self.payment_url.as_deref(),
            Module::Order => self.order_url.as_deref(),
        }
    }

    /// The addresses of the modules that the selected ones need and that do not run beside them.
    ///
    /// # Errors
    /// When one is missing, is no address, or leads back to this process.
    pub fn addresses(&self, around: Neighbourhood<'_>) -> anyhow::Result<BTreeMap<Module, String>> {
        let mut needed = BTreeMap::new();
        for module in around.selected {
            let hearers = module.heard_by().filter(|_| around.delivers_events).map(|other| (other, "is heard by"));
            let called = module.calls().iter().map(|other| (*other, "calls"));
            for (other, verb) in called.chain(hearers).filter(|(other, _)| !around.selected.contains(other)) {
                needed.entry(other).or_insert((*module, verb));
            }
        }
        needed
            .into_iter()
            .map(|(other, (module, verb))| {
                let url = self
                    .address(other, around)
                    .with_context(|| format!("{module} {verb} {other}, which does not run in this process"))?;
                Ok((other, url))
            })
            .collect()
    }

    fn address(&self, module: Module, around: Neighbourhood<'_>) -> anyhow::Result<String> {
        let variable = format!("ESHOPZ_{}_URL", module.name().to_uppercase());
        let port = module.port() + INTERNAL_OFFSET;
        let url = match self.given(module) {
            Some(url) => url.trim().trim_end_matches('/').to_owned(),
            None if around.is_production => String::new(),
            None => format!("http://127.0.0.1:{port}"),
        };
        ensure!(!url.is_empty(), "set {variable} to its internal listener, such as http://{module}:{port}");
        let wrong = || format!("{variable} is `{url}`, not an address such as http://{module}:{port}");
        let uri: Uri = url.parse().with_context(wrong)?;
        let is_plain = uri.scheme_str() == Some("http") && uri.path() == "/" && uri.query().is_none();
        let Some(host) = uri.host().filter(|host| is_plain && !host.is_empty()) else { bail!(wrong()) };
        let leads_back = uri.port_u16().unwrap_or(80) == around.internal.port() && is_here(host, around.internal.ip());
        ensure!(!leads_back, "{variable} is `{url}`, which leads back to this process");
        Ok(url)
    }
}

/// Whether a host's name can only mean this process's own address.
fn is_here(host: &str, own: IpAddr) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let address = if host == "localhost" { Some(IpAddr::from([127, 0, 0, 1])) } else { host.parse().ok() };
    address.is_some_and(|address: IpAddr| address == own || (own.is_unspecified() && address.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(selected: &[Module]) -> Neighbourhood<'_> {
        let internal = SocketAddr::from(([127, 0, 0, 1], 4000));
        Neighbourhood { selected, internal, delivers_events: true, is_production: false }
    }

    #[test]
    fn only_what_is_needed_is_asked_for() {
        let none = NeighbourArgs::default();
        assert!(none.addresses(around(&Module::ALL)).unwrap().is_empty());
        let of_user = none.addresses(around(&[Module::User])).unwrap();
        assert_eq!(of_user.keys().copied().collect::<Vec<_>>(), [Module::Cart, Module::Payment, Module::Order]);
        let by_queue = Neighbourhood { delivers_events: false, ..around(&[Module::User]) };
        assert!(none.addresses(by_queue).unwrap().is_empty());
        let of_cart = none.addresses(around(&[Module::Cart])).unwrap();
        assert_eq!(of_cart[&Module::Product], "http://127.0.0.1:4002");
        assert_eq!(of_cart.len(), 2);
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let production = Neighbourhood { is_production: true, ..around(&[Module::Cart]) };
        let said = |args: NeighbourArgs, around| format!("{:#}", args.addresses(around).unwrap_err());
        let missing = said(NeighbourArgs::default(), production);
        assert!(missing.contains("set ESHOPZ_USER_URL to its internal listener"), "{missing}");
        let with = |url: &str| NeighbourArgs { product_url: Some(url.to_owned()), ..NeighbourArgs::default() };
        for wrong in ["", "product", "product:4002", "https://product:4002", "http://product:4002/internal", "http://"]
        {
            let message = said(with(wrong), around(&[Module::Cart]));
            assert!(message.contains("ESHOPZ_PRODUCT_URL"), "{wrong}: {message}");
        }
        for back in ["http://127.0.0.1:4000", "http://localhost:4000/"] {
            let message = said(with(back), around(&[Module::Cart]));
            assert!(message.contains("leads back to this process"), "{message}");
        }
        assert!(with("http://product:4002/").addresses(around(&[Module::Cart])).is_ok());
    }
}
