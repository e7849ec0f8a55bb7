//! Whom to trust on a secure connection.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

/// What secure connections are made with. Cloning shares, sessions that can be resumed included.
#[derive(Clone, Debug)]
pub struct Tls(Arc<ClientConfig>);

impl Tls {
    /// Trusts the authorities that Mozilla trusts, as of the build.
    #[must_use]
    pub fn public() -> Self {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        Self::with_roots(roots)
    }

    /// Trusts these certificates (DER) and no others: for an exchange in a box or a gateway within
    /// one's own walls.
    ///
    /// # Errors
    ///
    /// If one of them is none.
    pub fn trusting(certificates: &[&[u8]]) -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        for der in certificates {
            roots.add(CertificateDer::from(der.to_vec()))?;
        }
        Ok(Self::with_roots(roots))
    }

    /// Returns the configuration.
    #[must_use]
    pub const fn config(&self) -> &Arc<ClientConfig> {
        &self.0
    }

    fn with_roots(roots: RootCertStore) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider supports TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self(Arc::new(config))
    }
}
