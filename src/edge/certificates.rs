//! The certificate of the public listener, and its changes on disk: whoever renews it replaces the files, and new
//! connections get the new one.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context as _;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};

/// The pause between two looks at the files.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// A certificate with its key, and the files that they are in.
#[derive(Debug)]
pub struct Certificates {
    certificate: PathBuf,
    key: PathBuf,
    /// What was in the files when they were last looked at.
    seen: Pem,
    shown: Arc<Shown>,
}

/// The text of both files.
#[derive(Clone, PartialEq, Eq)]
struct Pem {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl std::fmt::Debug for Pem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pem(***)")
    }
}

/// What clients are shown.
#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Certificates {
    /// Reads a chain of certificates, the server's own first, and its private key, both PEM.
    ///
    /// # Errors
    /// When a file cannot be read, has no such thing in it, or the key is that of another certificate.
    pub fn read(certificate: &Path, key: &Path) -> anyhow::Result<Self> {
        let read = |path: &Path| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
        let seen = Pem { certificate: read(certificate)?, key: read(key)? };
        let shown = Arc::new(Shown(RwLock::new(seen.certified(certificate, key)?)));
        Ok(Self { certificate: certificate.to_owned(), key: key.to_owned(), seen, shown })
    }

    /// TLS 1.2 and 1.3 with these. The web server adds its protocols.
    ///
    /// # Errors
    /// When the cryptography knows none of these versions.
    pub fn server_config(&self) -> anyhow::Result<ServerConfig> {
        let versions = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = versions.with_protocol_versions(&[&TLS13, &TLS12])?.with_no_client_auth();
        let shown: Arc<dyn ResolvesServerCert> = Arc::<Shown>::clone(&self.shown);
        Ok(builder.with_cert_resolver(shown))
    }

    /// Looks again and again whether the files have changed. What is not good, such as a certificate whose key is not
    /// there yet, is told once and not shown.
    pub async fn follow(mut self) {
        loop {
            tokio::time::sleep(LOOK_AGAIN).await;
            self.look().await;
        }
    }

    async fn look(&mut self) {
        let read = tokio::join!(tokio::fs::read(&self.certificate), tokio::fs::read(&self.key));
        // For a moment there may be none.
        let (Ok(certificate), Ok(key)) = read else { return };
        let now = Pem { certificate, key };
        if now == self.seen {
            return;
        }
        match now.certified(&self.certificate, &self.key) {
            Ok(certified) => {
                *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = certified;
                tracing::info!("the TLS certificate has changed");
            }
            Err(error) => tracing::warn!(error = format!("{error:#}"), "the TLS certificate stays as it was"),
        }
        self.seen = now;
    }
}

impl Pem {
    fn certified(&self, certificate: &Path, key: &Path) -> anyhow::Result<Arc<CertifiedKey>> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<_, _>>()
            .with_context(|| format!("{} is not PEM", certificate.display()))?;
        anyhow::ensure!(!chain.is_empty(), "there is no certificate in {}", certificate.display());
        // What the reader says of a key may have a part of it.
        let private = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| anyhow::anyhow!("there is no private key in {}", key.display()))?;
        let certified = CertifiedKey::from_der(chain, private, &ring::default_provider());
        let pair = || format!("{} and {} are no pair", certificate.display(), key.display());
        Ok(Arc::new(certified.with_context(pair)?))
    }
}
