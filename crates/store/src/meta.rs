//! Single values about this deployment: its id, its epoch.

use crate::StoreError;

/// Reads of single values.
pub trait Meta {
    /// The value under this key.
    fn meta(&self, key: &str) -> Result<Option<String>, StoreError>;
}

/// Writes of single values.
pub trait MetaMut {
    /// Sets a value.
    fn put_meta(&mut self, key: &str, value: &str) -> Result<(), StoreError>;
}
