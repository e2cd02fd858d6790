//! An authority of the tests' own, and what its certificates are good for: every test process has one, and trusts it wherever it goes.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bailiwick_core::Clock as _;
use bailiwick_crypto::system::SystemClock;
use bailiwick_crypto::tls;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;

/// The authority.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub(crate) struct Pair {
    /// The certificate.
    pub(crate) cert: String,
    /// The key.
    pub(crate) key: String,
}

/// Names under which the nodes of the tests are called.
pub(crate) const NAMES: [&str; 2] = ["127.0.0.1", "localhost"];

/// The one of this process.
pub(crate) fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        tls::install_default_provider();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Authority { issuer }
    })
}

impl Authority {
    /// Its certificate in PEM.
    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for these names that ends `ends` from now, which may have been before.
    pub(crate) fn issue(&self, names: &[&str], ends: i64) -> Pair {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        let now = u64::try_from(SystemClock.wall().as_secs()).unwrap();
        let at = |seconds| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
        params.not_before = at(now - 48 * 3_600);
        params.not_after = at(now.saturating_add_signed(ends));
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap().pem();
        let key = key.serialize_pem();
        Pair { cert, key }
    }

    /// Its certificate, for those who trust it.
    pub(crate) fn roots(&self) -> [CertificateDer<'static>; 1] {
        [self.issuer.der().clone()]
    }

    /// A client that trusts it alone.
    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        Arc::new(tls::client_of(self.pem().as_bytes()).unwrap())
    }
}

impl Pair {
    /// Puts it where a node of the tests looks for it, each file at once.
    pub(crate) fn put(&self, home: &Path) {
        use std::os::unix::fs::OpenOptionsExt as _;
        for (name, text) in [("server.pem", &self.cert), ("server.key", &self.key)] {
            let new = home.join("new");
            // A file that is left from before has its mode.
            let _ = std::fs::remove_file(&new);
            let mut file = std::fs::OpenOptions::new();
            let mut file = file
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&new)
                .unwrap();
            std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
            std::fs::rename(&new, home.join(name)).unwrap();
        }
    }
}
