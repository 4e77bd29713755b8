//! What stands before the shop: proxies, pages of other origins, TLS.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use eshopz_platform::http::TrustedProxies;

use crate::edge::{Certificates, Origins};

/// The edge of a process.
#[derive(Args, Clone, Debug)]
pub struct EdgeArgs {
    /// The proxies in front of the shop, as addresses and networks such as `10.0.0.0/8`, with commas between. Who
    /// comes through them is known by what they add to `X-Forwarded-For`; nobody else's is heeded.
    #[arg(long, env = "ESHOPZ_TRUSTED_PROXIES", default_value = "", hide_default_value = true, hide_short_help = true)]
    pub trusted_proxies: TrustedProxies,

    /// The origins whose pages may call the API from a browser (CORS), such as `https://shop.example.com`, with commas
    /// between.
    #[arg(long, env = "ESHOPZ_CORS_ORIGINS", default_value = "", hide_default_value = true, hide_short_help = true)]
    pub cors_origins: Origins,

    /// Seconds that the public listener keeps a connection on which nothing is asked. Behind a load balancer they have to be
    /// more than its own, or it sends a request now and then to a connection that has just ended.
    #[arg(long, env = "ESHOPZ_KEEP_ALIVE_SECONDS", default_value_t = 5, hide_short_help = true,
          value_parser = clap::value_parser!(u16).range(1..=3_600))]
    pub keep_alive_seconds: u16,

    /// The certificate of the public listener, PEM, with those that lead to its root: the listener then speaks TLS.
    /// Changes of the file are taken up.
    #[arg(long, env = "ESHOPZ_TLS_CERTIFICATE", hide_short_help = true)]
    pub tls_certificate: Option<PathBuf>,

    /// The private key of the certificate, PEM.
    #[arg(long, env = "ESHOPZ_TLS_KEY", hide_short_help = true)]
    pub tls_key: Option<PathBuf>,
}

impl EdgeArgs {
    /// What the public listener speaks TLS with, if it does.
    ///
    /// # Errors
    /// When only one of both files is named, or they are not good.
    pub fn certificates(&self) -> anyhow::Result<Option<Certificates>> {
        match (&self.tls_certificate, &self.tls_key) {
            (Some(certificate), Some(key)) => Certificates::read(certificate, key).map(Some),
            (None, None) => Ok(None),
            _ => bail!("for TLS set both ESHOPZ_TLS_CERTIFICATE and ESHOPZ_TLS_KEY"),
        }
    }
}
