//! Makes the index of the record anew while no node runs: holds the data directory for as long as that takes.

use bailiwick_audit::read::Directory;
use bailiwick_core::Clock as _;
use bailiwick_crypto::system::{SystemClock, SystemRng};
use tokio::task::spawn_blocking;

use super::{StartError, keys, store};
use crate::config::Config;
use crate::indexer;

/// Reads leaves, kept values and keys of the configured node and writes its index. Events indexed.
pub async fn reindex(config: &Config) -> Result<u64, StartError> {
    let dir = config.node.data_dir.clone();
    let (store, seal) = store::open_stopped(config).await?;
    let keks = keys::keks(&store, &seal, SystemClock.wall(), &SystemRng).await?;
    let keks = std::iter::once(keks.newest).chain(keks.older).collect();
    let key = keys::index_key(&store, &seal, &SystemRng).await?;
    let origin = format!("{}/{}", config.identity.trust_domain, config.node.name);
    let directory = Directory::new(dir.join("audit"));
    let indexed = blocking(move || {
        let opener = directory.opener(keks);
        indexer::rebuild(
            &directory,
            &origin,
            &key,
            opener,
            &indexer::directory_of(&dir),
        )
    });
    let indexed = indexed.await??;
    // The directory is given back when it is closed.
    drop(store);
    Ok(indexed)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StartError> {
    let done = spawn_blocking(work).await;
    done.map_err(|error| StartError::Defect(format!("indexing broke off: {error}")))
}
