//! What the listeners show clients: read when the node starts, and again when the files change, so that a renewal needs no restart. A
//! pair of files that cannot be used changes nothing but the log.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::{Clock, Code, Digest, Fault, Timestamp};
use bailiwick_crypto::hash::sha256;
use bailiwick_crypto::tls::server::{BadIdentity, Identity, Shown};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::{Addresses, StartError};
use crate::config::{Config, Listener, TlsFiles};
use crate::secret_file;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A certificate that ends sooner than this is told of.
const SOON: Duration = Duration::from_hours(24);
/// Longest chain read.
const MAX_CHAIN: u64 = 64 << 10;

/// The certificates of a node's listeners.
pub(super) struct Certificates {
    console: Option<Certificate>,
    gateway: Option<Certificate>,
    ends: Ends,
}

/// When certificates end, seconds since the epoch, by the key of the configuration that names them.
pub(super) type Ends = Family<[(&'static str, &'static str); 1], Gauge>;

impl Certificates {
    /// Reads them, for the names that clients call the listeners by.
    pub(super) fn open(
        config: &Config,
        addresses: &Addresses,
        now: Timestamp,
    ) -> Result<Self, StartError> {
        let open = |name, listener: &Listener, urls: &[&String]| {
            let hosts = || urls.iter().map(|url| host_of(url)).collect();
            let open = listener.tls.as_ref();
            open.map(|files| Certificate::open(name, files, hosts(), now))
                .transpose()
        };
        let mutual = addresses.mtls_url.iter();
        let console: Vec<_> = mutual.chain([&addresses.console_url]).collect();
        Ok(Self {
            console: open("console.tls", &config.console, &console)?,
            gateway: open(
                "gateway.tls",
                &config.gateway.listener,
                &[&addresses.gateway_url],
            )?,
            ends: Ends::default(),
        })
    }

    /// What the console's listener shows.
    pub(super) fn console(&self) -> Option<Arc<Shown>> {
        self.console.as_ref().map(Certificate::shown)
    }

    /// What the gateway's shows.
    pub(super) fn gateway(&self) -> Option<Arc<Shown>> {
        self.gateway.as_ref().map(Certificate::shown)
    }

    /// When they end, for the metrics.
    pub(super) fn ends(&self) -> Ends {
        self.ends.clone()
    }

    /// Looks after them until `stop`.
    pub(super) async fn watch(
        self,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> &'static str {
        let ends = self.ends;
        let mut certificates: Vec<_> = self.console.into_iter().chain(self.gateway).collect();
        loop {
            for certificate in &certificates {
                let ends = ends.get_or_create(&[("key", certificate.name)]);
                ends.set(certificate.not_after.as_secs());
            }
            tokio::select! {
                () = stop.cancelled() => return "certificates",
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let now = clock.wall();
            let looked = spawn_blocking(move || {
                for certificate in &mut certificates {
                    certificate.look(now);
                }
                certificates
            });
            match looked.await {
                Ok(looked) => certificates = looked,
                Err(_) => return "certificates",
            }
        }
    }
}

/// One listener's.
struct Certificate {
    /// The key of the configuration that names it.
    name: &'static str,
    files: TlsFiles,
    hosts: Vec<String>,
    shown: Arc<Shown>,
    not_after: Timestamp,
    told: Told,
    /// Digest of the files as they are shown.
    good: Digest,
    /// Digest of files that cannot be used, and whether that was told. Files that are being replaced do not fit for a moment.
    bad: Option<(Digest, bool)>,
}

/// What was said of a certificate's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Soon,
    Over,
}

impl Certificate {
    fn open(
        name: &'static str,
        files: &TlsFiles,
        hosts: Vec<String>,
        now: Timestamp,
    ) -> Result<Self, StartError> {
        let (good, read) = read(name, files, &hosts, now);
        let identity = read?;
        Ok(Self {
            name,
            files: files.clone(),
            hosts,
            shown: Shown::new(&identity),
            not_after: identity.not_after(),
            told: Told::Nothing,
            good,
            bad: None,
        })
    }

    fn shown(&self) -> Arc<Shown> {
        Arc::clone(&self.shown)
    }

