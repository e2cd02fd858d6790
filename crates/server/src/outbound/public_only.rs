//! Looks names up for connections, and refuses those that have an address which is not public, whatever others they have.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::is_public;

type Found = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Addresses of names, as connections ask for them: once each.
#[derive(Clone)]
pub(crate) struct PublicOnly {
    pub(crate) lookup: Arc<dyn Fn(String) -> Found + Send + Sync>,
    pub(crate) fits: Arc<dyn Fn(IpAddr) -> bool + Send + Sync>,
}

/// A name with an address that is not public.
#[derive(Debug, thiserror::Error)]
#[error("it has an address that is not public")]
pub(crate) struct NotPublic;

impl PublicOnly {
    /// As this machine looks names up.
    pub(crate) fn system() -> Self {
        Self::fitting(is_public)
    }

    /// The same, for addresses that fit.
    pub(crate) fn fitting(fits: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        Self {
            lookup: Arc::new(|name| {
                Box::pin(async move {
                    let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
                    Ok(found.map(|address| address.ip()).collect())
                })
            }),
            fits: Arc::new(fits),
        }
    }
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let found = (self.lookup)(name.as_str().to_owned());
        let fits = Arc::clone(&self.fits);
        Box::pin(async move {
            let found = found.await?;
            if !found.iter().all(|address| fits(*address)) {
                return Err(NotPublic.into());
            }
            let addresses = found.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}
