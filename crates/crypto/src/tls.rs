//! The one rustls set-up: aws-lc-rs as the process's crypto provider. Every TLS client and server of the binary uses it.

use std::sync::Once;

/// Makes aws-lc-rs the process-wide rustls provider. Call it first in `main` and in tests that open TLS; repeated calls do nothing.
pub fn install_default_provider() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // An error means that a provider is there already, and aws-lc-rs is the only one in the build.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
}

#[cfg(test)]
mod tests;