    /// Takes the files if they have changed and are good.
    fn look(&mut self, now: Timestamp) {
        let (digest, read) = read(self.name, &self.files, &self.hosts, now);
        if digest == self.good {
            self.bad = None;
        } else {
            match read {
                Ok(identity) => self.take(&identity, digest),
                Err(error) => self.keep(&error, digest),
            }
        }
        self.warn(now);
    }

    fn take(&mut self, identity: &Identity, digest: Digest) {
        self.shown.replace(identity);
        self.not_after = identity.not_after();
        (self.good, self.bad, self.told) = (digest, None, Told::Nothing);
        tracing::info!(key = self.name, not_after = %self.not_after, "a listener shows a new certificate");
    }

    fn keep(&mut self, error: &StartError, digest: Digest) {
        let again = self.bad.filter(|(known, _)| *known == digest);
        if again == Some((digest, false)) {
            let why = std::error::Error::source(error).map(ToString::to_string);
            tracing::error!(
                key = self.name, %error, why, help = error.help(), not_after = %self.not_after,
                "the files of a listener's certificate changed and cannot be used: it goes on with what it had"
            );
        }
        self.bad = Some((digest, again.is_some()));
    }

    fn warn(&mut self, now: Timestamp) {
        let stands = if now >= self.not_after {
            Told::Over
        } else if now.plus(SOON) >= self.not_after {
            Told::Soon
        } else {
            Told::Nothing
        };
        if stands != self.told {
            let (key, not_after) = (self.name, self.not_after);
            match stands {
                Told::Over => {
                    tracing::error!(key, %not_after, "a listener's certificate is over: clients refuse it");
                }
                Told::Soon => {
                    tracing::warn!(key, %not_after, "a listener's certificate ends soon");
                }
                Told::Nothing => {}
            }
            self.told = stands;
        }
    }
}

/// Digest of what the files say, and what they make.
fn read(
    name: &'static str,
    files: &TlsFiles,
    hosts: &[String],
    now: Timestamp,
) -> (Digest, Result<Identity, StartError>) {
    let chain = chain(name, &files.cert);
    let key = secret_file::read(
        &files.key,
        "the private key of a listener",
        "others could read the private key of a listener",
    );
    match (chain, key) {
        (Ok(chain), Ok(key)) => {
            let digest = sha256(&[&chain, b"\0", key.expose().as_bytes()]);
            let identity = Identity::from_pem(&chain, &key, hosts, now);
            let unfit = |source| CertificateError::Unfit {
                name,
                path: files.cert.clone(),
                source,
            };
            (digest, identity.map_err(|source| unfit(source).into()))
        }
        (Err(error), _) => (sha256(&[error.to_string().as_bytes()]), Err(error.into())),
        (_, Err(error)) => (sha256(&[error.to_string().as_bytes()]), Err(error)),
    }
}

fn chain(name: &'static str, path: &Path) -> Result<Vec<u8>, CertificateError> {
    let unreadable = |source| CertificateError::Unreadable {
        name,
        path: path.to_owned(),
        source,
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut chain = Vec::new();
    file.take(MAX_CHAIN)
        .read_to_end(&mut chain)
        .map_err(unreadable)?;
    Ok(chain)
}

/// The host of a URL without path, without its port.
pub(super) fn host_of(url: &str) -> String {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host.to_owned(),
        _ => authority.to_owned(),
    }
}

/// Why a listener cannot show what the configuration names.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file of the certificate cannot be read.
    #[error("{name}: {} cannot be read", path.display())]
    Unreadable {
        /// The key of the configuration.
        name: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Certificate and key are not good for the listener.
    #[error("{name}: {} and its key cannot be listened with", path.display())]
    Unfit {
        /// The key of the configuration.
        name: &'static str,
        /// The file of the certificate.
        path: PathBuf,
        /// Why.
        #[source]
        source: BadIdentity,
    },
}

impl Fault for CertificateError {
    fn code(&self) -> Code {
        Code::ConfigInvalid
    }

    fn help(&self) -> String {
        match self {
            Self::Unreadable { .. } => "name a file that the node may read".to_owned(),
            Self::Unfit { source, .. } => source.help().to_owned(),
        }
    }
}
