//! Single values in SQL.

use super::view::View;
use crate::{Meta, MetaMut, StoreError};

impl Meta for View<'_> {
    fn meta(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.row("SELECT value FROM meta WHERE key = ?1", [key], |row| {
            row.get(0)
        })
    }
}

impl MetaMut for View<'_> {
    fn put_meta(&mut self, key: &str, value: &str) -> Result<(), StoreError> {
        self.execute(
            "value",
            key,
            "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (key, value),
        )?;
        Ok(())
    }
}
