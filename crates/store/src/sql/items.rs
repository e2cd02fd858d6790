//! Items in SQL. They outlive their server's row: what was written stays written when a server is registered again.

use bailiwick_core::change::ChangeBody;
use bailiwick_core::id::InstanceId;
use bailiwick_core::item::{Item, ItemKey};
use bailiwick_core::label::Labels;
use bailiwick_core::name::ServerName;

use super::view::{View, decode, encode, next_version, signed, unsigned};
use crate::{Items, ItemsMut, StoreError};

const KIND: &str = "item";

impl Items for View<'_> {
    fn item(&self, key: &ItemKey) -> Result<Option<Item>, StoreError> {
        self.one(
            KIND,
            "SELECT body FROM item WHERE server = ?1 AND kind = ?2 AND id = ?3",
            (key.server.as_str(), key.kind.as_str(), key.id.to_hex()),
        )
    }

    fn items(&self, server: Option<&ServerName>) -> Result<Vec<Item>, StoreError> {
        self.many(
            KIND,
            "SELECT body FROM item WHERE server = ?1 OR ?1 IS NULL ORDER BY server, kind, id",
            [server.map(ServerName::as_str)],
        )
    }

    fn count_items(&self, server: &ServerName) -> Result<u64, StoreError> {
        let count = self.row(
            "SELECT count(*) FROM item WHERE server = ?1",
            [server.as_str()],
            |row| row.get::<i64>(0),
        )?;
        Ok(count.map_or(0, unsigned))
    }

    fn instance_labels(&self, instance: InstanceId) -> Result<Labels, StoreError> {
        let body: Option<String> = self.row(
            "SELECT labels FROM instance_label WHERE instance = ?1",
            [instance.to_string()],
            |row| row.get(0),
        )?;
        body.map_or_else(|| Ok(Labels::default()), |body| decode("label", &body))
    }
}

impl ItemsMut for View<'_> {
    fn put_item(&mut self, item: &Item) -> Result<(), StoreError> {
        let key = item.key.to_string();
        let (server, kind, id) = (
            item.key.server.as_str(),
            item.key.kind.as_str(),
            item.key.id.to_hex(),
        );
        let stored: Option<i64> = self.row(
            "SELECT version FROM item WHERE server = ?1 AND kind = ?2 AND id = ?3",
            (server, kind, &id),
            |row| row.get(0),
        )?;
        next_version(KIND, &key, stored.map_or(0, unsigned), item.version)?;
        self.execute(
            KIND,
            &key,
            "INSERT INTO item (server, kind, id, version, body) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (server, kind, id) DO UPDATE SET version = excluded.version, body = excluded.body",
            (server, kind, &id, signed(KIND, item.version)?, encode(KIND, item)?),
        )?;
        self.append(&key, ChangeBody::Item(item.clone()))
    }

    fn put_instance_labels(
        &mut self,
        instance: InstanceId,
        labels: &Labels,
    ) -> Result<(), StoreError> {
        let id = instance.to_string();
        self.execute(
            "label",
            &id,
            "INSERT INTO instance_label (instance, labels) VALUES (?1, ?2)
             ON CONFLICT (instance) DO UPDATE SET labels = excluded.labels",
            (&id, encode("label", labels)?),
        )?;
        Ok(())
    }
}
