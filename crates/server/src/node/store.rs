//! The node's store: a file in its data directory, or the database that the configuration names.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::{Clock, Rng};
use bailiwick_crypto::seal::Seal;
use bailiwick_crypto::system::{SystemClock, SystemRng};
use bailiwick_store::{
    Copied, KeyClass, Options, PostgresStore, Reads, Store, StoreError, transfer,
};
use tokio::task::spawn_blocking;

use super::StartError;
use crate::config::{Config, StoreAt};

/// A server notices within this time that the machine of an earlier process is gone.
const PATIENCE: Duration = Duration::from_secs(25);

/// Opens the store and the seal of what is sealed in it, making what is not there yet. A store whose seal is missing gets no new one.
pub(super) async fn open(
    config: &Config,
    clock: &Arc<dyn Clock>,
    rng: &Arc<dyn Rng>,
) -> Result<(Store, Arc<Seal>), StartError> {
    let dir = config.node.data_dir.clone();
    let seal_file = dir.join("seal.key");
    let missing = !seal_file.exists();
    let (store, seal) = if config.store.is_some() {
        let store = connect(config, clock, rng).await?;
        if missing && store.read(holds_sealed).await? {
            return Err(StartError::SealMissing { dir });
        }
        (store, Seal::open_or_create(&seal_file, rng.as_ref())?)
    } else {
        if missing && dir.join("store.db").exists() {
            return Err(StartError::SealMissing { dir });
        }
        let seal = Seal::open_or_create(&seal_file, rng.as_ref())?;
        (connect(config, clock, rng).await?, seal)
    };
    Ok((store, Arc::new(seal)))
}

/// Opens the store and the seal of a node that has run before and does not now.
pub(super) async fn open_stopped(config: &Config) -> Result<(Store, Arc<Seal>), StartError> {
    let dir = &config.node.data_dir;
    if config.store.is_none() && !dir.join("store.db").exists() {
        return Err(StartError::Path {
            path: dir.clone(),
            what: "a node's data directory",
            source: io::ErrorKind::NotFound.into(),
        });
    }
    let seal = Seal::open(&dir.join("seal.key"))?;
    let (clock, rng): (Arc<dyn Clock>, Arc<dyn Rng>) = (Arc::new(SystemClock), Arc::new(SystemRng));
    Ok((connect(config, &clock, &rng).await?, Arc::new(seal)))
}

async fn connect(
    config: &Config,
    clock: &Arc<dyn Clock>,
    rng: &Arc<dyn Rng>,
) -> Result<Store, StartError> {
    let dir = config.node.data_dir.clone();
    let Some(at) = &config.store else {
        return blocking(move || Ok(Store::open(&dir, Options::default())?)).await;
    };
    let file = dir.join("store.db");
    if file.exists() {
        return Err(StartError::TwoStores { file });
    }
    let at = database(config, at, clock, rng);
    blocking(move || Ok(Store::open_postgres(&dir, &at)?)).await
}

/// Copies the state of a node that does not run from its file into the empty database that the configuration names, compares every table, and
/// moves the file out of the way: from then on the database is the node's store.
pub async fn migrate(config: &Config) -> Result<Vec<Copied>, StartError> {
    let Some(at) = &config.store else {
        return Err(StartError::NoDatabase);
    };
    let dir = config.node.data_dir.clone();
    let file = dir.join("store.db");
    if !file.exists() {
        return Err(StartError::Path {
            path: file,
            what: "a store to be copied",
            source: io::ErrorKind::NotFound.into(),
        });
    }
    let (clock, rng): (Arc<dyn Clock>, Arc<dyn Rng>) = (Arc::new(SystemClock), Arc::new(SystemRng));
    let to = database(config, at, &clock, &rng);
    blocking(move || {
        let copied = transfer(&dir, &to)?;
        std::fs::rename(&file, dir.join("store.db.migrated")).map_err(|source| {
            StartError::Path {
                path: file,
                what: "everything is in the database now; move the file away by hand",
                source,
            }
        })?;
        Ok(copied)
    })
    .await
}

fn database(
    config: &Config,
    at: &StoreAt,
    clock: &Arc<dyn Clock>,
    rng: &Arc<dyn Rng>,
) -> PostgresStore {
    PostgresStore {
        url: at.url.clone(),
        password_file: at.password_file.clone(),
        ca_file: at.ca_file.clone(),
        node: config.node.name.to_string(),
        // Budgets and processes are counted by one node as yet: a second one would not see them.
        others: false,
        patience: PATIENCE,
        clock: Arc::clone(clock),
        rng: Arc::clone(rng),
    }
}

/// Whether something is in it that only its seal opens.
fn holds_sealed(rows: &dyn Reads) -> Result<bool, StoreError> {
    for class in KeyClass::ALL {
        if !rows.keys(class)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(!rows.secrets()?.is_empty())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StartError> + Send + 'static,
) -> Result<T, StartError> {
    let done = spawn_blocking(work).await;
    done.map_err(|error| StartError::Defect(format!("opening the store broke off: {error}")))?
}
