//! TLS to PostgreSQL.
//!
//! Where it is asked for, it is never without a look at who is at the other end: the certificate has to be for the host of
//! the URL, and by somebody who is trusted, which libpq calls `verify-full`. A connection whose URL does not ask is
//! encrypted where the process was given certificates to trust, and else it is not: within a machine or a network that
//! is one's own it may go without.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::{Arc, OnceLock};

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, Error as PostgresError, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

/// What of libpq's modes has a check of the certificate; the driver knows `require` only, which here has it as well.
const STRICTER: [&str; 2] = ["sslmode=verify-full", "sslmode=verify-ca"];

/// Whom this process trusts, once it is known.
static TRUST: OnceLock<Trust> = OnceLock::new();

/// The connection that a client is driven by.
pub type Driver = Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

struct Trust {
    connector: MakeRustlsConnect,
    /// Also where a URL does not ask for it.
    always: bool,
}

/// Certificates that nobody can be trusted by.
#[derive(Debug, Error)]
pub enum TrustError {
    #[error("{0}: {1}")]
    File(PathBuf, std::io::Error),
    #[error("{0} has no certificate in it that can be read; it has to be PEM")]
    Pem(PathBuf),
    #[error("whom the process trusts was settled before")]
    Late,
}

/// Trusts what the system does and the certificates of a file, by which every connection is encrypted from then on
/// unless its URL says `sslmode=disable`. To be called before the first connection.
///
/// # Errors
/// When the file is none of certificates, or there was a connection before.
pub fn trust(file: &Path) -> Result<(), TrustError> {
    if TRUST.get().is_some_and(|trust| trust.always) {
        return Ok(());
    }
    let pem = fs::read(file).map_err(|error| TrustError::File(file.to_owned(), error))?;
    let unreadable = || TrustError::Pem(file.to_owned());
    let own: Vec<_> = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|_| unreadable())?;
    let mut roots = system_roots();
    let (added, _) = roots.add_parsable_certificates(own);
    if added == 0 {
        return Err(unreadable());
    }
    TRUST.set(Trust { connector: connector(roots), always: true }).map_err(|_| TrustError::Late)
}

/// Reads a URL, or settings in words, as libpq has them.
///
/// # Errors
/// When it cannot be read.
pub fn parse(url: &str) -> Result<Config, PostgresError> {
    let url = STRICTER.iter().fold(Cow::Borrowed(url), |url, mode| {
        if url.contains(mode) { Cow::Owned(url.replace(mode, "sslmode=require")) } else { url }
    });
    Config::from_str(&url)
}

/// Connects, encrypted where that is asked for.
///
/// # Errors
/// Those of the server, and when it is not who it should be.
pub async fn connect(config: &Config) -> Result<(Client, Driver), PostgresError> {
    let trust = TRUST.get_or_init(Trust::in_the_system);
    let mut config = config.clone();
    if config.get_ssl_mode() == SslMode::Prefer {
        config.ssl_mode(if trust.always { SslMode::Require } else { SslMode::Disable });
    }
    config.connect(trust.connector.clone()).await
}

impl Trust {
    fn in_the_system() -> Self {
        Self { connector: connector(system_roots()), always: false }
    }
}

/// What the system trusts, as far as it can be read.
fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

fn connector(roots: RootCertStore) -> MakeRustlsConnect {
    let versions = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    // It fails for a provider that has no suite for them, and this one has.
    let builder = versions.with_safe_default_protocol_versions().unwrap_or_else(|_| ClientConfig::builder());
    MakeRustlsConnect::new(builder.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stricter_modes_of_libpq_are_understood() {
        for (url, mode) in [
            ("postgres://u:p@h/db", SslMode::Prefer),
            ("postgres://u:p@h/db?sslmode=disable", SslMode::Disable),
            ("postgres://u:p@h/db?sslmode=require", SslMode::Require),
            ("postgres://u:p@h/db?sslmode=verify-full&connect_timeout=3", SslMode::Require),
            ("host=h user=u sslmode=verify-ca", SslMode::Require),
        ] {
            assert_eq!(parse(url).unwrap().get_ssl_mode(), mode, "{url}");
        }
        parse("postgres://u:p@h/db?sslmode=allow").unwrap_err();
    }
}
