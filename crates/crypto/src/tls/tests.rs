//! The provider is there after the first call and the second does no harm.

use rustls::crypto::CryptoProvider;

use super::install_default_provider;

#[test]
fn installs_once() {
    install_default_provider();
    install_default_provider();
    assert!(CryptoProvider::get_default().is_some());
    rustls::ClientConfig::builder()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
}
