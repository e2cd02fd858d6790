//! How far the node's log was signed and who writes it, kept in the store: what the log itself is compared with at every start.

use bailiwick_audit::standing::{CheckpointStore, CheckpointStoreError, Standing};
use bailiwick_store::{Store, StoreError, Tx};

/// Standings among the store's single values.
pub(super) struct StoredCheckpoints(pub(super) Store);

impl CheckpointStore for StoredCheckpoints {
    fn standing(&self, origin: &str) -> Result<Standing, CheckpointStoreError> {
        let key = key(origin);
        let found = self.0.write_blocking(move |tx| held(tx, &key));
        found.map_err(|error| unavailable(&error))
    }

    fn swap(
        &self,
        origin: &str,
        from: &Standing,
        to: &Standing,
    ) -> Result<bool, CheckpointStoreError> {
        let (key, from) = (key(origin), from.clone());
        let to =
            serde_json::to_string(to).map_err(|error| CheckpointStoreError(error.to_string()))?;
        let swapped = self.0.write_blocking(move |tx| {
            if held(tx, &key)? != from {
                return Ok(false);
            }
            tx.put_meta(&key, &to)?;
            Ok(true)
        });
        swapped.map_err(|error| unavailable(&error))
    }
}

pub(super) fn key(origin: &str) -> String {
    format!("audit_log/{origin}")
}

pub(super) fn held(tx: &dyn Tx, key: &str) -> Result<Standing, StoreError> {
    let Some(text) = tx.meta(key)? else {
        return Ok(Standing::default());
    };
    serde_json::from_str(&text).map_err(|error| StoreError::Damaged {
        kind: "standing of the audit log",
        why: error.to_string(),
    })
}

fn unavailable(error: &StoreError) -> CheckpointStoreError {
    CheckpointStoreError(error.to_string())
}

#[cfg(test)]
mod tests;
