//! Items that have taken labels, and the labels that processes have picked up.

use bailiwick_core::id::InstanceId;
use bailiwick_core::item::{Item, ItemKey};
use bailiwick_core::label::Labels;
use bailiwick_core::name::ServerName;

use crate::StoreError;

/// Reads of items.
pub trait Items {
    /// One item, if it has ever taken a label.
    fn item(&self, key: &ItemKey) -> Result<Option<Item>, StoreError>;

    /// The items of one server or of all, by key.
    fn items(&self, server: Option<&ServerName>) -> Result<Vec<Item>, StoreError>;

    /// How many items of a server there are.
    fn count_items(&self, server: &ServerName) -> Result<u64, StoreError>;

    /// What the tasks of a process have picked up so far.
    fn instance_labels(&self, instance: InstanceId) -> Result<Labels, StoreError>;
}

/// Writes of items.
pub trait ItemsMut {
    /// Stores the next version of an item; appends to the feed.
    fn put_item(&mut self, item: &Item) -> Result<(), StoreError>;

    /// Stores what the tasks of a process have picked up.
    fn put_instance_labels(
        &mut self,
        instance: InstanceId,
        labels: &Labels,
    ) -> Result<(), StoreError>;
}
